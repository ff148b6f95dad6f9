"""Calendar inputs: a small code a row, looked up as points on a circle when a batch is made.

Shapes: … any leading dimensions, T rows, C features.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Feature = Literal["hour", "weekday", "month"]
PERIODS: dict[Feature, int] = {"hour": 24, "weekday": 7, "month": 12}

BLOCK = 1 << 16
_DAY_S = 86_400
_CODES: dict[Feature, Callable[[np.ndarray], np.ndarray]] = {
    "hour": lambda seconds: seconds // 3600 % 24,
    "weekday": lambda seconds: (seconds // _DAY_S + 3) % 7,  # 1 January 1970 was a Thursday
    "month": lambda seconds: seconds.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12,
}


def codes(seconds_T: np.ndarray, features: Sequence[Feature]) -> np.ndarray:
    """Codes (T, C) uint8, counted from 0, of UTC times in seconds since 1970: hour, weekday (Monday 0), month."""
    result = np.empty((len(seconds_T), len(features)), dtype=np.uint8)
    for low in range(0, len(seconds_T), BLOCK):
        block = seconds_T[low : low + BLOCK]
        for column, feature in enumerate(features):
            result[low : low + BLOCK, column] = _CODES[feature](block)
    return result


def width(features: Sequence[Feature]) -> int:
    """Number of inputs that ``expand`` makes: sine and cosine of each feature."""
    return 2 * len(features)


def expand(codes_C: np.ndarray, features: Sequence[Feature]) -> np.ndarray:
    """Sine and cosine (…, 2C), float32, of codes (…, C), so that 23 h and 0 h are neighbours."""
    parts = []
    for column, feature in enumerate(features):
        angle = 2 * np.pi * np.arange(PERIODS[feature]) / PERIODS[feature]
        circle = np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)
        parts.append(circle[codes_C[..., column]])
    return np.concatenate(parts, axis=-1) if parts else np.empty((*codes_C.shape[:-1], 0), dtype=np.float32)
