"""Answer a text with a text, character by character, such as ``123+456`` with ``579``.

Many to many with lengths of their own, many to many of equal length, and one to many.
"""

from unroll.problems.common.base import Problem
from unroll.problems.sequence_to_sequence.build import PairLearning
from unroll.problems.sequence_to_sequence.config import (
    SequenceToSequenceModel,
    SequenceToSequencePrepare,
    disagreement,
)
from unroll.problems.sequence_to_sequence.inputs import PairAnswering, Sums
from unroll.problems.sequence_to_sequence.prepare import PairPreparation
from unroll.problems.sequence_to_sequence.scores import PairScoring

PROBLEM = Problem[SequenceToSequencePrepare, SequenceToSequenceModel](
    about="Many to many, with lengths of their own on both sides.",
    Prepare=SequenceToSequencePrepare,
    Model=SequenceToSequenceModel,
    takes="pairs",
    preparation=PairPreparation(),
    learning=PairLearning(),
    scoring=PairScoring(),
    answering=PairAnswering(),
    disagreement=disagreement,
    addition=Sums(),
)
