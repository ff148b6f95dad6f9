"""Where a registered model comes from, and which models came from an output of DVC: the same link, both ways.

The link is what the version's tags say since it was registered: the model's hash, the run, the commit, and the hash
that ``dvc.lock`` had of each output of the task.
"""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unroll.core.errors import ConfigError, StoreError
from unroll.registry import snapshot
from unroll.registry.snapshot import Version
from unroll.tracking import dvc_lock, runs

_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?|[0-9a-f]{64}")


@dataclass(frozen=True)
class Origin:
    """What a version comes from; an empty text where nothing is known of it.

    ``outs`` are the outputs of its chain with DVC's hashes. ``locked_in`` is where ``dvc.lock`` still has that model: a
    commit, or "dvc.lock" for the file as it lies here. ``here``: the project's own files are that model.
    """

    version: Version
    aliases: Sequence[str]
    commit: str
    dirty: bool
    outs: Mapping[str, str]
    locked_in: str
    here: bool

    @property
    def stage(self) -> str:
        """The stage of ``dvc.lock`` that made the model."""
        return f"train@{self.version.task}"


def of_version(root: Path, task: str, number: int | None) -> Origin:
    """From a version, or the champion, back to all it comes from.

    Raises ConfigError for a version that is not there, and for a task without a champion.
    """
    current = snapshot.require(root, task)
    version = current.champion if number is None else current.require(number)
    if version is None:
        raise ConfigError(f"{task}: no champion; expected --version, one of {current.numbers()}")
    tags = version.tags
    return Origin(
        version=version,
        aliases=current.aliases_of(version),
        commit=tags.get("unroll.git_commit", ""),
        dirty=tags.get("unroll.git_dirty") == "true",
        outs=outs(version),
        locked_in=_locked_in(root, f"models/{task}", tags.get("unroll.dvc_md5", "")),
        here=_is_here(root, version),
    )


def of_output(root: Path, output: str) -> tuple[str, list[Version]]:
    """From an output, by its path or its hash, to the versions that came from it; the hash, and those versions.

    The path is one of ``dvc.lock``, or lies within one. A hash is DVC's, or the SHA-256 by which Unroll knows a model.
    """
    digest = output if _HASH.fullmatch(output) else _hash_of(root, output)
    every = (version for name in snapshot.names(root) for version in snapshot.read(root, name).versions)
    return digest, [version for version in every if digest in _hashes(version)]


def _hashes(version: Version) -> set[str]:
    return {*outs(version).values(), version.tags.get("unroll.dvc_md5", ""), version.model_hash} - {""}


def outs(version: Version) -> dict[str, str]:
    """The outputs of the version's chain, each with DVC's hash; none for one that was registered outside of DVC."""
    try:
        recorded = json.loads(version.tags.get("unroll.dvc_outs", "{}"))
    except ValueError:
        return {}
    return {str(path): str(md5) for path, md5 in recorded.items()} if isinstance(recorded, dict) else {}


def _hash_of(root: Path, output: str) -> str:
    """The hash in ``dvc.lock`` of the output that is, or holds, that path."""
    path = Path(output) if Path(output).is_absolute() else Path.cwd() / output
    try:
        place = path.resolve().relative_to(root.resolve())
    except ValueError:
        raise ConfigError(f"--output {output}: outside of the project {root}; expected an output of DVC") from None
    known = {name: md5 for outs in dvc_lock.outs(root).values() for name, md5 in outs.items()}
    for each in (place, *place.parents):
        if md5 := known.get(each.as_posix()):
            return md5
    few = ", ".join(sorted(known)[:6])
    raise ConfigError(
        f"--output {output}: neither a hash nor an output in dvc.lock; expected one of {few + ', …' if few else 'none'}"
    )


def _locked_in(root: Path, place: str, md5: str) -> str:
    """Where ``dvc.lock`` has that output: as it lies here, or the first commit that brought it."""
    if not md5:
        return ""
    if any(outs.get(place) == md5 for outs in dvc_lock.outs(root).values()):
        return "dvc.lock"
    command = ["git", "log", "--all", "--reverse", "--format=%H", f"-S{md5}", "--", "dvc.lock"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next(iter(done.stdout.split()), "") if done.returncode == 0 else ""


def _is_here(root: Path, version: Version) -> bool:
    try:
        return runs.model_hash(root / "models" / version.task) == version.model_hash
    except StoreError:
        return False
