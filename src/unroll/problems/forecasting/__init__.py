"""Forecast one variable of a series, one or several steps ahead, from a window of the past.

Shapes: B batch, T rows, L lag, F inputs, A rows ahead, C calendar inputs, N windows, H horizons, K bands.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import numpy as np
from pydantic import BeforeValidator, Field

from unroll.core import store
from unroll.core.config import PositiveInt
from unroll.core.scores import Scores
from unroll.problems.common.base import Asked, Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split
from unroll.problems.common.inputs import Inputs
from unroll.problems.forecasting import bands as conformal
from unroll.problems.forecasting.build import begin, build, solve
from unroll.problems.forecasting.config import ClassicalModel, ForecastingModel
from unroll.problems.forecasting.scores import figures, fitted_baselines, forecast_scores, metric_names, metrics
from unroll.problems.windows import arrays, calendar
from unroll.problems.windows import inputs as window_inputs
from unroll.problems.windows import prepare as _series_layout
from unroll.problems.windows.arrays import SPLITS
from unroll.problems.windows.prepare import SeriesPrepare

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from unroll.problems.forecasting.network.distribution import ForecastModel

__all__ = ["PROBLEM", "SPLITS", "Forecasting", "ForecastingModel", "ForecastingPrepare"]
FEW = 512
"""Windows that are forecast at a time where no batch size is given."""


def _listed(value: object) -> object:
    """One horizon is a list of one."""
    horizons = (value,) if isinstance(value, int) else value
    if isinstance(horizons, list | tuple) and all(isinstance(one, int) for one in horizons):
        if any(later <= earlier for earlier, later in pairwise(horizons)):
            raise ValueError("expected steps in ascending order, each once")
        return tuple(horizons)
    return horizons


Horizons = Annotated[
    tuple[PositiveInt, ...], Field(min_length=1), BeforeValidator(_listed, PositiveInt | list[PositiveInt])
]


class ForecastingPrepare(SeriesPrepare):
    """The ``prepare`` block of a forecasting task."""

    horizon: Horizons = Field(description="Steps from the window's last row to each value asked for: one, or a list")
    season: PositiveInt = Field(description="Steps of the seasonal naive forecast")


class Forecasting(Problem[ForecastingPrepare, ForecastingModel | ClassicalModel]):
    """Many to one, or to several horizons at once: the network forecasts the change from the window's last value."""

    Prepare = ForecastingPrepare
    Model = ForecastingModel
    takes = "series"
    headline = "r2"
    metric_names = metric_names((1,))
    baseline_names = ("persistence", "seasonal_naive", "autoregression", "var", "gradient_boosting")
    unit = "windows"
    categories = ("site",)
    series_parts = window_inputs.Windows()

    def columns(self, config: ForecastingPrepare) -> Sequence[str] | None:
        """Time, site and the variables chosen."""
        return _series_layout.columns(config)

    def coded(self, config: ForecastingPrepare) -> Sequence[str]:
        """Sites and categories."""
        return ("site", *config.categories)

    def metric_keys(self, config: ForecastingPrepare) -> tuple[str, ...]:
        """Those of the first horizon by their plain names, those of the others with their steps behind."""
        return metric_names(config.horizon)

    def prepare(
        self, table: "pd.DataFrame", config: ForecastingPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """The arrays of ``_series_layout.prepare``; the meta also has the horizons and the target's moves in each."""
        meta = _series_layout.prepare(table, config, config.horizon, folder, fitted)
        prepared = Prepared(store.read_arrays(folder), meta)
        spread = fitted["spread"] if fitted else [_spread(prepared, horizon) for horizon in config.horizon]
        return {**meta, "horizons": list(config.horizon), "spread": spread, "season": config.season}

    def asked(self, prepared: Prepared, split: Split, metric: str) -> Asked:
        """The target at the horizon that ``metric`` is about."""
        horizons = prepared.meta["horizons"]
        names = metric_names(horizons)
        horizon = horizons[names.index(metric) // (len(names) // len(horizons))]
        truth_N = arrays.target(prepared)[arrays.last_rows(prepared, split) + horizon]
        return arrays.asked(prepared, split, horizon, truth_N)

    def check(self, prepared: Prepared, config: ForecastingPrepare) -> Check:  # noqa: ARG002
        """Each range of windows, measured again on the times and bounds."""
        return arrays.check(prepared)

    def model(self, config: ForecastingModel | ClassicalModel, meta: Meta) -> "nn.Module":
        """A recurrent network that forecasts the change of the target, or a classical model yet to be solved."""
        return build(config, meta)

    def solve(self, config: ForecastingModel | ClassicalModel, prepared: Prepared) -> "nn.Module | None":
        """A classical model; None for a network."""
        return solve(config, prepared)

    def begin(self, model: "nn.Module", prepared: Prepared) -> None:
        """The linear part of a network starts from least squares; its linear expert is solved."""
        begin(_model(model), prepared)
        _model(model).begin(lambda: self.batches(prepared, "train", 4096))

    def finish(self, model: "nn.Module", prepared: Prepared) -> None:
        """Calibrate the bands on validation, each horizon and each tail by itself.

        Errors within a season are taken for alike. Widths that a network learned are not made narrower: that half a
        year was calm does not tell that the next one will be. A short validation part, of fewer than 40 seasons, does
        not tell how far a band of 95 % reaches: it is then no nearer to the band of 80 % than the model has it.
        """
        import torch

        network = _model(model)
        truth_NH = np.concatenate([batch["y_BH"].numpy() for batch in self.batches(prepared, "validation", FEW)])
        _, quantiles_NHQ, _ = self._forecast(model, self.batches(prepared, "validation", FEW))
        middle = len(conformal.BANDS)
        stretch_H2K = np.ones(network.stretch_H2K.shape)
        for horizon, side in np.ndindex(stretch_H2K.shape[:2]):
            edges = slice(middle + 1, None) if side else slice(middle - 1, None, -1)
            stretch_H2K[horizon, side] = conformal.stretches(
                truth_NH[:, horizon],
                quantiles_NHQ[:, horizon, middle],
                quantiles_NHQ[:, horizon, edges],
                alike=max(1, prepared.meta["season"] // prepared.meta["stride"]),
                least=network.least_stretch,
            )
        network.stretch_H2K.copy_(torch.from_numpy(stretch_H2K))

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Windows in random order."""
        order = rng.permutation(prepared.meta["examples"]["train"])
        for low in range(0, len(order), batch_size):
            yield _batch(prepared, "train", order[low : low + batch_size])

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Windows in the order of time."""
        count = prepared.meta["examples"][split]
        for low in range(0, count, batch_size):
            yield _batch(prepared, split, np.arange(low, min(low + batch_size, count)))

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Squared error of the value, and what the head adds to it, in units of each horizon's spread."""
        return Loss(_model(model).loss(batch), len(batch["y_BH"]))

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Forecasts and their bands in the target's own unit."""
        mean_NH, _, bands_NH2K = self._forecast(model, self.batches(prepared, split, batch_size))
        unscaled = (arrays.unscale(each, prepared.meta) for each in (mean_NH, bands_NH2K))
        return forecast_scores(prepared, split, *unscaled)

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """Persistence, seasonal naive, AR(lag) on the target alone, VAR and gradient boosting on all that is given.

        Their bands are as wide as their errors on validation were.
        """
        last_N, valid_N = (arrays.last_rows(prepared, name) for name in (split, "validation"))
        target_T, horizons = arrays.target(prepared), prepared.meta["horizons"]
        truth_NH = target_T[valid_N[:, None] + np.array(horizons)]
        found = {}
        for name, forecast in fitted_baselines(prepared, target_T).items():
            guess_NH, valid_NH = (np.stack([forecast(rows, h) for h in horizons], axis=1) for rows in (last_N, valid_N))
            edges_H2K = np.stack([conformal.constant_edges(error_N) for error_N in (truth_NH - valid_NH).T])
            found[name] = forecast_scores(prepared, split, guess_NH, guess_NH[..., None, None] + edges_H2K)
        return found

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
        return figures(_model(model), prepared, scores, baselines)

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """A forecast for each whole window of the frame, which has the table's columns: ``lag`` rows give one.

        With several horizons a row for each, and a column ``horizon``. The bands' edges stand in ``low_50``,
        ``high_50`` and so on, unless the head is ``value`` alone.
        """
        return self.predict_all(model, meta, [frame])[0]

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """The windows of all frames in one pass."""
        import torch

        from unroll.problems.windows.recent import windows_of_all

        x_NLF, last_N, ends = windows_of_all(frames, meta)
        ahead_NA = last_N[:, None] + np.arange(1, meta["horizon"] + 1) * meta["step_s"]
        codes_NAC = calendar.codes(ahead_NA.ravel(), meta["calendar"]).reshape(*ahead_NA.shape, -1)
        ahead_NAC = arrays.ahead(codes_NAC, meta)
        parts = (slice(low, low + FEW) for low in range(0, len(x_NLF), FEW))
        batches = ({"x_BLF": torch.from_numpy(x_NLF[p]), "ahead_BAC": torch.from_numpy(ahead_NAC[p])} for p in parts)
        mean_NH, _, bands_NH2K = self._forecast(model, batches)
        bands = conformal.BANDS if _model(model).answers_bands else ()
        wheres = (slice(low, high) for low, high in pairwise([0, *ends]))
        return [_table(meta, last_N[where], mean_NH[where], bands_NH2K[where], bands) for where in wheres]

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """Rows of a series."""
        return window_inputs.inputs(meta, cell_characters, "forecast")

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """One window of each site."""
        return window_inputs.made_up(meta)

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The rows of the first test window, as the source has them."""
        return arrays.example(prepared)

    def _forecast(self, model: "nn.Module", batches: Iterable[Batch]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means (N, H), quantiles (N, H, Q) and calibrated bands (N, H, 2, K), scaled."""
        import torch

        network = _model(model)
        network.eval()
        device = network.stretch_H2K.device
        found = []
        with torch.inference_mode():
            for batch in batches:
                outlook = network.outlook(batch["x_BLF"].to(device), batch["ahead_BAC"].to(device))
                found.append([each.float().cpu().numpy() for each in (*outlook, network.bands(outlook))])
        mean_NH, quantiles_NHQ, bands_NH2K = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return mean_NH, quantiles_NHQ, bands_NH2K


def _table(
    meta: Meta, last_N: np.ndarray, mean_NH: np.ndarray, bands_NH2K: np.ndarray, bands: Sequence[int]
) -> "pd.DataFrame":
    """A row for each window and horizon, in the target's own unit."""
    import pandas as pd

    horizons = np.array(meta["horizons"])
    answer = {"time": pd.to_datetime((last_N[:, None] + horizons * meta["step_s"]).ravel(), unit="s", utc=True)}
    if meta["target_site"]:
        answer["site"] = meta["target_site"]
    if len(horizons) > 1:
        answer["horizon"] = np.tile(horizons, len(last_N))
    answer[meta["target"]] = arrays.unscale(mean_NH, meta).ravel()
    edges_NH2K = arrays.unscale(bands_NH2K, meta)
    for number, band in enumerate(bands):
        answer[f"low_{band}"], answer[f"high_{band}"] = (edges_NH2K[:, :, side, number].ravel() for side in (0, 1))
    return pd.DataFrame(answer)


def _model(model: "nn.Module") -> "ForecastModel":
    """Every model of this problem is one of these."""
    return cast("ForecastModel", model)


def _spread(prepared: Prepared, horizon: int) -> float:
    """How far the target moves in ``horizon`` steps: the deviation of its change in train, 1 where it stands still."""
    count, column = prepared.meta["examples"]["train"], prepared.meta["target_column"]
    total, square = 0.0, 0.0
    for low in range(0, count, arrays.CHUNK):
        last = arrays.last_rows(prepared, "train", np.arange(low, min(low + arrays.CHUNK, count)))
        change = prepared.arrays["values"][last + horizon, column].astype(np.float64)
        change -= prepared.arrays["values"][last, column]
        total, square = total + float(change.sum()), square + float((change**2).sum())
    return float(np.sqrt(max(square / count - (total / count) ** 2, 0.0))) or 1.0


def _batch(prepared: Prepared, split: Split, index_B: np.ndarray) -> Batch:
    """Windows, the row after each, the calendar of the rows ahead, and the values asked for."""
    import torch

    meta, values = prepared.meta, prepared.arrays["values"]
    last_B = arrays.last_rows(prepared, split, index_B)
    ahead_BA = last_B[:, None] + np.arange(1, meta["horizon"] + 1)
    return {
        "x_BLF": torch.from_numpy(arrays.inputs(prepared, last_B)),
        "next_BF": torch.from_numpy(values[last_B + 1]),
        "ahead_BAC": torch.from_numpy(arrays.ahead(prepared.arrays["calendar"][ahead_BA], meta)),
        "y_BH": torch.from_numpy(values[last_B[:, None] + np.array(meta["horizons"]), meta["target_column"]]),
    }


PROBLEM = Forecasting()
