"""Forecast one variable of a series, one or several steps ahead, from a window of the past."""

from unroll.problems.common.base import Problem
from unroll.problems.forecasting.build import ForecastLearning
from unroll.problems.forecasting.config import ClassicalModel, ForecastingModel, ForecastingPrepare
from unroll.problems.forecasting.inputs import ForecastAnswering
from unroll.problems.forecasting.prepare import ForecastPreparation
from unroll.problems.forecasting.scores import ForecastScoring
from unroll.problems.windows.inputs import Windows

PROBLEM = Problem[ForecastingPrepare, ForecastingModel | ClassicalModel](
    about="Many to one, or to several horizons at once: the network forecasts the change from the window's last value.",
    Prepare=ForecastingPrepare,
    Model=ForecastingModel,
    takes="series",
    preparation=ForecastPreparation(),
    learning=ForecastLearning(),
    scoring=ForecastScoring(),
    answering=ForecastAnswering(),
    series_parts=Windows(),
)
