"""What a forecasting network must beat, fitted on train. Shapes: T rows, F series, N windows."""

from collections.abc import Callable

import numpy as np

from unroll.problems.common.base import Prepared
from unroll.problems.windows import arrays

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
