"""Forecasting windows as arrays. Shapes: N windows, T rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.problems.common.base import Meta, Prepared, Split
from unroll.problems.common.preparation import Check, Preparation, Questions
from unroll.problems.forecasting.config import ClassicalModel, ForecastingModel, ForecastingPrepare
from unroll.problems.forecasting.scores import metric_names
from unroll.problems.windows import arrays, prepare

if TYPE_CHECKING:
    import pandas as pd


class ForecastPreparation(Preparation[ForecastingPrepare, ForecastingModel | ClassicalModel]):
    """Windows of a series, each with the target some steps later."""

    categories = ("site",)

    def columns(self, config: ForecastingPrepare) -> Sequence[str] | None:
        """Time, site and the variables chosen."""
        return prepare.columns(config)

    def coded(self, config: ForecastingPrepare) -> Sequence[str]:
        """Sites and categories."""
        return ("site", *config.categories)

    def prepare(
        self, table: "pd.DataFrame", config: ForecastingPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """The arrays of ``windows.prepare``; the meta also has the horizons and the target's moves in each."""
        meta = prepare.prepare(table, config, config.horizon, folder, fitted)
        prepared = Prepared(store.read_arrays(folder), meta)
        spread = fitted["spread"] if fitted else [_spread(prepared, horizon) for horizon in config.horizon]
        return {**meta, "horizons": list(config.horizon), "spread": spread, "season": config.season}

    def check(self, prepared: Prepared, config: ForecastingPrepare) -> Check:  # noqa: ARG002
        """Each range of windows, measured again on the times and bounds."""
        return arrays.check(prepared)

    def questions(self, prepared: Prepared, split: Split, metric: str) -> Questions:
        """The target at the horizon that ``metric`` is about."""
        horizons = prepared.meta["horizons"]
        names = metric_names(horizons)
        horizon = horizons[names.index(metric) // (len(names) // len(horizons))]
        truth_N = arrays.target(prepared)[arrays.last_rows(prepared, split) + horizon]
        return arrays.questions(prepared, split, horizon, truth_N)


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
