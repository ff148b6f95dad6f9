"""Champions put in use by hand: promotion of any version, and rollback to the champion before."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.core.errors import ConfigError, UnrollError
from unroll.model.trained import Trained
from unroll.registry import history, snapshot, versions
from unroll.registry.history import Event
from unroll.registry.snapshot import Registered, Version
from unroll.tracking import backend

if TYPE_CHECKING:
    from mlflow import MlflowClient


def promote(root: Path, task: str, number: int, why: str) -> Event:
    """Put a version in use because a person says so, whatever its gate said.

    Raises ConfigError for a version that is not there or is in use, StoreError for one that cannot be loaded.
    """
    why = history.require_reason(why)
    if not why:
        raise ConfigError("--why: empty; expected the reason, which goes into the history")

    def choose(registered: Registered) -> Version:
        found = registered.require(number)
        if registered.champion == found:
            raise ConfigError(f"{task}: version {number} is champion already; expected another one")
        return found

    return _put_in_use(root, task, "promoted", why, choose)


def rollback(root: Path, task: str, why: str = "") -> Event:
    """Put the champion before this one in use again; once more, the one before that.

    Raises ConfigError where there is none, StoreError where it cannot be loaded: another one can be promoted by hand.
    """
    why = history.require_reason(why)

    return _put_in_use(root, task, "rolled back", why, lambda registered: _before(root, registered))


def _before(root: Path, registered: Registered) -> Version:
    """The champion to go back to: the last one that was another model, else the same one as older code serves it.

    A champion that cannot be loaded gives way to the one right before it. A model that the gate has withdrawn does not
    come back.
    """
    told, champion = history.events(registered), registered.champion
    line = [version for number in history.line(told) if (version := registered.find(number)) is not None]
    earlier = [version for version in line if version != champion]
    out = champion.model_hash if champion else next((e.before_hash for e in reversed(history.effective(told))), "")
    others = [version for version in earlier if version.model_hash != out]
    if champion and not _is_whole(root, champion):
        others = earlier
    if not others and not (champion and earlier):
        none = "no champion before this one" if champion else "no champion is in use, and no other model was before it"
        raise ConfigError(
            f"{registered.task}: {none} in the history; see: unroll registry history {registered.task}, "
            f"or put one in use: unroll registry promote {registered.task} VERSION --why …"
        )
    return (others or earlier)[-1]


def _is_whole(root: Path, version: Version) -> bool:
    try:
        versions.registered(root, version)
    except UnrollError:
        return False
    return True


def _put_in_use(root: Path, task: str, kind: history.Kind, why: str, choose: Callable[[Registered], Version]) -> Event:
    """Choose once: where a busy store has the change tried again, it is the same one, or done already."""
    require_registered(root, task)
    chosen: list[Version] = []

    def change(client: "MlflowClient") -> tuple[Event, Registered]:
        with history.locked(root):
            registered = history.heal(client, root, task)
            champion = registered.champion
            if chosen and champion and champion.number == chosen[0].number:
                return history.events(registered)[-1], registered
            version = chosen[0] if chosen else choose(registered)
            Trained.load(versions.registered(root, version).folder)  # nothing is put in use that cannot be
            chosen[:] = [version]
            return history.change(client, registered, kind, version, why, hand=True), registered

    event, registered = backend.patiently(root, change)
    backend.patiently(root, lambda client: set_challenger(client, registered, chosen[0], is_one=False))
    return event


def require_registered(root: Path, task: str) -> None:
    """Raise ConfigError for a task without registered models."""
    known = snapshot.names(root)
    if task not in known:
        raise ConfigError(f"{task}: no registered model; expected one of {', '.join(known) or 'none, so far'}")


def set_challenger(client: "MlflowClient", registered: Registered, version: Version, *, is_one: bool) -> None:
    """Give the version the alias ``challenger``, or take it from it."""
    carrier = registered.aliases.get("challenger")
    if is_one and carrier != version.number:
        client.set_registered_model_alias(version.task, "challenger", str(version.number))
    elif not is_one and carrier == version.number:
        client.delete_registered_model_alias(version.task, "challenger")
