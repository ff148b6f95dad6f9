"""Classifiers of labelled series without a network. Shapes: N series, T steps, M train series."""

import numpy as np

from unroll.features import splits


def nearest_neighbour(
    train_MT: np.ndarray, train_labels_M: np.ndarray, values_NT: np.ndarray, chunk: int = 512
) -> np.ndarray:
    """The class of the train series at the smallest Euclidean distance (1-NN); of equals, the first."""
    # Equal series once: to a matrix product's last digit, equals are at different distances.
    _, first_M = np.unique(splits.group_rows(train_MT), return_index=True)
    train, train_labels_M = np.asarray(train_MT, dtype=np.float32)[np.sort(first_M)], train_labels_M[np.sort(first_M)]
    squared_M = np.einsum("mt,mt->m", train, train)
    nearest = []
    for low in range(0, len(values_NT), chunk):  # |a − b|² = |a|² − 2ab + |b|², and |a|² is the same for all b
        values = np.asarray(values_NT[low : low + chunk], dtype=np.float32)
        nearest.append((squared_M - 2 * values @ train.T).argmin(axis=1))
    labels: np.ndarray = train_labels_M[np.concatenate(nearest)]
    return labels
