"""A comparison in MLflow: one run that holds the others, each of which is one training."""

import time
import uuid
from pathlib import Path
from typing import Literal

from unroll.core.errors import TrackingError
from unroll.registry.publication import numbers
from unroll.tracking import groups, runs
from unroll.tracking.groups import Nested
from unroll.workbench.compare.grid import Grid, shown
from unroll.workbench.compare.jobs import SPLITS
from unroll.workbench.compare.summary import Comparison, Run
from unroll.workbench.compare.table_views import markdown
from unroll.workbench.compare.watching import Watching


class Group:
    """The comparison in MLflow: one run that holds the others. What fails on the way is shown, and tried again."""

    def __init__(self, grid: Grid, watching: Watching) -> None:
        self._grid, self._watching, self._root = grid, watching, grid.task.layout.root
        self._key, self._id = uuid.uuid4().hex, ""
        self._waiting: list[Nested] = []

    def start(self) -> None:
        """Open the run; raises TrackingError before anything is trained if the store is away."""
        grid = self._grid
        params = {sweep.key: ", ".join(map(shown, sweep.values)) for sweep in grid.sweeps}
        seeds = {"seeds": ", ".join(map(str, grid.seeds))}
        self._id = groups.start_group(self._root, grid.task.name, self._key, f"compare {grid.title}", params | seeds)

    def add(self, run: Run) -> None:
        """Add one run that has ended."""
        self._waiting.append(_nested(self._grid, run, self._key))
        try:
            self._send()
        except TrackingError as error:
            self._watching.note(f"not in MLflow yet: {error}")

    def finish(
        self, comparison: Comparison, status: Literal["FINISHED", "FAILED", "KILLED"], files: list[Path]
    ) -> None:
        """Close it, with the table as its description and the files; raises TrackingError if that fails."""
        if not self._id:
            return
        self._send()
        best, metric = comparison.best, comparison.headline
        metrics = {f"best/{split}/{metric}": best.mean(split, metric) for split in SPLITS} if best else {}
        groups.finish_group(self._root, self._id, status, numbers(metrics, ""), markdown(comparison), files)

    def _send(self) -> None:
        while self._waiting:
            groups.add_nested(self._root, self._grid.task.name, self._id, self._waiting[0])
            self._waiting.pop(0)


def _nested(grid: Grid, run: Run, key: str) -> Nested:
    task, trained = grid.at(run.point, run.seed), run.trained
    data = task.dataset()[1]
    blocks = {"prepare": task.prepare_config(), "model": task.model_config(), "train": task.train_config()}
    plain = {name: block.model_dump(mode="json") for name, block in blocks.items()}
    tags = {"unroll.point": run.point.name, "unroll.seed": str(run.seed)}
    metrics: dict[str, float] = {}
    if trained is None:
        tags["unroll.reason"] = run.reason[:5000]
    else:
        tags["unroll.device"] = trained.device
        metrics = {
            "model/parameters": trained.parameters, "model/epochs": len(trained.epochs),
            "model/best_epoch": trained.best_epoch, "seconds/train": trained.seconds,
        }  # fmt: skip
        for split, values in trained.scores.items():
            metrics |= numbers(values, f"{split}/")
    now = int(time.time() * 1000)
    return Nested(
        key=f"{key}/{run.point.number}/{run.seed}",
        name=f"{run.point.label}, seed {run.seed}",
        params=runs.flatten({"data": data.model_dump(mode="json") | {"source": task.source(data)}, **plain}),
        tags=tags,
        epochs={epoch: numbers(values, "") for epoch, values in trained.epochs.items()} if trained else {},
        metrics=metrics,
        started_ms=trained.started_ms if trained else now,
        ended_ms=trained.ended_ms if trained else now,
        status="FINISHED" if trained else "FAILED",
    )
