"""The pictures of a forecasting task. Shapes: N windows, H horizons, K bands, A rows ahead, P paths."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.scores import Scores
from unroll.problems.common.base import Prepared
from unroll.problems.common.scoring import Figure
from unroll.problems.forecasting.bands import BANDS
from unroll.problems.forecasting.scores import ends, metrics
from unroll.problems.windows import arrays

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from unroll.problems.forecasting.network.distribution import ForecastModel

SHOWN = 168
"""Forecasts in the picture of a stretch: a week of hours."""


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
    named, end = metrics(scores.sums(), horizons), ends(horizons)[number]
    legend = {str(band): f"{band} % (measured {100 * float(named[f'coverage_{band}{end}']):.1f} %)" for band in BANDS}
    return legend, f"coverage measured on {len(scores.statistics_NK):,} test windows, {_ahead(horizons[number])}"


def _by_horizon(prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]) -> Figure:
    """RMSE of the model and of each baseline against the steps ahead."""
    import pandas as pd

    horizons = prepared.meta["horizons"]
    columns: dict[str, object] = {"horizon": horizons}
    for name, part in {"network": scores, **baselines}.items():
        named = metrics(part.sums(), horizons)
        columns[name] = [float(named[f"rmse{end}"]) for end in ends(horizons)]
    label = f"RMSE, {prepared.meta['target']}"
    return Figure("by_horizon", "lines", "Error by steps ahead", pd.DataFrame(columns), "horizon", "steps ahead", label)


def _coverage(prepared: Prepared, scores: Scores) -> Figure:
    """Measured against nominal coverage of the bands, for each horizon."""
    import pandas as pd

    horizons, named = prepared.meta["horizons"], metrics(scores.sums(), prepared.meta["horizons"])
    columns: dict[str, object] = {"nominal": [float(band) for band in BANDS], "ideal": [float(band) for band in BANDS]}
    for horizon, end in zip(horizons, ends(horizons), strict=True):
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
    moved_N = np.abs(scores.table()[f"truth{ends(meta['horizons'])[-1]}"].to_numpy() - target_T[last_N])
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
    with_now = [0, *cone.steps]
    now = target_T[last]

    def along(scaled_H: "torch.Tensor") -> "pd.Series[float]":
        values = arrays.unscale(scaled_H.float().cpu().numpy(), meta)
        return pd.Series([now, *values], index=with_now).reindex(range(meta["horizon"] + 1)).interpolate()

    frame["forecast"] = along(cone.median_A)
    for number, band in enumerate(BANDS):
        frame[f"low_{band}"], frame[f"high_{band}"] = (along(cone.edges_A2K[:, side, number]) for side in (0, 1))
    for number, path_A in enumerate(cone.paths_PA):
        frame[f"path_{number + 1}"] = along(path_A)
    time = pd.to_datetime(int(prepared.arrays["seconds"][last]), unit="s", utc=True)
    title = f"What was forecast at {time:%Y-%m-%d %H:%M}, and what came"
    common = frame.reset_index(), "steps", "steps from the window's last row", meta["target"]
    yield Figure("cone", "bands", title, *common, *_measured(scores, meta["horizons"], -1))


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
