"""Missing rows and values of a series, and which treatment leaves it enough windows. Shapes: T rows, F columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unroll.problems.windows import filling, starts

MOST_ROWS = 1 << 19
"""Rows, the last ones, that treatments are tried on."""
GOOD, FAIR = 0.95, 0.9
"""Share of the windows that dropping must leave, and interpolation, before the next treatment is tried."""
SHORT = 3
"""Rows in a row that a straight line may stand for."""


@dataclass(frozen=True)
class MissingRows:
    """Rows missing in the time of a series: how many in all, in how many places, most in one and the time before it.

    >>> MissingRows.of(np.array([0, 60, 240, 300, 420]), 60)
    MissingRows(rows=3, places=2, longest=2, after_s=60)
    """

    rows: int
    places: int
    longest: int
    after_s: int

    @classmethod
    def of(cls, seconds_T: np.ndarray, step_s: int) -> "MissingRows":
        """Between the times of rows in order."""
        rows_T = np.maximum(np.diff(seconds_T) // step_s - 1, 0)
        at = int(np.argmax(rows_T)) if len(rows_T) else 0
        longest = int(rows_T[at]) if len(rows_T) else 0
        return cls(int(rows_T.sum()), int((rows_T > 0).sum()), longest, int(seconds_T[at]))


@dataclass(frozen=True)
class Gaps:
    """The times of a series' rows and which values are missing; ``target`` is a column."""

    seconds_T: np.ndarray
    missing_TF: np.ndarray
    target: int
    step_s: int

    @classmethod
    def of(cls, seconds_T: np.ndarray, missing_TF: np.ndarray, target: int, step_s: int) -> "Gaps":
        """The last rows."""
        return cls(seconds_T[-MOST_ROWS:], missing_TF[-MOST_ROWS:], target, step_s)

    def share(self, how: str, bridge: int, lag: int, ahead: Sequence[int]) -> float:
        """The share of the windows of ``lag`` rows, with the target measured at the rows ``ahead``, that are left.

        >>> gaps = Gaps(np.array([0, 1, 2, 4, 5, 6]), np.zeros((6, 1), dtype=bool), 0, 1)
        >>> gaps.share("drop", 0, 2, [1]), gaps.share("mask", 2, 2, [1])
        (0.5, 0.8)
        """
        seconds_T, missing_TF = self._bridged(bridge)
        rows = len(seconds_T)
        joined_T = np.ediff1d(seconds_T, to_begin=self.step_s) == self.step_s
        values_TF = np.where(missing_TF, np.float32("nan"), np.float32(0))
        legal_T = np.ones(rows, dtype=bool)
        if how != "drop":
            gone_TF = filling.fill(
                values_TF, filling.breaks(joined_T), "mask" if how == "mask" else "interpolate", bridge
            )
            for rows_ahead in ahead:
                legal_T &= _ahead(~gone_TF[:, self.target], lag - 1 + rows_ahead)
            if how == "interpolate":
                legal_T &= _ahead(np.asarray(~gone_TF.any(axis=1)), lag - 1)
        runs_R2 = starts.runs(np.asarray(np.isfinite(values_TF).all(axis=1)), joined_T)
        windows = starts.only(starts.split_windows(runs_R2, 0, rows, lag, max(ahead), 1), legal_T)
        return len(windows) / max(rows - lag - max(ahead) + 1, 1)

    def treatment(self, lag: int, ahead: Sequence[int]) -> tuple[dict[str, Any], float]:
        """The keys of ``prepare`` for the mildest treatment that leaves enough windows, and how many it leaves."""
        drop = self.share("drop", 0, lag, ahead)
        if drop >= GOOD:
            return {"missing": "drop"}, drop
        line = self.share("interpolate", SHORT, lag, ahead)
        if line >= FAIR:
            return {"missing": "interpolate", "interpolate_steps": SHORT}, line
        mask = self.share("mask", lag, lag, ahead)
        tried: list[tuple[dict[str, Any], float]] = [
            ({"missing": "mask"}, mask),
            ({"missing": "interpolate", "interpolate_steps": SHORT}, line),
            ({"missing": "drop"}, drop),
        ]
        return max(tried, key=lambda each: each[1])

    def without(self, columns: Sequence[int]) -> "Gaps":
        """The same without some columns, the target not among them."""
        kept = [column for column in range(self.missing_TF.shape[1]) if column not in columns]
        return replace(self, missing_TF=self.missing_TF[:, kept], target=kept.index(self.target))

    def _bridged(self, bridge: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows with those put in that lack, where they are few; nothing of them is known."""
        times = filling.bridge(self.seconds_T, self.step_s, bridge) if bridge else self.seconds_T
        missing_TF = np.ones((len(times), self.missing_TF.shape[1]), dtype=bool)
        missing_TF[np.searchsorted(times, self.seconds_T)] = self.missing_TF
        return times, missing_TF


def _ahead(good_T: np.ndarray, rows: int) -> np.ndarray:
    """Whether the row so many later is good; none beyond the end is."""
    later_T = np.zeros(len(good_T), dtype=bool)
    if rows < len(good_T):
        later_T[: len(good_T) - rows] = good_T[rows:]
    return later_T
