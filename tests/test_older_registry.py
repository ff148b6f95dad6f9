"""A registry that version 0.1 made (commit feebee2): its models load, answer, serve, and are challenged as any other.

``older_registry.tar.xz`` is what ``unroll repro`` left there of a small project with a task of each problem: MLflow's
store, the registered models with the code of that version beside them, its parameters, an input for each task, and the
answers that ``unroll predict`` of that version gave to it. ``/PROJECT`` stands where the project's folder stood.
"""

import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
from projects import ROOT, copy_project, own_code, run, run_cli

TASKS = ("air_quality", "household_power", "tweets", "poetry", "addition", "rising")
PLACES = {
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "experiments": "artifact_location",
    "model_versions": "storage_location",
}
pytestmark = pytest.mark.slow


def unpack(root: Path) -> None:
    """Put the older registry and its parameters into a project."""
    with tarfile.open(ROOT / "tests" / "older_registry.tar.xz") as archive:
        archive.extractall(root, filter="data")
    with sqlite3.connect(root / "mlflow.db") as store:
        for table, column in PLACES.items():
            store.execute(f"UPDATE {table} SET {column} = replace({column}, '/PROJECT', ?)", (str(root),))
    store.close()
    for path in root.glob("mlartifacts/*/models/*/artifacts/MLmodel"):
        path.write_text(path.read_text(encoding="utf-8").replace("/PROJECT", str(root)), encoding="utf-8")


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("older") / "project"
    copy_project(root)
    unpack(root)
    return root


@pytest.mark.parametrize("task", TASKS)
def test_a_champion_answers_as_it_did(older: Path, tmp_path: Path, task: str) -> None:
    done = run_cli(older, "predict", task, f"examples/{task}.csv", "--output", str(tmp_path / "answers.csv"))
    assert done.returncode == 0, done.stderr
    assert f"{task}: the champion, version 1" in done.stderr
    answers, before = pd.read_csv(tmp_path / "answers.csv"), pd.read_csv(older / "answers" / f"{task}.csv")
    pd.testing.assert_frame_equal(answers, before, rtol=1e-4, atol=1e-5)


def test_its_history_is_there(older: Path) -> None:
    listed = run_cli(older, "registry", "list", COLUMNS="200")
    assert listed.returncode == 0, listed.stderr
    assert all(task in listed.stdout for task in TASKS)
    history = run_cli(older, "registry", "history", "tweets", COLUMNS="200")
    assert history.returncode == 0, history.stderr
    assert "promoted" in history.stdout


def test_the_server_takes_all_of_them_up(older: Path) -> None:
    command = [sys.executable, "-m", "unroll", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=older, env={**os.environ, **own_code(older)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # fmt: skip
        try:
            assert process.stdout
            where = process.stdout.readline().split(" at ")[1].strip()
            wait_until_ready(where)
            examples = pd.read_csv(older / "examples" / "tweets.csv").to_dict("records")
            question = json.dumps({"records": examples}).encode()
            request = urllib.request.Request(
                f"{where}v1/tweets/predict", question, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request) as answer:
                labels = [each["label"] for each in json.load(answer)["answers"]]
            assert labels == pd.read_csv(older / "answers" / "tweets.csv")["label"].tolist()
        finally:
            process.kill()


def test_a_model_made_now_is_judged_beside_an_older_champion(tmp_path: Path) -> None:
    root = tmp_path / "project"
    copy_project(root)
    unpack(root)
    weights = "models/*/artifacts/artifacts/rising/weights.safetensors"
    (before,) = [path.read_bytes() for path in root.glob(f"mlartifacts/rising/{weights}")]
    done = run_cli(root, "repro", "rising")
    assert done.returncode == 0, done.stdout + done.stderr
    gate = json.loads((root / "reports" / "rising" / "gate.json").read_text(encoding="utf-8"))
    assert (root / "models" / "rising" / "weights.safetensors").read_bytes() == before
    assert (gate["version"], gate["alias"]) == (2, "champion"), "the same weights and score under the code of today"


@pytest.mark.parametrize("first", ["mlflow", "unroll.serving"])
def test_mlflow_loads_it_alone_and_where_the_code_of_today_is_loaded(older: Path, first: str) -> None:
    script = (
        f"import {first}\n"
        "import mlflow, pandas as pd\n"
        "model = mlflow.pyfunc.load_model('models:/tweets@champion')\n"
        "print(model.predict(pd.read_csv('examples/tweets.csv')).to_csv(index=False))\n"
    )
    store = f"sqlite:///{older / 'mlflow.db'}"
    done = run(older, sys.executable, "-c", script, MLFLOW_TRACKING_URI=store, **own_code(older))
    assert done.returncode == 0, done.stderr
    answers, before = pd.read_csv(io.StringIO(done.stdout)), pd.read_csv(older / "answers" / "tweets.csv")
    pd.testing.assert_frame_equal(answers, before, rtol=1e-4, atol=1e-5)


def wait_until_ready(where: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{where}readyz") as answer:
                assert json.load(answer)["ready"]
            return
        except urllib.error.HTTPError:  # 503: still loading
            time.sleep(0.2)
    pytest.fail("the server did not become ready")
