"""The errors that a person can act on.

Each message is one line that names the file, key or row, the value seen and what was expected. Whatever starts a
stage or a command (``stages.common.entry``, ``cli``) prints it without a traceback and exits with 1; every other
exception is a fault of ours and keeps its traceback.

Code that decides on an error reads its fields, never its text: the text is made from the fields, for people.
"""

from collections.abc import Sequence
from pathlib import Path


class UnrollError(Exception):
    """Base of every error whose message is written for the person who runs Unroll."""


class ConfigError(UnrollError):
    """A value in ``params.yaml`` or in the environment is missing, unknown or out of range.

    ``message`` is the text without the file and the key.

    >>> str(ConfigError("'abc' is not allowed; expected a number", file="params.yaml", key="tasks.air.model.hidden"))
    "params.yaml: tasks.air.model.hidden: 'abc' is not allowed; expected a number"
    """

    def __init__(self, message: str, *, file: Path | str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.message, self.file, self.key = message, file, key

    def __str__(self) -> str:
        return ": ".join([*(str(part) for part in (self.file, self.key) if part is not None), self.message])


class DataError(UnrollError):
    """A data file is missing, damaged, or holds something other than what was expected.

    ``message`` is the text without the place. A column is part of the text where a row is given.

    >>> str(DataError("'x'; expected a number", file="air.csv", row=3, column="co"))
    "air.csv row 3, column co: 'x'; expected a number"
    """

    def __init__(
        self, message: str, *, file: str | None = None, row: int | None = None, column: str | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.file, self.row, self.column = message, file, row, column

    def __str__(self) -> str:
        place = " ".join(filter(None, [self.file, self._row_and_column()]))
        return f"{place}: {self.message}" if place else self.message

    def _row_and_column(self) -> str:
        """Nothing without a row."""
        column = "" if self.column is None else f", column {self.column}"
        return "" if self.row is None else f"row {self.row}{column}"


class MissingColumnError(DataError):
    """A file has no column of the name ``column``, or none of a kind that is needed, where ``column`` is empty.

    ``available`` are the columns that it has.
    """

    def __init__(
        self, message: str, *, file: str | None = None, column: str = "", available: Sequence[str] = ()
    ) -> None:
        super().__init__(message, file=file, column=column)
        self.available = tuple(available)


class TableError(DataError):
    """A table in memory, ``input`` where a model is asked, holds what a problem cannot use.

    Rows count as they do for whoever made the table: from 1 in an input, from 0 in the table of a dataset.

    >>> str(TableError("'x'; expected a number", row=3, column="co"))
    "input: row 3, column co: 'x'; expected a number"
    >>> str(TableError("column 'co' is missing; expected co, no2", column="co"))
    "input: column 'co' is missing; expected co, no2"
    """

    def __init__(
        self, message: str, *, row: int | None = None, column: str | None = None, table: str = "input"
    ) -> None:
        super().__init__(message, row=row, column=column)
        self.table = table

    def __str__(self) -> str:
        return ": ".join(filter(None, [self.table, self._row_and_column(), self.message]))


class ValidationError(UnrollError):
    """A critical expectation on the data failed: nothing after it may run."""


class StoreError(UnrollError):
    """A file of the project cannot be read or written."""


class TrackingError(UnrollError):
    """The tracking server or the model registry cannot be reached or refused a call."""


class TrainingError(UnrollError):
    """Training cannot go on: the loss is no number, or the device asked for is not there."""
