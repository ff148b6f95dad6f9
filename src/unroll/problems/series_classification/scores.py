"""How well series are told apart, beside baselines, and the pictures of it. Shapes: N series, T steps, C classes."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.scores import Scores
from unroll.problems.common import classification
from unroll.problems.common.base import Meta, Prepared, Split
from unroll.problems.common.scoring import Breakdown, Figure, Scoring
from unroll.problems.series_classification import prepare
from unroll.problems.series_classification.build import INPUTS, batches
from unroll.problems.series_classification.config import SeriesClassificationPrepare

if TYPE_CHECKING:
    from torch import nn


class SeriesScoring(Scoring[SeriesClassificationPrepare]):
    """Accuracy and F1 of the classes."""

    headline = "accuracy"
    metric_names = ("accuracy", "macro_f1")
    baseline_names = ("majority", "nearest_neighbour", "random_kernels")
    unit = "series"

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Class and probability of each series."""
        chances_NC = classification.probabilities(model, INPUTS, batches(prepared, split, batch_size))
        return classification.scores(prepared, split, chances_NC.argmax(axis=1), chances_NC.max(axis=1))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The largest class, the nearest neighbour by Euclidean distance, and many fixed convolution kernels."""
        from unroll.problems.series_classification.baselines import nearest_neighbour
        from unroll.problems.series_classification.kernels import random_kernels

        values, labels = prepared.arrays["values"], prepared.arrays["labels"]
        train, index = prepared.arrays["train"], prepared.arrays[split]
        neighbours = nearest_neighbour(values[train], labels[train], values[index])
        return {
            "majority": classification.scores(prepared, split, classification.majority(labels[train], len(index))),
            "nearest_neighbour": classification.scores(prepared, split, neighbours),
            "random_kernels": classification.scores(
                prepared, split, random_kernels(values[train], labels[train], values[index])
            ),
        }

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        """Accuracy and macro-F1."""
        return classification.metrics(sums, len(meta["classes"]))

    def breakdown(self, scores: Scores, meta: Meta) -> Breakdown:
        """Precision, recall and F1 by class."""
        return {"by_class": classification.by_class(scores.sums(), meta["classes"])}

    def figures(
        self,
        model: "nn.Module",  # noqa: ARG002
        prepared: Prepared,
        scores: Scores,
        baselines: Mapping[str, Scores],  # noqa: ARG002
    ) -> Iterator[Figure]:
        """Confusion matrix, recall by class, and the mean series of each class."""
        import pandas as pd

        names = prepared.meta["classes"]
        yield classification.confusion_figure(scores.sums(), names)
        yield classification.class_figure(scores.sums(), names)
        train = prepared.arrays["train"]
        labels = prepared.arrays["labels"][train]
        values = prepared.arrays["values"][train]
        inside_NT = np.arange(values.shape[1]) < prepare.steps(prepared, train)[:, None]
        means = {f"class {name}": _mean(values, inside_NT, labels == number) for number, name in enumerate(names)}
        frame = pd.DataFrame({"step": np.arange(prepared.meta["steps"]), **means})
        yield Figure("class_means", "lines", "Mean series of each class in train", frame, "step", "step", "scaled")


def _mean(values_NT: np.ndarray, inside_NT: np.ndarray, which_N: np.ndarray) -> np.ndarray:
    """The mean series (T,) of some rows, over those that are as long."""
    if inside_NT.all():
        mean_T: np.ndarray = values_NT[which_N].mean(axis=0)
        return mean_T
    count_T = inside_NT[which_N].sum(axis=0)
    total_T = np.where(inside_NT, values_NT, 0.0)[which_N].sum(axis=0)
    return np.divide(total_T, count_T, out=np.full(len(count_T), np.nan), where=count_T > 0)
