"""Rows of a chunk, sifted: which are kept, which set aside with a reason, which left out as the block asks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.text import shorten
from unroll.datasets.common.base import Rejected

if TYPE_CHECKING:
    import pandas as pd

    from unroll.datasets.files.reading import Chunk


@dataclass
class Sieve:
    """The rows of one chunk; each fault of a row but its first is passed over.

    Shapes: N rows of the chunk.
    """

    file: str
    rows_N: np.ndarray
    rejected: list[Rejected] = field(default_factory=list)
    kept_N: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Every row is kept at first."""
        self.kept_N = np.ones(len(self.rows_N), dtype=bool)

    @classmethod
    def of(cls, chunk: "Chunk") -> "Sieve":
        """All rows of a chunk that could be cut into cells; the others are set aside already."""
        aside = [Rejected(chunk.file, int(row), str(column), shorten(str(value)), reason)
                 for row, column, value, reason in chunk.rejected]  # fmt: skip
        return cls(chunk.file, np.asarray(chunk.rows_N), aside)

    def refuse(
        self, bad_N: np.ndarray, column: str, cells: "pd.Series[Any] | np.ndarray", reason: str | Callable[[int], str]
    ) -> None:
        """Set aside the rows of ``bad_N`` that are still there; ``reason`` may depend on the row's place."""
        places = np.flatnonzero(bad_N & self.kept_N)
        if not len(places):
            return
        values = np.asarray(cells, dtype=object)[places]
        for place, value in zip(places.tolist(), values, strict=True):
            why = reason if isinstance(reason, str) else reason(place)
            shown = "" if is_missing(value) else shorten(str(value))
            self.rejected.append(Rejected(self.file, int(self.rows_N[place]), column, shown, why))
        self.kept_N &= ~bad_N

    def leave_out(self, unwanted_N: np.ndarray) -> int:
        """Leave out rows that are not faulty; returns how many of them were still there."""
        count = int((unwanted_N & self.kept_N).sum())
        self.kept_N &= ~unwanted_N
        return count


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return value is None or value != value  # NaN, NaT
