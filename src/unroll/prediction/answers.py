"""Answers as a file: CSV, JSON lines or Parquet, by the file's ending."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from unroll import store
from unroll.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

FLOATS = "%.9g"
"""As many digits as a number of 32 bits has."""
TIMES = "%Y-%m-%dT%H:%M:%SZ"


def write(answer: "pd.DataFrame", output: Path | None, out: TextIO) -> None:
    """Write to ``output``, in one go, or as CSV to ``out``."""
    if output is None:
        _csv(answer, out)
        return
    with store.atomic_file(output) as temporary:
        _WRITERS[output.suffix.lower()](answer, temporary)


def require_known(output: Path | None) -> None:
    """Raise ConfigError for an ending that is none of those."""
    if output is not None and output.suffix.lower() not in _WRITERS:
        raise ConfigError(
            f"--output: {output.name!r} is not allowed; expected a name that ends with {', '.join(_WRITERS)}"
        )


def _csv(answer: "pd.DataFrame", target: "TextIO | Path") -> None:
    answer.to_csv(target, index=False, lineterminator="\n", float_format=FLOATS, date_format=TIMES)


def _json_lines(answer: "pd.DataFrame", path: Path) -> None:
    answer.to_json(
        path, orient="records", lines=True, date_format="iso", date_unit="s", double_precision=9, force_ascii=False
    )


_WRITERS: dict[str, "Callable[[pd.DataFrame, Path], None]"] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".parquet": lambda answer, path: store.write_table(path, answer),
}
