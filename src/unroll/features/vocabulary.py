"""Which words, or characters, a network knows, and by which number."""

from collections import Counter
from collections.abc import Iterable, Sequence

UNKNOWN = 0
"""The number of whatever is not in a vocabulary."""


class Vocabulary:
    """Numbers its items from 1.

    >>> known = Vocabulary(["late", "flight"])
    >>> known.encode(["flight", "crew"]), known.decode([1, 0]), len(known)
    ([2, 0], ['late', '<unk>'], 3)
    """

    def __init__(self, items: Sequence[str]) -> None:
        self.items = list(items)
        self._numbers = {item: number for number, item in enumerate(self.items, start=1)}

    @classmethod
    def fit(cls, tokens: Iterable[str], min_count: int, size: int | None = None) -> "Vocabulary":
        """The most frequent items of ``tokens``, at most ``size``, each there at least ``min_count`` times.

        Of equally frequent ones the first by code point: the same items in another order give the same numbers.
        """
        counts = Counter(tokens)
        ranked = sorted(counts, key=lambda item: (-counts[item], item))
        return cls([item for item in ranked if counts[item] >= min_count][:size])

    def __len__(self) -> int:
        """How many numbers there are, the one for the unknown included."""
        return len(self.items) + 1

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The number of each item, UNKNOWN where it has none."""
        return [self._numbers.get(item, UNKNOWN) for item in tokens]

    def decode(self, numbers: Iterable[int], unknown: str = "<unk>") -> list[str]:
        """The item of each number."""
        return [self.items[number - 1] if number != UNKNOWN else unknown for number in numbers]
