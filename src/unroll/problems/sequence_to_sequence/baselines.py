"""Answers that ignore the question: what a network that has learned nothing of it can do at best."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T", int, str)


def most_frequent(train_answers: Sequence[str]) -> str:
    """The most frequent answer of train; of equals, the first in order.

    >>> most_frequent(["10", "7", "10"])
    '10'
    """
    return _mode(train_answers)


def digit_chance(train_answers: Sequence[str]) -> str:
    """The most frequent character of train at each position, in an answer of the most frequent length.

    >>> digit_chance(["123", "145", "845", "9"])
    '145'
    """
    length = _mode(len(answer) for answer in train_answers)
    columns = ((answer[place] for answer in train_answers if len(answer) > place) for place in range(length))
    return "".join(_mode(column) for column in columns)


def _mode(values: Iterable[T]) -> T:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))
