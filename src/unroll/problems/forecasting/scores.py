"""Forecasts as scores, metrics and pictures. Shapes: N windows, H horizons, K bands, A rows ahead, P paths."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.scores import Scores
from unroll.problems.common.base import Figure, Prepared, Split
from unroll.problems.forecasting.bands import BANDS
from unroll.problems.windows import arrays

if TYPE_CHECKING:
    import pandas as pd

    from unroll.problems.forecasting.network.distribution import ForecastModel

SHOWN = 168
"""Forecasts in the picture of a stretch: a week of hours."""
PLAIN = 5
"""Statistics of a horizon before its bands': squared and absolute error, y, y², squared error of persistence."""


def metric_names(horizons: Sequence[int]) -> tuple[str, ...]:
    """The keys of ``metrics``: those of the first horizon plain, those of the others with ``_<steps>`` behind."""
    plain = ("r2", "rmse", "mae", "skill", *(f"{what}_{band}" for what in ("coverage", "width") for band in BANDS))
    return tuple(name + end for end in _ends(horizons) for name in plain)


def _ends(horizons: Sequence[int]) -> list[str]:
    return [f"_{horizon}" if number else "" for number, horizon in enumerate(horizons)]


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
    for number, end in enumerate(_ends(meta["horizons"])):
        rows |= {f"truth{end}": truth_NH[:, number], f"guess{end}": guess_NH[:, number]}
    for number, band in enumerate(BANDS):
        rows |= {f"low_{band}": low_NHK[:, 0, number], f"high_{band}": high_NHK[:, 0, number]}
    statistics_NK = np.concatenate([np.ones((len(last_N), 1)), of_horizons], axis=1)
    return Scores(statistics_NK, arrays.block(meta), pd.DataFrame(rows))


def metrics(sums: np.ndarray, horizons: Sequence[int]) -> dict[str, np.ndarray]:
    """``Forecasting.metrics`` of summed statistics (…, 1 + H · (PLAIN + 2 K))."""
    count = sums[..., 0]
    found: dict[str, np.ndarray] = {}
    for number, end in enumerate(_ends(horizons)):
        size = PLAIN + 2 * len(BANDS)
        own = sums[..., 1 + number * size : 1 + (number + 1) * size]
        square, absolute, y, y2, persistent = np.moveaxis(own[..., :PLAIN], -1, 0)
        variance = y2 - y**2 / count
        found |= {
            f"r2{end}": _explained(square, np.where(variance > 1e-12 * y2, variance, 0)),  # less is rounding
            f"rmse{end}": np.sqrt(square / count),
            f"mae{end}": absolute / count,
            f"skill{end}": _explained(square, persistent),
        }
        bands = own[..., PLAIN:] / count[..., None]
        names = (f"{what}_{band}{end}" for what in ("coverage", "width") for band in BANDS)
        found |= dict(zip(names, np.moveaxis(bands, -1, 0), strict=True))
    return found


