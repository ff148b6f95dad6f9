"""Generous bounds of numbers, learned from the first part of the rows. Shapes: K rows, V columns."""

from collections.abc import Sequence

import numpy as np

BLOCK = 1 << 12
"""Rows whose extremes are kept together, until it is known which rows are the first part of the data."""
LEARNED = 0.6
"""Share of the rows, from the first on, that bounds are learned from: they lie in train."""


class Extremes:
    """The least and the greatest number of each column, block by block; chunks of any size make the same blocks."""

    def __init__(self) -> None:
        self.rows = 0
        self._blocks: list[tuple[int, np.ndarray, np.ndarray]] = []

    def add(self, values_KV: np.ndarray) -> None:
        """Look at further rows."""
        begun = -self.rows % BLOCK  # rows that the last block yet lacks
        self.rows += len(values_KV)
        for low in range(begun - BLOCK if begun else 0, len(values_KV), BLOCK):
            piece = values_KV[max(low, 0) : low + BLOCK]
            if not len(piece):
                continue
            rows, low_V, high_V = len(piece), np.fmin.reduce(piece), np.fmax.reduce(piece)
            if low < 0:
                before, least_V, most_V = self._blocks.pop()
                rows, low_V, high_V = before + rows, np.fmin(least_V, low_V), np.fmax(most_V, high_V)
            self._blocks.append((rows, low_V, high_V))

    def constant(self) -> dict[int, float]:
        """The one value of each column, by its place, that has no other; NaN where it has none."""
        if not self._blocks:
            return {}
        low_V = np.fmin.reduce([low_V for _, low_V, _ in self._blocks])
        high_V = np.fmax.reduce([high_V for _, _, high_V in self._blocks])
        return {at: float(low_V[at]) for at in np.flatnonzero(~(low_V < high_V)).tolist()}

    def ranges(self, names: Sequence[str]) -> dict[str, list[float]]:
        """Low and high of each column that varies: its extremes there, and half of what lies between on either side."""
        seen, lows, highs = 0, [], []
        for rows, low_V, high_V in self._blocks:
            if seen and seen + rows > LEARNED * self.rows:
                break
            seen += rows
            lows.append(low_V)
            highs.append(high_V)
        if not lows:
            return {}
        ranges = {}
        for name, low, high in zip(names, np.fmin.reduce(lows), np.fmax.reduce(highs), strict=True):
            half = (float(high) - float(low)) / 2
            if half > 0:
                ranges[name] = [float(f"{low - half:.4g}"), float(f"{high + half:.4g}")]
        return ranges
