import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
from mlflow.store.tracking.dbmodels.initial_models import Base
from trained_project import make

from unroll.core.errors import StoreError, TrackingError
from unroll.tracking import backend, runs
from unroll.tracking import live as live_runs
from unroll.tracking.live import LiveRun

FINGERPRINT = "f" * 64
PARAMS = {"train": {"seed": 1, "patience": None}, "model": {"cell": "lstm", "pooling": ["mean", "max"]}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "project").layout.root


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent_server() -> Iterator[str]:
    """It takes connections and never says a word, like an address behind a firewall that drops everything."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def runs_of(root: Path) -> list[Run]:
    client = MlflowClient(backend.uri(root))
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()]))


def history(root: Path, run: Run, key: str) -> list[tuple[int, float]]:
    found = MlflowClient(backend.uri(root)).get_metric_history(run.info.run_id, key)
    return sorted((metric.step, metric.value) for metric in found)


def wait_for_step(root: Path, key: str, step: int) -> None:
    for _ in range(200):
        if any(found[0] == step for run in runs_of(root) for found in history(root, run, key)):
            return
        time.sleep(0.05)
    raise AssertionError(f"{key} never reached step {step}")


def python(code: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_store_is_in_the_project_wherever_the_command_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert backend.uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other/runs.db")
    assert backend.uri(tmp_path) == f"sqlite:///{tmp_path}/other/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////srv/runs.db")
    assert backend.uri(tmp_path) == "sqlite:////srv/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert backend.uri(tmp_path) == "http://tracking:5000"
    assert backend.database(tmp_path) is None


def test_four_processes_create_one_store(tmp_path: Path) -> None:
    code = """
import sys; from pathlib import Path
from unroll.tracking import backend
backend.initialise(Path(sys.argv[1]))
"""
    started = [python(code, str(tmp_path)) for _ in range(4)]
    for process in started:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        assert said == ""
    client = MlflowClient(backend.uri(tmp_path))
    assert [e.name for e in client.search_experiments()] == ["Default"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_store_that_is_up_to_date_costs_no_import_of_mlflow(root: Path) -> None:
    code = """
