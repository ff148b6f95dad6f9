"""Splits that leak nothing: equal examples stay on one side. Shapes: N examples."""

import numpy as np


def stratified(labels_N: np.ndarray, groups_N: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mask of about ``share`` of the examples, by class, with whole groups on one side.

    A group (equal series, equal texts) belongs to the class of its first example. Each class with at least two groups
    gives at least one, and keeps at least one.
    """
    _, first, group_N = np.unique(groups_N, return_index=True, return_inverse=True)
    sizes = np.bincount(group_N)
    chosen = np.zeros(len(first), dtype=bool)
    for label in np.unique(labels_N[first]):
        members = rng.permutation(np.flatnonzero(labels_N[first] == label))
        filled = np.cumsum(sizes[members])
        wanted = share * filled[-1]
        take = int(np.searchsorted(filled, wanted, side="left")) + 1 if share > 0 else 0
        if share > 0:
            take = min(max(take, 1), len(members) - 1)
        chosen[members[:take]] = True
    mask: np.ndarray = chosen[group_N]
    return mask


def group_rows(values_NT: np.ndarray) -> np.ndarray:
    """A number for each row, the same for equal rows."""
    rows = np.ascontiguousarray(values_NT) + 0  # -0.0 becomes 0.0: equal numbers have equal bytes
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    groups: np.ndarray = np.unique(keys, return_inverse=True)[1]
    return groups
