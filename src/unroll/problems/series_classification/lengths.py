"""Series of several lengths in one array, missing steps at the end. Shapes: N series, T steps."""

from typing import Literal

import numpy as np


def of(there_NT: np.ndarray) -> np.ndarray:
    """How many steps (N,) each series has up to its last value.

    >>> of(np.array([[True, False, True, False], [False, False, False, False]])).tolist()
    [3, 0]
    """
    last_N = there_NT.shape[1] - there_NT[:, ::-1].argmax(axis=1)
    return np.where(there_NT.any(axis=1), last_N, 0)


def interpolate(values_NT: np.ndarray, lengths_N: np.ndarray) -> np.ndarray:
    """The series with missing steps within their length on the line between their neighbours.

    Before the first value stands the first one. NaN is missing, infinity is not.
    """
    filled_NT, steps = values_NT.copy(), np.arange(values_NT.shape[1])
    gone_NT = np.isnan(values_NT) & (steps < lengths_N[:, None])
    for row in np.flatnonzero(gone_NT.any(axis=1)):
        there_T = ~np.isnan(values_NT[row])
        if there_T.any():
            filled_NT[row, gone_NT[row]] = np.interp(steps[gone_NT[row]], steps[there_T], values_NT[row, there_T])
    return filled_NT


def read(values_NT: np.ndarray, missing: Literal["drop", "interpolate"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The values (N, T), the steps of each series (N,), and which of them (N,) have a value at each step."""
    lengths_N = of(np.isfinite(values_NT))
    if missing == "interpolate":
        values_NT = interpolate(values_NT, lengths_N)
    whole_N = np.isfinite(values_NT).sum(axis=1) == lengths_N
    return values_NT, lengths_N, whole_N & (lengths_N > 0)
