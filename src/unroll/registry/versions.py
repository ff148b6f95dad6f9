"""Where the files of a registered model are: those of a task's champion, of one version, or of a given folder.

Serving and prediction load models through this module. The files are checked against the hash that the version
carries. They are JSON and safetensors; other files beside them are ignored.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from unroll.core import store
from unroll.core.errors import ConfigError, StoreError, TrackingError
from unroll.core.layout import Layout
from unroll.model.trained import READER, READER_TAG, reader_hash
from unroll.registry import snapshot
from unroll.registry.snapshot import CHALLENGER, CHAMPION, Version
from unroll.tracking import backend, runs

__all__ = ["CHAMPION", "Located", "choose", "describe", "locate", "registered"]

ALIASES = {CHAMPION: "a model that has passed its gate", CHALLENGER: "a model that its gate has held back"}
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Located:
    """A model's folder with ``config.json`` and ``weights.safetensors``; ``version`` is None for a given folder."""

    folder: Path
    version: int | None
    model_hash: str
    reader: Path | None = None
    """How a task on the user's own files reads them, if that came with the model."""


def locate(root: Path, task: str, which: str) -> Located:
    """The model that ``which`` means: ``champion``, ``challenger``, a version's number, or the path of a folder.

    Raises TrackingError if the registry has no such version, StoreError if its files are gone or not those that were
    registered, ConfigError for any other ``which``.

    >>> locate(Path("project"), "poetry", "champion").version  # doctest: +SKIP
    1
    """
    if which in ALIASES:
        current = snapshot.read(root, task)
        version = current.find(current.aliases.get(which))
        if version is None:
            raise TrackingError(
                f"{backend.public(backend.uri(root))}: {task} has no {which}; expected {ALIASES[which]} "
                f"(run: unroll repro {task}, or name another with --model VERSION or --model models/{task})"
            )
        return registered(root, version)
    if _NUMBER.fullmatch(which):
        return _numbered(root, task, int(which))
    folder = Path(which)
    if not which or not folder.is_dir():
        raise ConfigError(
            f"{which!r}: no such folder; expected {CHAMPION}, {CHALLENGER}, a version's number or the folder of a model"
        )
    return Located(folder, None, runs.model_hash(folder))


def choose(root: Path, task: str, which: str | None) -> Located:
    """As ``locate``; for None the champion, or the model that was trained here last if there is no champion."""
    if which is not None:
        return locate(root, task, which)
    number = snapshot.champions(root).get(task)
    if number is not None:
        return _numbered(root, task, number)
    folder = Layout(root, task).model
    if not folder.is_dir():
        raise StoreError(f"{folder}: not there; {task} is not trained yet (run: unroll repro {task})")
    return Located(folder, None, runs.model_hash(folder))


def describe(task: str, which: str | None, located: Located) -> str:
    """One line that says which model is in use.

    >>> describe("poetry", None, Located(Path("a"), 3, ""))
    'poetry: the champion, version 3'
    """
    if located.version is None:
        return f"{task}: {located.folder}" + ("; the registry has no champion" if which is None else "")
    alias = which or CHAMPION
    return f"{task}: {f'the {alias}, ' if alias in ALIASES else ''}version {located.version}"


def registered(root: Path, version: Version) -> Located:
    """The version's files, which must be those that were registered; raises as ``locate``."""
    task, name = version.task, f"{version.task} version {version.number}"
    if not version.model_hash:
        raise TrackingError(f"{name}: it has no tag unroll.model_hash; expected a version that Unroll registered")
    location = version.location or backend.patiently(
        root, lambda client: str(client.get_model_version_download_uri(task, str(version.number)))
    )
    folder = _folder(root, version, location)
    if folder is None or not all((folder / file).is_file() for file in runs.MODEL_FILES):
        raise StoreError(
            f"{folder or location}: not there, or not whole; expected the files of {name} (bring them back, or name "
            "another model)"
        )
    _require_hash(folder, runs.model_hash(folder), version.model_hash, name)
    return Located(folder, version.number, version.model_hash, _reader(folder.parent / READER, version, name))


def _numbered(root: Path, task: str, number: int) -> Located:
    current = snapshot.read(root, task)
    version = current.find(number)
    if version is None:
        where = backend.public(backend.uri(root))
        known = current.numbers() if current.versions else "none yet"
        raise TrackingError(f"{where}: {task} has no version {number}; expected one of: {known}")
    return registered(root, version)


def _reader(path: Path, version: Version, name: str) -> Path | None:
    """How the model's files are read, as it was registered; None for a version that was registered without."""
    registered_hash = version.tags.get(READER_TAG)
    if not registered_hash:
        return None
    if not path.is_file():
        raise StoreError(f"{path}: not there; expected the reader of {name}")
    _require_hash(path, reader_hash(store.read_json(path)), registered_hash, name)
    return path


def _require_hash(path: Path, seen: str, expected: str, name: str) -> None:
    if seen != expected:
        raise StoreError(f"{path}: its hash is {seen[:12]}…; expected {expected[:12]}…, as {name} was registered")


def _folder(root: Path, version: Version, location: str) -> Path | None:
    """Where the files are on this machine; those of a server are fetched once. None if they are gone."""
    parts, inner = urlsplit(location), Path("artifacts") / version.task
    if parts.scheme not in ("", "file"):
        return _fetched(root, version, location) / inner
    path = unquote(parts.path)
    own = root.resolve() / "mlartifacts" / path.rpartition("/mlartifacts/")[2].lstrip("/")
    places = (own / inner, Path(path) / inner)  # a project that was moved or copied took its files along
    return next((folder for folder in places if folder.is_dir()), None)


def _fetched(root: Path, version: Version, location: str) -> Path:
    """The model's files, fetched from a server into ``.unroll``."""
    from filelock import FileLock

    name = f"{version.number}-{hashlib.sha256(location.encode()).hexdigest()[:12]}"
    folder = Layout(root, version.task).state / "registry" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{name}.lock")):
        if not folder.is_dir():
            with store.atomic_folder(folder) as target:
                backend.download(root, f"{location.rstrip('/')}/artifacts", target)
    return folder
