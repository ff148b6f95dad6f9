"""What a run of a comparison comes to is what the pipeline comes to, whether a model is trained, mixed or solved."""

import json
from pathlib import Path

import numpy as np
import pytest

from unroll.problems.common.base import Prepared
from unroll.problems.windows import arrays
from unroll.stages.common.task import Task
from unroll.workbench.compare.jobs import Training


def silent(_: tuple[int, float]) -> None:
    """Nobody listens."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["household_power", "air_quality"])  # experts mixed at the end; bands calibrated there
def test_a_run_scores_what_evaluate_found(reproduced: Path, name: str) -> None:
    root = reproduced / "project"
    task = Task.open(root, name)
    found = Training(0, task.train_config().seed, task, task.layout.prepared).run(silent)
    metrics = json.loads((task.layout.reports / "metrics.json").read_text(encoding="utf-8"))
    assert {key: pytest.approx(value, rel=1e-5) for key, value in found.scores["test"].items()} == {
        key: metrics["test"][key] for key in found.scores["test"]
    }


@pytest.mark.slow
def test_a_classical_model_is_solved_and_judged(reproduced: Path) -> None:
    root = reproduced / "project"
    own = Task.open(root, "air_quality")
    model = {"kind": "ar", "order": 1, "criterion": "aic"}
    task = Task(own.name, own.params.replaced({"tasks.air_quality.model": model}), own.layout)
    found = Training(0, 1, task, own.layout.prepared).run(silent)
    assert (list(found.epochs), found.best_epoch, found.parameters) == ([1], 1, 0)

    prepared = Prepared.load(own.layout.prepared)
    target_T = arrays.target(prepared)
    train_N, test_N = (arrays.last_rows(prepared, split) for split in ("train", "test"))
    slope, shift = np.polyfit(target_T[train_N], target_T[train_N + 1], 1)
    error_N = target_T[test_N + 1] - (shift + slope * target_T[test_N])
    assert found.scores["test"]["rmse"] == pytest.approx(np.sqrt(np.mean(error_N**2)), rel=1e-3)
