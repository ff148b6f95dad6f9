"""The classical models of a series – AR, VAR, ARMA –, each as what it says of a finite window: one affine map.

A linear model with Gaussian errors forecasts by a weighted sum of the window and an error of known deviation, whatever
its recursions look like; so serving needs one matrix product, and no statsmodels.

Models are fitted on **all** runs of rows without a gap, pooled: a series with gaps has many short runs, of which the
longest may hold few of the rows. AR and VAR by maximum likelihood given the first rows of each run, which is least
squares over all rows that have enough rows before them (on one run the same as statsmodels' AutoReg and VAR); AR by
Yule and Walker from autocovariances within the runs; ARMA by statsmodels' exact likelihood with missing rows between
the runs.

Shapes: T rows, F series, R runs, V runs of validation, L rows of a window, H horizons, N windows.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, NamedTuple, get_args

import numpy as np

from unroll.core.errors import DataError, TrainingError
from unroll.problems.forecasting.lagged import Criterion as Information
from unroll.problems.forecasting.lagged import LaggedProducts, OneStep, product

Kind = Literal["ar", "var", "arma"]
Criterion = Literal["aic", "bic", "validation"]
Method = Literal["yule_walker", "maximum_likelihood"]
Order = int | tuple[int, ...]

MOST_ROWS = 50_000
"""Rows that the exact likelihood of an ARMA is taken of, the last ones: it filters them hundreds of times."""
FEW_ROWS = 5_000
"""Rows that the orders of an ARMA are compared on, the last ones."""
MOST_ARMA = 3
"""Largest p and q that are tried for an ARMA(p, q)."""


@dataclass(frozen=True)
class Affine:
    """Forecasts of the target from a window of L rows, oldest first, and F series, and how far they err.

    ``deviation_H`` is the standard deviation that the model gives the error of each horizon's forecast; ``note`` says
    what a reader of results should know of how it was fitted.
    """

    weights_HLF: np.ndarray
    bias_H: np.ndarray
    deviation_H: np.ndarray
    name: str
    order: tuple[int, ...]
    note: str

    def forecast(self, values_TF: np.ndarray, last_N: np.ndarray) -> np.ndarray:
        """Forecasts (N, H) from the windows whose last rows are ``last_N``."""
        return product(self.weights_HLF, self.bias_H, values_TF, last_N)


class _Map(NamedTuple):
    """The numbers of an ``Affine``."""

    weights_HLF: np.ndarray
    bias_H: np.ndarray
    deviation_H: np.ndarray


class _Runs(NamedTuple):
    """What every model is fitted on and asked for."""

    values_TF: np.ndarray
    runs_R2: np.ndarray
    target: int
    lag: int
    horizons: Sequence[int]

    def alone(self) -> "_Runs":
        """The target as the only series."""
        return self._replace(values_TF=self.values_TF[:, self.target : self.target + 1], target=0)

    def last(self, rows: int) -> "_Runs":
        """The last ``rows`` of the runs."""
        lengths_R = np.diff(self.runs_R2, axis=1)[:, 0]
        later_R = np.cumsum(lengths_R[::-1])[::-1] - lengths_R
        kept = np.clip(rows - later_R, 0, lengths_R)
        runs_R2 = np.stack([self.runs_R2[:, 1] - kept, self.runs_R2[:, 1]], axis=1)
        return self._replace(runs_R2=runs_R2[kept > 0])

    def pieces(self) -> list[np.ndarray]:
        """The target's values, run by run."""
        return [self.values_TF[start:stop, self.target].astype(np.float64) for start, stop in self.runs_R2]


