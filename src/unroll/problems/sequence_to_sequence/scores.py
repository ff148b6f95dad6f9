"""Answers beside the true ones: additive statistics, and groups by how hard a question is.

Shapes: N questions, K statistics.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.scores import Scores
from unroll.problems.common.base import Meta, Prepared, Split
from unroll.problems.common.scoring import Figure, Scoring
from unroll.problems.sequence_to_sequence import figures, pairs, sums
from unroll.problems.sequence_to_sequence.baselines import digit_chance, most_frequent
from unroll.problems.sequence_to_sequence.build import sequence_network
from unroll.problems.sequence_to_sequence.config import SequenceToSequencePrepare
from unroll.problems.sequence_to_sequence.inputs import answer
from unroll.problems.sequence_to_sequence.pairs import COLUMNS

if TYPE_CHECKING:
    from torch import nn


class PairScoring(Scoring[SequenceToSequencePrepare]):
    """Exact answers, and right characters."""

    headline = "exact_match"
    metric_names = ("exact_match", "digit_accuracy")
    baseline_names = ("digit_chance", "most_frequent")
    unit = "characters"

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """The answer to each question and its probability."""
        index, sources = np.asarray(prepared.arrays[split]), pairs.flat(prepared, "source")
        return _scores(prepared, index, *answer(sequence_network(model), prepared.meta, sources, index, batch_size))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The most frequent character at each position, and the most frequent answer."""
        index = np.asarray(prepared.arrays[split])
        known = pairs.texts_of(prepared, "target", prepared.arrays["train"])
        guesses = {"digit_chance": digit_chance(known), "most_frequent": most_frequent(known)}
        return {name: _scores(prepared, index, [guess] * len(index)) for name, guess in guesses.items()}

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Exact match: share of answers without a fault.

        Digit accuracy: share of the true answers' characters that stand at the same place of the guess, counted from
        the left; what a guess has beyond the true answer's end counts against the exact match only.
        """
        count, exact, right, characters = np.moveaxis(sums, -1, 0)
        return {"exact_match": exact / count, "digit_accuracy": right / characters}

    def figures(
        self,
        model: "nn.Module",
        prepared: Prepared,
        scores: Scores,
        baselines: Mapping[str, Scores],  # noqa: ARG002
    ) -> Iterator[Figure]:
        """Questions with truth and guess, the share of wrong answers by group, and what the network attends to."""
        yield from figures.of_scores(scores)
        yield from figures.attention_maps(sequence_network(model), prepared, scores.table()["guess"].tolist())


def _scores(
    prepared: Prepared, index: np.ndarray, guesses: Sequence[str], probability_N: np.ndarray | None = None
) -> Scores:
    questions, truths = (pairs.texts_of(prepared, column, index) for column in COLUMNS)
    return of_answers(questions, truths, guesses, probability_N, prepared.meta["reading"], pairs.unit(prepared.meta))


def of_answers(
    questions: Sequence[str],
    truths: Sequence[str],
    guesses: Sequence[str],
    probability_N: np.ndarray | None,
    reading: sums.Reading | None,
    unit: str = "character",
) -> Scores:
    """Statistics of each answer: 1, whether it is exact, its characters that are right, characters of the true one.

    Questions that are a ``whole`` unit, each asked many times, are groups of their own; those of ``numbers`` have none.
    """
    import pandas as pd

    rows = pd.DataFrame({"question": questions, "truth": truths, "guess": guesses})
    if probability_N is not None:
        rows["probability"] = probability_N
    statistics = [
        (1, truth == guess, sum(map(str.__eq__, truth, guess)), len(truth))
        for truth, guess in zip(truths, guesses, strict=True)
    ]
    grouped: dict[str, Callable[[], dict[str, np.ndarray]]] = {
        "character": lambda: groups(questions, reading),
        "whole": lambda: {"by_source": np.array(questions, dtype=object)},
        "numbers": dict,
    }
    return Scores(np.array(statistics, dtype=np.int32), rows=rows, groups=grouped[unit]())


def groups(questions: Sequence[str], reading: sums.Reading | None) -> dict[str, np.ndarray]:
    """How hard each question is: digits and carries of sums (-1 for what is none), else the length."""
    if reading is None:
        return {"by_length": np.array([len(question) for question in questions])}
    operands = [sums.parse(question, reading) for question in questions]
    hardness = {"by_digits": sums.digits, "by_carries": sums.carries}
    return {name: np.array([of(*pair) if pair else -1 for pair in operands]) for name, of in hardness.items()}
