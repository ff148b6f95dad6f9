"""What every format's reader is: it knows its columns and hands out its rows part by part."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unroll.core.errors import DataError, MissingColumnError
from unroll.datasets.files.reading.delimited import Part
from unroll.datasets.files.reading.options import Reading
from unroll.datasets.files.reading.source import Receipt

CELLS = "expected numbers, times, text, true or false"
"""What a column may hold."""


@dataclass(frozen=True)
class Place:
    """A file, how it is read, and how messages call it."""

    path: Path
    reading: Reading
    name: str


class Reader(ABC):
    """One file in one format. Subclasses are final."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The names of its columns, in order."""

    @abstractmethod
    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """All rows, of some columns or of all, in parts of a bounded size; then fills in ``receipt``."""

    def left_out(self) -> Mapping[str, str]:
        """Columns of the file that do not hold cells, each with what it holds, such as nested: list<double>."""
        return {}

    def require(self, columns: Sequence[str]) -> None:
        """Raise DataError for a column that is not there; it offers the near names."""
        there, left_out = self.columns(), self.left_out()
        for column in columns:
            if column in left_out:
                raise DataError(f"column {column!r} is {left_out[column]}; {CELLS}", file=self.place.name)
            if column not in there:
                near = difflib.get_close_matches(column, there, n=3, cutoff=0.5)
                hint = f"did you mean {' or '.join(map(repr, near))}?" if near else _listed(there)
                raise MissingColumnError(
                    f"no column {column!r}; {hint}", file=self.place.name, column=column, available=there
                )
        if len(set(columns)) < len(columns):
            raise DataError(f"columns {', '.join(columns)}; expected each once", file=self.place.name)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return f"expected one of {shown}{f' … ({len(names)} in all)' if len(names) > 20 else ''}"
