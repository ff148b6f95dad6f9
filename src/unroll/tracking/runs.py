"""Runs in MLflow: what finds, makes and fills them, and the live run of a training.

``publication`` makes whole runs from files, ``registry`` the models, ``tracking_store`` knows where it all lies.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.tracking.backend import client, database, initialise, patiently, public, refusals, uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

__all__ = ["LiveRun", "database", "initialise", "model_hash", "patiently", "uri"]

MODEL_FILES = ("config.json", "weights.safetensors")
SERVER_S, LOCAL_S = 5.0, 20.0
"""How long ``LiveRun.finish`` waits for what is still to be sent: a server may be gone, a disk is only slow."""
_BATCH = 1000
TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""MLflow's pages show such an experiment with its runs and models, and without what is meant for language agents."""


def experiment(client: "MlflowClient", root: Path, task: str) -> str:
    """The id of the task's experiment, which is made where it is missing and brought back where it was deleted."""
    found = client.get_experiment_by_name(task)
    if found is None:
        folder = root.resolve() / "mlartifacts" / task
        place = folder.as_uri() if database(root) else None
        return client.create_experiment(task, artifact_location=place, tags=TRAINING)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def find_runs(client: "MlflowClient", experiment_id: str, tag: str, value: str) -> "Sequence[Run]":
    """The experiment's runs with that tag, newest first."""
    return client.search_runs([experiment_id], f"tags.`{tag}` = '{value}'", order_by=["attributes.start_time DESC"])


def create_run(client: "MlflowClient", experiment_id: str, root: Path, task: str, fingerprint: str) -> "Run":
    """A run that knows what it is of and which code made it."""
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
    return {
        (key, metric.step) for key in run.data.metrics for metric in client.get_metric_history(run.info.run_id, key)
    }


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


@dataclass(frozen=True)
class Nested:
    """One finished run of a group, such as one training of a comparison; ``key`` tells it from all other runs."""

    key: str
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    epochs: Mapping[int, Mapping[str, float]]
    metrics: Mapping[str, float]
    started_ms: int
    ended_ms: int
    status: Literal["FINISHED", "FAILED"]


def start_group(root: Path, task: str, key: str, name: str, params: Mapping[str, str]) -> str:
    """Open the run that holds the runs of a group, in the task's experiment; its id."""

    def start(client: "MlflowClient") -> str:
        run = _grouped(client, root, task, key, {"mlflow.runName": name}, int(time.time() * 1000))
        log_params(client, run, params)
        return str(run.info.run_id)

    return patiently(root, start)


def add_nested(root: Path, task: str, group_id: str, nested: Nested) -> str:
    """Add a whole run to the group that ``start_group`` opened; its id. A second call adds nothing."""

    def add(client: "MlflowClient") -> str:
        from mlflow.entities import Metric

        tags = {"mlflow.runName": nested.name, "mlflow.parentRunId": group_id, **nested.tags}
        run = _grouped(client, root, task, nested.key, tags, nested.started_ms)
        run_id = str(run.info.run_id)
        if run.info.status == "RUNNING":
            log_params(client, run, nested.params)
            known = logged_steps(client, run)
            steps = {**nested.epochs, 0: nested.metrics}
            told = [Metric(k, v, nested.ended_ms, step) for step, values in steps.items() for k, v in values.items()]
            log_metrics(client, run_id, [metric for metric in told if (metric.key, metric.step) not in known])
            client.set_terminated(run_id, nested.status, nested.ended_ms)
        return run_id

    return patiently(root, add)


def finish_group(
    root: Path,
    group_id: str,
    status: Literal["FINISHED", "FAILED", "KILLED"],
    metrics: Mapping[str, float],
    note: str,
    files: Sequence[Path],
) -> None:
    """Close the run of a group, with numbers, a description and files of its own."""

    def finish(client: "MlflowClient") -> None:
        for key, value in metrics.items():
            client.log_metric(group_id, key, value)
        client.set_tag(group_id, "mlflow.note.content", note)
        for path in files:
            client.log_artifact(group_id, str(path))
        client.set_terminated(group_id, status)

    patiently(root, finish)


