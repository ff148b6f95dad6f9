"""Answers as a file, part by part: CSV, JSON lines, Parquet or lines of text."""

import json
import tempfile
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from unroll.core import store
from unroll.core.errors import ConfigError, DataError, StoreError

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "jsonl", "parquet", "text"]
ENDINGS: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet", ".txt": "text"}
SAME: tuple[Format, ...] = ("jsonl", "text")
"""Formats of an input whose answers have the same format by default; for all others it is CSV."""
FLOATS = "%.9g"
"""The digits of a 32-bit number."""
TIMES = "%Y-%m-%dT%H:%M:%S"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r"})


def require_possible(output: Path | None, given: Format | None, source: str) -> None:
    """Raise ConfigError for a file that cannot be written, an unknown ending, or one that ``--format`` contradicts."""
    if output is None:
        if given == "parquet":
            raise ConfigError(
                "--format: parquet is not a text format; expected csv, jsonl or text, or --output FILE.parquet"
            )
        return
    ending = output.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(
            f"--output: {output.name!r} is not allowed; expected a name that ends with {', '.join(ENDINGS)}"
        )
    if given not in (None, ENDINGS[ending]):
        raise ConfigError(
            f"--format: {given!r} is not the ending of --output {output.name!r}; expected {ENDINGS[ending]}"
        )
    if not output.parent.is_dir():
        raise ConfigError(f"--output: no folder {output.parent}; expected one that is there")
    if output.is_dir():
        raise ConfigError(f"--output: {output} is a folder; expected a file")
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise ConfigError(f"--output: {output} is the input itself; expected another file")


def format_of(output: Path | None, given: Format | None, input_format: str | None, takes_texts: bool) -> Format:
    """The format that ``--format`` or the ending names; else that of the input where it is one of SAME, or CSV.

    Raises ConfigError for lines of text unless the model ``takes_texts``: other answers have several columns.
    """
    if output is not None:
        given = ENDINGS[output.suffix.lower()]
    implied: Format = next((name for name in SAME if name == input_format), "csv")
    chosen = given or implied
    if chosen == "text" and not takes_texts:
        what = "--output: a .txt" if output else "--format: text"
        raise ConfigError(f"{what} is for answers to texts, one a line; expected csv, jsonl or parquet")
    return chosen


def write(answers: "Iterator[pd.DataFrame]", kind: Format, output: Path | None, out: TextIO) -> None:
    """Write to ``output``, or to ``out``, once all answers are complete: for a faulty input nothing is written."""
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
    """The same with times without a zone, for an input whose times have none."""
    return answer.assign(time=answer["time"].dt.tz_convert(None)) if "time" in answer else answer


def require_finite(answer: "pd.DataFrame", before: int, file: str) -> None:
    """Raise DataError where a number of an answer is not finite; ``before`` answers stood in earlier parts."""
    import numpy as np

    for name in answer.select_dtypes("floating"):
        if len(bad := np.flatnonzero(~np.isfinite(answer[name].to_numpy()))):
            value = answer[name].iloc[bad[0]]
            where = f"{file}: answer {before + bad[0] + 1}, column {name}"
            raise DataError(f"{where}: {value}; expected a finite number: the input lies where the model has none")


def _time_format(answer: "pd.DataFrame") -> str:
    """With the zone where the times have one."""
    return TIMES + "Z" * (len(answer.select_dtypes("datetimetz").columns) > 0)


def _csv(answers: "Iterator[pd.DataFrame]", path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        for number, part in enumerate(answers):
            part.to_csv(
                handle, index=False, header=not number, lineterminator="\n", float_format=FLOATS,
                date_format=_time_format(part),
            )  # fmt: skip


def _json_lines(answers: "Iterator[pd.DataFrame]", path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        for part in answers:
            times, floats = part.select_dtypes(["datetime", "datetimetz"]), part.select_dtypes("floating")
            plain = part.assign(
                **{name: times[name].dt.strftime(_time_format(part)) for name in times},
                **{name: [float(FLOATS % value) for value in floats[name].tolist()] for name in floats},
            )
            for row in plain.astype(object).to_dict("records"):
                handle.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _parquet(answers: "Iterator[pd.DataFrame]", path: Path) -> None:
    store.write_table_parts(path, answers)


def _text(answers: "Iterator[pd.DataFrame]", path: Path) -> None:
    r"""The first column, an answer a line: a line break within one is written ``\n``, a backslash twice."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        for part in answers:
            handle.writelines(answer.translate(_ESCAPES) + "\n" for answer in part.iloc[:, 0].tolist())


_WRITERS: "dict[Format, Callable[[Iterator[pd.DataFrame], Path], None]]" = {
    "csv": _csv,
    "jsonl": _json_lines,
    "parquet": _parquet,
    "text": _text,
}
