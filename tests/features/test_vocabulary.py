"""Vocabularies: who gets in, in which order, and what becomes of the others."""

import doctest
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from unroll.features import vocabulary
from unroll.features.vocabulary import UNKNOWN, Vocabulary

WORDS = st.lists(st.sampled_from(["a", "b", "cc", "é", "✈", "Z", "zz", ""]), max_size=60)


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(vocabulary).failed == 0


@given(WORDS, st.integers(1, 5), st.one_of(st.none(), st.integers(1, 9)))
def test_the_most_frequent_items_get_in(found: list[str], min_count: int, size: int | None) -> None:
    known, counts = Vocabulary.fit(found, min_count, size), Counter(found)
    enough = [item for item in counts if counts[item] >= min_count]
    assert set(known.items) <= set(enough)
    assert len(known.items) == min(len(enough), len(enough) if size is None else size)
    left_out = set(enough) - set(known.items)
    assert all(counts[worse] <= counts[item] for worse in left_out for item in known.items)


@given(WORDS, st.randoms(use_true_random=False))
def test_numbers_do_not_depend_on_the_order_of_the_items(found: list[str], shuffler: random.Random) -> None:
    shuffled = found.copy()
    shuffler.shuffle(shuffled)
    assert Vocabulary.fit(found, 1).items == Vocabulary.fit(shuffled, 1).items


@given(WORDS)
def test_known_items_come_back_and_others_are_unknown(found: list[str]) -> None:
    known = Vocabulary.fit(found, 2)
    numbers = known.encode(found)
    assert known.decode(numbers) == [item if item in known.items else "<unk>" for item in found]
    assert all(0 <= number < len(known) for number in numbers)
    assert (UNKNOWN in numbers) == any(item not in known.items for item in found)


def test_ties_are_broken_by_code_point() -> None:
    assert Vocabulary.fit(["b", "Z", "a", "é", "b"], 1, 3).items == ["b", "Z", "a"]


def test_an_empty_vocabulary_knows_nothing() -> None:
    known = Vocabulary.fit([], 1)
    assert (len(known), known.encode(["a"])) == (1, [UNKNOWN])
