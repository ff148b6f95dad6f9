"""What every format's reader is: it knows its columns and hands out its rows part by part."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unroll.core.errors import DataError, MissingColumnError
from unroll.datasets.files.reading import utf8
from unroll.datasets.files.reading.delimited import Part
from unroll.datasets.files.reading.options import Reading
from unroll.datasets.files.reading.records import LINES, Records, records
from unroll.datasets.files.reading.source import Receipt, opened

CELLS = "expected numbers, times, text, true or false"
"""What a column may hold."""


@dataclass(frozen=True)
class Place:
    """A file, how it is read, and how messages call it."""

    path: Path
    reading: Reading
    name: str


@dataclass(frozen=True)
class NoCells:
    """What a column holds that holds no cells.

    >>> str(NoCells("nested", "list<double>"))
    'nested: list<double>'
    """

    kind: Literal["nested", "bytes"]
    example: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.example}"


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

    def lines(self, receipt: Receipt | None = None, skip: int = 0, *, blank: bool = False) -> Iterator[Records]:
        """The lines of a text after the first ``skip``; those without content are there only if ``blank``."""
        reading, name = self.place.reading, self.place.name
        with opened(self.place.path, reading, name, receipt) as source:
            pieces = utf8.blocks(source, reading.encoding or "utf-8")
            yield from records(pieces, LINES, name, reading.max_line_bytes, skip, blank=blank)

    def left_out(self) -> Mapping[str, NoCells]:
        """Columns of the file that do not hold cells, each with what it holds."""
        return {}

    def require(self, columns: Sequence[str]) -> None:
        """Raise DataError for a column that is not there or is named twice."""
        require_columns(self.place.name, self.columns(), columns, self.left_out())
        if len(set(columns)) < len(columns):
            raise DataError(f"columns {', '.join(columns)}; expected each once", file=self.place.name)


def require_columns(
    file: str, there: Sequence[str], needed: Sequence[str], left_out: Mapping[str, NoCells] | None = None
) -> None:
    """Raise DataError for the first of ``needed`` that the file lacks; near names are offered.

    ``left_out`` are columns that are there and hold no cells, with what they are.
    """
    for name in needed:
        if left_out and name in left_out:
            raise DataError(f"column {name!r} is {left_out[name]}; {CELLS}", file=file)
        if name not in there:
            low = {other.lower(): other for other in reversed(there)}
            near = [low[one] for one in difflib.get_close_matches(name.lower(), list(low), n=2, cutoff=0.6)]
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            shown = [repr(one) if any("," in each for each in there[:20]) else str(one) for one in there[:20]]
            listed = ", ".join(shown) + (", …" if len(there) > 20 else "")
            message = f"no column {name!r}{hint}; expected one of {listed}"
            raise MissingColumnError(message, file=file, column=name, available=there)
