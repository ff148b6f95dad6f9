"""A project of one small forecasting task, as the stages before register leave it, made in a second."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from unroll import problems
from unroll.core import store
from unroll.problems.common.base import Prepared
from unroll.stages.common.task import Task
from unroll.tracking import backend

NAME = "air_quality"
MODEL = {"cell": "lstm", "hidden": 8, "layers": 1, "dropout": 0.0}
PREPARE = {
    "problem": "forecasting", "target": "pm10_ug_m3", "target_site": "north", "sites": "all", "variables": "all",
    "calendar": ["hour"], "lag": 6, "horizon": 1, "stride": 1, "season": 24,
    "validation_from": "2015-01-10", "test_from": "2015-01-13",
}  # fmt: skip
TRAIN = {"seed": 1, "learning_rate": 0.1, "patience": None}
METRICS: dict[str, Any] = {
    "test": {"r2": 0.8, "r2_low": 0.7, "r2_high": 0.9, "rmse": 3.0},
    "validation": {"r2": 0.81},
    "baselines": {"persistence": {"r2": 0.7, "rmse": 3.5}, "seasonal_naive": {"r2": 0.2, "rmse": 5.0}},
}
PARAMS = f"""\
source: sample
tasks:
  {NAME}:
    data: {{dataset: air_quality, seed: 1, max_rejected_share: 0.001, sample_hours: 400}}
    prepare: {{problem: forecasting}}
    gate: {{metric: r2, direction: higher, threshold: 0.75, baselines: [persistence, seasonal_naive]}}
"""


def make(root: Path, seed: int = 1) -> Task:
    """Write raw, validated, prepared, model and reports; ``seed`` draws the untrained network's weights."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(PARAMS, encoding="utf-8")
    (root / "mlflow.db").write_bytes(_empty_store())
    task = Task.open(root, NAME)
    layout = task.layout
    store.write_json(
        layout.raw / "manifest.json", {"source": "sample", "files": {"a.npz": {"sha256": "ab", "bytes": 3}}}
    )
    store.write_table(layout.validated / "table.parquet", series())
    problem = problems.load("forecasting")
    prepare = problem.Prepare.model_validate(PREPARE)
    layout.prepared.mkdir(parents=True, exist_ok=True)
    store.write_json(layout.prepared / "meta.json", problem.preparation.prepare(series(), prepare, layout.prepared))
    write_model(task, seed)
    store.write_json(layout.reports / "metrics.json", METRICS)
    store.write_text(layout.reports / "model_card.md", "# A card\n")
    store.write_text(layout.reports / "figures" / "forecast.csv", "x,y\n1,2\n")
    return task


def write_model(task: Task, seed: int) -> None:
    layout = task.layout
    meta = Prepared.load(layout.prepared).meta
    store.write_tensors(layout.model / "weights.safetensors", network(task, seed).state_dict())
    config = {
        "task": NAME, "problem": "forecasting", "epochs": 3, "best_epoch": 2, "parameters": 500,
        "prepare": PREPARE, "model": MODEL, "train": TRAIN, "meta": meta, "fingerprint": f"{seed:064x}",
    }  # fmt: skip
    store.write_json(layout.model / "config.json", config)
    store.write_text(layout.model / "history.csv", "epoch,train_loss,validation_r2\n1,3.0,0.1\n2,2.0,0.2\n3,1.0,0.15\n")


def network(task: Task, seed: int = 1) -> nn.Module:
    """The network whose weights the model folder has, built without reading them."""
    import torch

    problem = problems.load("forecasting")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built: nn.Module = problem.learning.model(
            problem.Model.model_validate(MODEL), Prepared.load(task.layout.prepared).meta
        )
    return built.eval()


def series() -> pd.DataFrame:
    """400 hours of two variables at two sites."""
    rng = np.random.default_rng(0)
    time = pd.date_range("2015-01-01", periods=400, freq="h", tz="UTC").as_unit("us")
    columns = ("pm10_ug_m3", "no_ug_m3")
    sites = [
        pd.DataFrame({"time": time, "site": site} | {c: rng.normal(20, 3, 400).astype(np.float32) for c in columns})
        for site in ("north", "south")
    ]
    return pd.concat(sites, ignore_index=True)


@cache
def _empty_store() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        backend.initialise(Path(folder))
        return (Path(folder) / "mlflow.db").read_bytes()
