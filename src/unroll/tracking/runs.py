"""Runs in MLflow: finding, making and filling them."""

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.tracking import backend

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

MODEL_FILES = ("config.json", "weights.safetensors")
_BATCH = 1000
TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""Makes MLflow's pages show runs and models, not what is meant for language agents."""


def experiment(client: "MlflowClient", root: Path, task: str) -> str:
    """The id of the task's experiment, which is created if it is missing and restored if it was deleted."""
    known = client.get_experiment_by_name(task)
    if known is None:
        folder = root.resolve() / "mlartifacts" / task
        place = folder.as_uri() if backend.database(root) else None
        return client.create_experiment(task, artifact_location=place, tags=TRAINING)
    if known.lifecycle_stage == "deleted":
        client.restore_experiment(known.experiment_id)
    return str(known.experiment_id)


def find_runs(client: "MlflowClient", experiment_id: str, tag: str, value: str) -> "Sequence[Run]":
    """The experiment's runs with that tag, newest first."""
    return client.search_runs([experiment_id], f"tags.`{tag}` = '{value}'", order_by=["attributes.start_time DESC"])


def create_run(client: "MlflowClient", experiment_id: str, root: Path, task: str, fingerprint: str) -> "Run":
    """A run with tags for its task, what it trains and which code made it."""
    tags = {"unroll.task": task, "unroll.fingerprint": fingerprint, **origin(root)}
    name = tags.get("DVC_EXP_NAME") or f"{task}-{fingerprint[:8]}"
    return client.create_run(experiment_id, tags=tags, run_name=name)


def log_params(client: "MlflowClient", run: "Run", params: Mapping[str, str]) -> None:
    """Add the parameters that the run lacks: those it has cannot change."""
    from mlflow.entities import Param

    missing = [Param(key, value) for key, value in params.items() if key not in run.data.params]
    for low in range(0, len(missing), 100):
        client.log_batch(run.info.run_id, params=missing[low : low + 100])


def log_metrics(client: "MlflowClient", run_id: str, metrics: "Sequence[Metric]") -> None:
    """Log in batches: two hundred single calls take as long as two thousand numbers in batches."""
    for low in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[low : low + _BATCH])


def logged_steps(client: "MlflowClient", run: "Run") -> set[tuple[str, int]]:
    """Each metric and step that the run has."""
    run_id = run.info.run_id
    return {(key, metric.step) for key in run.data.metrics for metric in client.get_metric_history(run_id, key)}


def log_steps(client: "MlflowClient", run: "Run", steps: Mapping[int, Mapping[str, float]], time_ms: int) -> None:
    """Log the metrics of each step that the run lacks."""
    from mlflow.entities import Metric

    known = logged_steps(client, run)
    metrics = [Metric(key, value, time_ms, step) for step, values in steps.items() for key, value in values.items()]
    log_metrics(client, run.info.run_id, [metric for metric in metrics if (metric.key, metric.step) not in known])


def origin(root: Path) -> dict[str, str]:
    """Tags that say which code runs here, and for which DVC stage and experiment."""
    tags = {"mlflow.source.name": "unroll", "mlflow.source.type": "LOCAL"}
    tags |= {name: value for name in ("DVC_STAGE", "DVC_EXP_NAME") if (value := os.environ.get(name))}
    commit = _git(root, "rev-parse", "HEAD")
    if commit:
        dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
        tags |= {"mlflow.source.git.commit": commit, "unroll.git_dirty": str(dirty).lower()}
    return tags


def _git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as text under dotted keys, as ``params.yaml`` and ``dvc params`` name them.

    >>> flatten({"train": {"seed": 1, "schedule": "cosine", "patience": None}})
    {'train.seed': '1', 'train.schedule': 'cosine', 'train.patience': 'null'}
    """
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


def model_hash(folder: Path) -> str:
    """The SHA-256 over the names and bytes of what a model is: its weights and its configuration."""
    digest = hashlib.sha256()
    for name in MODEL_FILES:
        path = folder / name
        if not path.is_file():
            raise StoreError(f"{path}: not there; expected the output of an earlier stage (run: unroll repro)")
        digest.update(f"{name} {store.sha256(path)}\n".encode())
    return digest.hexdigest()
