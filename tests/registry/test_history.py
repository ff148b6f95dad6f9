"""The history as data: the way back, what is retired, what was cut off. No store is needed for that."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from unroll.core.errors import ConfigError, TrackingError
from unroll.registry import history
from unroll.registry.history import PREFIX, Event, Kind
from unroll.registry.snapshot import Snapshot, Version


def version(number: int) -> Version:
    return Version("air", number, f"run{number}", 0, {"unroll.model_hash": f"hash{number}", "unroll.git_commit": "c0"})


class Store:
    """A registry of five versions that keeps tags and aliases, and stops where it is told to."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.aliases: dict[str, int] = {}
        self.stop_before = ""

    def registered(self) -> Snapshot:
        return Snapshot("air", [version(n) for n in range(1, 6)], dict(self.aliases), dict(self.tags))

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        self._stop("tag" if key.startswith(PREFIX) else "mark")
        assert key not in self.tags or not key.startswith(PREFIX)
        self.tags[key] = value

    def set_registered_model_alias(self, name: str, alias: str, number: str) -> None:
        self._stop("alias")
        self.aliases[alias] = int(number)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        self._stop("alias")
        del self.aliases[alias]

    def _stop(self, point: str) -> None:
        if self.stop_before == point:
            raise KeyboardInterrupt


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    found = Store()
    monkeypatch.setattr("unroll.registry.snapshot.read", lambda root, task: found.registered())
    return found


def change(store: Store, kind: Kind, number: int | None, *, hand: bool = False) -> None:
    client: Any = store
    registered = history.heal(client, None, "air")  # type: ignore[arg-type]
    history.change(client, registered, kind, version(number) if number else None, "because", hand=hand)


def healed(store: Store) -> list[Event]:
    client: Any = store
    return history.events(history.heal(client, None, "air"))  # type: ignore[arg-type]


def line(store: Store) -> list[int]:
    return history.line(healed(store))


def test_events_come_back_in_order_with_all_that_is_asked(store: Store) -> None:
    change(store, "promoted", 1)
    change(store, "promoted", 2, hand=True)
    first, second = healed(store)
    assert (first.champion, first.before, first.hand, first.model_hash, first.before_hash) == (
        1,
        None,
        False,
        "hash1",
        "",
    )
    assert (second.champion, second.before, second.hand, second.before_hash) == (2, 1, True, "hash1")
    assert (second.run_id, second.commit, second.why, second.by != "") == ("run2", "c0", "because", True)
    assert second.at.endswith("Z")
    assert first.key < second.key


def test_a_clock_that_goes_back_does_not_change_the_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([9_000_000_000, 5_000_000_000, 1])
    monkeypatch.setattr("unroll.registry.history.time.time_ns", lambda: next(moments))
    for number in (1, 2, 3):
        change(store, "promoted", number)
    assert [event.champion for event in healed(store)] == [1, 2, 3]


def test_rollbacks_go_back_and_back(store: Store) -> None:
    for number in (1, 2, 3):
        change(store, "promoted", number)
    assert line(store) == [1, 2, 3]
    change(store, "rolled back", 2, hand=True)
    assert line(store) == [1, 2]
    change(store, "rolled back", 1, hand=True)
    assert line(store) == [1]
    change(store, "promoted", 4)
    assert line(store) == [1, 4]
    change(store, "promoted", 1, hand=True)
    assert line(store) == [4, 1]
    change(store, "withdrawn", None)
    assert line(store) == [4]


def test_what_a_person_took_out_stays_out_until_it_is_put_in_again(store: Store) -> None:
    change(store, "promoted", 1)
    change(store, "promoted", 2)
    assert history.retired(healed(store), "hash1") is None  # the gate did that
    change(store, "rolled back", 1, hand=True)
    assert history.retired(healed(store), "hash2") is not None
    by_hand = history.set_by_hand(healed(store), version(1))
    assert by_hand is not None
    assert by_hand.kind == "rolled back"
    change(store, "promoted", 3)
    assert history.retired(healed(store), "hash2") is not None
    assert history.set_by_hand(healed(store), version(3)) is None
    change(store, "promoted", 2, hand=True)
    assert history.retired(healed(store), "hash2") is None
    assert history.retired(healed(store), "hash3") is not None