def _explained(left: np.ndarray, whole: np.ndarray) -> np.ndarray:
    share: np.ndarray = np.divide(left, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return 1 - share


def figures(
    model: "ForecastModel", prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]
) -> Iterator[Figure]:
    """All pictures of a forecasting task."""
    rows = scores.table().assign(persistence=baselines["persistence"].table()["guess"])
    unit, horizons = prepared.meta["target"], prepared.meta["horizons"]
    rows = rows.rename(columns={"guess": "forecast"})
    low = max(0, min(int(rows["truth"].argmax()) - SHOWN // 2, len(rows) - SHOWN))
    stretch = rows.iloc[low : low + SHOWN]
    lines = stretch[["time", "truth", "forecast", "persistence"]]
    yield Figure("forecast", "lines", "Around the highest value of the test part", lines, "time", "time", unit)
    edges = [f"{side}_{band}" for band in BANDS for side in ("low", "high")]
    banded = stretch[["time", "truth", "forecast", *edges]]
    title = f"Bands of 50, 80 and 95 %, {_ahead(horizons[0])}"
    yield Figure("bands", "bands", title, banded, "time", "time", unit, *_measured(scores, horizons, 0))
    residuals = (rows["forecast"] - rows["truth"]).to_frame("residual")
    label = f"forecast − truth, {unit}"
    yield Figure("residuals", "histogram", "Forecast minus truth", residuals, "residual", label, "windows")
    thin = rows.iloc[:: max(1, len(rows) // 2000)][["truth", "forecast"]]
    labels = f"truth, {unit}", f"forecast, {unit}"
    yield Figure("scatter", "scatter", "Forecast against truth", thin, "truth", *labels)
    if len(horizons) > 1:
        yield _by_horizon(prepared, scores, baselines)
    yield from _cone(model, prepared, scores)
    yield _coverage(prepared, scores)
    yield _autocorrelation(prepared)


def _ahead(horizon: int) -> str:
    return "one step ahead" if horizon == 1 else f"{horizon} steps ahead"


def _measured(scores: Scores, horizons: Sequence[int], number: int) -> tuple[dict[str, str], str]:
    """What a legend says of each band's coverage at one of the horizons, and of what it was measured on."""
    named, end = metrics(scores.sums(), horizons), _ends(horizons)[number]
    legend = {str(band): f"{band} % (measured {100 * float(named[f'coverage_{band}{end}']):.1f} %)" for band in BANDS}
    return legend, f"coverage measured on {len(scores.statistics_NK):,} test windows, {_ahead(horizons[number])}"


def _by_horizon(prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]) -> Figure:
    """RMSE of the model and of each baseline against the steps ahead."""
    import pandas as pd

    horizons = prepared.meta["horizons"]
    columns: dict[str, object] = {"horizon": horizons}
    for name, found in {"network": scores, **baselines}.items():
        named = metrics(found.sums(), horizons)
        columns[name] = [float(named[f"rmse{end}"]) for end in _ends(horizons)]
    label = f"RMSE, {prepared.meta['target']}"
    return Figure("by_horizon", "lines", "Error by steps ahead", pd.DataFrame(columns), "horizon", "steps ahead", label)


def _coverage(prepared: Prepared, scores: Scores) -> Figure:
    """Measured against nominal coverage of the bands, for each horizon."""
    import pandas as pd

    horizons, named = prepared.meta["horizons"], metrics(scores.sums(), prepared.meta["horizons"])
    columns: dict[str, object] = {"nominal": [float(band) for band in BANDS], "ideal": [float(band) for band in BANDS]}
    for horizon, end in zip(horizons, _ends(horizons), strict=True):
        columns[_ahead(horizon)] = [100 * float(named[f"coverage_{band}{end}"]) for band in BANDS]
    title = "Measured against nominal coverage of the bands"
    return Figure("coverage", "lines", title, pd.DataFrame(columns), "nominal", "nominal coverage, %", "measured, %")


def _cone(model: "ForecastModel", prepared: Prepared, scores: Scores) -> Iterator[Figure]:
    """What is forecast from one window of the test part, and what came; nine in ten are followed by less change.

    None where the model tells of a single step: one band is no cone. One that samples paths tells of every step.
    """
    import pandas as pd
    import torch

    meta, target_T = prepared.meta, arrays.target(prepared)
    last_N = arrays.last_rows(prepared, "test")
    moved_N = np.abs(scores.table()[f"truth{_ends(meta['horizons'])[-1]}"].to_numpy() - target_T[last_N])
    last = int(last_N[np.argsort(moved_N, kind="stable")[int(0.9 * (len(last_N) - 1))]])
    x_BLF = torch.from_numpy(arrays.inputs(prepared, np.array([last])))
    codes_AC = prepared.arrays["calendar"][last + 1 : last + 1 + meta["horizon"]]
    ahead_BAC = torch.from_numpy(arrays.ahead(codes_AC[None], meta))
    model.eval()
    with torch.inference_mode():
        cone = model.cone(x_BLF, ahead_BAC)
    if len(cone.steps) == 1:
        return
    steps = np.arange(1 - meta["lag"], meta["horizon"] + 1)
    frame = pd.DataFrame({"steps": steps, "truth": target_T[last + steps]}).set_index("steps")
    asked = [0, *cone.steps]
    now = target_T[last]

    def along(scaled_H: "torch.Tensor") -> "pd.Series[float]":
        values = arrays.unscale(scaled_H.float().cpu().numpy(), meta)
        return pd.Series([now, *values], index=asked).reindex(range(meta["horizon"] + 1)).interpolate()

    frame["forecast"] = along(cone.median_A)
    for number, band in enumerate(BANDS):
        frame[f"low_{band}"], frame[f"high_{band}"] = (along(cone.edges_A2K[:, side, number]) for side in (0, 1))
    for number, path_A in enumerate(cone.paths_PA):
        frame[f"path_{number + 1}"] = along(path_A)
    time = pd.to_datetime(int(prepared.arrays["seconds"][last]), unit="s", utc=True)
    title = f"What was forecast at {time:%Y-%m-%d %H:%M}, and what came"
    told = frame.reset_index(), "steps", "steps from the window's last row", meta["target"]
    yield Figure("cone", "bands", title, *told, *_measured(scores, meta["horizons"], -1))


def _autocorrelation(prepared: Prepared) -> Figure:
    """Autocorrelations of the target in train: how far back a value tells of one, directly and through others."""
    import pandas as pd

    from unroll.problems.forecasting.classical import acf_pacf

    meta = prepared.meta
    low, high = meta["bounds"]["train"]
    values_T = prepared.arrays["values"][low:high, meta["target_column"]]
    lags = min(2 * max(meta["season"], meta["lag"]), len(values_T) // 4)
    acf, pacf, bound = acf_pacf(values_T, lags)
    columns = {"autocorrelation": acf[1:], "partial autocorrelation": pacf[1:], "bound": bound}
    frame = pd.DataFrame({"lag": np.arange(1, lags + 1), **columns})
    title = "Autocorrelations of the target, train part"
    note = f"between the dashed lines, ±{bound:.3f}, white noise stays 19 times in 20"
    return Figure("autocorrelation", "stems", title, frame, "lag", "steps back", "correlation", note=note)


Forecast = Callable[[np.ndarray, int], np.ndarray]
"""Rows of windows' ends and a horizon to forecasts in the target's own unit."""


def fitted_baselines(prepared: Prepared, target_T: np.ndarray) -> dict[str, Forecast]:
    """Each baseline, fitted on train."""
    from unroll.problems.forecasting.lagged import (
        Autoregression,
        GradientBoosting,
        VectorAutoregression,
        persistence,
        seasonal_naive,
    )

    meta, values_TF, calendar_TC = prepared.meta, prepared.arrays["values"], prepared.arrays["calendar"]
    seconds_T, column, train_N = prepared.arrays["seconds"], meta["target_column"], arrays.last_rows(prepared, "train")
    alone = {h: Autoregression(target_T, train_N, meta["lag"], h) for h in meta["horizons"]}
    var = VectorAutoregression(values_TF, column, train_N, meta["lag"])
    boosted = GradientBoosting(values_TF, calendar_TC, column, train_N, meta["lag"], meta["horizons"])
    return {
        "persistence": lambda last_N, _: persistence(target_T, last_N),
        "seasonal_naive": lambda last_N, h: seasonal_naive(
            target_T, seconds_T, last_N, h, meta["season"], meta["step_s"]
        ),
        "autoregression": lambda last_N, h: alone[h].forecast(target_T, last_N),
        "var": lambda last_N, h: arrays.unscale(var.forecast(values_TF, last_N, h), meta),
        "gradient_boosting": lambda last_N, h: arrays.unscale(boosted.forecast(values_TF, last_N, h), meta),
    }
