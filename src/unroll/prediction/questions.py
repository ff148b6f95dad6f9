"""Raw input from a file, as the columns that a problem's ``predict`` takes, and where each row stood.

Shapes: N rows.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll import reading
from unroll.errors import DataError
from unroll.reading import Reading
from unroll.serving import Predictor

if TYPE_CHECKING:
    import pandas as pd

    from unroll.reading import Chunk

MAX_BYTES = 1 << 30
"""The most that an input may hold, unpacked: it stands in memory."""
TEXTS = ("text", "source", "site", "time")
"""Columns of words, in which an empty cell is an empty text."""
TABULAR = ("csv", "ucr", "text")
_ROW = re.compile(r"^input: row (\d+)")
_STEP = re.compile(r"column t(\d{3,})\b")


@dataclass(frozen=True)
class Questions:
    """A raw input; ``rows_N`` is where each row stood in the file, None where rows were joined or put in order.

    ``steps`` are the file's own names of the columns t000, t001, …
    """

    file: str
    frame: "pd.DataFrame"
    rows_N: np.ndarray | None = None
    steps: Sequence[str] = ()

    def answered(self, predict: "Callable[[pd.DataFrame], pd.DataFrame]") -> "pd.DataFrame":
        """The answers; a faulty input is named by the file's own rows and columns."""
        try:
            return predict(self.frame)
        except DataError as error:
            raise DataError(self.placed(str(error))) from None

    def placed(self, message: str) -> str:
        """A message about ``input`` as one about the file."""
        if (found := _ROW.match(message)) and self.rows_N is not None:
            message = f"{self.file} row {self.rows_N[int(found[1]) - 1]}{message[found.end() :]}"
        else:
            message = re.sub(r"^input: ", f"{self.file}: ", message)
        return _STEP.sub(lambda step: f"column {self._step(int(step[1]))}", message)

    def _step(self, number: int) -> str:
        return self.steps[number] if number < len(self.steps) else f"t{number:03d}"


def read(predictor: Predictor, source: Path) -> Questions:
    """A table with a header, whose columns are those of ``predict``; or lines of text, where it takes texts."""
    told = sniffed(source)
    if told.format in TABULAR and not (told.format == "text" and takes_text(predictor)):
        told = sniffed(source, format="csv", header=True, encoding=told.encoding)
    there = reading.columns(source, told)
    frame, rows_N = joined(chunks(source, told, there))
    if told.format == "text":
        filled_N = (frame["text"].str.strip() != "").to_numpy()
        frame, rows_N = frame[filled_N].reset_index(drop=True), rows_N[filled_N]
    return Questions(source.name, typed(frame, predictor, Questions(source.name, frame, rows_N)), rows_N)


def takes_text(predictor: Predictor) -> bool:
    """Whether the questions are texts."""
    return predictor.trained.problem.takes in ("text", "labelled text")


def sniffed(source: Path, **told: Any) -> Reading:
    """How the file is written, as far as it is not ``told``; raises DataError for one that is not there."""
    if not source.is_file():
        raise DataError(f"{source}: {'a folder' if source.is_dir() else 'missing'}; expected a file of raw input")
    return reading.sniff(source, Reading.model_validate({"max_bytes": MAX_BYTES, **told}))


def chunks(source: Path, told: Reading, columns: Sequence[str]) -> "Iterator[Chunk]":
    """The rows in parts; raises DataError for the first that cannot be read."""
    for chunk in reading.chunks(source, told, list(columns)):
        for row, column, value, reason in chunk.rejected:
            where = f"{source.name} row {row}" + (f", column {column}" if column else "")
            raise DataError(f"{where}: {value}: {reason}")
        yield chunk


def joined(parts: "Iterator[Chunk]") -> "tuple[pd.DataFrame, np.ndarray]":
    """All rows, and where they stood."""
    import pandas as pd

    found = list(parts)
    if not found:
        return pd.DataFrame(), np.zeros(0, dtype=np.int64)
    return pd.concat([part.frame for part in found], ignore_index=True), np.concatenate([part.rows_N for part in found])


def typed(frame: "pd.DataFrame", predictor: Predictor, where: Questions) -> "pd.DataFrame":
    """Empty cells as missing ones, except of texts; the options of a request as numbers."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for name in map(str, frame.columns):
        column = frame[name]
        if isinstance(column.dtype, pd.StringDtype) and name not in TEXTS:
            column = column.mask(column.str.strip() == "")
        columns[name] = numbers(column, name, where) if name in predictor.optional_inputs else column
    return pd.DataFrame(columns)


def numbers(column: "pd.Series[Any]", name: str, where: Questions) -> "pd.Series[Any]":
    """A column of numbers; raises DataError for a cell that is none."""
    import pandas as pd

    found = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(found.isna())
    if len(bad):
        (seen,) = column.iloc[bad[:1]].tolist()
        raise DataError(where.placed(f"input: row {bad[0] + 1}, column {name}: {seen!r}; expected a number"))
    return found
