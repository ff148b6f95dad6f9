"""The numbers at either end of columns, over all rows: markers of missing values stand there.

Shapes: N rows of a chunk, S of all rows kept as a sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from unroll.datasets.files.columns.column import could_mark, stands_apart

LEAST, MOST, THINNER = 256, 8192, 7
"""Rows of a sample at least and at most, and how many times fewer it has once it is full: no hours or weekdays only."""
CELLS = 1 << 21
"""Numbers of the samples of all columns, about."""


class Marker(NamedTuple):
    """A number that may stand for a missing value: how often it does, of how many numbers, and where first.

    ``where`` is empty for one of the first look, whose numbers are those of the first rows.
    """

    column: str
    number: float
    cells: int
    numbers: int
    where: str = ""

    def __str__(self) -> str:
        first, start = ("", f", at first in {self.where}") if self.where else ("the first ", "")
        rows = f"{self.cells:,} of {first}{self.numbers:,} rows of {self.column}{start}"
        return f"{self.number:.6g} stands in {rows}, far {self.side} all others"

    @property
    def side(self) -> str:
        """Where it lies, seen from all others."""
        return "below" if self.number < 0 else "above"


@dataclass
class _End:
    """The lowest number so far of a column, whose signs are turned for its highest, and the lowest of all others."""

    number: float = np.inf
    count: int = 0
    next: float = np.inf
    where: str = ""

    def add(self, number_N: np.ndarray, file: str, rows_N: np.ndarray) -> None:
        low = float(np.fmin.reduce(number_N, initial=np.inf))
        if low > self.number or not np.isfinite(low):
            self.next = min(self.next, low)
            return
        if low < self.number:
            first = int(np.nanargmin(number_N))
            self.next, self.number, self.count, self.where = self.number, low, 0, f"{file} row {rows_N[first]}"
        if could_mark(low, 1.0) or could_mark(low, -1.0):  # of an ordinary number nobody asks how often it comes
            self.count += int((number_N == np.float32(low)).sum())
            others_N = number_N[number_N > np.float32(low)]
            self.next = min(self.next, float(others_N.min())) if len(others_N) else self.next


@dataclass
class _Column:
    low: _End = field(default_factory=_End)
    high: _End = field(default_factory=_End)
    numbers: int = 0
    sample: list[np.ndarray] = field(default_factory=list)

    def sample_S(self) -> np.ndarray:
        """Numbers from all over the rows."""
        return np.concatenate(self.sample) if self.sample else np.empty(0, dtype=np.float32)


class Ends:
    """What the numbers of each column are like at their ends, in memory that does not grow with the rows."""

    def __init__(self) -> None:
        self.rows, self._every = 0, 1
        self._columns: dict[str, _Column] = {}

    def add(self, numbers: Mapping[str, np.ndarray], file: str, rows_N: np.ndarray) -> None:
        """Look at further rows: the numbers (N,) of each column, NaN where there is none."""
        first = -self.rows % self._every
        for name, number_N in numbers.items():
            column = self._columns.setdefault(name, _Column())
            column.numbers += int(np.count_nonzero(number_N == number_N))
            column.low.add(number_N, file, rows_N)
            column.high.add(-number_N, file, rows_N)
            column.sample.append(number_N[first :: self._every].copy())
        self.rows += len(rows_N)
        self._thin(min(MOST, max(LEAST, CELLS // max(len(numbers), 1))))

    def markers(self) -> list[Marker]:
        """Those numbers that stand apart and come again; one that is ordinary in another column is left out."""
        markers = []
        for name, column in self._columns.items():
            for sign, end in ((1.0, column.low), (-1.0, column.high)):
                rest_S = sign * column.sample_S()
                rest_S = rest_S[rest_S > end.number]  # no NaN either
                if stands_apart(end.number, sign, end.count, column.numbers, end.next, rest_S):
                    markers.append(Marker(name, sign * end.number, end.count, column.numbers, end.where))
        return [marker for marker in markers if not any(_is_within(marker.number, c) for c in self._columns.values())]

    def may_be_ordinary(self, number: float, name: str) -> bool:
        """Whether a number would stand among those of a column, or no farther off than its twentieths at either end."""
        column = self._columns.get(name)
        sample_S = column.sample_S() if column else np.empty(0)
        sample_S = sample_S[np.isfinite(sample_S)]
        if column is None or not len(sample_S):
            return False
        low, high = column.low.number, -column.high.number
        first, last = np.percentile(sample_S, [5, 95])
        return bool(low - (first - low) <= number <= high + (high - last))

    def _thin(self, most: int) -> None:
        """Keep every so many of the sampled rows, where they are more than ``most``."""
        while -(-self.rows // self._every) > most:
            for column in self._columns.values():
                column.sample = [column.sample_S()[::THINNER]]
            self._every *= THINNER


def _is_within(number: float, column: _Column) -> bool:
    """Whether a number stands in a column amid lower and higher ones, as far as the sample tells."""
    amid = column.low.number < number < -column.high.number
    return amid and bool((column.sample_S() == np.float32(number)).any())
