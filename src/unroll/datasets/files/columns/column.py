"""What a column's first cells look like: numbers, words, texts, a count of rows, nothing. Shapes: N rows looked at."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.datasets.files.columns import parsing
from unroll.datasets.files.columns.parsing import Marks

if TYPE_CHECKING:
    import pandas as pd

NUMERIC = 0.9
"""Share of the cells that must be numbers, for a column of them; the rows of the others are set aside."""
FEW, MANY = 64, 0.2
"""Distinct words of a category at most, and their share of the rows."""
ODD_SHARE, ODD_FAR = 0.005, 5.0
"""A number that is a marker stands there more often than this, and as many spreads below or above all others."""
LOOKED_AT = 5000
"""Numbers of which that share is asked for at most: of more rows a marker need not come more often."""
NINES = re.compile(r"99+(\.9+)?|9\.9+")
"""How a marker above all others is written: large numbers of another kind are rather measured."""


@dataclass(frozen=True)
class Column:
    """One column at a first look."""

    name: str
    filled: int  # cells with something in them
    rows: int
    number_N: np.ndarray  # NaN where there is none
    numeric_share: float  # of the filled cells
    distinct: int
    mean_length: float

    @classmethod
    def of(cls, name: str, column: "pd.Series[Any]", marks: Marks) -> "Column":
        """Look at the cells of ``column``."""
        import pyarrow.compute as pc

        from unroll.core.errors import DataError

        said = parsing.without(parsing.words(column), marks.words)
        try:
            number_N, bad_N = parsing.numbers(column, marks, name)
            said = pc.if_else(np.isnan(number_N) & ~bad_N, None, said)  # a marker however it is written: -200, -200.0
        except DataError:  # a column of times
            number_N = np.full(len(said), np.nan, dtype=np.float32)
        filled = len(said) - said.null_count
        numeric = int(np.isfinite(number_N).sum())
        length = pc.mean(pc.utf8_length(said)).as_py() or 0.0
        distinct = pc.count_distinct(said, mode="only_valid").as_py()
        return cls(name, filled, len(said), number_N, numeric / filled if filled else 0.0, distinct, float(length))

    @property
    def is_empty(self) -> bool:
        """Nothing stands in it."""
        return self.filled == 0

    @property
    def is_numeric(self) -> bool:
        """Nearly all that stands in it are numbers."""
        return self.numeric_share >= NUMERIC

    @property
    def is_category(self) -> bool:
        """A few words that come again and again."""
        few = 1 < self.distinct <= min(FEW, max(MANY * self.rows, 2))
        return not self.is_empty and not self.is_numeric and few

    @property
    def counts_rows(self) -> bool:
        """Whole numbers that go up by one from row to row: they number the rows, and tell nothing of them."""
        step_N = np.diff(self.number_N)
        whole = self.rows > 2 and self.numeric_share == 1.0 and self.filled == self.rows
        return whole and bool((step_N >= 1).all() and (step_N == 1).mean() >= NUMERIC)

    @property
    def missing_share(self) -> float:
        """Share of the rows without a value."""
        return 1 - self.filled / max(self.rows, 1)

    def markers(self) -> list[float]:
        """Numbers that stand apart and come again, as −200 or −999 do below all others, and 999.9 or 9999 above."""
        return [marker for sign in (1.0, -1.0) if (marker := self._marker(sign)) is not None]

    def has_within(self, number: float) -> bool:
        """Whether a number stands there amid others, lower and higher ones."""
        there = bool((self.number_N == np.float32(number)).any())
        return there and bool(np.nanmin(self.number_N) < np.float32(number) < np.nanmax(self.number_N))

    def _marker(self, sign: float) -> float | None:
        """The lowest number, or with ``sign`` −1 the highest, if it is a marker; else None."""
        number_M = sign * self.number_N[np.isfinite(self.number_N)]
        if not len(number_M):
            return None
        end = float(number_M.min())
        rest_M = number_M[number_M > end]
        lowest = float(rest_M.min()) if len(rest_M) else np.inf
        is_one = stands_apart(end, sign, len(number_M) - len(rest_M), len(number_M), lowest, rest_M)
        return sign * end if is_one else None


def could_mark(end: float, sign: float) -> bool:
    """Whether a number is written as markers are: −9 and whole ones below it or, with ``sign`` −1, nines.

    >>> could_mark(-200.0, 1.0), could_mark(-20.5, 1.0), could_mark(-999.9, -1.0), could_mark(-990.0, -1.0)
    (True, False, True, False)
    """
    spelt = f"{sign * end:.6g}"
    return end <= -9 and bool(spelt == str(int(end)) if sign > 0 else NINES.fullmatch(spelt))


def stands_apart(end: float, sign: float, count: int, numbers: int, lowest: float, rest_M: np.ndarray) -> bool:
    """Whether ``end``, the lowest of so many numbers that stands there ``count`` times, may be a marker.

    ``lowest`` is the least of all others, ``rest_M`` they or a sample of them. With ``sign`` −1 all signs are turned.
    """
    if not could_mark(end, sign) or min(numbers - count, len(rest_M)) < 10:
        return False
    if count < ODD_SHARE * min(numbers, LOOKED_AT):
        return False
    far = float(np.percentile(rest_M, 1) - end) > ODD_FAR * max(float(rest_M.std()), 1e-9)
    return (far or end <= 3 * lowest - 90) and lowest - end > 9
