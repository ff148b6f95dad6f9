"""What a model must show before it may be used, and what becomes of it: a pure decision on a snapshot of the registry.

``judge`` holds the test metrics against threshold and baselines, ``challenged`` says which champion the model must
challenge, if any, and ``decide`` makes the verdict from all that. Text is made from the verdict's fields, for people.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from unroll.core.config import GateConfig
from unroll.core.errors import ConfigError
from unroll.registry import challenge, history
from unroll.registry.challenge import Challenge
from unroll.registry.history import Event
from unroll.registry.snapshot import CHALLENGER, CHAMPION, Snapshot, Version


class Outcome(StrEnum):
    """What a registration decides."""

    FAILED = "gate failed"
    RETIRED = "taken out of use by hand"
    UNOPPOSED = "no champion before"
    WON = "challenge won"
    LOST = "challenge lost"
    UNDECIDED = "challenge undecided"
    STAYS = "stays champion"
    KEPT = "kept by hand"
    WITHDRAWN = "champion withdrawn"
    SAME_SCORE = "same model, same score"
    OTHER_SCORE = "same model, other score"
    OTHER_CODE = "same model, other code chosen by hand"

    @property
    def passed(self) -> bool:
        """Whether the gate lets the model through."""
        return self in (Outcome.UNOPPOSED, Outcome.WON, Outcome.STAYS, Outcome.SAME_SCORE)

    @property
    def in_use(self) -> bool:
        """Whether the version is champion: the gate's decision, unless a person has decided otherwise."""
        return self.passed or self is Outcome.KEPT


@dataclass(frozen=True)
class Condition:
    """One thing that is required of a model; ``name`` is the metric, a baseline, or the champion's version."""

    kind: Literal["threshold", "baseline", "champion"]
    name: str
    required: float | None
    met: bool


@dataclass(frozen=True)
class Judgement:
    """A model against threshold and baselines, before any champion. As long as it is the same, a verdict may stand."""

    metric: str
    value: float | None
    threshold: float
    direction: Literal["higher", "lower"]
    margin: float
    confidence: float
    baselines: Mapping[str, float | None]

    def conditions(self) -> list[Condition]:
        """The metric must reach the threshold (equal is enough) and beat each baseline (equal is not).

        A metric that is undefined (None) does neither.
        """
        reaches, beats = (operator.ge, operator.gt) if self.direction == "higher" else (operator.le, operator.lt)
        value = self.value
        return [
            Condition("threshold", self.metric, self.threshold, value is not None and reaches(value, self.threshold)),
            *(
                Condition("baseline", name, other, value is not None and other is not None and beats(value, other))
                for name, other in self.baselines.items()
            ),
        ]

    @property
    def passed(self) -> bool:
        """Whether all conditions are met."""
        return all(condition.met for condition in self.conditions())

    @property
    def reason(self) -> str:
        """The conditions that are not met, in words; if all are, these."""
        conditions = self.conditions()
        return "; ".join(map(self._words, [c for c in conditions if not c.met] or conditions))

    def _words(self, condition: Condition) -> str:
        sign = "≥" if self.direction == "higher" else "≤"
        value, required = _apart(self.value, condition.required)
        match condition.kind, condition.met:
            case "threshold", True:
                return f"{self.metric} {value} {sign} {required}"
            case "threshold", False:
                return f"{self.metric} {value}, expected {sign} {required}"
            case _, True:
                return f"better than {condition.name} {required}"
            case _:
                return f"{self.metric} {value} does not beat {condition.name} {required}"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a version, and the facts that decide it."""

    outcome: Outcome
    judgement: Judgement
    task: str
    version: int
    champion: int | None = None
    """The version in use once this verdict stands."""
    challenge: Challenge | None = None
    """Against the champion that there was; None without a challenge."""
    by_hand: Event | None = None
    """The person's decision that the gate respects."""
    same_as: int | None = None
    """The champion that was the same model, served by other code, and the score that it had on the same test rows."""
    same_score: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the gate lets the model through."""
        return self.outcome.passed

    @property
    def alias(self) -> str:
        """What the version carries."""
        return CHAMPION if self.outcome.in_use else CHALLENGER

    def failed(self) -> list[Condition]:
        """The conditions that are not met."""
        conditions = [condition for condition in self.judgement.conditions() if not condition.met]
        if self.challenge and self.outcome in (Outcome.LOST, Outcome.UNDECIDED):
            conditions.append(Condition("champion", str(self.challenge.champion), self.challenge.champion_value, False))
        return conditions

    @property
    def reason(self) -> str:
        """The verdict in words."""
        return _reason(self)

    def record(self) -> dict[str, Any]:
        """As ``gate.json`` has it."""
        fought = self.challenge
        return {
            "passed": self.passed,
            "outcome": self.outcome,
            "reason": self.reason,
            "failed": [asdict(condition) for condition in self.failed()],
            **asdict(self.judgement),
            "alias": self.alias,
            "challenge": asdict(fought) | {"reason": fought.reason()} if fought else None,
            "champion": self.champion,
            "version": self.version,
        }


def judge(metrics: Mapping[str, Any], gate: GateConfig) -> Judgement:
    """Hold the test metrics of ``metrics.json`` against threshold and baselines.

    Raises ConfigError where the gate names a metric or a baseline that is not there.
    """
    value = _metric(metrics["test"], gate.metric, "")
    baselines = {}
    for name in gate.baselines:
        if name not in metrics["baselines"]:
            there = ", ".join(metrics["baselines"]) or "none"
            message = f"{name!r} is not in metrics.json; expected one of: {there}"
            raise ConfigError(message, key="gate.baselines")
        baselines[name] = _metric(metrics["baselines"][name], gate.metric, f"baseline {name}: ")
    return Judgement(gate.metric, value, gate.threshold, gate.direction, gate.margin, gate.confidence, baselines)


def challenged(current: Snapshot, version: Version, judgement: Judgement) -> Version | None:
    """The champion that the version's model must challenge; None where the verdict needs no challenge."""
    champion = current.champion
    if champion is None or champion.model_hash == version.model_hash or not judgement.passed:
        return None
    return None if history.retired(history.events(current), version.model_hash) else champion


