"""Splits: equal examples on one side, the classes in their shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.features import splits


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=1, max_size=120),
    st.floats(0.01, 0.99),
    st.integers(0, 99),
)
def test_groups_stay_whole_and_every_class_on_both_sides(drawn: list[tuple[int, int]], share: float, seed: int) -> None:
    groups = np.array([group for _, group in drawn])
    labels = np.array([label for label, _ in drawn])
    mask = splits.stratified(labels, groups, share, np.random.default_rng(seed))
    for group in np.unique(groups):
        assert len(set(mask[groups == group].tolist())) == 1
    first = {group: label for (label, group) in reversed(drawn)}
    for label in set(first.values()):
        members = [group for group in first if first[group] == label]
        held = sum(bool(mask[groups == group][0]) for group in members)
        assert 1 <= held <= len(members) - 1 or (held == 0 and len(members) == 1)


@given(st.lists(st.integers(2, 60), min_size=1, max_size=5), st.floats(0.01, 0.99), st.integers(0, 99))
def test_shares_by_class_are_within_one(sizes: list[int], share: float, seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    mask = splits.stratified(labels, np.arange(len(labels)), share, np.random.default_rng(seed))
    held = np.bincount(labels[mask], minlength=len(sizes))
    wanted = np.clip(share * np.array(sizes), 1, np.array(sizes) - 1)
    assert (np.abs(held - wanted) < 1 + 1e-9).all()


@pytest.mark.parametrize("count", [10, 20, 30, 70, 230])
def test_a_tenth_of_whole_tens_is_exact(count: int) -> None:
    labels = np.zeros(count, dtype=int)
    assert splits.stratified(labels, np.arange(count), 0.1, np.random.default_rng(0)).sum() == count // 10


def test_no_share_takes_nothing() -> None:
    assert not splits.stratified(np.zeros(9, dtype=int), np.arange(9), 0.0, np.random.default_rng(0)).any()


def test_the_generator_alone_decides() -> None:
    labels, groups = np.arange(200) % 3, np.arange(200)
    masks = [splits.stratified(labels, groups, 0.3, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_rows_are_grouped_as_python_compares_them() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, size=(300, 6)).astype(np.float32)
    values[::2] *= -1  # -0.0 and 0.0 are equal
    groups = splits.group_rows(values)
    numbers: dict[tuple[float, ...], int] = {}
    for row, group in zip(values.tolist(), groups.tolist(), strict=True):
        assert numbers.setdefault(tuple(row), group) == group
    assert len(set(numbers.values())) == len(numbers)


def test_rows_of_a_transposed_array_are_grouped_by_content() -> None:
    values = np.array([[1, 2, 1], [3, 4, 3]], dtype=np.float32)
    groups = splits.group_rows(values.T)
    assert groups[0] == groups[2] != groups[1]
