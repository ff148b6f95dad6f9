"""What the model registry holds: the versions of each task's model, who carries which alias, and their tags.

An SQLite store is read directly: a thousandth of the time that it takes to import MLflow. Nothing is changed here.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from unroll.core.errors import ConfigError, TrackingError
from unroll.tracking import runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
WAIT_S = 30.0
"""How long a reader waits for one who writes."""
_MOST = 10_000
_NAMES = "SELECT name FROM registered_models ORDER BY name"
_VERSIONS = """
    SELECT version, run_id, creation_time, coalesce(storage_location, source) FROM model_versions
    WHERE name = ? AND current_stage != 'Deleted_Internal' ORDER BY version
"""


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
    path = runs.database(root)
    if path is None:
        return runs.patiently(
            root, lambda client: sorted(model.name for model in client.search_registered_models(max_results=1000))
        )
    return select(path, lambda found: [str(name) for (name,) in found.execute(_NAMES)], [])


def read(root: Path, task: str) -> Registered:
    """What the registry has of one task; nothing where it has none. Raises TrackingError where it cannot be read."""
    path = runs.database(root)
    if path is None:
        return runs.patiently(root, lambda client: _ask(client, task))
    return select(path, lambda found: _models(found, task), Registered(task))


def select(path: Path, call: Callable[[sqlite3.Connection], T], nothing: T) -> T:
    """What ``call`` reads of the SQLite store; ``nothing`` where there is none yet."""
    if not path.is_file():
        return nothing
    try:
        with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True, timeout=WAIT_S)) as connection:
            return call(connection)
    except sqlite3.OperationalError as error:
        if "no such" in str(error):  # a store without tables, or of another MLflow: it will be brought up to date
            return nothing
        raise TrackingError(f"{path}: {error}") from None
    except sqlite3.Error as error:
        raise TrackingError(f"{path}: {error}; expected MLflow's SQLite store") from None


def _models(connection: sqlite3.Connection, task: str) -> Registered:
    connection.execute("BEGIN")  # all of it as it was at one moment
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for number, key, value in connection.execute(
        "SELECT version, key, value FROM model_version_tags WHERE name = ?", (task,)
    ):
        tags[int(number)][str(key)] = str(value)
    aliases = connection.execute("SELECT alias, version FROM registered_model_aliases WHERE name = ?", (task,))
    own = connection.execute("SELECT key, value FROM registered_model_tags WHERE name = ?", (task,))
    versions = [
        Version(task, int(number), str(run_id or ""), int(created_ms), tags[int(number)], place)
        for number, run_id, created_ms, place in connection.execute(_VERSIONS, (task,))
    ]
    return Registered(
        task,
        versions,
        {str(alias): int(number) for alias, number in aliases},
        {str(key): str(value) for key, value in own},
    )


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
