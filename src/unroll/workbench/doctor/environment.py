"""What a project needs around it: Python, packages, room on the disk, git, DVC, a tracking store."""

import fcntl
import importlib.metadata
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unroll.core.errors import TrackingError
from unroll.core.text import few
from unroll.tracking import backend
from unroll.workbench.doctor.findings import Finding, fault, fine, note, size

LEAST_FREE, LITTLE_FREE = 200e6, 2e9
SHOWN = 6
_PINNED = re.compile(r"([A-Za-z0-9._-]+)==([^\s;#]+)")


def look(root: Path) -> Iterator[Finding]:
    """Everything that all tasks share."""
    project = _project(root)
    yield from _python(project)
    yield from _packages(root, project)
    yield from _disk(root)
    yield from _repository(root)
    yield from _tracking(root)


def _project(root: Path) -> dict[str, Any]:
    """The table ``project`` of pyproject.toml; empty where there is none."""
    try:
        with (root / "pyproject.toml").open("rb") as file:
            return dict(tomllib.load(file).get("project", {}))
    except (OSError, tomllib.TOMLDecodeError):
        return {}


def _python(project: dict[str, Any]) -> Iterator[Finding]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    version, required = platform.python_version(), str(project.get("requires-python", ""))
    try:
        fits = version in SpecifierSet(required)
    except InvalidSpecifier:
        fits = True
    if fits:
        yield fine("python", f"{version} at {sys.executable}")
    else:
        yield fault("python", f"{version}; the project needs {required}", "make an environment with such a Python")


def _packages(root: Path, project: dict[str, Any]) -> Iterator[Finding]:
    """Installed versions against requirements.lock; a direct dependency of the project must be there."""
    from packaging.utils import canonicalize_name

    try:
        pinned = dict(_PINNED.findall((root / "requirements.lock").read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        yield note("packages", "no requirements.lock: versions are not compared")
        return
    own = {canonicalize_name(re.split(r"[<>=!~\[; ]", line)[0]) for line in project.get("dependencies", [])}
    missing, other = [], []
    for name, pin in pinned.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if installed.split("+")[0] != pin.split("+")[0]:  # a build tag such as +cpu makes no other version
            other.append(f"{name} {installed} (pinned: {pin})")
    advice = "pip install -r requirements.lock"
    if needed := [name for name in missing if canonicalize_name(name) in own]:
        yield fault("packages", f"not installed: {_listed(needed)}", advice)
    elif missing:
        yield note("packages", f"{len(missing)} of requirements.lock are not installed: {_listed(missing)}", advice)
    if other:
        yield note("packages", f"other versions than in requirements.lock: {_listed(other)}", advice)
    if not missing and not other:
        yield fine("packages", f"{len(pinned)} as in requirements.lock")


def _disk(root: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(root).free
    if free < LEAST_FREE:
        yield fault("disk", f"{size(free)} free; expected {size(LEAST_FREE)} or more", "make room; dvc gc -w helps")
    elif free < LITTLE_FREE:
        yield note("disk", f"{size(free)} free", "large files may need more; dvc gc -w makes room")
    else:
        yield fine("disk", f"{size(free)} free")


def _repository(root: Path) -> Iterator[Finding]:
    if not (root / ".dvc").is_dir():
        yield fault("dvc", "no folder .dvc: this is not a DVC project", "dvc init")
        return
    if any((folder / ".git").exists() for folder in (root, *root.parents)):
        yield fine("git", "a repository")
    else:
        yield note("git", "no repository: runs carry no commit", "git init")
    if _is_locked(root / ".dvc" / "tmp" / "lock"):
        yield note("dvc", "another process holds DVC's lock: a run waits for it", "let it end, or end it")
    else:
        yield fine("dvc", "nobody holds its lock")


def _is_locked(path: Path) -> bool:
    """Whether another process holds DVC's lock just now."""
    try:
        with path.open("r") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _tracking(root: Path) -> Iterator[Finding]:
    where = backend.public(backend.uri(root))
    try:
        backend.require_usable(root)
    except TrackingError as error:
        yield fault("tracking", str(error), "start the server, or fix MLFLOW_TRACKING_URI")
        return
    path = backend.database(root)
    yield fine("tracking", where if path is None or path.is_file() else f"{where}, made by the first run")


def _listed(names: list[str]) -> str:
    return few(names, SHOWN, ", ") + (f" ({len(names)})" if len(names) > SHOWN else "")
