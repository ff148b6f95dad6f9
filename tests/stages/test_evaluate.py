"""What evaluate writes, checked against numbers computed here from the same points."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import BLOCK, POINTS, TASK, Measuring, line, write_trained

from unroll import problems
from unroll.core import store
from unroll.core.errors import DataError
from unroll.core.layout import Layout
from unroll.core.scores import Scores
from unroll.model.trained import Trained
from unroll.problems.common.base import Prepared
from unroll.stages.common import entry
from unroll.stages.common.task import Task
from unroll.stages.evaluate import evaluate


@pytest.fixture(autouse=True)
def _line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "load", lambda name: line())


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_trained(tmp_path)


def evaluated(layout: Layout) -> dict[str, Any]:
    evaluate.evaluate(Task.open(layout.root, TASK))
    return dict(store.read_json(layout.reports / "metrics.json"))


def errors(layout: Layout, weight: float = 1.9) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors of the line and of the constant 0."""
    x, y = np.load(layout.prepared / "x.npy").astype(float), np.load(layout.prepared / "y.npy").astype(float)
    return (weight * x - y) ** 2, y**2


def test_metrics_of_model_and_baselines(layout: Layout) -> None:
    metrics = evaluated(layout)
    ours, constant = errors(layout)
    assert {k: metrics[k] for k in ("task", "problem", "headline", "examples")} == {
        "task": TASK, "problem": "line", "headline": "mse", "examples": POINTS,
    }  # fmt: skip
    assert metrics["test"]["mse"] == pytest.approx(ours.mean(), rel=1e-5)
    assert metrics["baselines"]["constant"]["mse"] == pytest.approx(constant.mean(), rel=1e-5)
    assert metrics["baselines"]["near_truth"]["mse"] == pytest.approx(1e-6, rel=1e-3)
    assert metrics["test"]["mse_low"] < metrics["test"]["mse"] < metrics["test"]["mse_high"]
    halves = metrics["groups"]["by_side"]
    assert {side: found["count"] for side, found in halves.items()} == {"left": POINTS // 2, "right": POINTS // 2}
    assert halves["left"]["mse"] == pytest.approx(ours[: POINTS // 2].mean(), rel=1e-5)
    for side in halves.values():
        assert side["mse_low"] < side["mse"] < side["mse_high"]


def test_what_is_undefined_is_null_and_never_nan(layout: Layout) -> None:
    metrics = evaluated(layout)
    assert metrics["test"]["undefined"] is None
    assert metrics["test"]["undefined_low"] is None
    assert "NaN" not in (layout.reports / "metrics.json").read_text()


def test_advantage_is_drawn_in_pairs_and_positive_where_the_model_is_better(layout: Layout) -> None:
    """The mean of a difference has the textbook standard error of block means; unpaired it would be far wider."""
    advantage = evaluated(layout)["advantage"]["constant"]
    ours, constant = errors(layout)
    blocks = (constant - ours).reshape(-1, BLOCK).mean(axis=1)
    half = 1.96 * blocks.std(ddof=1) / np.sqrt(len(blocks))
    assert advantage["mse"] == pytest.approx(blocks.mean(), rel=1e-5)
    assert advantage["mse_low"] == pytest.approx(blocks.mean() - half, abs=0.2 * half)
    assert advantage["mse_high"] == pytest.approx(blocks.mean() + half, abs=0.2 * half)


def test_a_shift_common_to_both_falls_out_of_the_advantage(layout: Layout) -> None:
    trained, prepared = Trained.load(layout.model), Prepared.load(layout.prepared)
    noise = np.random.default_rng(0).gamma(1.0, size=200)
    hard = Scores(np.stack([np.ones(200), noise, np.zeros(200)], axis=1), BLOCK)
    harder = Scores(hard.statistics_NK + np.array([0, 0.25, 0]), BLOCK)
    found = evaluate.advantage(trained, hard, harder)
    assert [found["mse"], found["mse_low"], found["mse_high"]] == pytest.approx([0.25] * 3)
    assert prepared.meta == trained.meta


def test_same_inputs_give_the_same_bytes(layout: Layout, tmp_path: Path) -> None:
    evaluated(layout)
    first = {path.name: path.read_bytes() for path in layout.reports.rglob("*") if path.is_file()}
    evaluated(layout)
    again = {path.name: path.read_bytes() for path in layout.reports.rglob("*") if path.is_file()}
    assert set(first) == {
        "metrics.json", "model_card.md", "comparison.csv", "comparison.png", "learning_curves.csv",
        "learning_curves.png", "learning_metric.csv", "learning_metric.png", "points.csv", "points.png",
    }  # fmt: skip
    assert first == again
    elsewhere = write_trained(tmp_path / "elsewhere")
    evaluated(elsewhere)
    assert first == {path.name: path.read_bytes() for path in elsewhere.reports.rglob("*") if path.is_file()}


def test_timing_is_noted_outside_the_reports(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(layout)
    assert not (layout.state / "timings.json").exists()  # what measures is the entry point, the same for all stages
    monkeypatch.setattr(sys, "argv", ["evaluate.py", TASK])
    monkeypatch.setattr("unroll.core.layout.project_root", lambda: layout.root)
    entry.main(evaluate.evaluate)
    assert list(json.loads((layout.state / "timings.json").read_text())) == ["evaluate"]


def test_a_model_of_other_data_is_refused(layout: Layout) -> None:
    store.write_json(layout.prepared / "meta.json", {"examples": {"test": 1}})
    with pytest.raises(DataError, match=re.escape("meta is not that of")) as caught:
        evaluated(layout)
    assert "\n" not in str(caught.value)
    assert not layout.reports.exists()


def test_a_baseline_on_other_rows_is_a_fault(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Scores(np.ones((POINTS - 1, 3)), BLOCK)
    monkeypatch.setattr(Measuring, "baselines", lambda *_: {"short": short})
    with pytest.raises(ValueError, match="baseline short"):
        evaluated(layout)


def test_dvc_reads_the_metrics(layout: Layout) -> None:
    evaluated(layout)
    root = layout.root
    commands = [["init", "--no-scm", "-q"], ["metrics", "show", "--json", f"reports/{TASK}/metrics.json"]]
    for command in commands:
        done = subprocess.run([sys.executable, "-m", "dvc", *command], cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    (files,) = [revision["data"] for revision in json.loads(done.stdout).values()]
    shown = files[f"reports/{TASK}/metrics.json"]["data"]
    metrics = store.read_json(layout.reports / "metrics.json")
    assert shown["test"]["mse"] == metrics["test"]["mse"]
    assert shown["groups"]["by_side"]["left"]["count"] == POINTS // 2
    table = subprocess.run(
        [sys.executable, "-m", "dvc", "metrics", "show", "--md", f"reports/{TASK}/metrics.json"],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "baselines.constant.mse_low" in table
