"""Raw input from a file, as the columns that a problem's ``predict`` takes, and where each row stood.

Shapes: N rows.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files import reading
from unroll.datasets.files.reading import Reading
from unroll.model.predictor import Predictor
from unroll.problems.windows.recent import NoWindowError
from unroll.serving.predict.input_file import Input

if TYPE_CHECKING:
    import pandas as pd

    from unroll.datasets.files.reading import Chunk

T = TypeVar("T")
CHUNK = 1 << 13
"""Rows that are answered at a time: a multiple of the batches that networks answer."""
FEW = 16
TEXTS = ("text", "source", "site", "time")
"""Columns of words, in which an empty cell is an empty text."""
TABULAR = ("csv", "ucr", "text")
_ROW = re.compile(r"^input: row (\d+)")
_STEP = re.compile(r"column t(\d{3,})\b")


@dataclass(frozen=True)
class Questions:
    """Rows of a raw input; ``rows_N`` is where each stood in the file, None where rows were joined or put in order.

    ``steps`` are the file's own names of the columns t000, t001, …
    """

    file: str
    frame: "pd.DataFrame"
    rows_N: np.ndarray | None = None
    steps: Sequence[str] = ()

    def answered(self, ask: "Callable[[pd.DataFrame], T]") -> "T":
        """What ``ask`` says of the rows; a faulty input is named by the file's own rows and columns."""
        try:
            return ask(self.frame)
        except NoWindowError as error:
            raise NoWindowError(self.placed(str(error)), error.longest) from None
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


def read(predictor: Predictor, source: Input) -> Iterator[Questions]:
    """A table with a header, whose columns are those of ``predict``; or lines of text, where it takes texts.

    In parts of a bounded number of rows.
    """
    column = text_column(predictor)
    told = written(source, predictor)
    there = reading.columns(source.path, told, source.name)
    for chunk in chunks(source, told, there, rows_at_a_time(predictor)):
        frame, rows_N = chunk.frame, chunk.rows_N
        if told.format == "text" and column:
            filled_N = (frame["text"].str.strip() != "").to_numpy()
            frame = frame[filled_N].reset_index(drop=True).rename(columns={"text": column})
            rows_N = rows_N[filled_N]
        yield Questions(source.name, typed(frame, predictor, Questions(source.name, frame, rows_N)), rows_N)


def written(source: Input, predictor: Predictor) -> Reading:
    """How the input is written: as a table with a header, unless it is lines of text where the model takes texts."""
    told, column = sniffed(source), text_column(predictor)
    if told.format not in TABULAR:
        return told
    as_table = {"format": "csv", "header": True, "encoding": told.encoding}
    single = sniffed(source, **as_table, delimiter=",")
    if column and reading.columns(source.path, single, source.name) == [column]:
        return single  # blanks between words are no delimiter, however regular they are
    table = sniffed(source, **as_table)
    lines = told.format == "text" and column and column not in reading.columns(source.path, table, source.name)
    return told if lines else table


def text_column(predictor: Predictor) -> str:
    """The column that a line of text stands for; empty where the questions are no texts."""
    return {"text": "text", "labelled text": "text", "pairs": "source"}.get(predictor.trained.problem.takes, "")


def sniffed(source: Input, **told: Any) -> Reading:
    """How the file is written, as far as it is not ``told``."""
    return reading.sniff(source.path, Reading.model_validate(told), source.name)


def rows_at_a_time(predictor: Predictor) -> int:
    """Rows of a part: fewer where each is gone on with for hundreds of steps, so that it is seen how far it is."""
    return FEW if predictor.trained.problem.takes == "text" else CHUNK


def chunks(source: Input, told: Reading, columns: Sequence[str], rows: int) -> "Iterator[Chunk]":
    """At most ``rows`` rows at a time; raises DataError for the first that cannot be read."""
    found = reading.chunks(source.path, told, list(columns), rows, source.name)
    for chunk in found:
        for row, column, value, reason in chunk.rejected:
            where = f"{source.name} row {row}" + (f", column {column}" if column else "")
            raise DataError(f"{where}: {value}: {reason}")
        source.position = found.position
        yield chunk


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
    """A column of numbers, NaN where a cell is empty; raises DataError for a cell that is no number."""
    import pandas as pd

    found = pd.to_numeric(column, errors="coerce")
    empty = column.isna() | (column.astype("str").str.strip() == "")
    bad = np.flatnonzero(found.isna() & ~empty)
    if len(bad):
        (seen,) = column.iloc[bad[:1]].tolist()
        raise DataError(where.placed(f"input: row {bad[0] + 1}, column {name}: {seen!r}; expected a number"))
    return found
