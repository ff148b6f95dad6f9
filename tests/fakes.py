"""A problem small enough to check by hand: a line through points, with the trained files of a task that solves it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.core.config import Config, PrepareConfig
from unroll.core.layout import Layout
from unroll.core.scores import Scores
from unroll.problems.common.answering import Answering
from unroll.problems.common.base import Batch, Meta, Prepared, Problem, Split
from unroll.problems.common.inputs import Inputs
from unroll.problems.common.learning import Learning, Loss
from unroll.problems.common.preparation import Check, Preparation, Questions
from unroll.problems.common.scoring import Figure, Scoring

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

TASK, POINTS, BLOCK = "points", 240, 4


class LinePrepare(PrepareConfig):
    """Nothing but the problem's name."""


class LineModel(Config):
    """Number of inputs of the line."""

    inputs: int


class Preparing(Preparation[LinePrepare, LineModel]):
    def prepare(
        self, table: "pd.DataFrame", config: LinePrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        raise NotImplementedError

    def questions(self, prepared: Prepared, split: Split, metric: str) -> Questions:
        raise NotImplementedError

    def check(self, prepared: Prepared, config: LinePrepare) -> Check:
        raise NotImplementedError


class Fitting(Learning[LineModel]):
    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        raise NotImplementedError

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        raise NotImplementedError

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:
        raise NotImplementedError

    def model(self, config: LineModel, meta: Meta) -> "nn.Module":
        from torch import nn

        return nn.Linear(config.inputs, 1)


class Measuring(Scoring[LinePrepare]):
    headline = "mse"
    higher_is_better = False
    unit = "points"

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        import torch

        assert split == "test"
        assert not torch.is_grad_enabled()
        x = torch.from_numpy(np.array(prepared.arrays["x"]))
        return self._scores(prepared, model(x[:, None])[:, 0].numpy())

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        y = np.asarray(prepared.arrays["y"])
        return {"constant": self._scores(prepared, np.zeros_like(y)), "near_truth": self._scores(prepared, y + 0.001)}

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        count, square, nothing = np.moveaxis(sums, -1, 0)
        return {"mse": square / count, "undefined": nothing / nothing}

    def figures(
        self, model: "nn.Module", prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]
    ) -> Iterable[Figure]:
        frame = scores.table()
        yield Figure("points", "scatter", "Guess against truth", frame, "truth", "truth, m", "guess, m")

    def _scores(self, prepared: Prepared, guess: np.ndarray) -> Scores:
        import pandas as pd

        y = np.asarray(prepared.arrays["y"])
        statistics = np.stack([np.ones_like(y), (guess - y) ** 2, np.zeros_like(y)], axis=1)
        side = np.where(np.asarray(prepared.arrays["x"]) < 0, "left", "right")
        return Scores(statistics, BLOCK, pd.DataFrame({"truth": y, "guess": guess}), {"by_side": side})


class Reading(Answering):
    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        raise NotImplementedError

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        raise NotImplementedError

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        raise NotImplementedError

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        raise NotImplementedError


def line() -> Problem[LinePrepare, LineModel]:
    return Problem(
        about="Fits a straight line.",
        Prepare=LinePrepare,
        Model=LineModel,
        takes="series",
        preparation=Preparing(),
        learning=Fitting(),
        scoring=Measuring(),
        answering=Reading(),
    )


def write_trained(root: Path, weight: float = 1.9, bias: float = 0.0) -> Layout:
    """Prepared points around y = 2 x, and a trained line, as the stages prepare and train would leave them."""
    import pandas as pd
    import torch

    layout = Layout(root, TASK)
    rng = np.random.default_rng(5)
    x = np.linspace(-3, 3, POINTS).astype(np.float32)
    y = (2 * x + rng.normal(0, 0.3, POINTS)).astype(np.float32)
    meta = {"examples": {"train": 1000, "validation": 100, "test": POINTS}}
    store.write_array(layout.prepared / "x.npy", x)
    store.write_array(layout.prepared / "y.npy", y)
    store.write_json(layout.prepared / "meta.json", meta)
    store.write_json(layout.raw / "manifest.json", {"source": "sample", "files": {}})
    weights = {"weight": torch.tensor([[weight]]), "bias": torch.tensor([bias])}
    store.write_tensors(layout.model / "weights.safetensors", weights)
    config = {
        "task": TASK,
        "problem": "line",
        "epochs": 3,
        "best_epoch": 2,
        "model": {"inputs": 1},
        "train": {"threads": 1, "batch_size": 7, "epochs": 5, "clip_norm": None, "schedule": "constant"},
        "prepare": {"problem": "line"},
        "meta": meta,
        "fingerprint": "f",
    }
    store.write_json(layout.model / "config.json", config)
    history = {
        "epoch": [1, 2, 3], "train_loss": [0.9, 0.4, 0.3], "validation_loss": [0.8, 0.5, 0.6],
        "learning_rate": [0.1, 0.1, 0.1], "validation_mse": [0.8, 0.5, 0.6], "gradient_norm": [1.0, 0.5, 0.4],
    }  # fmt: skip
    store.write_csv(layout.model / "history.csv", pd.DataFrame(history))
    (root / "params.yaml").write_text(f"source: sample\ntasks:\n  {TASK}:\n    data: {{dataset: ruler}}\n")
    return layout
