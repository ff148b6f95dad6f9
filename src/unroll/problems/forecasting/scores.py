"""Forecasts as scores and metrics. Shapes: N windows, H horizons, K bands."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.scores import Scores
from unroll.problems.common.base import Meta, Prepared, Split
from unroll.problems.common.scoring import Figure, Scoring
from unroll.problems.forecasting import bands
from unroll.problems.forecasting.bands import BANDS
from unroll.problems.forecasting.baselines import fitted_baselines
from unroll.problems.forecasting.build import batches, forecast, forecaster
from unroll.problems.forecasting.config import ForecastingPrepare
from unroll.problems.windows import arrays

if TYPE_CHECKING:
    from torch import nn

PLAIN = 5
"""Statistics of a horizon before its bands': squared and absolute error, y, y², squared error of persistence."""


def ends(horizons: Sequence[int]) -> list[str]:
    """What the names of each horizon's metrics and columns end in."""
    return [f"_{horizon}" if number else "" for number, horizon in enumerate(horizons)]


def metric_names(horizons: Sequence[int]) -> tuple[str, ...]:
    """The keys of ``metrics``: those of the first horizon plain, those of the others with ``_<steps>`` behind."""
    plain = ("r2", "rmse", "mae", "skill", *(f"{what}_{band}" for what in ("coverage", "width") for band in BANDS))
    return tuple(name + end for end in ends(horizons) for name in plain)


class ForecastScoring(Scoring[ForecastingPrepare]):
    """Errors and coverage of forecasts, horizon by horizon."""

    headline = "r2"
    metric_names = metric_names((1,))
    baseline_names = ("persistence", "seasonal_naive", "autoregression", "var", "gradient_boosting")
    unit = "windows"

    def metric_keys(self, config: ForecastingPrepare) -> tuple[str, ...]:
        """Those of the first horizon by their plain names, those of the others with their steps behind."""
        return metric_names(config.horizon)

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Forecasts and their bands in the target's own unit."""
        mean_NH, _, bands_NH2K = forecast(model, batches(prepared, split, batch_size))
        unscaled = (arrays.unscale(each, prepared.meta) for each in (mean_NH, bands_NH2K))
        return forecast_scores(prepared, split, *unscaled)

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """Persistence, seasonal naive, AR(lag) on the target alone, VAR and gradient boosting on all that is given.

        Their bands are as wide as their errors on validation were.
        """
        last_N, valid_N = (arrays.last_rows(prepared, name) for name in (split, "validation"))
        target_T, horizons = arrays.target(prepared), prepared.meta["horizons"]
        truth_NH = target_T[valid_N[:, None] + np.array(horizons)]
        scores = {}
        for name, guess in fitted_baselines(prepared, target_T).items():
            guess_NH, valid_NH = (np.stack([guess(rows, h) for h in horizons], axis=1) for rows in (last_N, valid_N))
            edges_H2K = np.stack([bands.constant_edges(error_N) for error_N in (truth_NH - valid_NH).T])
            scores[name] = forecast_scores(prepared, split, guess_NH, guess_NH[..., None, None] + edges_H2K)
        return scores

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        """R², RMSE and MAE in the target's unit; skill = 1 − MSE / MSE of persistence (Murphy 1988); each band's share
        of values inside, and its mean width.

        R² of a constant truth, and skill where persistence makes no error, are NaN: there is nothing to explain.
        """
        return metrics(sums, meta["horizons"])

    def figures(
        self, model: "nn.Module", prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]
    ) -> Iterable[Figure]:
        """Forecasts against truth, residuals, cone of uncertainty, coverage, errors by horizon, autocorrelations."""
        from unroll.problems.forecasting.figures import figures

        return figures(forecaster(model), prepared, scores, baselines)


def forecast_scores(prepared: Prepared, split: Split, guess_NH: np.ndarray, edges_NH2K: np.ndarray) -> Scores:
    """Scores of forecasts and bands in the target's own unit, window by window.

    The rows have truth, guess and the bands of the first horizon, and truth and guess of the others with their steps
    behind.
    """
    import pandas as pd

    meta, target_T = prepared.meta, arrays.target(prepared)
    last_N, horizons = arrays.last_rows(prepared, split), np.array(meta["horizons"])
    truth_NH = target_T[last_N[:, None] + horizons]
    error_NH, persistent_NH = guess_NH - truth_NH, target_T[last_N][:, None] - truth_NH
    y_NH = truth_NH - meta["scaler"]["mean"][meta["target_column"]]  # a variance from sums keeps its digits near zero
    low_NHK, high_NHK = edges_NH2K[:, :, 0], edges_NH2K[:, :, 1]
    inside_NHK = (truth_NH[..., None] >= low_NHK) & (truth_NH[..., None] <= high_NHK)
    plain_NHP = np.stack([error_NH**2, np.abs(error_NH), y_NH, y_NH**2, persistent_NH**2], axis=2)
    of_horizons = np.concatenate([plain_NHP, inside_NHK, high_NHK - low_NHK], axis=2).reshape(len(last_N), -1)
    rows = {"time": pd.to_datetime(prepared.arrays["seconds"][last_N + horizons[0]], unit="s", utc=True)}
    for number, end in enumerate(ends(meta["horizons"])):
        rows |= {f"truth{end}": truth_NH[:, number], f"guess{end}": guess_NH[:, number]}
    for number, band in enumerate(BANDS):
        rows |= {f"low_{band}": low_NHK[:, 0, number], f"high_{band}": high_NHK[:, 0, number]}
    statistics_NK = np.concatenate([np.ones((len(last_N), 1)), of_horizons], axis=1)
    return Scores(statistics_NK, arrays.block(meta), pd.DataFrame(rows))


def metrics(sums: np.ndarray, horizons: Sequence[int]) -> dict[str, np.ndarray]:
    """``Forecasting.metrics`` of summed statistics (…, 1 + H · (PLAIN + 2 K))."""
    count = sums[..., 0]
    values: dict[str, np.ndarray] = {}
    for number, end in enumerate(ends(horizons)):
        size = PLAIN + 2 * len(BANDS)
        own = sums[..., 1 + number * size : 1 + (number + 1) * size]
        square, absolute, y, y2, persistent = np.moveaxis(own[..., :PLAIN], -1, 0)
        variance = y2 - y**2 / count
        values |= {
            f"r2{end}": _explained(square, np.where(variance > 1e-12 * y2, variance, 0)),  # less is rounding
            f"rmse{end}": np.sqrt(square / count),
            f"mae{end}": absolute / count,
            f"skill{end}": _explained(square, persistent),
        }
        bands = own[..., PLAIN:] / count[..., None]
        names = (f"{what}_{band}{end}" for what in ("coverage", "width") for band in BANDS)
        values |= dict(zip(names, np.moveaxis(bands, -1, 0), strict=True))
    return values


def _explained(left: np.ndarray, whole: np.ndarray) -> np.ndarray:
    share: np.ndarray = np.divide(left, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return 1 - share