def decide(current: Snapshot, version: Version, judgement: Judgement, result: Challenge | None) -> Verdict:
    """The verdict on a version; ``result`` is its challenge of the version that ``challenged`` names, if any."""
    champion, changes = current.champion, history.events(current)
    verdict = Verdict(Outcome.FAILED, judgement, version.task, version.number)
    if champion is None or champion.model_hash != version.model_hash:
        verdict = _new_model(verdict, version, champion, changes, result)
    elif champion.number == version.number:
        verdict = _champion(verdict, version, changes)
    else:
        verdict = _same_model(verdict, version, champion, changes)
    if verdict.outcome.in_use:
        return replace(verdict, champion=version.number)
    return replace(verdict, champion=champion.number if champion and verdict.outcome is not Outcome.WITHDRAWN else None)


def _new_model(
    verdict: Verdict, version: Version, champion: Version | None, changes: Sequence[Event], result: Challenge | None
) -> Verdict:
    """Of a model that is not in use."""
    if not verdict.judgement.passed:
        return verdict
    if event := history.retired(changes, version.model_hash):
        return replace(verdict, outcome=Outcome.RETIRED, by_hand=event)
    if champion is None:
        return replace(verdict, outcome=Outcome.UNOPPOSED)
    if result is None or result.champion != champion.number:
        raise ValueError(f"{version.task}: version {version.number} has not challenged version {champion.number}")
    outcome = {challenge.Outcome.BETTER: Outcome.WON, challenge.Outcome.NOT_BETTER: Outcome.LOST}.get(result.outcome)
    return replace(verdict, outcome=outcome or Outcome.UNDECIDED, challenge=result)


def _champion(verdict: Verdict, version: Version, changes: Sequence[Event]) -> Verdict:
    """Of the champion itself, whose gate or evaluation may have changed since it became that."""
    if not verdict.judgement.passed:
        event = history.set_by_hand(changes, version)
        return replace(verdict, outcome=Outcome.KEPT if event else Outcome.WITHDRAWN, by_hand=event)
    last = next(reversed(history.effective(changes)), None)
    if last is None or last.hand or last.champion != version.number:
        return replace(verdict, outcome=Outcome.STAYS)
    return _recorded(verdict, version)  # the gate's own decision: the verdict is still how it was made


def _recorded(verdict: Verdict, version: Version) -> Verdict:
    """The outcome that the version's tags have; registries of earlier versions have the challenge alone.

    A challenge that was won by another gate's terms says nothing about the present ones.
    """
    outcome, result = version.tags.get("unroll.outcome"), Challenge.of_tags(version.tags)
    if outcome in (None, Outcome.WON) and result is not None and result.outcome is challenge.Outcome.BETTER:
        if _terms(result) == _terms(verdict.judgement):
            return replace(verdict, outcome=Outcome.WON, challenge=result)
        return replace(verdict, outcome=Outcome.STAYS)
    if outcome == Outcome.UNOPPOSED:
        return replace(verdict, outcome=Outcome.UNOPPOSED)
    same_as = version.tags.get("unroll.same_model_as", "")
    if outcome == Outcome.SAME_SCORE and same_as.isdecimal():
        return replace(verdict, outcome=Outcome.SAME_SCORE, same_as=int(same_as))
    return replace(verdict, outcome=Outcome.STAYS)


