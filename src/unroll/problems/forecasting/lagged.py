"""Forecasts without a network. Shapes: N windows, T rows, F series, C calendar codes, H horizons, L lags, P order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from unroll.core.errors import DataError

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

CHUNK = 1 << 16
FEW = 1 << 12
"""Windows at a time where each has all series of all lags."""
MOST_BOOSTED = 200_000
"""Windows that gradient boosting learns from at most, evenly from all of train: it holds them in memory."""
BOOSTED_LAGS = 6
ROUNDS = 250
"""Trees of a model. On two half years after train the error hardly changed from 150 to 400, while the number that one
held-out stretch asks for changed from 70 to 280 with the stretch: so no early stopping."""
Criterion = Literal["aic", "bic"]


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


@dataclass(frozen=True)
class OneStep:
    """y_{t+1} = intercept + Σ_i coefficients[i] y_{t−i} + e, e ~ N(0, noise): an AR where F is 1, else a VAR.

    ``coefficients_PFF[i, f, g]`` is what series g, i rows before the last, adds to series f.
    """

    coefficients_PFF: np.ndarray
    intercept_F: np.ndarray
    noise_FF: np.ndarray

    def ahead(self, target: int, lag: int, horizons: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The model iterated: weights (H, L, F) of a window, oldest row first, bias (H,), deviation of the error (H,).

        A forecast of h steps puts a forecast of one step in front of the window and forecasts h − 1 steps from there,
        so its weights follow by recursion; what it gives the newest row is Ψ_h, and the error's variance is
        Σ_{j<h} Ψ_j noise Ψ_j' (Lütkepohl 2005, 2.2).
        """
        order, series = self.coefficients_PFF.shape[:2]
        if order > lag:
            raise DataError(f"order {order}: needs windows of {order} rows; the window has {lag}")
        newest_first = np.zeros((order + 1, series))
        newest_first[0, target] = 1.0  # zero steps ahead: the last value
        bias, variance, forecasts = 0.0, 0.0, {}
        for horizon in range(1, max(horizons) + 1):
            psi_F = newest_first[0].copy()
            bias += float(psi_F @ self.intercept_F)
            variance += float(psi_F @ self.noise_FF @ psi_F)
            newest_first[:order] = psi_F @ self.coefficients_PFF + newest_first[1:]
            forecasts[horizon] = newest_first[:order][::-1].copy(), bias, variance
        weights_HLF = np.zeros((len(horizons), lag, series))
        for row, horizon in enumerate(horizons):
            weights_HLF[row, lag - order :] = forecasts[horizon][0]
        return weights_HLF, np.array([forecasts[h][1] for h in horizons]), np.sqrt([forecasts[h][2] for h in horizons])


class LaggedProducts:
    """Sums of products of each row with the ``lag`` rows before it: all that least squares of any order up to it needs.

    One pass over the data, in chunks; each order is then a corner of the same matrix, on the same windows, so that
    criteria can be compared (as statsmodels' ``select_order`` does). With Gaussian errors this is maximum likelihood
    given the first rows (Hamilton 1994, 11.1).
    """

    def __init__(self, values_TF: np.ndarray, last_N: np.ndarray, lag: int) -> None:
        """``last_N`` are rows that have ``lag`` − 1 good rows before them and one after."""
        self.lag, self.series, self.count = lag, values_TF.shape[1], len(last_N)
        width = 1 + lag * self.series
        self.gram, self.moment = np.zeros((width, width)), np.zeros((width, self.series))
        self.square = np.zeros((self.series, self.series))
        for low in range(0, len(last_N), FEW):
            last = last_N[low : low + FEW]
            lagged = values_TF[last[:, None] - np.arange(lag)].reshape(len(last), -1).astype(np.float64)
            design = np.concatenate([np.ones((len(last), 1)), lagged], axis=1)
            after = values_TF[last + 1].astype(np.float64)
            self.gram += design.T @ design
            self.moment += design.T @ after
            self.square += after.T @ after

    def fit(self, order: int) -> OneStep:
        """Least squares of ``order`` lags; the noise's covariance is that of the residuals, by their number."""
        width = 1 + order * self.series
        solved = np.linalg.lstsq(self.gram[:width, :width], self.moment[:width], rcond=None)[0]
        noise = (self.square - self.moment[:width].T @ solved) / self.count
        coefficients = solved[1:].reshape(order, self.series, self.series).transpose(0, 2, 1)
        return OneStep(coefficients, solved[0], (noise + noise.T) / 2)

    def check(self, order: int) -> None:
        """Raises DataError where the rows are no more than an equation's coefficients."""
        coefficients = 1 + order * self.series
        if self.count <= coefficients:
            before = f"{self.count} rows with {self.lag} rows before them"
            raise DataError(f"order {order}: {before}; expected more than {coefficients}")

    def orders(self) -> list[int]:
        """The orders that the rows suffice for; raises DataError where there is none."""
        self.check(1)
        return [order for order in range(1, self.lag + 1) if 1 + order * self.series < self.count]

    def criterion(self, order: int, kind: Criterion) -> float:
        """ln |noise| + penalty · coefficients / rows: 2 is Akaike's penalty, ln rows is Schwarz's."""
        penalty = 2.0 if kind == "aic" else float(np.log(self.count))
        coefficients = self.series * (1 + order * self.series)
        varies_F = self._noises[0].diagonal() > 1e-9 * self.square.diagonal() / self.count  # a constant has no noise
        noise = self._noises[order - 1][np.ix_(varies_F, varies_F)]
        return float(np.linalg.slogdet(noise)[1]) + penalty * coefficients / self.count

    @cached_property
    def _noises(self) -> list[np.ndarray]:
        """The noise of each order, from one factor: L⁻¹ moment explains, row by row, what each coefficient adds."""
        ridge = 1e-12 * self.gram.diagonal().mean() * np.eye(len(self.gram))
        explains = np.linalg.solve(np.linalg.cholesky(self.gram + ridge), self.moment)
        widths = 1 + self.series * np.arange(1, self.lag + 1)
        return [(self.square - explains[:width].T @ explains[:width]) / self.count for width in widths]

    def choose(self, kind: Criterion) -> int:
        """The order with the least criterion."""
        return min(self.orders(), key=lambda order: self.criterion(order, kind))


