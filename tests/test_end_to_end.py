"""The whole pipeline on small data, through DVC as a person runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from projects import SMALL, STAGES, TASKS, change_params, own_code, run, run_cli

pytestmark = pytest.mark.slow
METRICS = {
    "air_quality": ("r2", "rmse", "mae", "skill"),
    "household_power": ("accuracy", "macro_f1"),
    "tweets": ("accuracy", "macro_f1"),
    "poetry": ("bits_per_character", "perplexity"),
    "addition": ("exact_match", "digit_accuracy"),
}
BASELINES = {
    "air_quality": {"persistence", "seasonal_naive"},
    "household_power": {"majority", "nearest_neighbour"},
    "tweets": {"majority"},
    "poetry": {"unigram", "ngram"},
    "addition": {"digit_chance"},
}
OUTPUTS = (
    "data/raw/{}/table.parquet",
    "data/raw/{}/manifest.json",
    "data/validated/{}/table.parquet",
    "data/rejected/{}/rows.csv",
    "data/prepared/{}/meta.json",
    "models/{}/weights.safetensors",
    "models/{}/config.json",
    "models/{}/history.csv",
    "reports/{}/validation.json",
    "reports/{}/prepared.json",
    "reports/{}/metrics.json",
    "reports/{}/model_card.md",
    "reports/{}/figures/learning_curves.png",
    "reports/{}/learning_curves.csv",
    "reports/{}/tables/comparison.csv",
)


def dvc(root: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return run(root, sys.executable, "-m", "dvc", *arguments, **{**own_code(root), **environment})


def stale(root: Path) -> set[str]:
    """The stages that DVC would run beside the fingerprints, which it always takes."""
    return {name for name in json.loads(dvc(root, "status", "--json").stdout) if not name.startswith("fingerprint@")}


@pytest.fixture(scope="module")
def project(reproduced: Path) -> Path:
    """The shared small project, with everything made; tests leave it as it was."""
    return reproduced / "project"


@pytest.mark.parametrize("task", SMALL)
def test_every_stage_has_left_its_outputs(project: Path, task: str) -> None:
    missing = [name.format(task) for name in OUTPUTS if not (project / name.format(task)).is_file()]
    assert missing == []


@pytest.mark.parametrize("task", SMALL)
def test_metrics_hold_the_test_scores_and_the_baselines_with_intervals(project: Path, task: str) -> None:
    metrics = json.loads((project / f"reports/{task}/metrics.json").read_text())
    assert BASELINES[task] <= set(metrics["baselines"])
    for scores in (metrics["test"], *(metrics["baselines"][name] for name in BASELINES[task])):
        for name in METRICS[task]:
            assert {name, f"{name}_low", f"{name}_high"} <= set(scores)
    for name in METRICS[task]:
        scores = metrics["test"]
        assert scores[f"{name}_low"] <= scores[name] <= scores[f"{name}_high"]


def test_every_task_has_a_registered_model(project: Path) -> None:
    for task in SMALL:
        gate = json.loads((project / f"reports/{task}/gate.json").read_text())
        assert gate["version"] == 1
        assert gate["alias"] == ("champion" if gate["passed"] else "challenger")


def test_the_command_told_each_stage_and_ended_with_the_table(reproduced: Path) -> None:
    told = (reproduced / "repro.txt").read_text()
    for task in SMALL:
        for stage in STAGES:
            assert f"{task}: {stage}\n" in told
        assert f"{task}: done in " in told
    assert "Results on the test part" in told
    assert "model_card.md" in told


def test_a_second_repro_does_nothing_and_says_so(project: Path) -> None:
    again = run_cli(project, "repro")
    assert again.returncode == 0, again.stderr
    assert "nothing to do: every stage is up to date" in again.stdout
    assert again.stderr == ""
    before = (project / "dvc.lock").read_bytes()
    plain = dvc(project, "repro")
    assert (project / "dvc.lock").read_bytes() == before
    assert plain.stdout.count("didn't change, skipping") == len(STAGES) * len(TASKS)


AGAIN = """
import runpy, sys
for task in sys.argv[1:]:
    for stage in ("train", "evaluate"):
        sys.argv = ["", task]
        runpy.run_path(f"pipelines/{stage}.py", run_name="__main__")
