"""Count models of text: how probable a character is after the few before it.

Shapes: T characters, V symbols, U distinct n-grams of one length, H contexts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

NOWHERE = -1
"""The number of an n-gram that train does not have."""


@dataclass(frozen=True)
class _Level:
    """The distinct n-grams of one length; each is a context of the next level.

    ``keys_U``, sorted, joins the number of an n-gram's context with its last symbol. ``kept_U`` is its count less the
    discount; ``totals_H`` and ``freed_H`` sum, by context, the counts and the discounts.
    """

    keys_U: np.ndarray
    kept_U: np.ndarray
    totals_H: np.ndarray
    freed_H: np.ndarray

    def find(self, keys_T: np.ndarray) -> np.ndarray:
        """The number of each key, or NOWHERE."""
        place_T = np.minimum(np.searchsorted(self.keys_U, keys_T), len(self.keys_U) - 1)
        return np.where(self.keys_U[place_T] == keys_T, place_T, NOWHERE)


class NGram:
    """Interpolated n-grams with modified Kneser-Ney smoothing (Chen & Goodman 1999, eq. 27).

    With h' the context h without its oldest symbol,

        p(x|h) = (c(hx) − D(c(hx))) / c(h) + D(h) / c(h) · p(x|h')

    where D(h) is the sum of the discounts after h. The longest n-grams count occurrences, the shorter ones how many
    different symbols stand before them; below the single symbol lies the uniform distribution. A context that train
    does not have gives way to h'. So the probabilities of all symbols sum to 1 after every context.

    >>> model = NGram(np.array([0, 1, 0, 1, 0, 2]), symbols=3, order=2)
    >>> [float(model.probabilities(np.array([0, x]), 1)[0].round(3)) for x in range(3)]
    [0.111, 0.611, 0.278]
    """

    def __init__(self, ids_T: np.ndarray, symbols: int, order: int) -> None:
        """Count the n-grams of 1 to ``order`` symbols; a text shorter than ``order`` has no longer ones."""
        self.symbols = symbols
        self.levels = _count(np.asarray(ids_T, dtype=np.int64), symbols, min(order, len(ids_T)))

    def probabilities(self, ids_T: np.ndarray, start: int = 0) -> np.ndarray:
        """The probability of each symbol from ``start`` on, given those before it."""
        ids_T = np.asarray(ids_T, dtype=np.int64)
        chance_T = np.full(len(ids_T), 1 / self.symbols)
        context_T = np.zeros(len(ids_T), dtype=np.int64)  # before any symbol stands the empty context
        for level in self.levels:
            known_T = context_T != NOWHERE
            found_T = level.find(np.where(known_T, context_T * self.symbols + ids_T, NOWHERE))
            kept_T = np.where(found_T != NOWHERE, level.kept_U[found_T], 0.0)
            total_T = np.where(known_T, level.totals_H[context_T], 0)
            mixed_T = (kept_T + level.freed_H[context_T] * chance_T) / np.maximum(total_T, 1)
            chance_T = np.where(total_T > 0, mixed_T, chance_T)
            context_T = np.concatenate([[NOWHERE], found_T[:-1]])
        return chance_T[start:]


def best_order(train_T: np.ndarray, validation_T: np.ndarray, symbols: int, orders: Iterable[int]) -> int:
    """The order whose model, counted on train, finds validation most probable; of equals the lowest."""
    text_T = np.concatenate([train_T, validation_T])
    bits = {
        order: -np.log2(NGram(train_T, symbols, order).probabilities(text_T, len(train_T))).sum() for order in orders
    }
    return min(bits, key=lambda order: bits[order])


def _count(ids_T: np.ndarray, symbols: int, order: int) -> list[_Level]:
    keys, counts, numbers, firsts = [], [], [], []
    context_T = np.zeros(len(ids_T), dtype=np.int64)
    for length in range(1, order + 1):
        begin = length - 1  # the first symbol with a whole n-gram behind it
        keys_U, first_U, number_T, counts_U = np.unique(
            context_T[begin:] * symbols + ids_T[begin:], return_index=True, return_inverse=True, return_counts=True
        )
        keys.append(keys_U)
        counts.append(counts_U)
        numbers.append(np.concatenate([np.full(begin, NOWHERE), number_T]))
        firsts.append(first_U + begin)
        context_T = np.concatenate([[NOWHERE], numbers[-1][:-1]])
    for level in range(order - 1):  # how many different symbols stand before: how many longer n-grams end in it
        counts[level] = np.bincount(numbers[level][firsts[level + 1]], minlength=len(keys[level]))
    contexts = [1, *map(len, keys)]
    return [_level(keys[level], counts[level], symbols, contexts[level]) for level in range(order)]


def _level(keys_U: np.ndarray, counts_U: np.ndarray, symbols: int, contexts: int) -> _Level:
    context_U = keys_U // symbols
    discount_U = _discounts(counts_U)[np.minimum(counts_U, 3)]
    return _Level(
        keys_U,
        counts_U - discount_U,
        np.bincount(context_U, counts_U, contexts),
        np.bincount(context_U, discount_U, contexts),
    )


def _discounts(counts_U: np.ndarray) -> np.ndarray:
    """What is taken from a count of 0, 1, 2, and 3 or more (Chen & Goodman 1999, eq. 26).

    One half where too few n-grams are rare to estimate it.
    """
    n1, n2, n3, n4 = (int((counts_U == count).sum()) for count in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return np.array([0.0, 0.5, 0.5, 0.5])
    share = n1 / (n1 + 2 * n2)
    discounts = np.array([0.0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3])
    return discounts.clip(min=0.0)
