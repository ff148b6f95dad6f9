"""Answers beside the true ones: additive statistics, groups by how hard the question is, and the pictures of both.

Shapes: N questions, K statistics.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from unroll.core.scores import Scores
from unroll.problems.common.base import Figure
from unroll.problems.sequence_to_sequence import sums

_AXES = {
    "by_digits": ("digits", "digits of the longer number"),
    "by_carries": ("carries", "carries in the sum"),
    "by_length": ("length", "characters of the question"),
    "by_source": ("source", "source"),
}
MOST_BARS = 24
"""Groups that are drawn: the largest ones."""


def scores(
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


def metrics(sums_K: np.ndarray) -> dict[str, np.ndarray]:
    """Exact match: share of answers without a fault.

    Digit accuracy: share of the true answers' characters that stand at the same place, counted from the left, in the
    guess; what a guess has beyond the true answer's end counts against the exact match only.
    """
    count, exact, right, characters = np.moveaxis(sums_K, -1, 0)
    return {"exact_match": exact / count, "digit_accuracy": right / characters}


def figures(scores: Scores) -> Iterator[Figure]:
    """Questions with truth and guess, wrong ones first, and the share of wrong answers by group."""
    import pandas as pd

    rows = scores.table()
    wrong = rows["truth"] != rows["guess"]
    shown = pd.concat([rows[wrong].head(10), rows[~wrong].head(10)])
    shown = shown.assign(right=["✓" if same else "✗" for same in shown["truth"] == shown["guess"]])
    yield Figure("questions", "table", "Questions of the test part, wrong answers first", shown)
    for name, labels in scores.groups.items():
        column, label = _AXES[name]
        found = [(group, scores.statistics_NK[labels == group].sum(axis=0)) for group in _largest(labels)]
        bars = [{column: group, **wrong_share(int(count), int(exact))} for group, (count, exact, *_) in found]
        title = f"Wrong answers by {label}"
        measured = "share of wrong answers, with Wilson's intervals"
        yield Figure(f"error_{name}", "bars", title, pd.DataFrame(bars), column, label, measured)


def _largest(labels: np.ndarray) -> list[Any]:
    """The MOST_BARS groups of the most examples, in order."""
    names, counts = np.unique(labels, return_counts=True)
    kept: list[Any] = names[np.sort(np.argsort(-counts, kind="stable")[:MOST_BARS])].tolist()
    return kept


def wrong_share(count: int, exact: int) -> dict[str, float]:
    """The share of wrong answers with its 95 % interval (Wilson 1927), which says something of a share of 0, too."""
    share, z2 = 1 - exact / count, 1.959964**2 / count
    middle, half = share + z2 / 2, (z2 * (share * (1 - share) + z2 / 4)) ** 0.5
    low, high = max((middle - half) / (1 + z2), 0.0), min((middle + half) / (1 + z2), 1.0)
    return {"value": share, "low": low, "high": high, "count": count}