"""


def test_again_networks_and_scores_come_out_the_same_whatever_the_threads_progress_and_store(project: Path) -> None:
    """The stages that compute; that those before give the same bytes again is tested with each of them.

    dvc.yaml names neither what shows progress nor what sends it to the tracking store: no output may depend on them.
    """
    outputs = (
        "models/{}/weights.safetensors",
        "models/{}/config.json",
        "models/{}/history.csv",
        "reports/{}/metrics.json",
    )
    before = {name.format(task): (project / name.format(task)).read_bytes() for task in SMALL for name in outputs}
    environment = {**os.environ, **own_code(project), "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    environment |= {"UNROLL_PROGRESS": "quiet", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "no_proxy": "*"}
    tasks, started = list(SMALL), time.time()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", AGAIN, *half],
            cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for half in (tasks[::2], tasks[1::2])
    ]  # fmt: skip
    told = "".join(process.communicate()[0] for process in runs)
    assert [process.returncode for process in runs] == [0, 0], told
    assert all((project / name).stat().st_mtime > started for name in before)
    assert {name: (project / name).read_bytes() for name in before} == before
    assert stale(project) == set()


def test_an_empty_tracking_store_is_filled_without_running_a_stage(project: Path, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    filled = run_cli(project, "repro", MLFLOW_TRACKING_URI=other)
    assert filled.returncode == 0, filled.stderr
    assert "nothing to do" in filled.stdout
    assert all(f"{task}: published as " in filled.stderr for task in SMALL)
    assert run_cli(project, "publish", MLFLOW_TRACKING_URI=other).stdout == ""


def test_dvc_shows_metrics_and_plots(project: Path, tmp_path: Path) -> None:
    shown = json.loads(dvc(project, "metrics", "show", "--json").stdout)[""]["data"]
    assert {f"reports/{task}/metrics.json" for task in SMALL} <= set(shown)
    plots = json.loads(dvc(project, "plots", "show", "--json", "--out", str(tmp_path)).stdout)
    assert set(plots) == {"data"}  # there would be errors too
    pictures = {path.relative_to(project).as_posix() for path in project.glob("reports/*/figures/*.png")}
    curves = {f"reports/{task}/learning_curves.csv" for task in SMALL}
    assert set(plots["data"]) == pictures | curves
    assert all(sum(f"/{task}/" in path for path in pictures) > 3 for task in SMALL)
    for name in curves:
        assert len(plots["data"][name][0]["content"]["data"]["values"]) > 1, name


def test_a_parameter_changes_only_what_reads_it(project: Path) -> None:
    kept = {name: (project / name).read_bytes() for name in ("params.yaml", "dvc.lock")}
    change_params(project, {"tasks.addition.gate.threshold": 0.5})
    status = stale(project)
    for name, content in kept.items():
        (project / name).write_bytes(content)
    assert status == {"register@addition"}


def test_a_killed_training_goes_on_to_the_same_bytes(project: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(project, root, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts", "reports"))
    changes = {"epochs": 50, "patience": None, "threads": 2}
    change_params(root, {f"tasks.addition.train.{key}": value for key, value in changes.items()})
    assert dvc(root, "repro", "train@addition").returncode == 0
    expected = {path.name: path.read_bytes() for path in (root / "models/addition").iterdir()}
    shutil.rmtree(root / "models/addition")

    command = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item", "train@addition"]
    environment = {**os.environ, **own_code(root)}
    process = subprocess.Popen(command, cwd=root, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    checkpoint = root / ".unroll/addition/checkpoint.safetensors"
    until = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    assert not (root / "models/addition").exists()

    resumed = dvc(root, "repro", "--force", "--single-item", "train@addition", UNROLL_PROGRESS="plain")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "epoch 50/50" in resumed.stderr
    assert "epoch 1/50" not in resumed.stderr
    assert {path.name: path.read_bytes() for path in (root / "models/addition").iterdir()} == expected


def test_a_failing_task_keeps_what_it_had_and_the_others_finish(project: Path) -> None:
    kept = {name: (project / name).read_bytes() for name in ("params.yaml", "dvc.lock")}
    weights = (project / "models/addition/weights.safetensors").read_bytes()
    hopeless = {"optimizer": "sgd", "schedule": "constant", "learning_rate": 1e38, "clip_norm": None}
    change_params(project, {f"tasks.addition.train.{key}": value for key, value in hopeless.items()})
    change_params(project, {"tasks.poetry.gate.threshold": 99.0})
    failed = run_cli(project, "repro", "addition", "poetry")
    for name, content in kept.items():
        (project / name).write_bytes(content)
    assert failed.returncode == 1
    assert "addition: train failed: epoch 1: loss " in failed.stderr
    assert "poetry: done in " in failed.stderr
    assert (project / "models/addition/weights.safetensors").read_bytes() == weights
    assert run_cli(project, "repro", "addition").returncode == 0
