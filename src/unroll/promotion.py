"""Champions put in use by hand: promotion of any version, and rollback to the champion before."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unroll import history, tracking, versions
from unroll.errors import ConfigError, StoreError
from unroll.history import Event
from unroll.trained import Trained
from unroll.versions import Registered, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def files(client: "MlflowClient", version: Version) -> Iterator[Path]:  # noqa: ARG001 - its store is the default
    """The folder of a registered model, as ``models/<task>`` was; raises StoreError if it is gone or damaged."""
    import mlflow
    from mlflow.exceptions import MlflowException

    uri = f"models:/{version.task}/{version.number}"
    with tempfile.TemporaryDirectory(prefix="unroll.") as place:
        try:
            whole = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=place))
        except (MlflowException, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise StoreError(f"{uri}: its files cannot be had: {reason}") from None
        folder = next((path.parent for path in sorted(whole.glob("artifacts/*/config.json"))), None)
        if folder is None:
            raise StoreError(f"{uri}: no artifacts/*/config.json among its files; expected a model of Unroll's")
        if (seen := tracking.model_hash(folder)) != version.model_hash:
            expected = version.model_hash[:12] or "a tag unroll.model_hash"
            raise StoreError(f"{uri}: damaged: its files have the hash {seen[:12]}; expected {expected}")
        yield folder


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

    def choose(registered: Registered) -> Version:
        champion, line = registered.champion, history.line(history.events(registered))
        earlier = [registered.find(number) for number in line if not champion or number != champion.number]
        same = champion.model_hash if champion else None  # served by other code it is the same model
        there = [version for version in earlier if version is not None and version.model_hash != same]
        if not there:
            raise ConfigError(
                f"{task}: no champion before this one in the history; see: unroll registry history {task}"
            )
        return there[-1]

    return _put_in_use(root, task, "rolled back", why, choose)


def _put_in_use(root: Path, task: str, kind: history.Kind, why: str, choose: Callable[[Registered], Version]) -> Event:
    """Choose once: where a busy store has the change tried again, it is the same one, or done already."""
    _require_registered(root, task)
    chosen: list[Version] = []

    def change(client: "MlflowClient") -> tuple[Event, Registered]:
        with history.locked(root):
            registered = history.heal(client, root, task)
            champion = registered.champion
            if chosen and champion and champion.number == chosen[0].number:
                return history.events(registered)[-1], registered
            version = chosen[0] if chosen else choose(registered)
            with files(client, version) as folder:
                Trained.load(folder)  # nothing is put in use that cannot be
            chosen[:] = [version]
            return history.change(client, registered, kind, version, why, hand=True), registered

    event, registered = tracking.patiently(root, change)
    tracking.patiently(root, lambda client: set_challenger(client, registered, chosen[0], is_one=False))
    return event


def healed(root: Path, task: str) -> Registered:
    """What the registry has of the task; a change that was cut off, or made elsewhere, is told by the history."""
    _require_registered(root, task)
    registered = versions.read(root, task)
    if not history.needs_healing(registered):
        return registered

    def heal(client: "MlflowClient") -> Registered:
        with history.locked(root):
            return history.heal(client, root, task)

    return tracking.patiently(root, heal)


def _require_registered(root: Path, task: str) -> None:
    known = versions.names(root)
    if task not in known:
        raise ConfigError(f"{task}: no registered model; expected one of {', '.join(known) or 'none, so far'}")


def set_challenger(client: "MlflowClient", registered: Registered, version: Version, *, is_one: bool) -> None:
    """Give the version the alias ``challenger``, or take it from it."""
    carrier = registered.aliases.get("challenger")
    if is_one and carrier != version.number:
        client.set_registered_model_alias(version.task, "challenger", str(version.number))
    elif not is_one and carrier == version.number:
        client.delete_registered_model_alias(version.task, "challenger")
