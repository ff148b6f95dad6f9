"""Comparisons made by hand, and jobs that a worker process can import."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from projects import SMALL, change_params

from unroll.core.errors import TrainingError
from unroll.workbench.compare.grid import Grid, plan
from unroll.workbench.compare.jobs import Trained
from unroll.workbench.compare.summary import Comparison, Run

ROOT = Path(__file__).resolve().parent.parent


def write_project(root: Path) -> Path:
    """A folder with this project's parameters, made small."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (root / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    change_params(
        root, {f"tasks.{t}.{b}.{k}": v for t, bs in SMALL.items() for b, vs in bs.items() for k, v in vs.items()}
    )
    return root


def trained(
    validation: float, test: float, seconds: float = 1.5, metrics: Sequence[str] = ("digit_accuracy",)
) -> Trained:
    """What a training came to, with that headline metric on the two parts."""
    epochs = {
        epoch: {
            "train_loss": 1 / epoch,
            "validation_loss": 1.2 / epoch,
            "validation_exact_match": validation * epoch / 3,
        }
        for epoch in (1, 2, 3)
    }
    others = dict.fromkeys(metrics, 0.5)
    scores = {"validation": {"exact_match": validation, **others}, "test": {"exact_match": test, **others}}
    return Trained(epochs, 3, scores, 1234, seconds, "cpu", "", 1_000_000, 1_002_000)


def compared(
    root: Path,
    given: Sequence[str],
    values: Mapping[int, Sequence[tuple[float, float] | str]],
    baseline: float | None = 0.2,
) -> Comparison:
    """A comparison of ``addition`` whose runs came to ``values``: by point, (validation, test) or why it failed."""
    seeds = max(len(runs) for runs in values.values())
    grid: Grid = plan(root, "addition", given, seeds)
    made = Comparison(grid, "1 thread each, 1 at a time on 2 processors")
    for number, runs in values.items():
        for seed, value in zip(grid.seeds, runs, strict=False):
            failed = isinstance(value, str)
            result = None if isinstance(value, str) else trained(*value, seconds=number + 1.0)
            made.runs.append(Run(grid.points[number], seed, result, str(value) if failed else ""))
    if baseline is not None:
        scores = {"exact_match": baseline, "digit_accuracy": 0.1}
        for number in values:
            made.baselines[number] = {"digit_chance": {"validation": scores, "test": scores}}
    return made


@dataclass(frozen=True)
class Try:
    """A job that does what its name says."""

    what: str

    def run(self, report: Callable[[Any], None]) -> Any:
        match self.what:
            case "tell":
                report("half")
                return os.getpid()
            case "refuse":
                raise TrainingError("epoch 1: loss nan")
            case "break":
                raise ValueError("a fault of ours")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                sys.exit(3)
            case "sleep":
                report(os.getpid())
                time.sleep(60)
            case "threads":
                return os.environ["OMP_NUM_THREADS"]
        raise AssertionError(self.what)