import sys; from pathlib import Path
from unroll.tracking import backend
backend.initialise(Path(sys.argv[1]))
assert "mlflow" not in sys.modules
"""
    process = python(code, str(root))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said


def test_an_older_store_is_brought_up_to_date_and_keeps_what_it_has(tmp_path: Path) -> None:
    """As an MLflow before the last change of its schema left it."""
    where = backend.uri(tmp_path)
    engine, migrations = create_sqlalchemy_engine(where), _get_alembic_config(where)
    Base.metadata.create_all(engine)
    before = ScriptDirectory.from_config(migrations).get_revision("head").down_revision
    with engine.begin() as connection:
        migrations.attributes["connection"] = connection
        command.upgrade(migrations, before)
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as old:
        old.execute("INSERT INTO experiments (name, workspace, lifecycle_stage) VALUES ('mine', 'default', 'active')")
        old.commit()
        assert old.execute("SELECT version_num FROM alembic_version").fetchone() == (before,)
    backend.initialise(tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as new:
        assert new.execute("SELECT version_num FROM alembic_version").fetchone() != (before,)
    assert {e.name for e in MlflowClient(where).search_experiments()} == {"Default", "mine"}


def test_a_store_that_mlflow_itself_made_is_left_in_its_place(root: Path) -> None:
    path = root / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        made_for = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA user_version = 0")
    place = path.stat().st_ino
    backend.initialise(root)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == made_for
    assert path.stat().st_ino == place


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database, but long enough to be read as one" * 100, encoding="utf-8")
    with pytest.raises(
        TrackingError, match=re.escape(f"{tmp_path}/mlflow.db: file is not a database; expected MLflow")
    ):
        backend.initialise(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrackingError, match=r"file/mlflow\.db: no tracking store can be made"):
        backend.initialise(tmp_path / "file")


def test_a_live_run_has_the_epochs_and_is_found_by_its_model(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    live = LiveRun.start(root, "air_quality", FINGERPRINT, PARAMS, 3)
    for epoch in (1, 2, 3):
        live.log(epoch, {"train_loss": 1 / epoch, "validation_r2": epoch / 10})
    live.finish("a" * 64)
    (run,) = runs_of(root)
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "train.seed": "1", "train.patience": "null", "model.cell": "lstm", "model.pooling": '["mean", "max"]',
    }  # fmt: skip
    assert history(root, run, "train_loss") == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert run.data.tags["unroll.model_hash"] == "a" * 64
    assert run.data.tags["unroll.fingerprint"] == FINGERPRINT
    assert MlflowClient(backend.uri(root)).get_experiment(run.info.experiment_id).name == "air_quality"
    assert capfd.readouterr().err == ""


def test_a_killed_training_goes_on_in_its_run_without_double_steps(root: Path) -> None:
    killed = LiveRun.start(root, "air_quality", FINGERPRINT, PARAMS, 3)
    killed.log(1, {"loss": 3.0})
    killed.log(2, {"loss": 2.0})
    wait_for_step(root, "loss", 2)
    (first,) = runs_of(root)
    assert first.info.status == "RUNNING"

    live = LiveRun.start(root, "air_quality", FINGERPRINT, PARAMS, 3)
    live.log(2, {"loss": 2.0})
    live.log(3, {"loss": 1.0})
    live.finish("a" * 64)
    (run,) = runs_of(root)
    assert run.info.run_id == first.info.run_id
    assert run.info.status == "FINISHED"
    assert history(root, run, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_training_that_ended_badly_says_so_and_goes_on_in_its_run(
    root: Path, status: Literal["FAILED", "KILLED"]
) -> None:
    ended = LiveRun.start(root, "air_quality", FINGERPRINT, PARAMS, 3)
    ended.log(1, {"loss": 3.0})
    ended.finish(None, status)
    (first,) = runs_of(root)
    assert first.info.status == status
    assert "unroll.model_hash" not in first.data.tags

    live = LiveRun.start(root, "air_quality", FINGERPRINT, PARAMS, 3)
    live.log(2, {"loss": 2.0})
    wait_for_step(root, "loss", 2)
    assert runs_of(root)[0].info.status == "RUNNING"
    live.finish("a" * 64)
    (run,) = runs_of(root)
    assert (run.info.run_id, run.info.status) == (first.info.run_id, "FINISHED")
    assert run.data.tags["unroll.model_hash"] == "a" * 64
    assert history(root, run, "loss") == [(1, 3.0), (2, 2.0)]


def test_a_training_that_was_finished_makes_no_second_run(root: Path) -> None:
    for _ in range(2):
        live = LiveRun.start(root, "air_quality", FINGERPRINT, PARAMS, 1)
        live.log(1, {"loss": 3.0})
        live.finish("a" * 64)
    (run,) = runs_of(root)
    assert history(root, run, "loss") == [(1, 3.0)]


def test_other_parameters_make_a_run_of_their_own(root: Path) -> None:
    for fingerprint in ("e" * 64, "f" * 64):
        live = LiveRun.start(root, "air_quality", fingerprint, PARAMS, 1)
        live.finish(fingerprint)
    assert len(runs_of(root)) == 2


@pytest.mark.parametrize("server", ["closed_port", "silent_server"])
def test_a_server_that_is_away_does_not_hold_up_training(
    server: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue(server))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(live_runs, "SERVER_S", 1.0)
    started = time.monotonic()
    live = LiveRun.start(tmp_path, "air_quality", FINGERPRINT, PARAMS, 200)
    for epoch in range(200):
        live.log(epoch, {"loss": 1.0})
    assert time.monotonic() - started < 0.5
    live.finish("a" * 64)
    assert time.monotonic() - started < 3
    time.sleep(2.5)  # the probe of the silent server ends after finish has given up: it must not speak again
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("train air_quality: http://127.0.0.1:")
    assert line.endswith("training goes on, the register stage publishes the run")
    assert ("cannot be reached" if server == "closed_port" else "no answer within 1 s") in line


def test_publishing_to_a_server_that_is_away_fails_at_once_in_one_line(
    tmp_path: Path, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", closed_port.replace("//", "//me:secret@"))
    monkeypatch.setenv("no_proxy", "*")
    started = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        backend.patiently(tmp_path, lambda client: client.search_experiments())
    assert str(caught.value).startswith(f"{closed_port}: cannot be reached (")
    assert str(caught.value).endswith("); expected an MLflow server (MLFLOW_TRACKING_URI)")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 10


def test_a_locked_store_is_tried_again(root: Path) -> None:
    calls = []

    def busy(client: MlflowClient) -> str:
        calls.append(client)
        if len(calls) < 3:
            raise backend.BusyError("sqlite: database is locked")
        return "done"

    assert backend.patiently(root, busy) == "done"
    assert len(calls) == 3


def test_a_refusal_of_mlflow_is_one_line_that_names_the_store(root: Path) -> None:
    with pytest.raises(TrackingError, match=r"mlflow\.db: MLflow refused: .*no-such-run") as caught:
        backend.patiently(root, lambda client: client.get_run("no-such-run"))
    assert "\n" not in str(caught.value)


def test_the_hash_of_a_model_is_that_of_its_weights_and_configuration(root: Path) -> None:
    folder = root / "models" / "air_quality"
    before = runs.model_hash(folder)
    (folder / "history.csv").write_text("epoch\n", encoding="utf-8")
    assert runs.model_hash(folder) == before
    (folder / "config.json").write_bytes((folder / "config.json").read_bytes() + b" ")
    assert runs.model_hash(folder) != before
    (folder / "weights.safetensors").unlink()
    with pytest.raises(StoreError, match=r"weights\.safetensors: not there"):
        runs.model_hash(folder)
