"""What classifiers share: additive statistics of truth and guess, and the metrics made of them.

Shapes: N examples, M of train, C classes, D drawn sets of examples, K = C x C.
The statistics are the flattened confusion matrix, truth by row.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import DataError
from unroll.core.scores import DRAWS, SEED, Scores, interval
from unroll.core.text import natural
from unroll.problems.common.base import Batch, Meta, Prepared, Split
from unroll.problems.common.preparation import Questions
from unroll.problems.common.scoring import Figure

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


def classes(labels: Sequence[str], fitted: Meta | None) -> list[str]:
    """The classes in order, or those of a trained model; raises DataError for a label that it does not know."""
    names = sorted(set(labels), key=natural)
    if fitted is None:
        return names
    known: list[str] = fitted["classes"]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise DataError(f"class {unknown!r} is not one that the model knows; expected one of {', '.join(known)}")
    return known


def questions(prepared: Prepared, split: Split) -> Questions:
    """The label of each row of the table."""
    names = np.array(prepared.meta["classes"], dtype=object)
    rows_N = np.asarray(prepared.arrays[split]).astype(np.int64)
    return Questions(
        {"classes": prepared.meta["classes"]}, rows_N, names[np.asarray(prepared.arrays["labels"])[rows_N]]
    )


def parts(table: "pd.DataFrame", split: str) -> np.ndarray | None:
    """The part of the source's own split that each row is of, where that split is asked for and there."""
    return table["split"].to_numpy(dtype=object) if split == "source" and "split" in table else None


def require_known(labels_N: np.ndarray, rows: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
    """Raise DataError for a class of validation or test that train does not have."""
    known = np.unique(labels_N[rows["train"]])
    for part in ("test", "validation"):
        unknown = np.setdiff1d(labels_N[rows[part]], known)
        if len(unknown):
            expected = ", ".join(names[number] for number in known)
            raise DataError(f"class {names[unknown[0]]!r} is in {part} but not in train; expected one of {expected}")


def group_facts(prepared: Prepared, index: Mapping[Split, np.ndarray]) -> dict[str, int]:
    """How many groups stand in two splits, where the table has groups."""
    if "groups" not in prepared.arrays:
        return {}
    groups_N = np.asarray(prepared.arrays["groups"])
    groups = [set(groups_N[rows].tolist()) for rows in index.values()]
    return {"groups_in_two_splits": sum(map(len, groups)) - len(set().union(*groups))}


def probabilities(model: "nn.Module", names: Sequence[str], batches: Iterable[Batch]) -> np.ndarray:
    """Probability of each class (N, C); ``names`` are the parts of a batch that the network is called with."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    parts = []
    with torch.inference_mode():
        for batch in batches:
            logits = model(*(batch[name].to(device) for name in names if name in batch))
            parts.append(logits.cpu().double().softmax(dim=1).numpy())
    return np.concatenate(parts)


def answers(chances_NC: np.ndarray, names: Sequence[str]) -> "pd.DataFrame":
    """``label`` and the probability of each class."""
    import pandas as pd

    answer: dict[str, Any] = {"label": np.array(names, dtype=object)[chances_NC.argmax(axis=1)]}
    answer |= {f"probability_{name}": chances_NC[:, number] for number, name in enumerate(names)}
    return pd.DataFrame(answer).astype({"label": "str"})


def majority(train_labels_M: np.ndarray, count: int) -> np.ndarray:
    """The most frequent class of train, ``count`` times; of equally frequent ones the first."""
    labels, counts = np.unique(train_labels_M, return_counts=True)
    return np.full(count, labels[counts.argmax()])


def scores(prepared: Prepared, split: Split, guess_N: np.ndarray, probability_N: np.ndarray | None = None) -> Scores:
    """Each example's cell of the confusion matrix, and truth and guess in words."""
    import pandas as pd

    names = np.array(prepared.meta["classes"], dtype=object)
    truth_N = np.asarray(prepared.arrays["labels"][prepared.arrays[split]])
    rows = pd.DataFrame({"truth": names[truth_N], "guess": names[guess_N]})
    if probability_N is not None:
        rows["probability"] = probability_N
    return Scores(statistics(truth_N, guess_N, len(names)), rows=rows)


def statistics(truth_N: np.ndarray, guess_N: np.ndarray, classes: int) -> np.ndarray:
    """One-hot cells of the confusion matrix, (N, C²) uint8."""
    cells = np.zeros((len(truth_N), classes * classes), dtype=np.uint8)
    cells[np.arange(len(truth_N)), truth_N * classes + guess_N] = 1
    return cells


def metrics(sums: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Accuracy and macro-F1 of shape (…) from summed cells (…, C²).

    A class without a truth and without a guess has no F1 and does not enter the mean.
    """
    matrix = sums.reshape(*sums.shape[:-1], classes, classes)
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    seen = matrix.sum(axis=-1) + matrix.sum(axis=-2)
    f1 = np.divide(2 * right, seen, out=np.full(right.shape, np.nan), where=seen > 0)
    return {"accuracy": right.sum(axis=-1) / matrix.sum(axis=(-2, -1)), "macro_f1": np.nanmean(f1, axis=-1)}


def by_class(sums: np.ndarray, names: list[str]) -> dict[str, dict[str, float]]:
    """Count, precision, recall and F1 of each class from summed cells (C²,), with 95 % bootstrap intervals.

    0 where a class was never guessed. To draw N examples singly, with replacement, is to draw N cells by their shares.
    """
    count = int(sums.sum())
    drawn_DK = np.random.default_rng(SEED).multinomial(count, sums / max(count, 1), DRAWS)
    whole, drawn = _rates(sums, len(names)), _rates(drawn_DK, len(names))
    counts_C = sums.reshape(len(names), len(names)).sum(axis=1)
    result: dict[str, dict[str, float]] = {}
    for number, name in enumerate(names):
        result[name] = {"count": int(counts_C[number])}
        for metric, values_C in whole.items():
            low, high = interval(drawn[metric][:, number])
            value = float(np.nan_to_num(values_C[number]))
            result[name] |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
    return result


def _rates(sums: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of shape (…, C) from summed cells (…, C²); NaN where there is nothing to divide by."""
    matrix = sums.reshape(*sums.shape[:-1], classes, classes).astype(float)
    right, count, guessed = np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(axis=-1), matrix.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        return {"precision": right / guessed, "recall": right / count, "f1": 2 * right / (count + guessed)}


def confusion_figure(sums: np.ndarray, names: list[str]) -> Figure:
    """The confusion matrix, a row for each pair of truth and guess."""
    import pandas as pd

    pairs = [(truth, guess) for truth in names for guess in names]
    frame = pd.DataFrame(pairs, columns=["truth", "guess"]).assign(count=sums.astype(int))
    return Figure("confusion", "confusion", "Truth by row, guess by column", frame, "guess", "guess", "truth")


def class_figure(sums: np.ndarray, names: list[str]) -> Figure:
    """F1 of each class, with its interval."""
    import pandas as pd

    bars = [
        {"class": name, "value": row["f1"], "low": row["f1_low"], "high": row["f1_high"], "count": row["count"]}
        for name, row in by_class(sums, names).items()
    ]
    return Figure("f1_by_class", "bars", "F1 of each class", pd.DataFrame(bars), "class", "class", "F1")
