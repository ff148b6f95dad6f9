"""Sums of two numbers, each pair drawn once."""

import numpy as np

from unroll.datasets.addition import possible

FEW = 1_000_000  # so many sums can be listed


def draw(digits: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` different pairs (count, 2): for each operand a length is drawn, then as many digits.

    So short numbers are as frequent as long ones, until all of them are taken.
    """
    pairs_N2 = np.empty((0, 2), dtype=np.int64)
    batch = max(count, 1000)
    while len(pairs_N2) < count:
        lengths = rng.integers(1, digits + 1, (batch, 2))
        drawn_N2 = np.concatenate([pairs_N2, rng.integers(0, 10**lengths)])
        _, first = np.unique(_keys(drawn_N2, digits), return_index=True)
        gained, pairs_N2 = len(first) - len(pairs_N2), drawn_N2[np.sort(first)]
        if gained < batch // 100 and possible(digits) <= FEW:
            pairs_N2 = _complete(pairs_N2, digits, rng)
    return pairs_N2[:count]


def _keys(pairs_N2: np.ndarray, digits: int) -> np.ndarray:
    """One number for a+b and b+a."""
    return pairs_N2.min(axis=1) * 10**digits + pairs_N2.max(axis=1)


def _complete(pairs_N2: np.ndarray, digits: int, rng: np.random.Generator) -> np.ndarray:
    """All pairs that there are: those drawn, then the rest in any order."""
    every_N2 = np.column_stack(np.triu_indices(10**digits))
    rest_N2 = every_N2[~np.isin(_keys(every_N2, digits), _keys(pairs_N2, digits))]
    return np.concatenate([pairs_N2, rng.permutation(rest_N2)])
