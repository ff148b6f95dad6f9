"""Predict each next token of a text: a character, or a word."""

from unroll.problems.common.base import Problem
from unroll.problems.language_model.build import LanguageLearning, TokenVectors
from unroll.problems.language_model.config import LanguageModelModel, LanguageModelPrepare, disagreement
from unroll.problems.language_model.inputs import Generation, LanguageAnswering
from unroll.problems.language_model.prepare import LanguagePreparation
from unroll.problems.language_model.scores import LanguageScoring

PROBLEM = Problem[LanguageModelPrepare, LanguageModelModel](
    about="Many to many: the probability of every token, given all tokens before it, or those of a window.",
    Prepare=LanguageModelPrepare,
    Model=LanguageModelModel,
    takes="text",
    preparation=LanguagePreparation(),
    learning=LanguageLearning(),
    scoring=LanguageScoring(),
    answering=LanguageAnswering(),
    disagreement=disagreement,
    embedding=TokenVectors(),
    generation=Generation(),
)
