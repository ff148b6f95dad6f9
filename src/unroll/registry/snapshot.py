"""What the model registry holds: the versions of each task's model, who carries which alias, and their tags.

An SQLite store is read directly: a thousandth of the time that it takes to import MLflow. Nothing is changed here.
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
_MOST = 10_000


class Version(NamedTuple):
    """One registered model."""

    task: str
    number: int
    run_id: str
    created_ms: int
    tags: Mapping[str, str]
    place: str | None = None
    """The address of its files, where the store says it; of a server they are asked for."""

    @property
    def model_hash(self) -> str:
        """Of its weights and its configuration; empty for one that Unroll has not registered."""
        return self.tags.get("unroll.model_hash", "")


@dataclass(frozen=True)
class Registered:
    """All models of one task. ``tags`` are those of the registered model itself, ``aliases`` name versions."""

    task: str
    versions: Sequence[Version] = ()
    aliases: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def champion(self) -> Version | None:
        """The version in use."""
        return self.find(self.aliases.get("champion"))

    def find(self, number: int | None) -> Version | None:
        """The version of that number, if there is one."""
        return next((version for version in self.versions if version.number == number), None)

    def require(self, number: int) -> Version:
        """The version of that number, or ConfigError that names those there are."""
        found = self.find(number)
        if found is None:
            there = ", ".join(str(version.number) for version in self.versions) or "none"
            raise ConfigError(f"{self.task}: there is no version {number}; expected one of {there}")
        return found


def names(root: Path) -> list[str]:
    """The tasks that have registered models."""
    return _read(
        root,
        mlflow_tables.names,
        lambda client: sorted(model.name for model in client.search_registered_models(max_results=1000)),
        [],
    )


def read(root: Path, task: str) -> Registered:
    """What the registry has of one task; nothing where it has none. Raises TrackingError where it cannot be read."""

    def from_tables(store: sqlite3.Connection) -> Registered:
        rows = mlflow_tables.model(store, task)
        return Registered(task, [Version(task, *row) for row in rows.versions], rows.aliases, rows.tags)

    return _read(root, from_tables, lambda client: _ask(client, task), Registered(task))


def champions(root: Path) -> dict[str, int]:
    """The version that is champion of each task that has one; an SQLite store answers in about a millisecond.

    >>> champions(Path("project"))  # doctest: +SKIP
    {'air_quality': 3, 'poetry': 1}
    """

    def ask(client: "MlflowClient") -> dict[str, int]:
        champions: dict[str, int] = {}
        page = client.search_registered_models()
        while True:
            champions |= {model.name: int(model.aliases["champion"]) for model in page if "champion" in model.aliases}
            if not page.token:
                return champions
            page = client.search_registered_models(page_token=page.token)

    return _read(root, lambda store: mlflow_tables.carriers(store, "champion"), ask, {})


def _read(
    root: Path, from_tables: Callable[[sqlite3.Connection], T], ask: "Callable[[MlflowClient], T]", empty: T
) -> T:
    """From an SQLite store's tables where their schema is known, else through MLflow's client."""
    path = backend.database(root)
    if path is not None:
        with suppress(mlflow_tables.OtherSchemaError):
            return mlflow_tables.read(path, from_tables, empty)
    return backend.patiently(root, ask)


def _ask(client: "MlflowClient", task: str) -> Registered:
    found = [model for model in client.search_registered_models(f"name = '{task}'") if model.name == task]
    if not found:
        return Registered(task)
    model = client.get_registered_model(task)  # a search does not tell the aliases
    versions = [
        Version(task, int(each.version), str(each.run_id or ""), int(each.creation_timestamp or 0), dict(each.tags))
        for each in client.search_model_versions(f"name = '{task}'", max_results=_MOST)
    ]
    versions.sort(key=lambda version: version.number)
    aliases = {str(alias): int(number) for alias, number in model.aliases.items()}
    return Registered(task, versions, aliases, dict(model.tags))
