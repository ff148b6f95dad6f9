"""The n-gram model against one written down from its definition, with dictionaries."""

import doctest
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.problems.language_model import baselines
from unroll.problems.language_model.baselines import NGram, best_order

TOY = "the cat sat on the mat and the rat sat on the cat and the mat that the rat had sat on was the cat's mat"


class Brute:
    """Modified Kneser-Ney by the book: counts in dictionaries, one probability at a time."""

    def __init__(self, text: str, symbols: int, order: int) -> None:
        self.symbols, self.order = symbols, order
        grams = [[text[at : at + n] for at in range(len(text) - n + 1)] for n in range(order + 2)]
        self.counts: list[Counter[str]] = [Counter()]
        for n in range(1, order + 1):
            if n == order:
                self.counts.append(Counter(grams[n]))
            else:
                before = {gram: {longer[0] for longer in grams[n + 1] if longer[1:] == gram} for gram in set(grams[n])}
                self.counts.append(Counter({gram: len(kinds) for gram, kinds in before.items()}))
        self.discounts = [self._discounts(counts) for counts in self.counts]

    @staticmethod
    def _discounts(counts: Counter[str]) -> list[float]:
        n = [sum(count == c for count in counts.values()) for c in range(5)]
        if 0 in n[1:]:
            return [0, 0.5, 0.5, 0.5]
        y = n[1] / (n[1] + 2 * n[2])
        return [0, *(max(0.0, c - (c + 1) * y * n[c + 1] / n[c]) for c in (1, 2, 3))]

    def probability(self, context: str, symbol: str) -> float:
        if len(context) > self.order - 1:
            context = context[len(context) - self.order + 1 :]
        n = len(context) + 1
        lower = self.probability(context[1:], symbol) if context else 1 / self.symbols
        following = {gram: count for gram, count in self.counts[n].items() if gram[:-1] == context}
        total = sum(following.values())
        if not total:
            return lower
        discount = self.discounts[n]
        freed = sum(discount[min(count, 3)] for count in following.values())
        count = following.get(context + symbol, 0)
        return (count - discount[min(count, 3)] + freed * lower) / total


def encode(text: str, alphabet: str) -> np.ndarray:
    return np.array([alphabet.index(symbol) for symbol in text])


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(baselines).failed == 0


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_it_equals_the_definition(order: int) -> None:
    alphabet, asked = "".join(sorted({*TOY, "x"})), "the cat had a mat that sat on x cats and xx the"
    found = NGram(encode(TOY, alphabet), len(alphabet), order).probabilities(encode(asked, alphabet))
    brute = Brute(TOY, len(alphabet), order)
    expected = [brute.probability(asked[:at], asked[at]) for at in range(len(asked))]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(st.text("ab c", min_size=1, max_size=60), st.text("abcd ", max_size=8), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_probabilities_sum_to_one_after_every_context(text: str, context: str, order: int) -> None:
    alphabet = " abcd"
    model = NGram(encode(text, alphabet), len(alphabet), order)
    chances = [model.probabilities(encode(context + symbol, alphabet), len(context))[0] for symbol in alphabet]
    assert min(chances) > 0
    assert sum(chances) == pytest.approx(1, abs=1e-12)


def test_a_text_in_pieces_gives_what_it_gives_whole() -> None:
    alphabet = "".join(sorted(set(TOY)))
    ids = encode(TOY, alphabet)
    model = NGram(ids[:60], len(alphabet), 4)
    np.testing.assert_array_equal(model.probabilities(ids, 70), model.probabilities(ids)[70:])
    np.testing.assert_allclose(model.probabilities(ids[50:], 20), model.probabilities(ids, 70))


def test_frequent_symbols_of_one_kind_keep_their_share() -> None:
    ids = np.array([0] * 900 + [1] * 100)
    zero, one = (NGram(ids, 2, 1).probabilities(np.array([symbol]))[0] for symbol in (0, 1))
    assert (zero, one) == pytest.approx((0.9, 0.1), abs=0.001)


def test_an_order_longer_than_the_text() -> None:
    model = NGram(np.array([0, 1]), 3, 7)
    assert len(model.levels) == 2
    assert sum(model.probabilities(np.array([0, x]), 1)[0] for x in range(3)) == pytest.approx(1)


def test_validation_chooses_the_order() -> None:
    rng = np.random.default_rng(0)
    parity = np.array([0, 1])
    while len(parity) < 4000:  # each symbol is most often the sum of the two before it
        parity = np.append(parity, (parity[-2] + parity[-1] + (rng.random() < 0.1)) % 2)
    assert best_order(parity[:3000], parity[3000:], 2, range(1, 7)) == 3
    noise = rng.integers(0, 3, 4000)
    assert best_order(noise[:2000], noise[2000:], 3, range(1, 6)) <= 2
    assert best_order(noise[:2000], noise[2000:], 3, [5, 4]) == 4
