"""A toy problem: which of the labels a series of numbers has, told by a linear layer."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from unroll.core import store
from unroll.core.config import Config, PrepareConfig
from unroll.core.errors import TableError
from unroll.core.expectation import Expectation
from unroll.core.scores import Scores
from unroll.problems.common import classification
from unroll.problems.common.answering import Answering
from unroll.problems.common.base import SPLITS, Batch, Meta, Prepared, Problem, Split
from unroll.problems.common.inputs import Column, Inputs
from unroll.problems.common.learning import Learning, Loss
from unroll.problems.common.preparation import Check, Preparation, Questions
from unroll.problems.common.scoring import Figure, Scoring

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


class SignPrepare(PrepareConfig):
    """The ``prepare`` block."""

    every: int = Field(ge=3, description="Of so many rows one is for test and one for validation")


class SignModel(Config):
    """The ``model`` block."""

    bias: bool


class SignPreparation(Preparation[SignPrepare, SignModel]):
    """Rows by their number."""

    def prepare(self, table: "pd.DataFrame", config: SignPrepare, folder: Path, fitted: Meta | None = None) -> Any:
        """Values, labels, and the rows of each split."""
        names = classification.classes(table["label"].tolist(), fitted)
        steps = [name for name in table if name.startswith("t0")]
        part = np.arange(len(table)) % config.every
        rows = {split: np.flatnonzero(part == number) for number, split in enumerate(("test", "validation"))}
        rows["train"] = np.flatnonzero(part > 1)
        store.write_array(folder / "values.npy", table[steps].to_numpy(dtype=np.float32))
        store.write_array(folder / "labels.npy", np.array([names.index(label) for label in table["label"]]))
        for split, index in rows.items():
            store.write_array(folder / f"{split}.npy", index)
        return {
            "classes": names,
            "steps": steps,
            "examples": {split: len(index) for split, index in rows.items()},
        }

    def check(self, prepared: Prepared, config: SignPrepare) -> Check:
        """Each row in one split."""
        import pandas as pd

        facts = pd.DataFrame({"row": np.concatenate([prepared.arrays[split] for split in SPLITS])})
        return Check(facts, [Expectation("expect_column_values_to_be_unique", {"column": "row"})])

    def questions(self, prepared: Prepared, split: Split, metric: str) -> Questions:
        """The label of each row."""
        return classification.questions(prepared, split)


class SignLearning(Learning[SignModel]):
    """A linear layer."""

    def model(self, config: SignModel, meta: Meta) -> "nn.Module":
        """From the values of the steps to a score of each class."""
        from torch import nn

        return nn.Linear(len(meta["steps"]), len(meta["classes"]), bias=config.bias)

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterable[Batch]:
        """Rows in random order."""
        return batches(prepared, rng.permutation(prepared.arrays["train"]), batch_size)

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterable[Batch]:
        """Rows in their order."""
        return batches(prepared, prepared.arrays[split], batch_size)

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:
        """Cross-entropy."""
        from torch.nn.functional import cross_entropy

        return Loss(cross_entropy(model(batch["x_BT"]).float(), batch["y_B"], reduction="sum"), len(batch["y_B"]))


def batches(prepared: Prepared, rows: np.ndarray, batch_size: int) -> Iterator[Batch]:
    """The values and labels of some rows."""
    import torch

    for low in range(0, len(rows), batch_size):
        index = rows[low : low + batch_size]
        arrays = {"x_BT": prepared.arrays["values"][index], "y_B": prepared.arrays["labels"][index]}
        yield {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


class SignScoring(Scoring[SignPrepare]):
    """Right or wrong."""

    headline = "accuracy"
    metric_names = ("accuracy", "macro_f1")
    baseline_names = ("majority",)
    unit = "walks"

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """The class of each row."""
        own_order = batches(prepared, prepared.arrays[split], batch_size)
        return classification.scores(prepared, split, chances(model, own_order).argmax(axis=1))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The largest class."""
        train_labels = prepared.arrays["labels"][prepared.arrays["train"]]
        guess = classification.majority(train_labels, len(prepared.arrays[split]))
        return {"majority": classification.scores(prepared, split, guess)}

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        """Accuracy and macro-F1."""
        return classification.metrics(sums, len(meta["classes"]))

    def figures(
        self, model: "nn.Module", prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]
    ) -> Iterator[Figure]:
        """The confusion matrix."""
        yield classification.confusion_figure(scores.sums(), prepared.meta["classes"])


def chances(model: "nn.Module", of: Iterable[Batch]) -> np.ndarray:
    """The probability of each class."""
    return classification.probabilities(model, ("x_BT",), of)


class SignAnswering(Answering):
    """A row of steps each."""

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """The steps."""
        columns = [Column(name, "number", "A toss: 1 or -1", low=-1, high=1) for name in meta["steps"]]
        return Inputs.of(columns, {"classes": meta["classes"]})

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """Heads alone."""
        return [dict.fromkeys(meta["steps"], 1.0)]

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first rows of test."""
        import pandas as pd

        return pd.DataFrame(prepared.arrays["values"][prepared.arrays["test"][:3]], columns=prepared.meta["steps"])

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Class and probabilities of each row."""
        import torch

        missing = [name for name in meta["steps"] if name not in frame]
        if missing:
            raise TableError(f"column {missing[0]!r} is missing; expected {', '.join(meta['steps'])}")
        x_NT = torch.from_numpy(np.array(frame[meta["steps"]], dtype=np.float32))
        return classification.answers(chances(model, [{"x_BT": x_NT}]), meta["classes"])


PROBLEM = Problem[SignPrepare, SignModel](
    about="A linear layer tells which side came up more often.",
    Prepare=SignPrepare,
    Model=SignModel,
    takes="labelled series",
    preparation=SignPreparation(),
    learning=SignLearning(),
    scoring=SignScoring(),
    answering=SignAnswering(),
)
