"""Who put which model in use, when and why: an append-only history beside the models, in the same registry.

Each change is one tag of the registered model, under a key of its own that nobody writes twice, and it is written
before the alias moves. So the alias alone says what is in use, whatever was killed when, and the history tells of all
that was begun; what did not come about is marked by the next command (``heal``).
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
from unroll.registry.snapshot import Registered, Version
from unroll.tracking import backend

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "unroll.history."
SETTLED = "unroll.settled"
"""The tag that holds the key of the last event whose alias was moved: what is otherwise now, something else did."""
LONGEST_WHY = 1000
"""Characters of a reason: an event must fit into the 5,000 that a tag may have."""
LOCK_S = 120.0
Kind = Literal["promoted", "rolled back", "withdrawn", "cut off", "found"]
"""``withdrawn``: the champion no longer passes its gate. ``cut off``: the change before it did not come about.
``found``: the alias was moved by something else than Unroll."""


@dataclass(frozen=True)
class Event:
    """One change: ``champion`` took the place of ``before``. Either is None where there was, or is, none.

    ``by``: whose command it was, or noted that the one before was cut off; empty for ``found``, whose author nobody
    knows. ``hand``: a person decided it, not the gate. ``model_hash`` is the new champion's, ``before_hash`` is the
    model that it replaced; ``run_id``, ``commit`` and ``data`` (the raw files' hash) are the new champion's, too, or
    those of the one that was withdrawn. ``voids`` is the key of what was cut off.
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


class Moved(Exception):  # noqa: N818 - no fault: somebody else was first
    """The champion is another one than the decision was made for."""


def events(registered: Registered) -> list[Event]:
    """All changes in order; raises TrackingError that names a tag which is none."""
    found = []
    for key in sorted(key for key in registered.tags if key.startswith(PREFIX)):
        try:
            found.append(Event(key=key, **json.loads(registered.tags[key])))
        except (ValueError, TypeError):
            raise TrackingError(
                f"registered model {registered.task}: tag {key}: {registered.tags[key]!r:.80} is no event of the "
                "history; expected JSON as Unroll writes it"
            ) from None
    return found


def effective(told: Sequence[Event]) -> list[Event]:
    """Those that came about."""
    voided = {event.voids for event in told}
    return [event for event in told if event.kind != "cut off" and event.key not in voided]


def line(told: Sequence[Event]) -> list[int]:
    """The champions that a rollback goes back through, the one in use last.

    A rollback leaves out what came after the one it went to, a withdrawn one is left out too, and one that comes back
    stands at its new place.
    """
    found: list[int] = []
    for event in effective(told):
        if event.champion is None:
            found = [number for number in found if number != event.before]
        elif event.kind == "rolled back" and event.champion in found:
            found = found[: found.index(event.champion) + 1]
        else:
            found = [number for number in found if number != event.champion] + [event.champion]
    return found


def retired(told: Sequence[Event], model_hash: str) -> Event | None:
    """The last decision of a person that took this model out of use, unless it was put in use again since."""
    found = None
    for event in effective(told):
        if event.champion is not None and event.model_hash == model_hash:
            found = None
        elif event.hand and event.champion is not None and event.before_hash == model_hash:
            found = event
    return found


def set_by_hand(told: Sequence[Event], champion: Version) -> Event | None:
    """The person's decision by which this champion's model is in use, if it was one.

    It holds on where the gate has put the same model in use since, served by other code.
    """
    for event in reversed(effective(told)):
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


def heal(client: "MlflowClient", root: Path, task: str) -> Registered:
    """What the registry has of the task, its history in line with the alias. The caller holds the lock."""
    registered = snapshot.read(root, task)
    lacking = _lacking(registered)
    if lacking is None and _settled(registered):
        return registered
    if lacking is not None:
        _append(client, registered, lacking)
    settled = lacking or effective(events(registered))[-1]
    client.set_registered_model_tag(task, SETTLED, settled.key)
    return snapshot.read(root, task)


def _settled(registered: Registered) -> bool:
    """Whether it is known that the last event came about."""
    told = events(registered)
    return not told or registered.tags.get(SETTLED, "") >= told[-1].key


def needs_healing(registered: Registered) -> bool:
    """Whether alias and history do not agree."""
    return _lacking(registered) is not None


def seen(registered: Registered) -> list[Event]:
    """All changes in order, with the one that the history lacks so far; nothing is written."""
    lacking = _lacking(registered)
    return [*events(registered), *([lacking] if lacking else [])]


def _lacking(registered: Registered) -> Event | None:
    """What must have happened, where the alias is not what the history says."""
    told = events(registered)
    last = next(reversed([event for event in told if event.kind != "cut off"]), None)
    voided = {event.voids for event in told}
    alive = next(reversed(effective(told)), None)
    champion = registered.champion
    number = champion.number if champion else None
    if (alive.champion if alive else None) == number:
        return None
    before = last.before if last else None
    if last and last.key not in voided and before == number and registered.tags.get(SETTLED, "") < last.key:
        why = f"stopped before version {last.champion} was in use" if last.champion else "stopped before it came about"
        return _event(registered, "cut off", champion, last.champion, why, hand=False, voids=last.key)
    why = "the alias was not set by Unroll" if told else "in use before there was a history"
    by_hand = champion is not None and bool(told)
    found = _event(registered, "found", champion, alive.champion if alive else None, why, hand=by_hand)
    return replace(found, by="")  # whoever notes it has not done it


def change(
    client: "MlflowClient", registered: Registered, kind: Kind, to: Version | None, why: str, *, hand: bool
) -> Event:
    """Put a version in use, or none: first the history, then the alias. The caller holds the lock and has healed."""
    before = registered.champion
    event = _event(registered, kind, to, before.number if before else None, why, hand=hand)
    _append(client, registered, event)
    if to is None:
        client.delete_registered_model_alias(registered.task, "champion")
    else:
        client.set_registered_model_alias(registered.task, "champion", str(to.number))
    client.set_registered_model_tag(registered.task, SETTLED, event.key)
    return event


def require_reason(why: str) -> str:
    """The reason in one line; raises ConfigError where it is too long for a tag."""
    text = " ".join(why.split())
    if len(text) > LONGEST_WHY:
        raise ConfigError(f"--why: {len(text):,} characters; expected at most {LONGEST_WHY:,}")
    return text


def _append(client: "MlflowClient", registered: Registered, event: Event) -> None:
    value = json.dumps({k: v for k, v in asdict(event).items() if k != "key"}, ensure_ascii=False)
    client.set_registered_model_tag(registered.task, event.key, value)


def _event(
    registered: Registered,
    kind: Kind,
    champion: Version | None,
    before: int | None,
    why: str,
    *,
    hand: bool,
    voids: str = "",
) -> Event:
    told = events(registered)
    last_ns = int(told[-1].key.removeprefix(PREFIX).split(".")[0]) if told else 0
    now_ns = max(time.time_ns(), last_ns + 1)  # in order, whatever the clock does
    replaced = registered.find(before)
    told_of = champion or replaced
    tags: Mapping[str, str] = told_of.tags if told_of else {}
    return Event(
        key=f"{PREFIX}{now_ns:020d}.{secrets.token_hex(4)}",  # two machines that share a server never meet in one key
        at=datetime.fromtimestamp(now_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        kind=kind,
        champion=champion.number if champion else None,
        before=before,
        by=_user(),
        hand=hand,
        why=why[:LONGEST_WHY],
        model_hash=champion.model_hash if champion else "",
        before_hash=replaced.model_hash if replaced else "",
        run_id=told_of.run_id if told_of else "",
        commit=tags.get("unroll.git_commit", ""),
        data=tags.get("unroll.data", ""),
        voids=voids,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return "unknown"
