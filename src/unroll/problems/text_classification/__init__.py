"""Tell the class of a text."""

from unroll.problems.common import starting_vectors
from unroll.problems.common.base import Problem
from unroll.problems.text_classification.build import TextLearning, WordVectors
from unroll.problems.text_classification.config import TextClassificationModel, TextClassificationPrepare
from unroll.problems.text_classification.inputs import TextAnswering
from unroll.problems.text_classification.prepare import TextPreparation
from unroll.problems.text_classification.scores import TextScoring

PROBLEM = Problem[TextClassificationPrepare, TextClassificationModel](
    about="Many to one: a class for each text, from its words in order and from a bag of its n-grams.",
    Prepare=TextClassificationPrepare,
    Model=TextClassificationModel,
    takes="labelled text",
    preparation=TextPreparation(),
    learning=TextLearning(),
    scoring=TextScoring(),
    answering=TextAnswering(),
    disagreement=lambda prepare, model: starting_vectors.disagreement(prepare.vectors, model.vectors),
    embedding=WordVectors(),
)
