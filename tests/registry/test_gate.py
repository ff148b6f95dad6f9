"""The decision as a pure function of a snapshot: every outcome, its text, and registries of earlier versions."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from unroll.registry import challenge, gate, history
from unroll.registry.challenge import Challenge
from unroll.registry.gate import Condition, Judgement, Outcome
from unroll.registry.history import PREFIX, Event
from unroll.registry.snapshot import Snapshot, Version

PASSED = Judgement("r2", 0.8, 0.75, "higher", 0.0, 0.95, {"persistence": 0.7})
FAILED = replace(PASSED, value=0.6)
BETTER = Challenge(1, challenge.Outcome.BETTER, "r2", "higher", 0.0, 0.95, "", 0.8, 0.7, 0.1, 0.05, 0.15, 800, 8, 100)
WORSE = replace(BETTER, outcome=challenge.Outcome.NOT_BETTER, difference=-0.1, low=-0.2, high=-0.01)
LOST_FILES = Challenge(1, challenge.Outcome.NOT_LOADED, "r2", "higher", 0.0, 0.95, "models/air: not there")
OLD_TAGS = {
    "unroll.verdict": "passed", "unroll.reason": "r2 0.8 ≥ 0.75; better than champion 1: …",
    "duel.champion": "1", "duel.outcome": "better", "duel.confidence": "0.95", "duel.value": "0.8",
    "duel.champion_value": "0.7", "duel.difference": "0.1", "duel.low": "0.05", "duel.high": "0.15",
    "duel.rows": "800", "duel.blocks": "8", "gate.metric": "r2", "gate.direction": "higher", "gate.margin": "0.0",
}  # fmt: skip
"""As the version before wrote them: the text alone, the numbers of the challenge, and the gate."""
OLD_WITHOUT_GATE = {key: value for key, value in OLD_TAGS.items() if not key.startswith("gate.")}


def version(number: int, model: str = "", **tags: str) -> Version:
    known = {"unroll.model_hash": model or f"model {number}", "unroll.rows.r2": "rows", "unroll.score.r2": "0.8"}
    return Version("air", number, f"run {number}", 0, known | tags)


def event(champion: int | None, before: int | None, kind: history.Kind, *, hand: bool, **hashes: str) -> Event:
    replaced = {"model_hash": f"model {champion}", "before_hash": f"model {before}"} | hashes
    at = f"2026-11-{champion or 0:02d}T00:00:00.000Z"
    return Event(f"{PREFIX}{champion or 0}", at, kind, champion, before, "ann", hand, "because", **replaced)


def registry(*versions: Version, champion: int | None = None, changes: tuple[Event, ...] = ()) -> Snapshot:
    tags = {}
    for place, change in enumerate(changes):
        tags[f"{PREFIX}{place:020d}.0"] = json.dumps({k: v for k, v in asdict(change).items() if k != "key"})
    return Snapshot("air", versions, {"champion": champion} if champion else {}, tags)


BY_GATE = event(1, None, "promoted", hand=False)
BY_HAND = event(1, 2, "rolled back", hand=True)
SAME_BY_HAND = event(1, 2, "promoted", hand=True, before_hash="model 1")


@pytest.mark.parametrize(
    ("current", "candidate", "judgement", "result", "outcome", "champion", "words"),
    [
        (registry(), version(1), FAILED, None, Outcome.FAILED, None, "r2 0.6, expected ≥ 0.75"),
        (registry(), version(1), PASSED, None, Outcome.UNOPPOSED, 1, "r2 0.8 ≥ 0.75; better than persistence 0.7"),
        (registry(version(1), champion=1), version(2), PASSED, BETTER, Outcome.WON, 2, "; better than champion 1: r2"),
        (registry(version(1), champion=1), version(2), PASSED, WORSE, Outcome.LOST, 1, "not better than champion 1"),
        (registry(version(1), champion=1), version(2), PASSED, LOST_FILES, Outcome.UNDECIDED, 1,
         "champion 1 cannot be loaded: models/air: not there; nothing is promoted, unroll registry promote"),
        (registry(version(1), version(2), champion=1, changes=(BY_GATE, BY_HAND)), version(2), PASSED, None,
         Outcome.RETIRED, 1, "taken out of use: rolled back by ann on 2026-11-01 (because); unroll registry promote a"),
        (registry(version(1), champion=1), version(1), PASSED, None, Outcome.STAYS, 1, "r2 0.8 ≥ 0.75"),
        (registry(version(1), champion=1), version(1), FAILED, None, Outcome.WITHDRAWN, None, "r2 0.6, expected ≥"),
        (registry(version(1), champion=1, changes=(BY_HAND,)), version(1), FAILED, None, Outcome.KEPT, 1,
         "in use all the same: rolled back by ann on 2026-11-01 (because)"),
        (registry(version(1), champion=1), version(2, "model 1"), PASSED, None, Outcome.SAME_SCORE, 2,
         "the model of version 1 served by other code, with the same score"),
        (registry(version(1), champion=1), version(2, "model 1"), replace(PASSED, value=0.9), None,
         Outcome.OTHER_SCORE, 1, "r2 is 0.9 with the present code and 0.8 with the code of that one"),
        (registry(version(1, **{"unroll.rows.r2": "others"}), champion=1), version(2, "model 1"), PASSED, None,
         Outcome.OTHER_SCORE, 1, "and unknown with the code of that one"),
        (registry(version(1), champion=1, changes=(SAME_BY_HAND,)), version(2, "model 1"), PASSED, None,
         Outcome.OTHER_CODE, 1, "stays in use: promoted by ann on 2026-11-01 (because); unroll registry promote air 2"),
        (registry(version(1), champion=1), version(2, "model 1"), replace(PASSED, threshold=0.9), None,
         Outcome.WITHDRAWN, None, "r2 0.8, expected ≥ 0.9; the model of version 1 served by other code"),
    ],
)  # fmt: skip
def test_every_outcome(
    current: Snapshot,
    candidate: Version,
    judgement: Judgement,
    result: Challenge | None,
    outcome: Outcome,
    champion: int | None,
    words: str,
) -> None:
    assert (gate.challenged(current, candidate, judgement) is not None) is (result is not None)
    verdict = gate.decide(current, candidate, judgement, result)
    assert (verdict.outcome, verdict.champion, verdict.version) == (outcome, champion, candidate.number)
    assert words in verdict.reason
    assert verdict.alias == ("champion" if champion == candidate.number else "challenger")
    record = verdict.record()
    assert json.loads(json.dumps(record)) == record
    assert (record["outcome"], record["reason"]) == (outcome, verdict.reason)


@pytest.mark.parametrize("result", [None, replace(BETTER, champion=3)])
def test_nothing_replaces_a_champion_that_it_has_not_challenged(result: Challenge | None) -> None:
    with pytest.raises(ValueError, match=r"^air: version 2 has not challenged version 1$"):
        gate.decide(registry(version(1), champion=1), version(2), PASSED, result)


def test_what_is_not_met_is_a_list_of_conditions() -> None:
    both = gate.decide(registry(), version(1), FAILED, None)
    assert both.failed() == [
        Condition("threshold", "r2", 0.75, False),
        Condition("baseline", "persistence", 0.7, False),
    ]
    lost = gate.decide(registry(version(1), champion=1), version(2), PASSED, WORSE)
    assert lost.failed() == [Condition("champion", "1", 0.7, False)]
    assert gate.decide(registry(), version(1), PASSED, None).failed() == []


def test_a_challenge_comes_back_from_tags_of_this_version_and_of_the_one_before() -> None:
    for result in (BETTER, WORSE, LOST_FILES):
        assert Challenge.of_tags(result.tags()) == replace(result, detail="")
    assert Challenge.of_tags(OLD_TAGS) == replace(BETTER, block_rows=None)
    assert Challenge.of_tags(OLD_TAGS | WORSE.tags()) == WORSE
    assert Challenge.of_tags(OLD_TAGS | {"gate.metric": "mae"}) == replace(BETTER, metric="mae", block_rows=None)
    assert Challenge.of_tags({"gate.metric": "mae"} | BETTER.tags()) == BETTER
    assert Challenge.of_tags(OLD_WITHOUT_GATE) is None
    for tags in ({}, {"duel.outcome": "better"}, OLD_TAGS | {"duel.low": "low"}, OLD_TAGS | {"duel.outcome": "won"}):
        assert Challenge.of_tags(tags) is None


@pytest.mark.parametrize(
    ("tags", "outcome"),
    [
        (OLD_TAGS, Outcome.WON),
        ({key: value for key, value in OLD_TAGS.items() if not key.startswith("duel.")}, Outcome.STAYS),
        ({"unroll.outcome": "no champion before"}, Outcome.UNOPPOSED),
        ({"unroll.outcome": "same model, same score", "unroll.same_model_as": "1"}, Outcome.SAME_SCORE),
        ({"unroll.outcome": "stays champion", **BETTER.tags()}, Outcome.STAYS),
        ({"unroll.outcome": "challenge won", **BETTER.tags()}, Outcome.WON),
        ({"unroll.outcome": "something of later"}, Outcome.STAYS),
    ],
)
def test_a_champion_by_the_gate_keeps_the_outcome_in_its_tags_whatever_its_text_says(
    tags: dict[str, str], outcome: Outcome
) -> None:
    promoted = event(2, 1, "promoted", hand=False)
    for text in ("", "r2 0.8 ≥ 0.75; better than champion 1: nonsense"):
        current = registry(version(1), version(2, **tags), champion=2, changes=(BY_GATE, replace(promoted, why=text)))
        verdict = gate.decide(current, current.require(2), PASSED, None)
        assert (verdict.outcome, verdict.champion) == (outcome, 2)
        assert ("; better than champion 1: r2 0.8 against 0.7" in verdict.reason) is (outcome is Outcome.WON)
    by_hand = registry(version(2, **tags), champion=2, changes=(replace(promoted, hand=True),))
    assert gate.decide(by_hand, by_hand.require(2), PASSED, None).outcome is Outcome.STAYS


@pytest.mark.parametrize("tags", [OLD_TAGS, {"unroll.outcome": "challenge won", **BETTER.tags()}])
@pytest.mark.parametrize(
    "gate_of_today",
    [{"metric": "mae"}, {"direction": "lower", "threshold": 1.0, "baselines": {}}, {"margin": 0.01},
     {"confidence": 0.99}],
)  # fmt: skip
def test_a_win_by_the_terms_of_another_gate_is_no_reason(tags: dict[str, str], gate_of_today: dict[str, Any]) -> None:
    changes = (BY_GATE, event(2, 1, "promoted", hand=False))
    current = registry(version(1), version(2, **tags), champion=2, changes=changes)
    verdict = gate.decide(current, current.require(2), replace(PASSED, **gate_of_today), None)
    assert (verdict.outcome, verdict.champion, verdict.challenge) == (Outcome.STAYS, 2, None)
    assert "champion 1" not in verdict.reason


def test_a_win_by_the_terms_of_an_unknown_gate_is_no_reason() -> None:
    changes = (BY_GATE, event(2, 1, "promoted", hand=False))
    current = registry(version(1), version(2, **OLD_WITHOUT_GATE), champion=2, changes=changes)
    assert gate.decide(current, current.require(2), PASSED, None).outcome is Outcome.STAYS


def test_a_champion_of_the_version_before_is_challenged_withdrawn_and_replaced() -> None:
    current = registry(version(1), version(2, **OLD_TAGS), champion=2, changes=(BY_GATE,))
    assert gate.challenged(current, version(3), PASSED) == current.champion
    assert gate.decide(current, version(3), PASSED, replace(BETTER, champion=2)).champion == 3
    assert gate.decide(current, current.require(2), FAILED, None).outcome is Outcome.WITHDRAWN
    assert gate.decide(current, version(3, "model 2"), PASSED, None).outcome is Outcome.SAME_SCORE
