"""Which examples share a batch. Shapes: N examples."""

import numpy as np

SORTED_BATCHES = 32
"""Batches whose examples are sorted by length together."""


def by_length(lengths_N: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Every example once, in random batches of like length, so that little of a batch is padding.

    Shuffled examples are cut into chunks of several batches, each chunk is sorted by length and cut into batches, and
    the batches are shuffled. How many there are depends on N and ``batch_size`` alone.
    """
    order, chunk = rng.permutation(len(lengths_N)), batch_size * SORTED_BATCHES
    batches = []
    for low in range(0, len(order), chunk):
        rows = order[low : low + chunk]
        rows = rows[np.argsort(lengths_N[rows], kind="stable")]
        batches += [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
    return [batches[number] for number in rng.permutation(len(batches))]
