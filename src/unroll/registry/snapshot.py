"""What MLflow's registry holds of a task at one moment: versions, aliases and tags. Decisions are made on this alone.

An SQLite store is read directly, a server through MLflow's client. Nothing is changed here.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from unroll.core.errors import ConfigError
from unroll.tracking import backend, mlflow_tables

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
CHAMPION, CHALLENGER = "champion", "challenger"
_MOST = 10_000


class Evaluation(NamedTuple):
    """The score that a version had when it was evaluated, and the fingerprint of the test rows."""

    rows: str
    score: float


class Version(NamedTuple):
    """One registered model."""

    task: str
    number: int
    run_id: str
    created_ms: int
    tags: Mapping[str, str]
    location: str | None = None
    """The address of its files, where the store says it; a server is asked for it."""

    @property
    def model_hash(self) -> str:
        """Of its weights and its configuration; empty for one that Unroll did not register."""
        return self.tags.get("unroll.model_hash", "")

    def evaluation(self, metric: str) -> Evaluation | None:
        """Its evaluation in that metric; None for a version without one."""
        try:
            return Evaluation(self.tags[f"unroll.rows.{metric}"], float(self.tags[f"unroll.score.{metric}"]))
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True)
class Snapshot:
    """All models of one task. ``tags`` are those of the registered model itself, ``aliases`` name versions."""

    task: str
    versions: Sequence[Version] = ()
    aliases: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def champion(self) -> Version | None:
        """The version in use."""
        return self.find(self.aliases.get(CHAMPION))

    def find(self, number: int | None) -> Version | None:
        """The version of that number, if there is one."""
        return next((version for version in self.versions if version.number == number), None)

    def require(self, number: int) -> Version:
        """The version of that number, or ConfigError that names the existing ones."""
        version = self.find(number)
        if version is None:
            raise ConfigError(f"{self.task}: there is no version {number}; expected one of {self.numbers()}")
        return version

    def numbers(self) -> str:
        """The numbers of all versions, for a message."""
        return ", ".join(str(version.number) for version in self.versions) or "none"

    def aliases_of(self, version: Version) -> list[str]:
        """The aliases that the version carries."""
        return sorted(alias for alias, number in self.aliases.items() if number == version.number)


def names(root: Path) -> list[str]:
    """The tasks that have registered models."""

    def ask(client: "MlflowClient") -> list[str]:
        return sorted(model.name for model in client.search_registered_models(max_results=1000))

    return _read(root, mlflow_tables.names, ask, [])


def champions(root: Path) -> dict[str, int]:
    """The champion's version of each task that has one; an SQLite store answers in about a millisecond.

    >>> champions(Path("project"))  # doctest: +SKIP
    {'air_quality': 3, 'poetry': 1}
    """

    def ask(client: "MlflowClient") -> dict[str, int]:
        carriers: dict[str, int] = {}
        page = client.search_registered_models()
        while True:
            carriers |= {model.name: int(model.aliases[CHAMPION]) for model in page if CHAMPION in model.aliases}
            if not page.token:
                return carriers
            page = client.search_registered_models(page_token=page.token)

    return _read(root, lambda tables: mlflow_tables.carriers(tables, CHAMPION), ask, {})


def read(root: Path, task: str) -> Snapshot:
    """What the registry has of one task, empty where it has nothing; raises TrackingError if it cannot be read."""

    def from_tables(tables: sqlite3.Connection) -> Snapshot:
        rows = mlflow_tables.model(tables, task)
        return Snapshot(task, [Version(task, *row) for row in rows.versions], rows.aliases, rows.tags)

    return _read(root, from_tables, lambda client: _ask(client, task), Snapshot(task))


def require(root: Path, task: str) -> Snapshot:
    """As ``read``; raises ConfigError for a task without registered models."""
    known = names(root)
    if task not in known:
        raise ConfigError(f"{task}: no registered model; expected one of {', '.join(known) or 'none, so far'}")
    return read(root, task)


def _read(
    root: Path, from_tables: Callable[[sqlite3.Connection], T], ask: "Callable[[MlflowClient], T]", empty: T
) -> T:
    """From an SQLite store's tables where their schema is the known one, else through MLflow's client."""
    path = backend.database(root)
    if path is not None:
        with suppress(mlflow_tables.OtherSchemaError):
            return mlflow_tables.read(path, from_tables, empty)
    return backend.patiently(root, ask)


def _ask(client: "MlflowClient", task: str) -> Snapshot:
    if not any(model.name == task for model in client.search_registered_models(f"name = '{task}'")):
        return Snapshot(task)
    model = client.get_registered_model(task)  # a search does not return the aliases
    versions = [
        Version(task, int(each.version), str(each.run_id or ""), int(each.creation_timestamp or 0), dict(each.tags))
        for each in client.search_model_versions(f"name = '{task}'", max_results=_MOST)
    ]
    versions.sort(key=lambda version: version.number)
    return Snapshot(task, versions, {alias: int(n) for alias, n in model.aliases.items()}, dict(model.tags))
