"""Raw input from a file, as the columns that a problem's ``predict`` takes, and where each row stood.

Shapes: N rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from unroll.core.errors import DataError, TableError
from unroll.datasets.files import reading
from unroll.datasets.files.reading import Reading
from unroll.model.predictor import Predictor
from unroll.serving.predict.input_file import Input

if TYPE_CHECKING:
    import pandas as pd

    from unroll.datasets.files.reading import Chunk

T = TypeVar("T")
CHUNK = 1 << 13
"""Rows that are answered at a time: a multiple of the batches that networks answer."""
FEW = 16
TABULAR = ("csv", "ucr", "text")


@dataclass(frozen=True)
class Rows:
    """Rows of a raw input; ``rows_N`` is where each stood in the file, None where rows were joined or put in order.

    ``names`` are the file's own names of columns, where they differ from those of ``predict``.
    """

    file: str
    frame: "pd.DataFrame"
    rows_N: np.ndarray | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def answered(self, ask: "Callable[[pd.DataFrame], T]") -> "T":
        """What ``ask`` says of the rows; raises DataError that names a faulty one by the file's rows and columns."""
        try:
            return ask(self.frame)
        except TableError as error:
            raise self.placed(error) from None

    def placed(self, error: TableError) -> DataError:
        """An error about the frame as one about the file."""
        if error.row is None or self.rows_N is None:
            error.table = self.file
            return error
        column = None if error.column is None else self.names.get(error.column, error.column)
        return DataError(error.message, file=self.file, row=int(self.rows_N[error.row - 1]), column=column)


def read(predictor: Predictor, source: Input) -> Iterator[Rows]:
    """A table with a header, whose columns are those of ``predict``; or lines of text, where it takes texts.

    In parts of a bounded number of rows.
    """
    line, how = predictor.inputs.line, written(source, predictor)
    columns = reading.columns(source.path, how, source.name)
    for chunk in chunks(source, how, columns, rows_at_a_time(predictor)):
        frame, rows_N = chunk.frame, chunk.rows_N
        if how.format == "text" and line:
            filled_N = (frame["text"].str.strip() != "").to_numpy()
            frame = frame[filled_N].reset_index(drop=True).rename(columns={"text": line})
            rows_N = rows_N[filled_N]
        yield Rows(source.name, typed(Rows(source.name, frame, rows_N), predictor), rows_N)


def written(source: Input, predictor: Predictor) -> Reading:
    """How the input is written: as a table with a header, unless it is lines of text where the model takes texts."""
    seen, line = sniffed(source), predictor.inputs.line
    if seen.format not in TABULAR:
        return seen
    as_table = {"format": "csv", "header": True, "encoding": seen.encoding}
    single = sniffed(source, **as_table, delimiter=",")
    if line and reading.columns(source.path, single, source.name) == [line]:
        return single  # blanks between words are no delimiter, however regular they are
    table = sniffed(source, **as_table)
    of_lines = seen.format == "text" and line and line not in reading.columns(source.path, table, source.name)
    return seen if of_lines else table


def sniffed(source: Input, **known: Any) -> Reading:
    """How the file is written, as far as it is not ``known``."""
    return reading.sniff(source.path, Reading.model_validate(known), source.name)


def rows_at_a_time(predictor: Predictor) -> int:
    """Rows of a part: fewer where each answer takes many steps, so that progress is seen."""
    return FEW if predictor.inputs.steps else CHUNK


def chunks(source: Input, how: Reading, columns: Sequence[str], rows: int) -> "Iterator[Chunk]":
    """At most ``rows`` rows at a time; raises DataError for the first that cannot be read."""
    read = reading.chunks(source.path, how, list(columns), rows, source.name)
    for chunk in read:
        for row, column, value, reason in chunk.rejected:
            raise DataError(f"{value}: {reason}", file=source.name, row=row, column=column or None)
        source.position = read.position
        yield chunk


def typed(rows: Rows, predictor: Predictor) -> "pd.DataFrame":
    """Empty cells as missing ones, except of texts that must be there; the options of a request as numbers."""
    import pandas as pd

    texts = {name for name, column in predictor.inputs.columns.items() if column.kind == "text" and not column.nullable}
    columns: dict[str, Any] = {}
    for name in map(str, rows.frame.columns):
        column = rows.frame[name]
        if isinstance(column.dtype, pd.StringDtype) and name not in texts:
            column = column.mask(column.str.strip() == "")
        columns[name] = numbers(rows, name) if name in predictor.optional_inputs else column
    return pd.DataFrame(columns)


def numbers(rows: Rows, name: str) -> "pd.Series[Any]":
    """A column of numbers, NaN where a cell is empty; raises DataError for a cell that is not a number."""
    import pandas as pd

    column = rows.frame[name]
    values = pd.to_numeric(column, errors="coerce")
    empty = column.isna() | (column.astype("str").str.strip() == "")
    bad = np.flatnonzero(values.isna() & ~empty)
    if len(bad):
        (seen,) = column.iloc[bad[:1]].tolist()
        raise rows.placed(TableError(f"{seen!r}; expected a number", row=int(bad[0]) + 1, column=name))
    return values
