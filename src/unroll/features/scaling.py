"""Standard scaling, fitted on train only and kept as JSON. Shapes: T rows, F features."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 1 << 14


def fit(values_TF: np.ndarray, rows: slice) -> dict[str, list[float]]:
    """Mean and standard deviation of each column over ``rows``, missing values left out; read in chunks.

    A constant column gets a deviation of 1, so that it becomes 0 instead of a division by zero.
    """
    start, stop, _ = rows.indices(len(values_TF))
    features = values_TF.shape[1]
    count, mean, m2 = np.zeros(features), np.zeros(features), np.zeros(features)
    for low in range(start, stop, CHUNK):  # Chan et al. 1983: merge moments chunk by chunk
        chunk = np.asarray(values_TF[low : min(low + CHUNK, stop)], dtype=np.float64)
        present = np.isfinite(chunk)
        n = present.sum(0)
        total = np.where(present, chunk, 0.0).sum(0)
        chunk_mean = total / np.maximum(n, 1)
        chunk_m2 = np.where(present, (chunk - chunk_mean) ** 2, 0.0).sum(0)
        both = np.maximum(count + n, 1)
        delta = np.where(n > 0, chunk_mean - mean, 0.0)
        mean += delta * n / both
        m2 += chunk_m2 + delta**2 * count * n / both
        count += n
    deviation = np.sqrt(m2 / np.maximum(count, 1))
    deviation[deviation == 0] = 1.0
    return {"mean": mean.tolist(), "deviation": deviation.tolist()}


def floats(column: "pd.Series[Any]") -> np.ndarray:
    """A raw column (T,) as float32: NaN where there is no number, infinite where one is beyond what that can hold.

    >>> import pandas as pd
    >>> floats(pd.Series([1, "2.5", "many", None, -(10**400)], dtype=object)).tolist()
    [1.0, 2.5, nan, nan, -inf]
    """
    import pandas as pd

    if column.dtype == object:
        column = column.map(_bounded)
    with np.errstate(over="ignore"):
        values: np.ndarray = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float32, na_value=np.nan)
    return values


def _bounded(cell: Any) -> Any:
    """A whole number as JSON may have it, of any length, as what pandas and NumPy can take."""
    if not isinstance(cell, int) or abs(cell) < 1 << 63:
        return cell
    return float(cell) if abs(cell) < 1 << 1000 else float("inf" if cell > 0 else "-inf")


def apply(values: np.ndarray, scaler: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Scaled float32 copy of ``values`` (…, F)."""
    mean = np.asarray(scaler["mean"], dtype=np.float32)
    deviation = np.asarray(scaler["deviation"], dtype=np.float32)
    scaled: np.ndarray = (np.asarray(values, dtype=np.float32) - mean) / deviation
    return scaled
