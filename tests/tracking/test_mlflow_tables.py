"""The SQL on MLflow's tables: it fits the installed MLflow, and says what MLflow's client says."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from mlflow import MlflowClient
from mlflow.store.db.utils import _get_alembic_config

from unroll.core.errors import TrackingError
from unroll.registry import snapshot
from unroll.tracking import backend, mlflow_tables

USED = {
    "alembic_version": {"version_num"},
    "registered_models": {"name", "workspace"},
    "registered_model_tags": {"name", "workspace", "key", "value"},
    "registered_model_aliases": {"name", "workspace", "alias", "version"},
    "model_versions": {
        "name", "workspace", "version", "run_id", "creation_time", "current_stage", "source", "storage_location",
    },
    "model_version_tags": {"name", "workspace", "version", "key", "value"},
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with two models: one of three versions, the last of them deleted, and one without any."""
    backend.initialise(tmp_path)
    client = MlflowClient(backend.uri(tmp_path))
    for name in ("tweets", "empty"):
        client.create_registered_model(name)
    for number in ("1", "2", "3"):
        client.create_model_version("tweets", f"file:///models/{number}", tags={"of": number})
    client.delete_model_version("tweets", "3")
    client.set_registered_model_alias("tweets", "champion", "2")
    client.set_registered_model_alias("tweets", "challenger", "1")
    client.set_registered_model_tag("tweets", "note", "x")
    return tmp_path


def set_revision(root: Path, value: str) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (value,))


def test_the_installed_mlflow_has_the_schema_that_the_queries_are_written_for(root: Path) -> None:
    """If this fails after an upgrade of MLflow: check the queries against the new tables, then change ``REVISION``."""
    head = ScriptDirectory.from_config(_get_alembic_config(backend.uri(root))).get_current_head()
    assert head == mlflow_tables.REVISION == mlflow_tables.revision(root / "mlflow.db")
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        for table, columns in USED.items():
            there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            assert columns <= there, table


def test_the_tables_say_what_the_client_says(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def everything() -> list[Any]:
        return [snapshot.names(root), snapshot.champions(root)] + [
            [read.aliases, read.tags, [version._replace(location=None) for version in read.versions]]
            for read in (snapshot.read(root, name) for name in ("tweets", "empty", "none"))
        ]

    direct = everything()
    assert direct[:2] == [["empty", "tweets"], {"tweets": 2}]
    assert [version.number for version in direct[2][2]] == [1, 2]
    monkeypatch.setattr(backend, "database", lambda root: None)
    assert everything() == direct


def test_a_store_of_another_schema_is_left_to_mlflow(root: Path, tmp_path: Path) -> None:
    set_revision(root, "0123456789ab")
    with pytest.raises(mlflow_tables.OtherSchemaError):
        mlflow_tables.read(root / "mlflow.db", mlflow_tables.names, [])
    assert snapshot.names(root) == ["empty", "tweets"]  # through the client


def test_without_a_store_there_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    assert (mlflow_tables.read(path, mlflow_tables.names, []), mlflow_tables.user_version(path)) == ([], -1)
    path.touch()
    assert (mlflow_tables.read(path, mlflow_tables.names, []), mlflow_tables.revision(path)) == ([], None)


def test_a_locked_store_is_busy_and_another_fault_is_not(root: Path) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(backend.BusyError, match="MLflow refused"), backend.refusals(backend.uri(root)):
            _raise_as_mlflow_does(root, "DELETE FROM registered_models")
    with pytest.raises(TrackingError) as caught, backend.refusals(backend.uri(root)):
        _raise_as_mlflow_does(root, "DELETE FROM nowhere")
    assert not isinstance(caught.value, backend.BusyError)


def _raise_as_mlflow_does(root: Path, statement: str) -> None:
    """MLflow waits 20 seconds for a lock; this is its session with a shorter wait."""
    import sqlalchemy as sql
    from mlflow.store.db.utils import _get_managed_session_maker

    engine = sql.create_engine(backend.uri(root), connect_args={"timeout": 0.1})
    make_session = _get_managed_session_maker(sql.orm.sessionmaker(bind=engine), "other than sqlite")
    with make_session(read_only=False) as session:
        session.execute(sql.text(statement))
