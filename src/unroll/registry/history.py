"""Which model was in use when, by whose decision and why: an append-only history kept with the models in the registry.

Each change is one tag of the registered model, under a key of its own that is never written twice, and it is written
before the alias moves. So the alias alone says which version is in use, whenever a process was killed, and the history
has every change that was begun; the next command that writes marks those that did not happen (``heal``).
"""

import getpass
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unroll.core.errors import ConfigError, TrackingError
from unroll.registry import snapshot
from unroll.registry.snapshot import CHALLENGER, CHAMPION, Snapshot, Version
from unroll.tracking import backend

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "unroll.history."
SETTLED = "unroll.settled"
"""The tag with the key of the last event whose alias was moved: any later difference was made by something else."""
LONGEST_WHY = 1000
"""Characters of a reason: an event must fit into the 5,000 that a tag may have."""
LOCK_S = 120.0
Kind = Literal["promoted", "rolled back", "withdrawn", "cut off", "found"]
"""``withdrawn``: the champion no longer passes its gate. ``cut off``: the change before it did not happen.
``found``: something other than Unroll moved the alias."""


@dataclass(frozen=True)
class Event:
    """One change: ``champion`` replaced ``before``. Either is None where there was, or is, no champion.

    ``by`` is the user whose command made the change, or noted that the one before was cut off; empty for ``found``.
    ``hand``: a person decided it, not the gate. ``model_hash`` is the new champion's, ``before_hash`` that of the model
    that it replaced; ``run_id``, ``commit`` and ``data`` (the raw files' hash) are the new champion's, or those of the
    one that was withdrawn. ``voids`` is the key of the event that was cut off.
    """

    key: str
    at: str
    kind: Kind
    champion: int | None
    before: int | None
    by: str
    hand: bool
    why: str
    model_hash: str = ""
    before_hash: str = ""
    run_id: str = ""
    commit: str = ""
    data: str = ""
    voids: str = ""


def events(current: Snapshot) -> list[Event]:
    """All changes in order; raises TrackingError that names a tag which is not one."""
    changes = []
    for key in sorted(key for key in current.tags if key.startswith(PREFIX)):
        try:
            changes.append(Event(key=key, **json.loads(current.tags[key])))
        except (ValueError, TypeError):
            raise TrackingError(
                f"registered model {current.task}: tag {key}: {current.tags[key]!r:.80} is no event of the "
                "history; expected JSON as Unroll writes it"
            ) from None
    return changes


def effective(changes: Sequence[Event]) -> list[Event]:
    """Those that happened."""
    voided = {event.voids for event in changes}
    return [event for event in changes if event.kind != "cut off" and event.key not in voided]


def line(changes: Sequence[Event]) -> list[int]:
    """The champions that a rollback goes back through, the one in use last.

    A rollback drops those after the one it went to, a withdrawn one is dropped too, and one that comes back stands at
    its new place.
    """
    numbers: list[int] = []
    for event in effective(changes):
        if event.champion is None:
            numbers = [number for number in numbers if number != event.before]
        elif event.kind == "rolled back" and event.champion in numbers:
            numbers = numbers[: numbers.index(event.champion) + 1]
        else:
            numbers = [number for number in numbers if number != event.champion] + [event.champion]
    return numbers


def retired(changes: Sequence[Event], model_hash: str) -> Event | None:
    """A person's last decision to take this model out of use, unless it was put in use again since."""
    decision = None
    for event in effective(changes):
        if event.champion is not None and event.model_hash == model_hash:
            decision = None
        elif event.hand and event.champion is not None and event.before_hash == model_hash:
            decision = event
    return decision


def set_by_hand(changes: Sequence[Event], champion: Version) -> Event | None:
    """The person's decision by which this champion's model is in use, if it was one.

    It still holds where the gate has since put the same model in use, served by other code.
    """
    for event in reversed(effective(changes)):
        if event.champion is None or event.model_hash != champion.model_hash:
            return None
        if event.hand:
            return event
        if event.before_hash != event.model_hash:
            return None
    return None


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """One process at a time changes champions of the same store, or with a server, of the same project."""
    from filelock import FileLock, Timeout

    database = backend.database(root)
    path = database.with_name(f"{database.name}.registry.lock") if database else root / ".unroll" / "registry.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=LOCK_S):
            yield
    except Timeout:
        raise TrackingError(f"{path}: held by another process for {LOCK_S:.0f} s; expected it to end") from None


