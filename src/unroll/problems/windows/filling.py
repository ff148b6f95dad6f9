"""Missing values of a series: rows put in where short stretches lack, values filled in, nothing across a split.

Shapes: T rows, F columns.
"""

from typing import Literal

import numpy as np

How = Literal["interpolate", "mask"]


def bridge(seconds_T: np.ndarray, step_s: int, most: int) -> np.ndarray:
    """The times with those put in that are missing between two, where these are at most ``most`` steps.

    >>> bridge(np.array([0, 10, 30, 90]), 10, 2).tolist()
    [0, 10, 20, 30, 90]
    """
    apart = np.diff(seconds_T)
    lacking = np.where(apart % step_s == 0, apart // step_s - 1, 0)
    places = np.flatnonzero((lacking > 0) & (lacking <= most))
    if not len(places):
        return seconds_T
    added = [seconds_T[place] + step_s * np.arange(1, lacking[place] + 1) for place in places]
    return np.sort(np.concatenate([seconds_T, *added]))


def breaks(joined_T: np.ndarray, cuts: "np.typing.ArrayLike" = ()) -> np.ndarray:
    """Whether a row begins a stretch of its own (T,): after a gap, and at each of the rows ``cuts``."""
    begins_T = ~np.asarray(joined_T, dtype=bool)
    begins_T[:1] = True
    begins_T[np.asarray(cuts, dtype=np.int64)] = True
    return begins_T


def fill(values_TF: np.ndarray, breaks_T: np.ndarray, how: How, most: int) -> np.ndarray:
    """Fill missing values in place, within each stretch; which were missing (T, F), filled or not.

    ``interpolate``: on the straight line between the values before and after, where at most ``most`` are missing in a
    row. ``mask``: the last value carried on, for at most ``most`` rows; no later row is looked at.

    >>> values = np.array([[1.0], [np.nan], [3.0], [np.nan]])
    >>> _ = fill(values, breaks(np.ones(4, dtype=bool)), "interpolate", 1)
    >>> values.ravel().tolist()
    [1.0, 2.0, 3.0, nan]
    """
    rows = np.arange(len(values_TF))
    first_T = np.maximum.accumulate(np.where(breaks_T, rows, 0))
    end_T = np.append(np.flatnonzero(breaks_T)[1:], len(rows))[np.cumsum(breaks_T) - 1]
    missing_TF = np.zeros(values_TF.shape, dtype=bool)
    for column in range(values_TF.shape[1]):
        value_T = np.array(values_TF[:, column])
        there_T = np.isfinite(value_T)
        missing_TF[:, column] = ~there_T
        gone = np.flatnonzero(~there_T)
        before = np.maximum.accumulate(np.where(there_T, rows, -1))[gone]
        if how == "mask":
            good = (before >= first_T[gone]) & (gone - before <= most)
            values_TF[gone[good], column] = value_T[before[good]]
            continue
        after = np.minimum.accumulate(np.where(there_T, rows, len(rows))[::-1])[::-1][gone]
        good = (before >= first_T[gone]) & (after < end_T[gone]) & (after - before - 1 <= most)
        gone, before, after = gone[good], before[good], after[good]
        share = (gone - before) / np.maximum(after - before, 1)
        low, high = value_T[before].astype(np.float64), value_T[after].astype(np.float64)
        values_TF[gone, column] = low + share * (high - low)
    return missing_TF
