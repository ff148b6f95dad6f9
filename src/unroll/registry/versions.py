"""Where the files of a registered model lie: those of a task's champion, of one version, or of a folder that is named.

What answers from a model asks here, so that it loads what the registry means and nothing else: the files are held
against the hash that the version carries. They are JSON and safetensors; whatever lies beside them is not looked at.
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
from unroll.registry.snapshot import Version
from unroll.tracking import backend, runs

CHAMPION = "champion"
ALIASES = (CHAMPION, "challenger")
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Located:
    """A model's folder with ``config.json`` and ``weights.safetensors``; ``version`` is None for a folder named."""

    folder: Path
    version: int | None
    model_hash: str
    reader: Path | None = None
    """How a task on files of one's own reads them, where that came with the model."""


def locate(root: Path, task: str, which: str) -> Located:
    """The model that ``which`` means: ``champion``, ``challenger``, a version's number, or the path of a folder.

    Raises TrackingError where the registry has no such version, StoreError where its files are gone or not those that
    were registered, ConfigError for a ``which`` that is none of these.

    >>> locate(Path("project"), "poetry", "champion").version  # doctest: +SKIP
    1
    """
    if which in ALIASES:
        there = snapshot.read(root, task)
        found = there.find(there.aliases.get(which))
        if found is None:
            raise TrackingError(_without(root, task, which))
        return registered(root, found)
    if _NUMBER.fullmatch(which):
        return _numbered(root, task, int(which))
    folder = Path(which)
    if not which or not folder.is_dir():
        raise ConfigError(
            f"{which!r}: no such folder; expected {CHAMPION}, challenger, a version's number or the folder of a model"
        )
    return Located(folder, None, runs.model_hash(folder))


def choose(root: Path, task: str, which: str | None) -> Located:
    """As ``locate``; where nothing is asked for the champion, or what was trained here last where there is none."""
    if which is not None:
        return locate(root, task, which)
    version = snapshot.champions(root).get(task)
    if version is not None:
        return _numbered(root, task, version)
    folder = Layout(root, task).model
    if not folder.is_dir():
        raise StoreError(f"{folder}: not there; {task} is not trained yet (run: unroll repro {task})")
    return Located(folder, None, runs.model_hash(folder))


def describe(task: str, which: str | None, found: Located) -> str:
    """One line that says which model it is that answers.

    >>> describe("poetry", None, Located(Path("a"), 3, ""))
    'poetry: the champion, version 3'
    """
    if found.version is None:
        return f"{task}: {found.folder}" + ("; the registry has no champion" if which is None else "")
    alias = which or CHAMPION
    return f"{task}: {f'the {alias}, ' if alias in ALIASES else ''}version {found.version}"


def _without(root: Path, task: str, alias: str) -> str:
    where = backend.public(backend.uri(root))
    advice = f"run: unroll repro {task}, or name another with --model VERSION or --model models/{task}"
    expected = {CHAMPION: "a model that its gate has let through"}.get(alias, "a model that its gate has held back")
    return f"{where}: {task} has no {alias}; expected {expected} ({advice})"


def _numbered(root: Path, task: str, number: int) -> Located:
    there = snapshot.read(root, task)
    found = there.find(number)
    if found is None:
        where, known = backend.public(backend.uri(root)), ", ".join(str(each.number) for each in there.versions)
        raise TrackingError(f"{where}: {task} has no version {number}; expected one of: {known or 'none yet'}")
    return registered(root, found)


def registered(root: Path, version: Version) -> Located:
    """The version's files, which must be those that were registered; raises as ``locate``."""
    task, wanted, named = version.task, version.model_hash, f"{version.task} version {version.number}"
    if not wanted:
        raise TrackingError(f"{named}: it has no tag unroll.model_hash; expected a version that Unroll registered")
    location = version.place or _place(root, version)
    folder = _folder(root, task, version.number, location)
    if folder is None or not all((folder / name).is_file() for name in runs.MODEL_FILES):
        raise StoreError(
            f"{folder or location}: not there, or not whole; expected the files of {named} (bring them back, or name "
            "another model)"
        )
    seen = runs.model_hash(folder)
    if seen != wanted:
        raise StoreError(f"{folder}: its hash is {seen[:12]}…; expected {wanted[:12]}…, as {named} was registered")
    return Located(folder, version.number, wanted, _reader(folder.parent / READER, version, named))


def _reader(path: Path, version: Version, named: str) -> Path | None:
    """How its files are read, which must be as it was registered; one that came without is not given one."""
    wanted = version.tags.get(READER_TAG)
    if not wanted:
        return None
    if not path.is_file():
        raise StoreError(f"{path}: not there; expected the reader of {named}")
    if (seen := reader_hash(store.read_json(path))) != wanted:
        raise StoreError(f"{path}: its hash is {seen[:12]}…; expected {wanted[:12]}…, as {named} was registered")
    return path


def _place(root: Path, version: Version) -> str:
    """Where a server keeps the files of a version."""
    name, number = version.task, str(version.number)
    return backend.patiently(root, lambda client: str(client.get_model_version_download_uri(name, number)))


def _folder(root: Path, task: str, version: int, location: str) -> Path | None:
    """Where the files lie on this machine; those of a server are brought here, once. None where they are gone."""
    parts, inner = urlsplit(location), Path("artifacts") / task
    if parts.scheme not in ("", "file"):
        return _brought(root, task, version, location) / inner
    path = unquote(parts.path)
    own = root.resolve() / "mlartifacts" / path.rpartition("/mlartifacts/")[2].lstrip("/")
    places = (own / inner, Path(path) / inner)  # a project that was moved or copied took its files along
    return next((folder for folder in places if folder.is_dir()), None)


def _brought(root: Path, task: str, version: int, location: str) -> Path:
    """The model's files, fetched from where a server keeps them into ``.unroll``."""
    from filelock import FileLock

    name = f"{version}-{hashlib.sha256(location.encode()).hexdigest()[:12]}"
    folder = Layout(root, task).state / "registry" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{name}.lock")):
        if not folder.is_dir():
            with store.atomic_folder(folder) as target:
                backend.download(root, f"{location.rstrip('/')}/artifacts", target)
    return folder
