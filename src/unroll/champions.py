"""Where the files of a registered model lie: those of a task's champion, of one version, or of a folder that is named.

What answers from a model asks here, so that it loads what the registry means and nothing else: the files are held
against the hash that the version carries. They are JSON and safetensors; whatever lies beside them is not looked at.
"""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from unroll import store, tracking, tracking_store
from unroll.errors import ConfigError, StoreError, TrackingError
from unroll.store import Layout

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
ALIASES = (CHAMPION, "challenger")
_ALIASED = """
    SELECT name, version FROM registered_model_aliases JOIN model_versions USING (workspace, name, version)
    WHERE alias = ? AND current_stage != 'Deleted_Internal'
"""
_VERSION = """
    SELECT coalesce(storage_location, source), value FROM model_versions
    LEFT JOIN model_version_tags hash
    ON hash.workspace = model_versions.workspace AND hash.name = model_versions.name
    AND hash.version = model_versions.version AND hash.key = 'unroll.model_hash'
    WHERE model_versions.name = ? AND model_versions.version = ? AND current_stage != 'Deleted_Internal'
"""
_VERSIONS = """
    SELECT version FROM model_versions WHERE name = ? AND current_stage != 'Deleted_Internal' ORDER BY version
"""
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Located:
    """A model's folder with ``config.json`` and ``weights.safetensors``; ``version`` is None for a folder named."""

    folder: Path
    version: int | None
    model_hash: str


def champions(root: Path) -> dict[str, int]:
    """The version that is champion of each task that has one; an SQLite store answers in about a millisecond.

    >>> champions(Path("project"))  # doctest: +SKIP
    {'air_quality': 3, 'poetry': 1}
    """
    return _aliased(root, CHAMPION)


def locate(root: Path, task: str, which: str) -> Located:
    """The model that ``which`` means: ``champion``, ``challenger``, a version's number, or the path of a folder.

    Raises TrackingError where the registry has no such version, StoreError where its files are gone or not those that
    were registered, ConfigError for a ``which`` that is none of these.

    >>> locate(Path("project"), "poetry", "champion").version  # doctest: +SKIP
    1
    """
    if which in ALIASES:
        version = _aliased(root, which).get(task)
        if version is None:
            raise TrackingError(_without(root, task, which))
        return _registered(root, task, version)
    if _NUMBER.fullmatch(which):
        return _registered(root, task, int(which))
    folder = Path(which)
    if not which or not folder.is_dir():
        raise ConfigError(
            f"{which!r}: no such folder; expected {CHAMPION}, challenger, a version's number or the folder of a model"
        )
    return Located(folder, None, tracking.model_hash(folder))


def _without(root: Path, task: str, alias: str) -> str:
    where = tracking_store.public(tracking.uri(root))
    advice = f"run: unroll repro {task}, or name another with --model VERSION or --model models/{task}"
    return f"{where}: {task} has no {alias}; expected a model that its gate has let through ({advice})"


def _registered(root: Path, task: str, version: int) -> Located:
    """The version's files, which must be those that were registered."""
    found = _version(root, task, version)
    if found is None:
        where, there = tracking_store.public(tracking.uri(root)), ", ".join(map(str, _versions(root, task)))
        raise TrackingError(f"{where}: {task} has no version {version}; expected one of: {there or 'none yet'}")
    (location, wanted), named = found, f"{task} version {version}"
    if not wanted:
        raise TrackingError(f"{named}: it has no tag unroll.model_hash; expected a version that Unroll registered")
    folder = _folder(root, task, location, wanted)
    if folder is None:
        raise StoreError(
            f"{location}: not there; expected the files of {named} (bring them back, or name another model)"
        )
    seen = tracking.model_hash(folder)
    if seen != wanted:
        raise StoreError(f"{folder}: its hash is {seen[:12]}…; expected {wanted[:12]}…, as {named} was registered")
    return Located(folder, version, wanted)


def _folder(root: Path, task: str, location: str, model_hash: str) -> Path | None:
    """Where the files lie on this machine; those of a server are brought here, once. None where they are gone."""
    parts, inner = urlsplit(location), Path("artifacts") / task
    if parts.scheme not in ("", "file"):
        return _brought(root, task, location, model_hash)
    path = unquote(parts.path)
    moved = root.resolve() / "mlartifacts" / path.rpartition("/mlartifacts/")[2].lstrip("/")
    places = (Path(path) / inner, moved / inner)  # a project that was moved or copied took its files along
    return next((folder for folder in places if folder.is_dir()), None)


def _brought(root: Path, task: str, location: str, model_hash: str) -> Path:
    """The two files of a model, fetched from where a server keeps them into ``.unroll``."""
    from filelock import FileLock

    folder = Layout(root, task).state / "registry" / model_hash
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{model_hash}.lock")):
        if not folder.is_dir() or tracking.model_hash(folder) != model_hash:
            with store.atomic_folder(folder) as target:
                for name in tracking.MODEL_FILES:
                    tracking_store.download(root, f"{location.rstrip('/')}/artifacts/{task}/{name}", target)
    return folder


def _aliased(root: Path, alias: str) -> dict[str, int]:
    path = tracking.database(root)
    if path is not None:
        return {str(name): int(version) for name, version in _ask(path, _ALIASED, (alias,))}

    def ask(client: "MlflowClient") -> dict[str, int]:
        found: dict[str, int] = {}
        page = client.search_registered_models()
        while True:
            found |= {model.name: int(model.aliases[alias]) for model in page if alias in model.aliases}
            if not page.token:
                return found
            page = client.search_registered_models(page_token=page.token)

    return tracking.patiently(root, ask)


def _version(root: Path, task: str, version: int) -> tuple[str, str | None] | None:
    """Where the version's files are, and the hash it carries; None where there is no such version."""
    path = tracking.database(root)
    if path is not None:
        return next(((str(place), tag) for place, tag in _ask(path, _VERSION, (task, version))), None)

    def ask(client: "MlflowClient") -> tuple[str, str | None] | None:
        for found in client.search_model_versions(f"name = '{task}'"):
            if int(found.version) == version:
                return client.get_model_version_download_uri(task, str(version)), found.tags.get("unroll.model_hash")
        return None

    return tracking.patiently(root, ask)


def _versions(root: Path, task: str) -> list[int]:
    path = tracking.database(root)
    if path is not None:
        return [int(version) for (version,) in _ask(path, _VERSIONS, (task,))]
    found = tracking.patiently(root, lambda client: client.search_model_versions(f"name = '{task}'"))
    return sorted(int(each.version) for each in found)


def _ask(path: Path, sql: str, values: Sequence[Any]) -> list[Any]:
    """Rows of MLflow's SQLite store, asked directly: a thousandth of the time that it takes to import MLflow."""
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)) as connection:
            return connection.execute(sql, values).fetchall()
    except sqlite3.OperationalError as error:
        if "no such" in str(error):  # a store without tables, or of another MLflow: it has no champion yet
            return []
        raise TrackingError(f"{path}: {error}") from None
    except sqlite3.Error as error:
        raise TrackingError(f"{path}: {error}; expected MLflow's SQLite store") from None
