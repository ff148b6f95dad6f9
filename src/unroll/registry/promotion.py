"""Champions put in use by hand: promotion of any version, and rollback to the champion before."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.core.errors import ConfigError, UnrollError
from unroll.model.trained import Trained
from unroll.registry import history, snapshot, versions
from unroll.registry.history import Event
from unroll.registry.snapshot import Snapshot, Version
from unroll.tracking import backend

if TYPE_CHECKING:
    from mlflow import MlflowClient


def promote(root: Path, task: str, number: int, why: str) -> Event:
    """Put a version in use because a person says so, whatever its gate said.

    Raises ConfigError for a version that does not exist or is in use, StoreError for one that cannot be loaded.
    """
    why = history.require_reason(why)
    if not why:
        raise ConfigError("--why: empty; expected the reason, which goes into the history")

    def choose(current: Snapshot) -> Version:
        version = current.require(number)
        if current.champion == version:
            raise ConfigError(f"{task}: version {number} is champion already; expected another one")
        return version

    return _put_in_use(root, task, "promoted", why, choose)


def rollback(root: Path, task: str, why: str = "") -> Event:
    """Put the champion before this one in use again; once more, the one before that.

    Raises ConfigError where there is none, StoreError if it cannot be loaded: another one can be promoted by hand.
    """
    return _put_in_use(root, task, "rolled back", history.require_reason(why), lambda current: _before(root, current))


def _before(root: Path, current: Snapshot) -> Version:
    """The champion to go back to: the last one that was another model, else the same model as older code serves it.

    A champion that cannot be loaded gives way to the one right before it. A model that the gate has withdrawn does not
    come back.
    """
    changes, champion = history.events(current), current.champion
    line = [version for number in history.line(changes) if (version := current.find(number)) is not None]
    earlier = [version for version in line if version != champion]
    out = champion.model_hash if champion else next((e.before_hash for e in reversed(history.effective(changes))), "")
    others = [version for version in earlier if version.model_hash != out]
    if champion and not _is_whole(root, champion):
        others = earlier
    if not others and not (champion and earlier):
        none = "no champion before this one" if champion else "no champion is in use, and no other model was before it"
        raise ConfigError(
            f"{current.task}: {none} in the history; see: unroll registry history {current.task}, "
            f"or put one in use: unroll registry promote {current.task} VERSION --why …"
        )
    return (others or earlier)[-1]


def _is_whole(root: Path, version: Version) -> bool:
    try:
        versions.registered(root, version)
    except UnrollError:
        return False
    return True


def _put_in_use(root: Path, task: str, kind: history.Kind, why: str, choose: Callable[[Snapshot], Version]) -> Event:
    """Choose once: if the store was busy and the change is tried again, it is the same one, or done already."""
    snapshot.require(root, task)
    chosen: list[Version] = []

    def change(client: "MlflowClient") -> tuple[Event, Snapshot]:
        with history.locked(root):
            current = history.heal(client, root, task)
            champion = current.champion
            if chosen and champion and champion.number == chosen[0].number:
                return history.events(current)[-1], current
            version = chosen[0] if chosen else choose(current)
            Trained.load(versions.registered(root, version).folder)  # a model that cannot be loaded is not put in use
            chosen[:] = [version]
            return history.change(client, current, kind, version, why, hand=True), current

    event, current = backend.patiently(root, change)
    backend.patiently(root, lambda client: history.set_challenger(client, current, chosen[0], is_one=False))
    return event
