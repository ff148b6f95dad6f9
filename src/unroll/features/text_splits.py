"""Splits of labelled texts in which equal texts never part. Shapes: N texts."""

from typing import Literal

import numpy as np

from unroll.core.errors import DataError
from unroll.features import splits

Kind = Literal["file_order", "stratified", "source"]


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
        return splits.without_later(
            splits.by_source(parts_N, labels_N, groups_N, validation_share, rng, "text"), groups_N
        )
    if validation_share is None or test_share is None:
        raise DataError(f"split {kind}: no shares; expected prepare.validation_share and test_share")
    if kind == "file_order":
        return file_order(groups_N, validation_share, test_share)
    test = splits.stratified(labels_N, groups_N, test_share, rng)
    rest = np.flatnonzero(~test)
    held = splits.stratified(labels_N[rest], groups_N[rest], validation_share / (1 - test_share), rng)
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
