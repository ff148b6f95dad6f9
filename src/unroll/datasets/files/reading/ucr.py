"""Labelled series of the UCR archive's plain files: a label and the values of one series a row, without a header."""

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files.reading import values
from unroll.datasets.files.reading.delimited import Part
from unroll.datasets.files.reading.missing import is_missing
from unroll.datasets.files.reading.numerals import NUMBER
from unroll.datasets.files.reading.reader import Place, Reader
from unroll.datasets.files.reading.separated import Table
from unroll.datasets.files.reading.source import Receipt

LEAST = 9
"""Columns that a file of series has at least: fewer are taken for a table."""


@final
class Ucr(Reader):
    """The column label, as text, and t000 … as float32: N rows, T times."""

    def __init__(self, place: Place, first: bytes) -> None:
        super().__init__(place)
        self._table = Table(place, first)
        if len(self._table.columns()) < 2:
            raise DataError("one column; expected a label and the values of a series in each row", file=place.name)

    def columns(self) -> tuple[str, ...]:
        """``label``, then the times."""
        return ("label", *values.times(len(self._table.columns()) - 1))

    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """A row with a cell that is neither a number nor a sign for a missing one is set aside."""
        at = 0 if self.place.reading.label_place != "last" else len(self._table.columns()) - 1
        for part in self._table.parts(None, receipt):
            yield values.series(part, at, self.place.reading.decimal or ".", columns)


def label_place(rows: Sequence[Sequence[str]], name: str) -> str | None:
    """Where the label stands, if these first rows of a file look like labelled series; else None.

    All cells are numbers or missing; those of the label are whole, and fewer of them differ than of any value.
    """
    width = len(rows[0])
    whole = [row for row in rows if len(row) == width]
    if width < LEAST or len(whole) < 2 or not all(_is_value(cell) for row in whole for cell in row[1:-1]):
        return None
    archive = any(part in name.upper() for part in ("_TRAIN", "_TEST"))
    usual = float(np.median([len({row[place] for row in whole}) for place in range(1, width - 1)]))
    for place, at in (("first", 0), ("last", width - 1)):
        other = width - 1 - at
        labels = {row[at].strip() for row in whole}
        fewer = len(labels) < usual and 2 * len(labels) <= len(whole)
        if (archive or fewer) and all(_is_value(row[other]) for row in whole) and all(map(_is_whole, labels)):
            return place
    return None


def _is_value(cell: str) -> bool:
    return NUMBER.fullmatch(cell.strip()) is not None or is_missing(cell)


def _is_whole(cell: str) -> bool:
    value = values.number(cell)
    return value is not None and value == np.round(value)
