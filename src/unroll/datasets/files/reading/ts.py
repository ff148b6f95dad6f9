"""Labelled series of the ``.ts`` format of the UCR and UEA archives: headers, then values and a label a row.

The format: Bagnall et al. 2018, The UEA multivariate time series classification archive. Only univariate series
without time stamps are read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from unroll.core.errors import DataError
from unroll.core.text import shorten
from unroll.datasets.files.reading import values
from unroll.datasets.files.reading.delimited import Part, Unread
from unroll.datasets.files.reading.reader import Place, Reader
from unroll.datasets.files.reading.records import MAX_COLUMNS, groups
from unroll.datasets.files.reading.source import Receipt

TRUE = ("true", "yes", "1")


@dataclass(frozen=True)
class _Head:
    """What the headers say; ``rows`` of the file that they take, the line @data included."""

    rows: int
    has_label: bool
    labels: frozenset[str]
    length: int | None


@final
class Ts(Reader):
    """The columns label (if there is one), as text, and t000 … as float32; NaN where a series is shorter."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._head = self._read_head()
        self._times = self._head.length or self._longest()
        if not 0 < self._times <= MAX_COLUMNS:
            raise DataError(f"series of {self._times:,} values; expected 1 to {MAX_COLUMNS:,}", file=place.name)

    def columns(self) -> tuple[str, ...]:
        """``label`` where the file has one, then the times of the longest series."""
        return (*(("label",) if self._head.has_label else ()), *values.times(self._times))

    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """A row of another form than the headers say, or with a faulty value, is set aside."""
        for rows_N, lines in self._data(receipt):
            for some_N, group in groups(rows_N, lines, self._times):
                yield self._part(some_N, group, columns)

    def _part(self, rows_N: np.ndarray, lines: Sequence[str], columns: Sequence[str] | None) -> Part:
        kept, series, labels, rejected = [], [], [], []
        for at, line in enumerate(lines):
            parsed = self._series(line)
            if isinstance(parsed[0], str):
                rejected.append(Unread(int(rows_N[at]), *parsed))
            else:
                kept.append(at)
                series.append(parsed[0])
                labels.append(parsed[1])
        values_NT = np.full((len(series), self._times), np.nan, dtype=np.float32)
        for at, each in enumerate(series):
            values_NT[at, : len(each)] = each
        table = values.labelled(labels if self._head.has_label else None, values_NT)
        return Part(rows_N[kept], table if columns is None else table.select(list(columns)), rejected)

    def _series(self, line: str) -> tuple[np.ndarray, str] | tuple[str, str, str]:
        """Values and label; or column, value and reason of what is wrong."""
        fields = line.split(":")
        if len(fields) != 1 + self._head.has_label:
            wrong = f"wrong number of dimensions; expected one{' and a label' * self._head.has_label}"
            return "", f"{len(fields)} parts between colons", wrong
        label = fields[-1].strip() if self._head.has_label else ""
        if self._head.has_label and (not label or (self._head.labels and label not in self._head.labels)):
            return "label", shorten(label), "unknown label; expected one of those that @classLabel lists"
        cells = fields[0].split(",")
        if len(cells) > self._times or (self._head.length and len(cells) != self._times):
            return "", f"{len(cells)} values", f"wrong number of values; expected {self._times}"
        numbers = values.row(cells)
        if isinstance(numbers, int):
            return f"t{numbers:03d}", shorten(cells[numbers]), "not a finite number"
        return numbers, label

    def _lines(self, receipt: Receipt | None, skip: int = 0) -> Iterator[tuple[np.ndarray, list[str]]]:
        for batch in self.lines(receipt, skip):
            yield batch.rows_N, [line.strip() for line in batch.texts()]

    def _data(self, receipt: Receipt | None) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Lines of data, without comments and blank ones."""
        for rows_N, lines in self._lines(receipt, self._head.rows):
            kept = [at for at, line in enumerate(lines) if line and not line.startswith("#")]
            yield rows_N[kept], [lines[at] for at in kept]

    def _longest(self) -> int:
        return max(
            (line.partition(":")[0].count(",") + 1 for _, lines in self._data(None) for line in lines), default=0
        )

    def _read_head(self) -> _Head:
        said: dict[str, list[str]] = {}
        for rows_N, lines in self._lines(None):
            for row, line in zip(rows_N.tolist(), lines, strict=True):
                if line.lower() == "@data":
                    return self._understand(said, row)
                if line.startswith("@"):
                    key, *rest = line[1:].split() or [""]
                    said[key.lower()] = rest
                elif line and not line.startswith("#"):
                    shown = shorten(line)
                    raise DataError(f"{shown!r}; expected a header line or @data", file=self.place.name, row=row)
        raise DataError("no line @data; expected it after the headers", file=self.place.name)

    def _understand(self, said: dict[str, list[str]], rows: int) -> _Head:
        def is_true(key: str) -> bool:
            return bool(said.get(key)) and said[key][0].lower() in TRUE

        name = self.place.name
        if is_true("timestamps"):
            raise DataError("@timestamps true; expected values without time stamps", file=name)
        dimensions = said.get("dimensions", ["1"])[:1] or ["1"]
        if ("univariate" in said and not is_true("univariate")) or dimensions != ["1"]:
            raise DataError("series of several dimensions; expected univariate ones (@univariate true)", file=name)
        has_label = is_true("classlabel") or is_true("targetlabel")
        length = said.get("serieslength", [])
        equal = is_true("equallength") and len(length) == 1 and length[0].isdecimal()
        return _Head(rows, has_label, frozenset(said.get("classlabel", [])[1:]), int(length[0]) if equal else None)