def _grouped(
    client: "MlflowClient", root: Path, task: str, key: str, tags: Mapping[str, str], started_ms: int
) -> "Run":
    """The run of that key, made where it is missing: a call that met SQLite's lock halfway is made again."""
    experiment_id = experiment(client, root, task)
    for run in find_runs(client, experiment_id, "unroll.comparison", key):
        return run
    every = {"unroll.task": task, "unroll.comparison": key, **origin(root), **tags}
    return client.create_run(experiment_id, start_time=started_ms, tags=every)


class _Step(NamedTuple):
    time_ms: int
    epoch: int
    metrics: Mapping[str, float]


class _End(NamedTuple):
    model_hash: str | None
    status: str


class LiveRun:
    """Epochs on their way to MLflow while a network trains.

    A thread of its own sends them in batches. It cannot stop or slow the training: whatever fails is told in one line
    on stderr, and the run is made or completed from files later. A run is known by the fingerprint of what is trained:
    a training that failed or was killed goes on in the run it had, one that was finished makes no second run.
    """

    def __init__(self, root: Path, task: str, fingerprint: str, params: Mapping[str, Any], total: int) -> None:
        self._root, self._task, self._fingerprint = root, task, fingerprint
        self._params, self._total = flatten(params), total
        self._queue: SimpleQueue[_Step | _End] = SimpleQueue()
        self._told = False
        self._thread = Thread(target=self._work, name="unroll-live-run", daemon=True)

    @classmethod
    def start(cls, root: Path, task: str, fingerprint: str, params: Mapping[str, Any], total: int) -> "LiveRun":
        """Begin, and return at once; ``total`` is the most epochs there will be."""
        live = cls(root, task, fingerprint, params, total)
        live._thread.start()
        return live

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Hand over one epoch; returns at once."""
        self._queue.put(_Step(int(time.time() * 1000), epoch, dict(metrics)))

    def finish(self, model_hash: str | None, status: Literal["FINISHED", "FAILED", "KILLED"] = "FINISHED") -> None:
        """Close the run, which has led to the model of that hash, or to none; waits some seconds at most."""
        self._queue.put(_End(model_hash, status))
        wait_s = LOCAL_S if database(self._root) else SERVER_S
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._tell(f"{public(uri(self._root))}: no answer within {wait_s:.0f} s")

    def _work(self) -> None:
        try:
            with refusals(uri(self._root)):
                self._send(client(self._root, SERVER_S))
        except Exception as error:  # the one place where nothing may come through: training goes on
            self._tell(next(iter(str(error).splitlines()), type(error).__name__))

    def _tell(self, reason: str) -> None:
        if not self._told:
            self._told = True
            sys.stderr.write(f"train {self._task}: {reason}; training goes on, the register stage publishes the run\n")

    def _send(self, client: "MlflowClient") -> None:
        from mlflow.entities import Metric

        run = self._open(client)
        if run is None:
            return
        run_id, known = run.info.run_id, logged_steps(client, run)
        for items in self._batches():
            steps = [item for item in items if isinstance(item, _Step)]
            metrics = [
                Metric(key, value, step.time_ms, step.epoch)
                for step in steps
                for key, value in step.metrics.items()
                if (key, step.epoch) not in known
            ]
            log_metrics(client, run_id, metrics)
            if isinstance(items[-1], _End):
                if items[-1].model_hash:
                    client.set_tag(run_id, "unroll.model_hash", items[-1].model_hash)
                client.set_terminated(run_id, items[-1].status)
                return

    def _open(self, client: "MlflowClient") -> "Run | None":
        experiment_id = experiment(client, self._root, self._task)
        runs = find_runs(client, experiment_id, "unroll.fingerprint", self._fingerprint)
        if any(run.info.status == "FINISHED" for run in runs):
            return None
        if runs:
            client.update_run(runs[0].info.run_id, status="RUNNING")
            return runs[0]
        run = create_run(client, experiment_id, self._root, self._task, self._fingerprint)
        client.set_tag(run.info.run_id, "unroll.epochs", str(self._total))
        log_params(client, run, self._params)
        return run

    def _batches(self) -> Iterator[list[_Step | _End]]:
        while True:
            items = [self._queue.get()]
            while not isinstance(items[-1], _End):
                try:
                    items.append(self._queue.get_nowait())
                except Empty:
                    break
            yield items