def _terms(decided: Challenge | Judgement) -> tuple[str, str, float, float]:
    return decided.metric, decided.direction, decided.margin, decided.confidence


def _same_model(verdict: Verdict, version: Version, champion: Version, changes: Sequence[Event]) -> Verdict:
    """Of the champion's model with other code: its score must be the same, and no person have decided against it."""
    verdict, event = replace(verdict, same_as=champion.number), history.set_by_hand(changes, champion)
    if event is not None and event.before_hash == version.model_hash:
        return replace(verdict, outcome=Outcome.OTHER_CODE, by_hand=event)
    metric, score = verdict.judgement.metric, verdict.judgement.value
    before, now = champion.evaluation(metric), version.evaluation(metric)
    recorded = before.score if before and now and before.rows == now.rows else None
    if score is None or recorded is None or not challenge.agree(score, recorded):
        return replace(verdict, outcome=Outcome.OTHER_SCORE, same_score=recorded)
    if verdict.judgement.passed:
        return replace(verdict, outcome=Outcome.SAME_SCORE)
    return replace(verdict, outcome=Outcome.KEPT if event else Outcome.WITHDRAWN, by_hand=event)


def _reason(verdict: Verdict) -> str:
    judgement, result, other = verdict.judgement, verdict.challenge, verdict.same_as
    parts = [judgement.reason]
    promote = f"unroll registry promote {verdict.task} {verdict.version} puts"
    if result is not None:
        champion, words = f"champion {result.champion}", result.reason()
        match result.outcome:
            case challenge.Outcome.BETTER:
                parts.append(f"better than {champion}: {words}")
            case challenge.Outcome.NOT_BETTER:
                parts = [f"not better than {champion}: {words}"]
            case _:
                what = "loaded" if result.outcome is challenge.Outcome.NOT_LOADED else "compared"
                by_hand = "unroll registry promote or rollback puts a version in use by hand"
                parts = [f"{champion} cannot be {what}: {words}", f"nothing is promoted, {by_hand}"]
    stays = f"version {other}, the same model served by other code, stays in use"
    match verdict.outcome:
        case Outcome.RETIRED:
            parts += [f"taken out of use: {_words(verdict.by_hand)}", f"{promote} it in use again"]
        case Outcome.OTHER_CODE:
            parts += [f"{stays}: {_words(verdict.by_hand)}", f"{promote} this one in its place"]
        case Outcome.OTHER_SCORE:
            now, before = ("unknown" if x is None else f"{x:.4g}" for x in (judgement.value, verdict.same_score))
            scores = f"{judgement.metric} is {now} with the present code and {before} with the code of that one"
            parts = [f"{stays}: {scores}, on the same test rows", f"{promote} this one in its place"]
        case Outcome.SAME_SCORE | Outcome.KEPT | Outcome.WITHDRAWN if other:
            parts.append(f"the model of version {other} served by other code, with the same score")
    if verdict.outcome is Outcome.KEPT:
        parts.append(f"in use all the same: {_words(verdict.by_hand)}")
    return "; ".join(parts)


def _words(event: Event | None) -> str:
    """A person's decision in a few words."""
    if event is None:
        return "unknown"
    by = "by something other than Unroll, seen" if event.kind == "found" else f"{event.kind} by {event.by}"
    return f"{by} on {event.at[:10]}" + (f" ({event.why})" if event.why else "")


def _apart(value: float | None, other: float | None) -> tuple[str, str]:
    """Both in four digits, or in as many as it takes to tell them apart.

    >>> _apart(0.88, 0.8812), _apart(0.88, 0.88004), _apart(None, 0.5)
    (('0.88', '0.8812'), ('0.88', '0.88004'), ('undefined', '0.5'))
    """
    for digits in range(4, 18):
        texts = tuple("undefined" if each is None else f"{each:.{digits}g}" for each in (value, other))
        if texts[0] != texts[1] or value == other:
            break
    return texts[0], texts[1]


def _metric(values: Mapping[str, Any], name: str, where: str) -> float | None:
    there = [k for k, v in values.items() if isinstance(v, int | float | None) and not k.endswith(("_low", "_high"))]
    if name not in there:
        expected = ", ".join(there) or "none"
        raise ConfigError(f"{where}{name!r} is not in metrics.json; expected one of: {expected}", key="gate.metric")
    return None if values[name] is None else float(values[name])