def fit(
    kind: Kind,
    values_TF: np.ndarray,
    runs_R2: np.ndarray,
    target: int,
    lag: int,
    horizons: Sequence[int],
    order: Order | None,
    criterion: Criterion,
    method: Method = "maximum_likelihood",
    validation_runs_V2: np.ndarray | None = None,
) -> Affine:
    """Fit a model on rows of ``runs_R2`` alone: ranges [start, stop) of ``values_TF`` without a gap or a missing value.

    ``order`` is p, or (p, q) for an ARMA; None chooses it by ``criterion``: p up to ``lag``, an ARMA's p and q up to 3.
    The criterion ``validation`` is the squared error summed over the horizons on ``validation_runs_V2``. ``method`` is
    that of an AR alone. ``horizons`` are steps from the window's last row. Raises DataError for an order or runs that
    do not fit, and TrainingError where an estimate does not exist.
    """
    setting = _checked(kind, _Runs(values_TF, np.asarray(runs_R2), target, lag, tuple(horizons)), order)
    if kind != "var":
        setting = setting.alone()
    family = _family(kind, method, setting)
    if order is not None:
        chosen = (order,) if isinstance(order, int) else tuple(order)
    elif criterion == "validation":
        chosen = _best_on_validation(setting, family, validation_runs_V2)
    else:
        chosen = min(family.orders(), key=partial(family.criterion, criterion))
    forecast, note = family.estimate(chosen)
    if kind == "arma" and order is None:
        note += f"; orders up to ({MOST_ARMA}, {MOST_ARMA}) compared on the last {FEW_ROWS:,} rows"
    shown = f"{kind.upper()}({', '.join(map(str, chosen))})"
    if not all(np.isfinite(each).all() for each in forecast):
        raise TrainingError(f"{shown}: the estimate is no number; expected a series that varies")
    how = "" if order is not None else f" by {criterion if criterion == 'validation' else criterion.upper()}"
    if kind != "var":
        forecast = _among(forecast, target, values_TF.shape[1])
    return Affine(forecast.weights_HLF, forecast.bias_H, forecast.deviation_H, shown + how, chosen, note)


def _among(alone: _Map, target: int, series: int) -> _Map:
    """The map of a model of the target alone as one of all series: the others have no weight."""
    horizons, lag, _ = alone.weights_HLF.shape
    weights = np.zeros((horizons, lag, series))
    weights[:, :, target] = alone.weights_HLF[:, :, 0]
    return alone._replace(weights_HLF=weights)


