"""Answers as a file, part by part: CSV, JSON lines or Parquet."""

import tempfile
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from unroll import store
from unroll.errors import ConfigError, StoreError

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "jsonl", "parquet"]
FLOATS = "%.9g"
"""As many digits as a number of 32 bits has."""
TIMES = "%Y-%m-%dT%H:%M:%S"


def require_possible(output: Path | None, given: Format | None, source: str) -> None:
    """Raise ConfigError for a file that cannot be written, an ending that is none of the formats, or another format."""
    if output is None:
        if given == "parquet":
            raise ConfigError("--format: parquet is no text; expected csv or jsonl, or --output FILE.parquet")
        return
    kind = output.suffix.lower().removeprefix(".")
    if kind not in _WRITERS:
        endings = ", ".join(f".{name}" for name in _WRITERS)
        raise ConfigError(f"--output: {output.name!r} is not allowed; expected a name that ends with {endings}")
    if given not in (None, kind):
        raise ConfigError(f"--format: {given!r} is not the ending of --output {output.name!r}; expected {kind}")
    if not output.parent.is_dir():
        raise ConfigError(f"--output: no folder {output.parent}; expected one that is there")
    if output.is_dir():
        raise ConfigError(f"--output: {output} is a folder; expected a file")
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise ConfigError(f"--output: {output} is the input itself; expected another file")


def format_of(output: Path | None, given: Format | None, asked_in: str | None) -> Format:
    """The format asked for, by ``--format`` or the ending; else JSON lines for such an input, and CSV."""
    if given is not None:
        return given
    ending = output.suffix.lower().removeprefix(".") if output else "jsonl" if asked_in == "jsonl" else "csv"
    return next(name for name in _WRITERS if name == ending)


def write(answers: "Iterator[pd.DataFrame]", kind: Format, output: Path | None, out: TextIO) -> None:
    """Write to ``output``, or to ``out``, once all answers are there: of a faulty input nothing is written."""
    if output is not None:
        with store.atomic_file(output) as temporary:
            _WRITERS[kind](answers, temporary)
        return
    try:
        with tempfile.TemporaryDirectory(prefix="unroll-") as folder:
            path = Path(folder) / "answers"
            _WRITERS[kind](answers, path)
            _copy(path, out)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StoreError(f"{error.filename or tempfile.gettempdir()}: cannot be written: {error.strerror}") from None


def _copy(path: Path, out: TextIO) -> None:
    if isinstance(out, TextIOWrapper):
        out.reconfigure(encoding="utf-8")
    with path.open(encoding="utf-8", newline="") as handle:
        while part := handle.read(1 << 20):
            out.write(part)


def without_zone(answer: "pd.DataFrame") -> "pd.DataFrame":
    """The same with times that name no zone, for an input whose times name none."""
    return answer.assign(time=answer["time"].dt.tz_convert(None)) if "time" in answer else answer


def _csv(answers: "Iterator[pd.DataFrame]", path: Path) -> None:
    import pandas as pd

    with path.open("w", encoding="utf-8", newline="") as handle:
        for number, part in enumerate(answers):
            times = TIMES + "Z" * any(isinstance(kind, pd.DatetimeTZDtype) for kind in part.dtypes)
            part.to_csv(
                handle, index=False, header=not number, lineterminator="\n", float_format=FLOATS, date_format=times
            )


def _json_lines(answers: "Iterator[pd.DataFrame]", path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        for part in answers:
            part.to_json(
                handle, orient="records", lines=True, date_format="iso", date_unit="s", double_precision=9,
                force_ascii=False,
            )  # fmt: skip


def _parquet(answers: "Iterator[pd.DataFrame]", path: Path) -> None:
    store.write_table_parts(path, answers)


_WRITERS: "dict[Format, Callable[[Iterator[pd.DataFrame], Path], None]]" = {
    "csv": _csv,
    "jsonl": _json_lines,
    "parquet": _parquet,
}
