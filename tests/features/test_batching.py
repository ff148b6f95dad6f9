"""Batches of like length."""

import numpy as np
import pytest

from unroll.features.batching import by_length


@pytest.mark.parametrize(("count", "size"), [(0, 4), (1, 4), (9, 4), (5000, 16)])
def test_every_example_once_in_a_fixed_number_of_batches(count: int, size: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 40, count)
    epochs = [by_length(lengths, size, np.random.default_rng(seed)) for seed in (1, 2)]
    for batches in epochs:
        assert len(batches) == -(-count // size)
        assert sorted(np.concatenate([np.zeros(0, int), *batches]).tolist()) == list(range(count))
        assert all(0 < len(batch) <= size for batch in batches)
    same = by_length(lengths, size, np.random.default_rng(1))
    assert [batch.tolist() for batch in same] == [batch.tolist() for batch in epochs[0]]
    if count > 10:
        assert [batch.tolist() for batch in epochs[0]] != [batch.tolist() for batch in epochs[1]]


def test_little_is_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 40, 5000)
    batches = by_length(lengths, 16, np.random.default_rng(1))
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded / lengths.sum() < 1.1
    firsts = [lengths[batch].mean() for batch in batches[:32]]
    assert np.std(firsts) > 5  # the batches themselves come in random order
