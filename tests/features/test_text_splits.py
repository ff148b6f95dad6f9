"""Splits of texts: equal ones never part, and test stays whole."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.features import splits

GROUPS = st.lists(st.integers(0, 25), min_size=10, max_size=80).map(np.array)


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(splits).failed == 0


@given(GROUPS, st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_file_order_keeps_the_order_and_the_whole_of_test(groups: np.ndarray, validation: float, test: float) -> None:
    rows = splits.file_order(groups, validation, test)
    count = len(groups)
    test_from = count - round(count * test)
    assert rows["test"].tolist() == list(range(test_from, count))
    validation_from = test_from - round(count * validation)
    later = set(groups[test_from:].tolist())
    kept = [row for row in range(validation_from, test_from) if groups[row] not in later]
    assert rows["validation"].tolist() == kept
    later = set(groups[validation_from:].tolist())
    assert rows["train"].tolist() == [row for row in range(validation_from) if groups[row] not in later]


@pytest.mark.parametrize("kind", ["file_order", "stratified"])
@given(groups=GROUPS, seed=st.integers(0, 9))
def test_no_group_stands_in_two_splits(kind: splits.Kind, groups: np.ndarray, seed: int) -> None:
    rows = splits.split(kind, groups % 3, groups, 0.2, 0.2, np.random.default_rng(seed))
    seen = [set(groups[index].tolist()) for index in rows.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))


def test_stratified_uses_every_text_and_keeps_the_shares() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    rows = splits.split("stratified", labels, np.arange(1000), 0.1, 0.2, np.random.default_rng(0))
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(1000))
    for split, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        counts = np.bincount(labels[rows[split]])
        np.testing.assert_allclose(counts, share * np.array([600, 300, 100]), atol=1.01)
