"""From recent rows to forecasts. Shapes: N windows, L lag, F inputs, A rows ahead, C calendar inputs, H horizons."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.problems.common.answering import Answering
from unroll.problems.common.base import Meta, Prepared
from unroll.problems.common.inputs import Inputs
from unroll.problems.forecasting import bands
from unroll.problems.forecasting.build import FEW, forecast, forecaster
from unroll.problems.windows import arrays, calendar
from unroll.problems.windows import inputs as window_inputs
from unroll.problems.windows.recent import windows_of_all

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


class ForecastAnswering(Answering):
    """A forecast for each window of recent rows."""

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """The window's rows."""
        return window_inputs.inputs(meta, cell_characters, "forecast")

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """One window of each site."""
        return window_inputs.made_up(meta)

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The rows of the first test window, as the source has them."""
        return arrays.example(prepared)

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """A forecast for each whole window of the frame, which has the table's columns: ``lag`` rows give one.

        With several horizons a row for each, and a column ``horizon``. The bands' edges stand in ``low_50``,
        ``high_50`` and so on, unless the head is ``value`` alone.
        """
        return self.predict_all(model, meta, [frame])[0]

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """The windows of all frames in one pass."""
        import torch

        x_NLF, last_N, ends = windows_of_all(frames, meta)
        ahead_NA = last_N[:, None] + np.arange(1, meta["horizon"] + 1) * meta["step_s"]
        codes_NAC = calendar.codes(ahead_NA.ravel(), meta["calendar"]).reshape(*ahead_NA.shape, -1)
        ahead_NAC = arrays.ahead(codes_NAC, meta)
        parts = (slice(low, low + FEW) for low in range(0, len(x_NLF), FEW))
        batches = ({"x_BLF": torch.from_numpy(x_NLF[p]), "ahead_BAC": torch.from_numpy(ahead_NAC[p])} for p in parts)
        mean_NH, _, bands_NH2K = forecast(model, batches)
        levels = bands.BANDS if forecaster(model).answers_bands else ()
        wheres = (slice(low, high) for low, high in pairwise([0, *ends]))
        return [_table(meta, last_N[where], mean_NH[where], bands_NH2K[where], levels) for where in wheres]


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
