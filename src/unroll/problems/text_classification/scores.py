"""How well texts are told apart, beside baselines, and the pictures of it. Shapes: N texts, C classes."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.scores import Scores
from unroll.features import tokenization
from unroll.problems.common import classification
from unroll.problems.common.base import Meta, Prepared, Split
from unroll.problems.common.scoring import Breakdown, Figure, Scoring
from unroll.problems.text_classification.build import INPUTS, batches
from unroll.problems.text_classification.config import TextClassificationPrepare
from unroll.problems.text_classification.prepare import flat

if TYPE_CHECKING:
    from torch import nn

SHOWN_MISTAKES = 20


class TextScoring(Scoring[TextClassificationPrepare]):
    """Accuracy and F1 of the classes."""

    headline = "accuracy"
    metric_names = ("accuracy", "macro_f1")
    baseline_names = ("majority", "tfidf_logistic_regression")
    unit = "texts"

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Class and probability of each text."""
        chances_NC = classification.probabilities(model, INPUTS, batches(prepared, split, batch_size))
        return classification.scores(prepared, split, chances_NC.argmax(axis=1), chances_NC.max(axis=1))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The largest class, and logistic regression on TF-IDF of words and characters."""
        from unroll.problems.text_classification.baselines import tfidf_logistic_regression

        train, index = prepared.arrays["train"], prepared.arrays[split]
        labels_M = np.asarray(prepared.arrays["labels"])[train]
        texts = [
            [one.decode() for one in tokenization.unpack(flat(prepared, "clean"), rows)] for rows in (train, index)
        ]
        regression = tfidf_logistic_regression(texts[0], labels_M, texts[1])
        return {
            "majority": classification.scores(prepared, split, classification.majority(labels_M, len(index))),
            "tfidf_logistic_regression": classification.scores(prepared, split, regression),
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
        """Confusion matrix, F1 by class, and the mistakes made with most confidence."""
        names, rows = prepared.meta["classes"], scores.table()
        yield classification.confusion_figure(scores.sums(), names)
        yield classification.class_figure(scores.sums(), names)
        wrong = rows[rows["truth"] != rows["guess"]]
        worst = wrong.sort_values("probability", ascending=False, kind="stable").head(SHOWN_MISTAKES)
        index = np.asarray(prepared.arrays["test"])[worst.index]
        texts = [" ".join(one.decode().split()) for one in tokenization.unpack(flat(prepared, "raw"), index)]
        worst = worst.assign(text=texts).reset_index(drop=True)
        yield Figure("mistakes", "table", "Wrong answers, the most confident first", worst)