@pytest.mark.parametrize("first", [None, 1])
def test_a_change_that_was_cut_off_is_told_and_counts_for_nothing(store: Store, first: int | None) -> None:
    if first:
        change(store, "promoted", first)
    store.stop_before = "alias"
    with pytest.raises(KeyboardInterrupt):
        change(store, "promoted", 2, hand=True)
    assert history.seen(store.registered()) != history.events(store.registered())
    store.stop_before = ""
    told = healed(store)
    assert [event.kind for event in told][-2:] == ["promoted", "cut off"]
    assert (told[-1].champion, told[-1].voids, told[-1].why) == (
        first, told[-2].key, "stopped before version 2 was in use",
    )  # fmt: skip
    assert line(store) == ([1] if first else [])
    assert history.seen(store.registered()) == history.events(store.registered())
    assert len(healed(store)) == len(told)  # once is enough
    change(store, "promoted", 2, hand=True)
    assert line(store) == ([1, 2] if first else [2])


def test_an_alias_that_was_moved_back_elsewhere_is_not_taken_for_a_change_that_was_cut_off(store: Store) -> None:
    change(store, "promoted", 1)
    change(store, "promoted", 2)
    store.aliases["champion"] = 1
    told = healed(store)[-1]
    assert (told.kind, told.champion, told.before, told.hand, told.voids) == ("found", 1, 2, True, "")
    assert history.retired(healed(store), "hash2") is not None


def test_one_that_stopped_after_the_alias_came_about(store: Store) -> None:
    change(store, "promoted", 1)
    store.stop_before = "mark"
    with pytest.raises(KeyboardInterrupt):
        change(store, "promoted", 2)
    store.stop_before = ""
    assert history.seen(store.registered()) == history.events(store.registered())
    healed(store)  # the next command takes note that it did
    store.aliases["champion"] = 1
    assert [event.kind for event in healed(store)] == ["promoted", "promoted", "found"]


def test_cut_off_before_anything_was_written_nothing_is_told(store: Store) -> None:
    change(store, "promoted", 1)
    store.stop_before = "tag"
    with pytest.raises(KeyboardInterrupt):
        change(store, "promoted", 2)
    store.stop_before = ""
    assert [event.champion for event in healed(store)] == [1]


def test_an_alias_that_was_moved_elsewhere_is_told(store: Store) -> None:
    change(store, "promoted", 1)
    store.aliases["champion"] = 3
    told = healed(store)[-1]
    assert (told.kind, told.champion, told.before, told.hand, told.by) == ("found", 3, 1, True, "")
    assert line(store) == [1, 3]
    del store.aliases["champion"]
    told = healed(store)[-1]
    assert (told.kind, told.champion, told.before, told.hand) == ("found", None, 3, False)
    assert history.retired(healed(store), "hash3") is None


def test_a_champion_from_before_there_was_a_history_is_no_persons_decision(store: Store) -> None:
    store.aliases["champion"] = 2
    (told,) = healed(store)
    assert (told.kind, told.champion, told.hand, told.why) == ("found", 2, False, "in use before there was a history")


def test_a_tag_that_is_no_event_is_named(store: Store) -> None:
    change(store, "promoted", 1)
    (event,) = healed(store)
    fields = {key: value for key, value in asdict(event).items() if key not in ("key", "why")}
    for damaged in ("{", json.dumps(fields), "[]"):
        store.tags[f"{PREFIX}9"] = damaged
        with pytest.raises(
            TrackingError, match=r"^registered model air: tag unroll\.history\.9: .* is no event of the"
        ):
            history.events(store.registered())


def test_reasons_are_one_line_and_bounded() -> None:
    assert history.require_reason("  two\n lines ") == "two lines"
    with pytest.raises(ConfigError, match=r"^--why: 1,001 characters; expected at most 1,000$"):
        history.require_reason("x" * 1001)
