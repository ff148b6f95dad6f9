"""Does one variable of a series rise within some steps? The value then against the value now: two classes."""

from unroll.problems.common.base import Problem
from unroll.problems.rise_or_fall.build import DirectionLearning
from unroll.problems.rise_or_fall.config import RiseOrFallModel, RiseOrFallPrepare
from unroll.problems.rise_or_fall.inputs import DirectionAnswering
from unroll.problems.rise_or_fall.prepare import DirectionPreparation
from unroll.problems.rise_or_fall.scores import DirectionScoring
from unroll.problems.windows.inputs import Windows

PROBLEM = Problem[RiseOrFallPrepare, RiseOrFallModel](
    about="Many to one, one sigmoid unit: the probability that the target rises within the horizon.",
    Prepare=RiseOrFallPrepare,
    Model=RiseOrFallModel,
    takes="series",
    preparation=DirectionPreparation(),
    learning=DirectionLearning(),
    scoring=DirectionScoring(),
    answering=DirectionAnswering(),
    series_parts=Windows(),
)
