"""The run of a training that is under way: epochs are sent to MLflow by a thread of their own."""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from unroll.tracking.backend import client, database, public, refusals, uri
from unroll.tracking.runs import create_run, experiment, find_runs, flatten, log_metrics, log_params, logged_steps

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SERVER_S, LOCAL_S = 5.0, 20.0
"""How long ``LiveRun.finish`` waits for what is still to be sent: a server may be gone, a disk is only slow."""


class _Step(NamedTuple):
    time_ms: int
    epoch: int
    metrics: Mapping[str, float]


class _End(NamedTuple):
    model_hash: str | None
    status: str


class LiveRun:
    """Epochs on their way to MLflow while a network trains.

    A thread of its own sends them in batches. It cannot stop or slow the training: a failure is reported in one line on
    stderr, and the run is made or completed from files later. A run is known by the fingerprint of what is trained: a
    training that failed or was killed continues its run, one that was finished makes no second run.
    """

    def __init__(self, root: Path, task: str, fingerprint: str, params: Mapping[str, Any], total: int) -> None:
        self._root, self._task, self._fingerprint = root, task, fingerprint
        self._params, self._total = flatten(params), total
        self._queue: SimpleQueue[_Step | _End] = SimpleQueue()
        self._reported = False
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
            self._report(f"{public(uri(self._root))}: no answer within {wait_s:.0f} s")

    def _work(self) -> None:
        try:
            with refusals(uri(self._root)):
                self._send(client(self._root, SERVER_S))
        except Exception as error:  # the one place where nothing may come through: training goes on
            self._report(next(iter(str(error).splitlines()), type(error).__name__))

    def _report(self, reason: str) -> None:
        if not self._reported:
            self._reported = True
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
