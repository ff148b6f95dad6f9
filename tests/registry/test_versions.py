"""What ``champion``, a version and a path mean, held against MLflow's own client and against the files themselves."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from trained_project import METRICS, NAME, make, write_model

from unroll.core import store
from unroll.core.errors import ConfigError, StoreError, TrackingError
from unroll.registry import publication, register, snapshot, versions
from unroll.stages.common.task import Task
from unroll.tracking import backend, runs


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a champion, version 1, and a challenger, version 2; the model folder holds a third one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        root: Path = tmp_path_factory.mktemp("champions") / "project"
        task = make(root)
        register.register(task, publication.publish(task))
        write_model(task, 2)
        store.write_json(task.layout.reports / "metrics.json", METRICS | {"test": {"r2": 0.6}})
        register.register(task, publication.publish(task))
        write_model(task, 3)
    return root


@pytest.fixture
def root(registered: Path, tmp_path: Path) -> Path:
    """A copy, whose store still names the places of the first one, which is away."""
    copy = tmp_path / "moved" / "project"
    shutil.copytree(registered, copy)
    with closing(sqlite3.connect(copy / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE model_versions SET storage_location = replace(storage_location, ?, ?)",
                           (registered.as_uri(), "file:///gone/away"))  # fmt: skip
    return copy


def sql(root: Path, statement: str) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as connection, connection:
        connection.execute(statement)


def weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def test_each_way_of_naming_a_model(registered: Path) -> None:
    found = {which: versions.locate(registered, NAME, which) for which in ("champion", "challenger", "1", "2")}
    assert {which: each.version for which, each in found.items()} == {
        "champion": 1, "challenger": 2, "1": 1, "2": 2,
    }  # fmt: skip
    client = MlflowClient(backend.uri(registered))
    for which in ("1", "2"):
        version = client.get_model_version(NAME, which)
        assert found[which].model_hash == version.tags["unroll.model_hash"] == runs.model_hash(found[which].folder)
    assert found["champion"] == found["1"]
    assert weights(found["1"].folder) != weights(found["2"].folder)
    path = str(registered / "models" / NAME)
    named = versions.locate(registered, NAME, path)
    assert (named.folder, named.version) == (Path(path), None)
    assert named.model_hash not in {found["1"].model_hash, found["2"].model_hash}


def test_a_project_that_was_moved_finds_its_own_files(registered: Path, root: Path) -> None:
    found = versions.locate(root, NAME, "champion")
    assert found.folder.is_relative_to(root)
    assert weights(found.folder) == weights(versions.locate(registered, NAME, "champion").folder)


def test_the_champions_are_those_of_the_client(registered: Path, root: Path) -> None:
    told = MlflowClient(backend.uri(registered)).get_registered_model(NAME).aliases
    assert snapshot.champions(registered) == {NAME: int(told["champion"])} == {NAME: 1}
    MlflowClient(backend.uri(root)).set_registered_model_alias(NAME, "champion", "2")
    assert snapshot.champions(root) == {NAME: 2}
    MlflowClient(backend.uri(root)).delete_registered_model_alias(NAME, "champion")
    assert snapshot.champions(root) == {}


def test_asking_is_fast_and_takes_nothing_heavy(registered: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from unroll.registry import versions\n"
        f"versions.locate(Path({str(registered)!r}), {NAME!r}, 'champion')\n"
        "print(sorted(set(sys.modules) & {'mlflow', 'torch', 'pandas', 'sqlalchemy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "[]\n"
    started = time.monotonic()
    for _ in range(20):
        snapshot.champions(registered)
    assert (time.monotonic() - started) / 20 < 0.05


def test_without_a_champion_it_is_said_how_to_get_one(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TrackingError, match=r"mlflow\.db: poetry has no champion; .*run: unroll repro poetry, .*--model"
    ):
        versions.locate(root, "poetry", "champion")
    with pytest.raises(TrackingError, match=r"poetry has no challenger; expected a model that its gate has held back"):
        versions.locate(root, "poetry", "challenger")
    assert snapshot.champions(tmp_path) == {}
    assert not (tmp_path / "mlflow.db").exists()
    (tmp_path / "mlflow.db").touch()
    assert snapshot.champions(tmp_path) == {}


def test_a_version_that_is_not_there_is_told_with_those_that_are(root: Path) -> None:
    with pytest.raises(TrackingError, match=rf"{NAME} has no version 7; expected one of: 1, 2$"):
        versions.locate(root, NAME, "7")
    with pytest.raises(TrackingError, match=r"poetry has no version 1; expected one of: none yet$"):
        versions.locate(root, "poetry", "1")
    MlflowClient(backend.uri(root)).delete_model_version(NAME, "2")
    with pytest.raises(TrackingError, match=rf"{NAME} has no version 2; expected one of: 1$"):
        versions.locate(root, NAME, "2")


@pytest.mark.parametrize("which", ["winner", "1.5", "nowhere/at/all", "-1", "9" * 40, "", "models:/x@champion"])
def test_what_names_no_model_is_refused(root: Path, which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "models")
    with pytest.raises(ConfigError, match="no such folder; expected champion, challenger, a version's number or the"):
        versions.locate(root, NAME, which)


def test_a_folder_without_a_model_is_told(root: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"config\.json: not there"):
        versions.locate(root, NAME, str(tmp_path))


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json"])
def test_files_that_are_not_those_registered_are_refused(root: Path, name: str) -> None:
    path = versions.locate(root, NAME, "champion").folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(
        StoreError, match=rf"its hash is [0-9a-f]{{12}}…; expected [0-9a-f]{{12}}…, as {NAME} version 1"
    ):
        versions.locate(root, NAME, "champion")
    assert versions.locate(root, NAME, "2").version == 2


def test_files_that_are_gone_are_told(root: Path) -> None:
    shutil.rmtree(versions.locate(root, NAME, "champion").folder)
    with pytest.raises(
        StoreError, match=rf"file:///gone/away/.*: not there, or not whole; expected the files of {NAME} version 1 \("
    ):
        versions.locate(root, NAME, "champion")


def test_a_version_that_others_made_is_refused(root: Path) -> None:
    sql(root, "DELETE FROM model_version_tags WHERE key = 'unroll.model_hash' AND version = 1")
    with pytest.raises(
        TrackingError, match=rf"{NAME} version 1: it has no tag unroll\.model_hash; expected a version th"
    ):
        versions.locate(root, NAME, "champion")


def test_a_store_that_is_none_is_told_in_one_line(root: Path) -> None:
    (root / "mlflow.db").write_text("no database, but long enough to be read as one" * 100, encoding="utf-8")
    with pytest.raises(
        TrackingError, match=r"mlflow\.db: file is not a database; expected MLflow's SQLite store"
    ) as told:
        snapshot.champions(root)
    assert "\n" not in str(told.value)


def test_a_store_that_is_asked_through_its_client(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task.open(root, NAME)
    with_sqlite = {which: versions.locate(root, NAME, which) for which in ("champion", "challenger", "2")}
    monkeypatch.setattr(backend, "database", lambda root: None)
    assert {which: versions.locate(root, NAME, which) for which in with_sqlite} == with_sqlite
    assert snapshot.champions(root) == {NAME: 1}
    with pytest.raises(TrackingError, match=rf"{NAME} has no version 7; expected one of: 1, 2$"):
        versions.locate(root, NAME, "7")
    with pytest.raises(TrackingError, match="poetry has no champion"):
        versions.locate(root, "poetry", "champion")
    assert task.layout.model.is_dir()


def test_without_a_choice_it_is_the_champion_else_what_was_trained_here(registered: Path, root: Path) -> None:
    found = versions.choose(registered, NAME, None)
    assert found == versions.locate(registered, NAME, "champion")
    assert versions.describe(NAME, None, found) == f"{NAME}: the champion, version 1"
    assert versions.describe(NAME, "2", versions.choose(registered, NAME, "2")) == f"{NAME}: version 2"
    MlflowClient(backend.uri(root)).delete_registered_model_alias(NAME, "champion")
    found, folder = versions.choose(root, NAME, None), root / "models" / NAME
    assert (found.folder, found.version) == (folder, None)
    assert versions.describe(NAME, None, found) == f"{NAME}: {folder}; the registry has no champion"
    shutil.rmtree(folder)
    with pytest.raises(StoreError, match=rf"models/{NAME}: not there; {NAME} is not trained yet \(run: unroll repro"):
        versions.choose(root, NAME, None)


@pytest.mark.slow
def test_a_server_that_keeps_the_files_hands_them_out_once(
    registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    task = make(root)
    with mlflow_server(tmp_path / "server") as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        assert snapshot.champions(root) == {}
        register_the_files_alone(task, url)
        assert snapshot.champions(root) == {NAME: 1}
        found = versions.locate(root, NAME, "champion")
        assert found.folder.is_relative_to(task.layout.state)
        assert weights(found.folder) == weights(task.layout.model)
        with pytest.raises(TrackingError, match=rf"{url}: {NAME} has no version 7; expected one of: 1$"):
            versions.locate(root, NAME, "7")
        stamp = (found.folder / "config.json").stat().st_mtime_ns
        assert versions.locate(root, NAME, "1") == found
        assert (found.folder / "config.json").stat().st_mtime_ns == stamp
        (found.folder / "config.json").write_text("{}", encoding="utf-8")
        with pytest.raises(StoreError, match="its hash is"):
            versions.locate(root, NAME, "1")
    with pytest.raises(TrackingError, match="cannot be reached"):
        snapshot.champions(root)


def register_the_files_alone(task: Task, url: str) -> None:
    """As ``registry.register`` leaves them, without the code, whose files take a minute to send."""
    client = MlflowClient(url)
    run_id = client.create_run("0").info.run_id
    client.log_artifacts(run_id, str(task.layout.model), f"model/artifacts/{NAME}")
    client.create_registered_model(NAME)
    tags = {"unroll.model_hash": runs.model_hash(task.layout.model)}
    client.create_model_version(NAME, f"runs:/{run_id}/model", run_id, tags)
    client.set_registered_model_alias(NAME, "champion", "1")


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A tracking server with a store and artifacts of its own."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/store.db", "--artifacts-destination", str(folder / "kept")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        await_answer(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(30)


def await_answer(url: str) -> None:
    until = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)