class VectorAutoregression:
    """VAR(p) of all series by least squares (Sims 1980; Lütkepohl 2005), iterated to the horizon; p ≤ lag by AIC."""

    def __init__(self, values_TF: np.ndarray, target: int, last_N: np.ndarray, lag: int) -> None:
        self.target, self.lag = target, lag
        products = LaggedProducts(values_TF, last_N, lag)
        self.order = products.choose("aic")
        self.model = products.fit(self.order)

    def forecast(self, values_TF: np.ndarray, last_N: np.ndarray, horizon: int) -> np.ndarray:
        """Forecasts of the target from the rows that end at ``last_N``."""
        weights_HLF, bias_H, _ = self.model.ahead(self.target, self.order, [horizon])
        return product(weights_HLF, bias_H, values_TF, last_N)[:, 0]


class GradientBoosting:
    """Boosted trees (Friedman 2001; histograms as in LightGBM), a model a horizon.

    Inputs are the last ``lag`` ≤ 6 rows of all series and the calendar codes of the time asked for; the trees say by
    how much the target changes from the window's last row. Of more than 200,000 windows an even choice is learned.
    """

    def __init__(
        self,
        values_TF: np.ndarray,
        calendar_TC: np.ndarray,
        target: int,
        last_N: np.ndarray,
        lag: int,
        horizons: Sequence[int],
    ) -> None:
        self.calendar_TC, self.target, self.lag = calendar_TC, target, min(lag, BOOSTED_LAGS)
        learned = last_N[np.linspace(0, len(last_N) - 1, min(len(last_N), MOST_BOOSTED)).astype(np.int64)]
        self.models = {horizon: self._fit(values_TF, learned, horizon) for horizon in horizons}

    def forecast(self, values_TF: np.ndarray, last_N: np.ndarray, horizon: int) -> np.ndarray:
        """Forecasts of the target from the rows that end at ``last_N``, of the table whose calendar was given."""
        forecast = np.empty(len(last_N))
        for low in range(0, len(last_N), CHUNK):
            last = last_N[low : low + CHUNK]
            change = self.models[horizon].predict(self._design(values_TF, last, horizon))
            forecast[low : low + CHUNK] = values_TF[last, self.target] + change
        return forecast

    def _fit(self, values_TF: np.ndarray, last_N: np.ndarray, horizon: int) -> "HistGradientBoostingRegressor":
        from sklearn.ensemble import HistGradientBoostingRegressor

        x = self._design(values_TF, last_N, horizon)
        y = (values_TF[last_N + horizon, self.target] - values_TF[last_N, self.target]).astype(np.float64)
        return HistGradientBoostingRegressor(
            loss="squared_error",
            learning_rate=0.03,
            max_iter=ROUNDS,
            max_leaf_nodes=31,
            min_samples_leaf=100,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=0,
        ).fit(x, y)

    def _design(self, values_TF: np.ndarray, last_N: np.ndarray, horizon: int) -> np.ndarray:
        lagged = values_TF[last_N[:, None] - np.arange(self.lag)].reshape(len(last_N), -1)
        return np.concatenate([lagged, self.calendar_TC[last_N + horizon]], axis=1, dtype=np.float32)


def product(weights_HLF: np.ndarray, bias_H: np.ndarray, values_TF: np.ndarray, last_N: np.ndarray) -> np.ndarray:
    """An affine map (N, H) of the L rows that end at each of ``last_N``."""
    lag = weights_HLF.shape[1]
    forecast = np.empty((len(last_N), len(bias_H)))
    for low in range(0, len(last_N), FEW):
        rows = last_N[low : low + FEW, None] + np.arange(1 - lag, 1)
        window = values_TF[rows].reshape(len(rows), -1).astype(np.float64)
        forecast[low : low + FEW] = window @ weights_HLF.reshape(len(bias_H), -1).T + bias_H
    return forecast
