"""What a model may be beside the champion that there is: by the gate, by what persons have decided, by a duel."""

from collections.abc import Sequence
from dataclasses import replace

from unroll.core.errors import StoreError, TrackingError
from unroll.registry import challenge, history, versions
from unroll.registry.gate import Verdict
from unroll.registry.history import Event
from unroll.registry.snapshot import Registered, Version
from unroll.stages.common.task import Task


def decide(task: Task, floor: Verdict, version: Version, registered: Registered) -> Verdict:
    """The verdict on a version whose model the gate has judged so far; it names the champion that there shall be."""
    champion, told = registered.champion, history.events(registered)
    verdict = replace(floor, version=version.number)
    if champion is not None and champion.model_hash == version.model_hash:
        if champion.number == version.number:
            return _in_use(verdict, version, told)
        return _served_otherwise(verdict, version, champion, told)
    verdict = _against(task, verdict, version, champion, told)
    here = champion.number if champion else None
    return replace(verdict, champion=version.number if verdict.alias == "champion" else here)


def _against(
    task: Task, verdict: Verdict, version: Version, champion: Version | None, told: Sequence[Event]
) -> Verdict:
    """Of a model that is not in use, beside another one or none."""
    if not verdict.passed:
        return verdict
    event = history.retired(told, version.model_hash)
    if event is not None:
        again = f"{_by_hand(version)} puts it in use again"
        return verdict.refused(f"{verdict.reason}; taken out of use: {_told(event)}; {again}")
    if champion is None:
        return verdict
    try:
        folder = versions.registered(task.layout.root, champion).folder
    except (StoreError, TrackingError) as error:
        return verdict.after(challenge.Duel(champion.number, "not loaded", str(error), verdict.confidence))
    known = scored(champion, verdict.metric)
    return verdict.after(challenge.fight(task.layout, champion.number, folder, task.gate_config(), known))


def _in_use(verdict: Verdict, version: Version, told: Sequence[Event]) -> Verdict:
    """Of the champion itself, whose gate or evaluation may be another one than when it became that."""
    event = history.set_by_hand(told, version)
    if not verdict.passed and event is not None:
        by_hand = f"{verdict.reason}; in use all the same: {_told(event)}"
        return replace(verdict, alias="champion", reason=by_hand, champion=version.number)
    if not verdict.passed:
        return replace(verdict, champion=None)
    last = next(reversed(history.effective(told)), None)
    if last and not last.hand and last.champion == version.number and last.why.startswith(f"{verdict.reason}; "):
        verdict = replace(verdict, reason=last.why)  # what it has won by, where that was not told to the end
    return replace(verdict, champion=version.number)


def _served_otherwise(verdict: Verdict, version: Version, champion: Version, told: Sequence[Event]) -> Verdict:
    """Of the champion's model with other code: that must do as well by it, and no person have decided against it."""
    event = history.set_by_hand(told, champion)
    stays = f"version {champion.number}, the same model served otherwise, stays in use"
    instead = f"{_by_hand(version)} puts this one in its place"
    if event is not None and event.before_hash == version.model_hash:
        reason = f"{verdict.reason}; {stays}: {_told(event)}; {instead}"
        return replace(verdict.refused(reason), champion=champion.number)
    known = scored(champion, verdict.metric)(version.tags.get(f"unroll.rows.{verdict.metric}", ""))
    if known is None or verdict.value is None or not challenge.agree(verdict.value, known):
        value = "undefined" if verdict.value is None else f"{verdict.value:.4g}"
        then = "an unknown one" if known is None else f"{known:.4g}"
        differs = f"{verdict.metric} {value} by the present code and {then} by that one's, on the same test rows"
        return replace(verdict.refused(f"{stays}: {differs}; {instead}"), champion=champion.number)
    reason = f"{verdict.reason}; the model of version {champion.number} served otherwise, with the same score"
    if not verdict.passed and event is None:  # the gate was raised
        return replace(verdict, reason=reason, champion=None)
    if not verdict.passed and event is not None:
        reason = f"{reason}; in use all the same: {_told(event)}"
    return replace(verdict, alias="champion", reason=reason, champion=version.number)


def scored(champion: Version, metric: str) -> challenge.Expected:
    """What the champion's own evaluation has found, where it was on the test rows with that fingerprint."""

    def known(fingerprint: str) -> float | None:
        if champion.tags.get(f"unroll.rows.{metric}") != fingerprint:
            return None
        try:
            return float(champion.tags[f"unroll.score.{metric}"])
        except (KeyError, ValueError):  # registered before it was kept
            return None

    return known


def _by_hand(version: Version) -> str:
    return f"unroll registry promote {version.task} {version.number}"


def _told(event: Event) -> str:
    """A decision in a few words."""
    by = "by something else than Unroll, seen" if event.kind == "found" else f"{event.kind} by {event.by}"
    return f"{by} on {event.at[:10]}" + (f" ({event.why})" if event.why else "")
