"""Splits that leak nothing: equal examples stay on one side. Shapes: N examples, T values."""

from typing import Literal

import numpy as np

from unroll.core.errors import DataError

Kind = Literal["file_order", "stratified", "source"]


def stratified(labels_N: np.ndarray, groups_N: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mask of about ``share`` of the examples, by class, with whole groups on one side.

    A group (equal series, equal texts) belongs to the class of its first example. Each class with at least two groups
    gives at least one, and keeps at least one. A group of more than twice what is wanted is taken last.
    """
    _, first, group_N = np.unique(groups_N, return_index=True, return_inverse=True)
    sizes = np.bincount(group_N)
    chosen = np.zeros(len(first), dtype=bool)
    for label in np.unique(labels_N[first]):
        members = rng.permutation(np.flatnonzero(labels_N[first] == label))
        size = share * sizes[members].sum()
        huge = sizes[members] > max(2 * size, 1)
        members = np.concatenate([members[~huge], members[huge]])
        filled = np.cumsum(sizes[members])
        take = int(np.searchsorted(filled, size, side="left")) + 1 if share > 0 else 0
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


def together(groups_N: np.ndarray, others_N: np.ndarray) -> np.ndarray:
    """Groups of examples that are equal in either way, or by way of others.

    >>> together(np.array([0, 0, 1, 2]), np.array([5, 6, 6, 7])).tolist()
    [0, 0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first_N, second_N = (np.unique(each, return_inverse=True)[1] for each in (groups_N, others_N))
    nodes = int(first_N.max(initial=-1)) + 1
    size = nodes + int(second_N.max(initial=-1)) + 1
    edges = coo_array((np.ones(len(first_N), dtype=np.int8), (first_N, nodes + second_N)), shape=(size, size))
    found_N: np.ndarray = connected_components(edges, directed=False)[1][first_N]
    return np.unique(found_N, return_inverse=True)[1]


def by_source(
    parts_N: np.ndarray,
    labels_N: np.ndarray,
    groups_N: np.ndarray,
    validation_share: float | None,
    rng: np.random.Generator,
    unit: str,
) -> dict[str, np.ndarray]:
    """Row numbers of the source's own parts; a validation part that it lacks is drawn from its train part.

    Test and validation stay as the source has them. Raises DataError where train or test has no rows, or where
    validation has none and no share of train is to become one.
    """
    held_N, test_N = parts_N == "validation", parts_N == "test"
    train = np.flatnonzero(~held_N & ~test_N)
    for part, count in (("train", len(train)), ("test", int(test_N.sum()))):
        if not count:
            raise DataError(f"split {part}: no rows; expected at least one {unit}")
    if held_N.any():
        return {"train": train, "validation": np.flatnonzero(held_N), "test": np.flatnonzero(test_N)}
    if validation_share is None:
        raise DataError("split validation: no rows in the source's own split; expected prepare.validation_share")
    drawn = stratified(labels_N[train], groups_N[train], validation_share, rng)
    return {"train": train[~drawn], "validation": train[drawn], "test": np.flatnonzero(test_N)}


def without_later(rows: dict[str, np.ndarray], groups_N: np.ndarray) -> dict[str, np.ndarray]:
    """The same without what stands in a later part, too: test stays whole, and comparable."""
    train, held, test = (rows[part] for part in ("train", "validation", "test"))
    held = held[~np.isin(groups_N[held], groups_N[test])]
    later = np.concatenate([groups_N[held], groups_N[test]])
    return {"train": train[~np.isin(groups_N[train], later)], "validation": held, "test": test}


def split(
    kind: Kind,
    labels_N: np.ndarray,
    groups_N: np.ndarray,
    validation_share: float | None,
    test_share: float | None,
    rng: np.random.Generator,
    parts_N: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Row numbers of train, validation and test; equal texts have the same number in ``groups_N``.

    ``parts_N`` are those of the source, whose own split leaves out of a part what stands in a later one, too.
    """
    if kind == "source":
        if parts_N is None:
            raise DataError("split source: the table has no column split; expected the source's own split (data.split)")
        return without_later(by_source(parts_N, labels_N, groups_N, validation_share, rng, "text"), groups_N)
    if validation_share is None or test_share is None:
        raise DataError(f"split {kind}: no shares; expected prepare.validation_share and test_share")
    if kind == "file_order":
        return file_order(groups_N, validation_share, test_share)
    test = stratified(labels_N, groups_N, test_share, rng)
    rest = np.flatnonzero(~test)
    held = stratified(labels_N[rest], groups_N[rest], validation_share / (1 - test_share), rng)
    return {"train": rest[~held], "validation": rest[held], "test": np.flatnonzero(test)}


def file_order(groups_N: np.ndarray, validation_share: float, test_share: float) -> dict[str, np.ndarray]:
    """The first rows train, the last ones test.

    A text that stands in a later split, too, is left out of the earlier one: test stays whole, and comparable.

    >>> file_order(np.array([0, 1, 2, 3, 1, 4]), 1 / 6, 2 / 6)["train"].tolist()
    [0, 2]
    """
    count = len(groups_N)
    test_from = count - round(count * test_share)
    validation_from = test_from - round(count * validation_share)
    train, validation, test = np.split(np.arange(count), [validation_from, test_from])
    validation = validation[~np.isin(groups_N[validation], groups_N[test])]
    train = train[~np.isin(groups_N[train], groups_N[validation_from:])]
    return {"train": train, "validation": validation, "test": test}


def shares_fault(kind: str, validation_share: float | None, test_share: float | None, what: str) -> str | None:
    """What is wrong with the shares of a split of this kind; None where nothing is."""
    if kind == "source":
        return "test_share must be null where split is source: the source has its own" if test_share else None
    if validation_share is None or test_share is None:
        return "validation_share and test_share must be given, unless split is source"
    if validation_share + test_share >= 1:
        return f"validation_share + test_share must be below 1, so that train has {what}"
    return None
