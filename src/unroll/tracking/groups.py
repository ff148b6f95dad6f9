"""A group of runs in MLflow, such as the trainings of a comparison: one run that holds the others."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unroll.tracking.backend import patiently
from unroll.tracking.runs import experiment, find_runs, log_params, log_steps, origin

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


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
        tags = {"mlflow.runName": nested.name, "mlflow.parentRunId": group_id, **nested.tags}
        run = _grouped(client, root, task, nested.key, tags, nested.started_ms)
        run_id = str(run.info.run_id)
        if run.info.status == "RUNNING":
            log_params(client, run, nested.params)
            log_steps(client, run, {**nested.epochs, 0: nested.metrics}, nested.ended_ms)
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
    """The run of that key, created if it is missing: a call that met SQLite's lock halfway is repeated."""
    experiment_id = experiment(client, root, task)
    for run in find_runs(client, experiment_id, "unroll.comparison", key):
        return run
    every = {"unroll.task": task, "unroll.comparison": key, **origin(root), **tags}
    return client.create_run(experiment_id, start_time=started_ms, tags=every)
