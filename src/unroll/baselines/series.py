"""Forecasts without a network. Shapes: N windows, T rows."""

import numpy as np

CHUNK = 1 << 16


def persistence(target_T: np.ndarray, last_N: np.ndarray) -> np.ndarray:
    """The last value seen: at row ``last_N``."""
    forecast: np.ndarray = target_T[last_N]
    return forecast


def seasonal_naive(
    target_T: np.ndarray, seconds_T: np.ndarray, last_N: np.ndarray, horizon: int, season: int, step_s: int
) -> np.ndarray:
    """The value one season before the time asked for; the last value seen where that row is missing or beyond a gap."""
    wanted_N = seconds_T[last_N] + (horizon - season) * step_s
    row_N = np.clip(np.searchsorted(seconds_T, wanted_N), 0, len(seconds_T) - 1)
    there_N = (seconds_T[row_N] == wanted_N) & (row_N <= last_N) & np.isfinite(target_T[row_N])
    return np.where(there_N, target_T[row_N], target_T[last_N])


class Autoregression:
    """AR(p) for ``horizon`` steps ahead by least squares, with intercept (Box & Jenkins 1970)."""

    def __init__(self, target_T: np.ndarray, last_N: np.ndarray, lag: int, horizon: int) -> None:
        self.lag = lag
        # The normal equations in chunks: the lagged matrix is never materialised.
        gram, moment = np.zeros((lag + 1, lag + 1)), np.zeros(lag + 1)
        for low in range(0, len(last_N), CHUNK):
            last = last_N[low : low + CHUNK]
            design = self._design(target_T, last)
            gram += design.T @ design
            moment += design.T @ target_T[last + horizon].astype(np.float64)
        self.coefficients = np.linalg.lstsq(gram, moment, rcond=None)[0]

    def forecast(self, target_T: np.ndarray, last_N: np.ndarray) -> np.ndarray:
        """Forecasts from the ``lag`` rows that end at ``last_N``."""
        forecast = np.empty(len(last_N))
        for low in range(0, len(last_N), CHUNK):
            forecast[low : low + CHUNK] = self._design(target_T, last_N[low : low + CHUNK]) @ self.coefficients
        return forecast

    def _design(self, target_T: np.ndarray, last_N: np.ndarray) -> np.ndarray:
        lags = target_T[last_N[:, None] - np.arange(self.lag)].astype(np.float64)
        return np.concatenate([lags, np.ones((len(lags), 1))], axis=1)
