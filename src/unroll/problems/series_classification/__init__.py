"""Tell the class of a whole series."""

from unroll.problems.common.base import Problem
from unroll.problems.series_classification.build import SeriesLearning
from unroll.problems.series_classification.config import SeriesClassificationModel, SeriesClassificationPrepare
from unroll.problems.series_classification.inputs import SeriesAnswering
from unroll.problems.series_classification.prepare import SeriesPreparation
from unroll.problems.series_classification.scores import SeriesScoring

PROBLEM = Problem[SeriesClassificationPrepare, SeriesClassificationModel](
    about="Many to one: a class for each series.",
    Prepare=SeriesClassificationPrepare,
    Model=SeriesClassificationModel,
    takes="labelled series",
    preparation=SeriesPreparation(),
    learning=SeriesLearning(),
    scoring=SeriesScoring(),
    answering=SeriesAnswering(),
)
