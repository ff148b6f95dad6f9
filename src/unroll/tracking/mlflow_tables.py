"""MLflow's SQLite tables, read directly: a thousandth of the time that importing MLflow takes.

All SQL on MLflow's tables is here. It is written for one revision of their schema and refuses any other.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

from unroll.core.errors import TrackingError

T = TypeVar("T")
REVISION = "dc11669786a5"
"""Alembic's revision of the schema: that of MLflow 3.17."""
WAIT_S = 30.0
"""How long a reader waits for a writer."""
_ALIVE = "current_stage != 'Deleted_Internal'"
_NAMES = "SELECT name FROM registered_models ORDER BY name"
_CARRIERS = f"""
    SELECT name, version FROM registered_model_aliases JOIN model_versions USING (workspace, name, version)
    WHERE alias = ? AND {_ALIVE}
"""  # noqa: S608 - a constant
_VERSIONS = f"""
    SELECT version, run_id, creation_time, coalesce(storage_location, source) FROM model_versions
    WHERE name = ? AND {_ALIVE} ORDER BY version
"""  # noqa: S608
_VERSION_TAGS = "SELECT version, key, value FROM model_version_tags WHERE name = ?"
_ALIASES = "SELECT alias, version FROM registered_model_aliases WHERE name = ?"
_TAGS = "SELECT key, value FROM registered_model_tags WHERE name = ?"


class OtherSchemaError(Exception):
    """The store's schema is not ``REVISION``; MLflow's own client can read it."""


class VersionRow(NamedTuple):
    """A version of a registered model; ``location`` is where its files are."""

    number: int
    run_id: str
    created_ms: int
    tags: dict[str, str]
    location: str | None


class ModelRows(NamedTuple):
    """A registered model: its versions by number, which of them carries each alias, and its own tags."""

    versions: list[VersionRow]
    aliases: dict[str, int]
    tags: dict[str, str]


def read(path: Path, query: Callable[[sqlite3.Connection], T], empty: T) -> T:
    """Run one of the queries below, all of it on the store's state at one moment; ``empty`` where there is no store.

    Raises OtherSchemaError for another revision of the schema, TrackingError where the file cannot be read.
    """
    if not path.is_file():
        return empty
    try:
        with closing(_connect(path)) as connection:
            connection.execute("BEGIN")
            schema = _revision(connection)
            if schema is None:
                return empty
            if schema != REVISION:
                raise OtherSchemaError
            return query(connection)
    except sqlite3.OperationalError as error:
        raise TrackingError(f"{path}: {error}") from None
    except sqlite3.Error as error:
        raise TrackingError(f"{path}: {error}; expected MLflow's SQLite store") from None


def names(connection: sqlite3.Connection) -> list[str]:
    """The registered models."""
    return [str(name) for (name,) in connection.execute(_NAMES)]


def carriers(connection: sqlite3.Connection, alias: str) -> dict[str, int]:
    """The version that carries the alias, for each registered model that has one."""
    return {str(name): int(number) for name, number in connection.execute(_CARRIERS, (alias,))}


def model(connection: sqlite3.Connection, name: str) -> ModelRows:
    """One registered model; without versions, aliases and tags where there is none of that name."""
    version_tags: dict[int, dict[str, str]] = defaultdict(dict)
    for number, key, value in connection.execute(_VERSION_TAGS, (name,)):
        version_tags[int(number)][str(key)] = str(value)
    return ModelRows(
        [
            VersionRow(int(number), str(run_id or ""), int(created_ms), version_tags[int(number)], location)
            for number, run_id, created_ms, location in connection.execute(_VERSIONS, (name,))
        ],
        {str(alias): int(number) for alias, number in connection.execute(_ALIASES, (name,))},
        {str(key): str(value) for key, value in connection.execute(_TAGS, (name,))},
    )


def revision(path: Path) -> str | None:
    """The revision of a store's schema; None for a file without tables."""
    with closing(_connect(path)) as connection:
        return _revision(connection)


def user_version(path: Path) -> int:
    """The number that ``set_user_version`` left in the file, 0 where it left none; -1 where there is no file."""
    if not path.is_file():
        return -1
    try:
        with closing(_connect(path)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise TrackingError(f"{path}: {error}; expected MLflow's SQLite store") from None


def set_user_version(path: Path, number: int) -> None:
    """Leave a number in the header of the file, which MLflow does not use."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {number:d}")


def copy(path: Path, target: Path) -> None:
    """A consistent copy of a store that may be in use."""
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True, timeout=WAIT_S)


def _revision(connection: sqlite3.Connection) -> str | None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None