def acf_pacf(values_T: np.ndarray, lags: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Autocorrelations and partial ones of lags 0 … ``lags``, and the bound that white noise passes 1 time in 20.

    Missing values count as the mean; the partial ones are those of Levinson and Durbin, from the same autocorrelations.
    """
    from statsmodels.tsa.stattools import acf, levinson_durbin

    present = int(np.isfinite(values_T).sum())
    if present <= lags:
        raise DataError(f"autocorrelation: {present} values; expected more than the {lags} lags")
    correlations = acf(values_T.astype(np.float64), nlags=lags, fft=True, missing="conservative")
    partial_ones = levinson_durbin(correlations, nlags=lags, isacov=True)[2]
    return correlations, partial_ones, float(1.96 / np.sqrt(present))


class _Family(NamedTuple):
    """How a kind of model is estimated at an order, and its order chosen."""

    orders: Callable[[], Sequence[tuple[int, ...]]]
    criterion: Callable[[Information, tuple[int, ...]], float]
    trial: Callable[[tuple[int, ...]], _Map]
    """An estimate to compare orders by; it may be cheaper than the last one."""
    estimate: Callable[[tuple[int, ...]], tuple[_Map, str]]


def _family(kind: Kind, method: Method, setting: _Runs) -> _Family:
    if kind == "arma":
        most = min(MOST_ARMA, setting.lag)
        orders = [(p, q) for p in range(most + 1) for q in range(most + 1) if p + q]
        few = setting.last(FEW_ROWS)
        return _Family(
            lambda: orders, partial(_arma_criterion, few), lambda order: _arma(few, order)[0], partial(_arma, setting)
        )
    if kind == "ar" and method == "yule_walker":
        return _Family(
            lambda: [(p,) for p in range(1, setting.lag + 1)],
            partial(_yule_walker_criterion, setting),
            lambda order: _ar(setting, order)[0],
            partial(_ar, setting),
        )

    @cache
    def products() -> LaggedProducts:
        return LaggedProducts(setting.values_TF, _last_rows(setting.runs_R2, setting.lag), setting.lag)

    return _Family(
        lambda: [(p,) for p in products().orders()],
        lambda kind, order: products().criterion(order[0], kind),
        lambda order: _Map(*products().fit(order[0]).ahead(setting.target, setting.lag, setting.horizons)),
        partial(_least_squares, setting),
    )


def _least_squares(setting: _Runs, order: tuple[int, ...]) -> tuple[_Map, str]:
    """An AR or VAR by maximum likelihood given the first rows of each run."""
    last_N = _last_rows(setting.runs_R2, order[0])
    products = LaggedProducts(setting.values_TF, last_N, order[0])
    products.check(order[0])
    note = f"conditional maximum likelihood on {len(last_N):,} rows of {len(setting.runs_R2)} runs"
    return _Map(*products.fit(order[0]).ahead(setting.target, setting.lag, setting.horizons)), note


def _ar(setting: _Runs, order: tuple[int, ...]) -> tuple[_Map, str]:
    """An AR by Yule and Walker."""
    model, rows = _yule_walker(setting, order[0])
    note = f"Yule-Walker on {rows:,} rows of {len(setting.runs_R2)} runs"
    return _Map(*model.ahead(0, setting.lag, setting.horizons)), note


def _yule_walker_criterion(setting: _Runs, kind: Information, order: tuple[int, ...]) -> float:
    model, rows = _yule_walker(setting, order[0])
    penalty = 2.0 if kind == "aic" else float(np.log(rows))
    return float(np.log(model.noise_FF[0, 0])) + penalty * (order[0] + 1) / rows


def _yule_walker(setting: _Runs, order: int) -> tuple[OneStep, int]:
    """Yule (1927) and Walker (1931), over all runs.

    Between the runs stand ``order`` zeros, which is the mean: no product reaches from one run into another, and the
    autocovariances, divided by one count, are positive definite, so that the model is stationary.
    """
    from statsmodels.regression.linear_model import yule_walker

    pieces = setting.pieces()
    rows = sum(map(len, pieces))
    if rows <= order + 1:
        raise DataError(f"AR({order}): {rows} rows; expected more than {order + 1}")
    mean = sum(float(piece.sum()) for piece in pieces) / rows
    apart = np.concatenate([part for piece in pieces for part in (piece - mean, np.zeros(order))])
    estimate = yule_walker(apart, order=order, method="mle", demean=False, result_object=True)
    phi, noise = estimate.rho, estimate.sigma**2 * len(apart) / rows
    return OneStep(phi[:, None, None], np.array([mean * (1 - phi.sum())]), np.array([[noise]])), rows


class _Arma(NamedTuple):
    """An ARMA with parameters (φ, θ, σ²)."""

    mean: float
    params: np.ndarray
    aic: float
    bic: float
    converged: bool


def _arma_fit(setting: _Runs, order: tuple[int, ...]) -> _Arma:
    """An ARMA by exact maximum likelihood, through statsmodels.

    The mean is that of the rows, which loses nothing in the limit (Brockwell & Davis 1991, 7.1). Between two runs
    stand missing rows: as many as the table has, but no fewer than a window, for a gap in time leaves no rows there,
    and no more than ten, which is as far away as a year.
    """
    from statsmodels.tsa.arima.model import ARIMA

    pieces = setting.pieces()
    mean = float(np.concatenate(pieces).mean())
    parts: list[np.ndarray] = []
    end = 0
    for piece, (start, stop) in zip(pieces, setting.runs_R2, strict=True):
        gap = min(max(int(start) - end, setting.lag), 10 * setting.lag) if parts else 0
        parts += [np.full(gap, np.nan), piece - mean]
        end = int(stop)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of starting values; whether the search ended well is told in the note
        try:
            fitted = ARIMA(np.concatenate(parts), order=(order[0], 0, order[1]), trend="n").fit()
        except (np.linalg.LinAlgError, ValueError) as error:
            raise TrainingError(f"ARMA{order}: statsmodels finds no estimate: {error}") from None
    converged = bool(fitted.mle_retvals["converged"])
    return _Arma(mean, np.asarray(fitted.params), float(fitted.aic), float(fitted.bic), converged)


def _arma_criterion(setting: _Runs, kind: Information, order: tuple[int, ...]) -> float:
    try:
        fitted = _arma_fit(setting, order)
    except TrainingError:
        return float("inf")  # an order that cannot be estimated is not chosen
    return fitted.aic if kind == "aic" else fitted.bic


def _arma(setting: _Runs, order: tuple[int, ...]) -> tuple[_Map, str]:
    """An ARMA and its forecasts from a finite window.

    Filtering a window from the stationary prior gives the best linear predictor of the window, weights Γ⁻¹ γ_h with Γ
    the autocovariances of the window's rows and γ_h theirs with the value asked for (Brockwell & Davis 1991, 5.1); its
    error's variance is γ_0 − γ_h' Γ⁻¹ γ_h, which the ψ weights give for a window without beginning.
    """
    from statsmodels.tsa.arima_process import ArmaProcess

    recent = setting.last(MOST_ROWS)
    mean, params, *_, converged = _arma_fit(recent, order)
    p, q = order
    process = ArmaProcess(np.r_[1, -params[:p]], np.r_[1, params[p : p + q]])
    gamma = process.acovf(setting.lag + max(setting.horizons)) * params[-1]
    back_L = np.arange(setting.lag)  # oldest row first, as in the window
    toeplitz = gamma[np.abs(back_L[:, None] - back_L)]
    apart_HL = np.array([gamma[setting.lag - 1 - back_L + horizon] for horizon in setting.horizons])
    weights_HL = np.linalg.solve(toeplitz, apart_HL.T).T
    deviation_H = np.sqrt(gamma[0] - (weights_HL * apart_HL).sum(axis=1))
    rows = int(np.diff(recent.runs_R2, axis=1).sum())
    whole = int(np.diff(setting.runs_R2, axis=1).sum())
    note = f"exact maximum likelihood on the last {rows:,} of {whole:,} rows, {len(recent.runs_R2)} runs"
    note += "" if converged else "; the search for the maximum did not converge"
    return _Map(weights_HL[:, :, None], mean * (1 - weights_HL.sum(axis=1)), deviation_H), note


def _best_on_validation(setting: _Runs, family: _Family, runs_R2: np.ndarray | None) -> tuple[int, ...]:
    """The order whose squared errors on validation, summed over the horizons, are least."""
    if runs_R2 is None:
        raise DataError("criterion validation: no validation_runs_V2; expected ranges of rows")
    last_N = _last_rows(np.asarray(runs_R2), setting.lag, max(setting.horizons))
    if not len(last_N):
        raise DataError(f"criterion validation: no run holds {setting.lag} + {max(setting.horizons)} rows")
    ahead_NH = last_N[:, None] + np.asarray(setting.horizons)
    truth_NH = setting.values_TF[ahead_NH, setting.target].astype(np.float64)

    def error(order: tuple[int, ...]) -> float:
        try:
            trial = family.trial(order)
        except TrainingError:
            return float("inf")
        guess_NH = product(trial.weights_HLF, trial.bias_H, setting.values_TF, last_N)
        return float(np.square(guess_NH - truth_NH).mean(axis=0).sum())

    return min(family.orders(), key=error)


def _last_rows(runs_R2: np.ndarray, lag: int, horizon: int = 1) -> np.ndarray:
    """Every row of a run that has ``lag`` − 1 rows before it and ``horizon`` after it."""
    ranges = [np.arange(start + lag - 1, stop - horizon) for start, stop in runs_R2]
    return np.concatenate(ranges) if ranges else np.empty(0, dtype=np.int64)


def _checked(kind: Kind, setting: _Runs, order: Order | None) -> _Runs:
    if kind not in get_args(Kind):
        raise DataError(f"kind {kind!r}: unknown; expected one of {', '.join(get_args(Kind))}")
    runs_R2 = setting.runs_R2
    if runs_R2.ndim != 2 or not len(runs_R2) or (runs_R2[:, 1] <= runs_R2[:, 0]).any():
        raise DataError(f"{kind}: runs of shape {runs_R2.shape}; expected at least one range [start, stop) of rows")
    for start, stop in runs_R2:
        column = setting.values_TF[start:stop] if kind == "var" else setting.values_TF[start:stop, setting.target]
        if not np.isfinite(column).all():
            raise DataError(f"{kind}: a missing value in rows {start} to {stop}; expected runs without one")
    first = setting.values_TF[runs_R2[0, 0], setting.target]
    if all((setting.values_TF[start:stop, setting.target] == first).all() for start, stop in runs_R2):
        raise DataError(f"{kind}: the target is {first} in all rows; expected a series that varies")
    if order is not None:
        parts = (order,) if isinstance(order, int) else tuple(order)
        expected = "(p, q)" if kind == "arma" else "p"
        fits = len(parts) == (2 if kind == "arma" else 1) and min(parts) >= (kind != "arma") and max(parts) > 0
        if not fits or parts[0] > setting.lag:
            raise DataError(
                f"{kind}: order {order}; expected {expected} with p from 1 to the window's {setting.lag} rows"
            )
    return setting
