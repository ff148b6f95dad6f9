"""A project in which models of known quality meet: least-squares forecasters of a generated series."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import trained_project
from mlflow import MlflowClient

from unroll import problems
from unroll.core import store
from unroll.core.scores import SEED, Scores
from unroll.problems.common.base import Prepared
from unroll.registry import register
from unroll.registry.gate import Verdict
from unroll.stages.common.task import Task
from unroll.tracking import backend

NAME = trained_project.NAME
HOURS = 2400
GATE = {"metric": "r2", "direction": "higher", "threshold": 0.1, "baselines": ["persistence"]}


@dataclass(frozen=True)
class Contest:
    """The project, and what its models are tested on."""

    task: Task

    @property
    def root(self) -> Path:
        return self.task.layout.root

    def client(self) -> MlflowClient:
        return MlflowClient(backend.uri(self.root))

    def aliases(self) -> dict[str, int]:
        found = self.client().get_registered_model(NAME).aliases
        return {alias: int(version) for alias, version in found.items()}

    def enter(self, rows: int, **changes: Any) -> Verdict:
        """Build the forecaster of the last ``rows`` rows, and register it."""
        self.build(rows, **changes)
        return self.register()

    def register(self) -> Verdict:
        return register.publish(self.task)

    def build(self, rows: int, *, note: str = "", table: pd.DataFrame | None = None, **prepare: Any) -> Scores:
        """What the stages up to evaluate leave, with a network whose linear part least squares has fitted.

        ``note`` makes it another model with the same answers, ``table`` other data, ``prepare`` other keys.
        """
        layout, problem = self.task.layout, problems.load("forecasting")
        if table is not None:
            store.write_table(layout.validated / "table.parquet", table)
        config = trained_project.PREPARE | {"test_from": "2015-02-10", "validation_from": "2015-02-05"} | prepare
        with store.atomic_folder(layout.prepared) as folder:
            frame = store.read_table(layout.validated / "table.parquet")
            meta = problem.preparation.prepare(frame, problem.Prepare.model_validate(config), folder)
            store.write_json(folder / "meta.json", meta)
        prepared = Prepared.load(layout.prepared)
        block = trained_project.MODEL | {"hidden": 2, "linear": [rows]}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            model = problem.learning.model(problem.Model.model_validate(block), prepared.meta)
        problem.learning.begin(model, prepared)
        model.eval()
        store.write_tensors(layout.model / "weights.safetensors", model.state_dict())
        train = {"seed": 1, "threads": 1, "batch_size": 64}
        written = {
            "task": NAME, "problem": "forecasting", "epochs": 1, "best_epoch": 1, "parameters": 1, "prepare": config,
            "model": block, "train": train, "meta": prepared.meta, "fingerprint": f"{rows}{note}",
        }  # fmt: skip
        store.write_json(layout.model / "config.json", written)
        store.write_text(layout.model / "history.csv", "epoch,train_loss\n1,3.0\n")
        with torch.inference_mode():
            scores = problem.scoring.score(model, prepared, "test", 64)
        store.write_json(layout.reports / "metrics.json", self.metrics(prepared, scores))
        return scores

    @staticmethod
    def metrics(prepared: Prepared, scores: Scores) -> dict[str, Any]:
        found = scores.summary(lambda sums: problems.load("forecasting").scoring.metrics(sums, prepared.meta), SEED)
        rows = scores.table()
        truth = rows["truth"].to_numpy()
        persistence = 1 - np.mean(np.diff(truth) ** 2) / truth.var()
        return {"test": found, "baselines": {"persistence": {"r2": float(persistence)}}}


def series(hours: int = HOURS, seed: int = 0) -> pd.DataFrame:
    """A series of one variable of which each value follows from the two before it; more rows tell a model more."""
    rng = np.random.default_rng(seed)
    values = np.zeros(hours)
    for t in range(2, hours):
        values[t] = 1.1 * values[t - 1] - 0.6 * values[t - 2] + rng.normal()
    time = pd.date_range("2015-01-01", periods=hours, freq="h", tz="UTC").as_unit("us")
    return pd.DataFrame({"time": time, "site": "north", "pm10_ug_m3": (20 + values).astype(np.float32)})


def make(root: Path, **gate: Any) -> Contest:
    """A project without a model."""
    root.mkdir(parents=True, exist_ok=True)
    task = trained_project.make(root)
    for path in (task.layout.model / "config.json", task.layout.reports / "metrics.json"):
        path.unlink()
    values = ", ".join(f"{key}: {value}" for key, value in (GATE | gate).items()).replace("'", "")
    lines = task.params.path.read_text(encoding="utf-8").splitlines()
    lines = [f"    gate: {{{values}}}" if line.strip().startswith("gate:") else line for line in lines]
    store.write_text(task.params.path, "\n".join(lines) + "\n")
    store.write_text(root / "dvc.yaml", "stages: {}\n")
    store.write_table(task.layout.validated / "table.parquet", series())
    return Contest(Task.open(root, NAME))