def heal(client: "MlflowClient", root: Path, task: str) -> Snapshot:
    """A snapshot of the task whose history agrees with the alias, read once. The caller holds the lock."""
    current = snapshot.read(root, task)
    changes, lacking, tags = events(current), _lacking(current), dict(current.tags)
    if lacking is not None:
        tags[lacking.key] = _append(client, current, lacking)
    elif not changes or current.tags.get(SETTLED, "") >= changes[-1].key:
        return current
    settled = lacking or effective(changes)[-1]
    client.set_registered_model_tag(task, SETTLED, settled.key)
    return replace(current, tags=tags | {SETTLED: settled.key})


def seen(current: Snapshot) -> list[Event]:
    """All changes in order, with the one that the history lacks so far; nothing is written."""
    lacking = _lacking(current)
    return [*events(current), *([lacking] if lacking else [])]


def _lacking(current: Snapshot) -> Event | None:
    """What must have happened, where the alias is not what the history says."""
    changes = events(current)
    last = next(reversed([event for event in changes if event.kind != "cut off"]), None)
    voided = {event.voids for event in changes}
    alive = next(reversed(effective(changes)), None)
    champion = current.champion
    number = champion.number if champion else None
    if (alive.champion if alive else None) == number:
        return None
    before = last.before if last else None
    if last and last.key not in voided and before == number and current.tags.get(SETTLED, "") < last.key:
        why = f"stopped before version {last.champion} was in use" if last.champion else "stopped before it was done"
        return _event(current, "cut off", champion, last.champion, why, hand=False, voids=last.key)
    why = "the alias was not set by Unroll" if changes else "in use before there was a history"
    by_hand = champion is not None and bool(changes)
    event = _event(current, "found", champion, alive.champion if alive else None, why, hand=by_hand)
    return replace(event, by="")  # the user who notes it did not do it


def change(client: "MlflowClient", current: Snapshot, kind: Kind, to: Version | None, why: str, *, hand: bool) -> Event:
    """Put a version in use, or none: first the history, then the alias. The caller holds the lock and has healed."""
    before = current.champion
    event = _event(current, kind, to, before.number if before else None, why, hand=hand)
    _append(client, current, event)
    if to is None:
        client.delete_registered_model_alias(current.task, CHAMPION)
    else:
        client.set_registered_model_alias(current.task, CHAMPION, str(to.number))
    client.set_registered_model_tag(current.task, SETTLED, event.key)
    return event


def set_challenger(client: "MlflowClient", current: Snapshot, version: Version, *, is_one: bool) -> None:
    """Give the version the alias ``challenger``, or take it away."""
    carrier = current.aliases.get(CHALLENGER)
    if is_one and carrier != version.number:
        client.set_registered_model_alias(version.task, CHALLENGER, str(version.number))
    elif not is_one and carrier == version.number:
        client.delete_registered_model_alias(version.task, CHALLENGER)


def require_reason(why: str) -> str:
    """The reason in one line; raises ConfigError if it is too long for a tag."""
    text = " ".join(why.split())
    if len(text) > LONGEST_WHY:
        raise ConfigError(f"--why: {len(text):,} characters; expected at most {LONGEST_WHY:,}")
    return text


def _append(client: "MlflowClient", current: Snapshot, event: Event) -> str:
    """Write the event into the history; the value of its tag."""
    value = json.dumps({k: v for k, v in asdict(event).items() if k != "key"}, ensure_ascii=False)
    client.set_registered_model_tag(current.task, event.key, value)
    return value


def _event(
    current: Snapshot,
    kind: Kind,
    champion: Version | None,
    before: int | None,
    why: str,
    *,
    hand: bool,
    voids: str = "",
) -> Event:
    changes = events(current)
    last_ns = int(changes[-1].key.removeprefix(PREFIX).split(".")[0]) if changes else 0
    now_ns = max(time.time_ns(), last_ns + 1)  # in order, even if the clock goes back
    replaced = current.find(before)
    subject = champion or replaced
    tags: Mapping[str, str] = subject.tags if subject else {}
    return Event(
        key=f"{PREFIX}{now_ns:020d}.{secrets.token_hex(4)}",  # two machines that share a server never use the same key
        at=datetime.fromtimestamp(now_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        kind=kind,
        champion=champion.number if champion else None,
        before=before,
        by=_user(),
        hand=hand,
        why=why[:LONGEST_WHY],
        model_hash=champion.model_hash if champion else "",
        before_hash=replaced.model_hash if replaced else "",
        run_id=subject.run_id if subject else "",
        commit=tags.get("unroll.git_commit", ""),
        data=tags.get("unroll.data", ""),
        voids=voids,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return "unknown"
