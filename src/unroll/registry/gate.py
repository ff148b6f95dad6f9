"""What a model must show before it may be used: threshold, baselines, and where there is one, the champion."""

import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from unroll.core.config import GateConfig
from unroll.core.errors import ConfigError
from unroll.registry.challenge import Duel

Alias = Literal["champion", "challenger"]


@dataclass(frozen=True)
class Verdict:
    """Whether a model passed its gate, and why."""

    passed: bool
    reason: str
    metric: str
    value: float | None
    threshold: float
    direction: Literal["higher", "lower"]
    margin: float
    confidence: float
    baselines: Mapping[str, float | None]
    alias: Alias
    """What the model carries: the gate's decision, unless a person has decided otherwise."""
    duel: Duel | None = None
    """Against the champion that there was; None for a first model, or one that fell before."""
    champion: int | None = None
    """The version in use once this verdict stands."""
    version: int | None = None
    """Of the registered model, once there is one."""

    def after(self, duel: Duel) -> "Verdict":
        """What becomes of a model that passed, by its duel with the champion."""
        if duel.outcome in ("better", "not better"):
            told = f"{duel.outcome} than champion {duel.champion}: {duel.reason}"
        else:
            what = {"rows differ": "cannot be compared", "not loaded": "cannot be loaded"}[duel.outcome]
            told = (
                f"champion {duel.champion} {what}: {duel.reason}; nothing is promoted, unroll registry promote or "
                "rollback puts a version in use by hand"
            )
        if duel.outcome == "better":
            return replace(self, reason=f"{self.reason}; {told}", duel=duel)
        return self.refused(told, duel)

    def refused(self, reason: str, duel: Duel | None = None) -> "Verdict":
        """It stays challenger for that reason."""
        return replace(self, passed=False, alias="challenger", reason=reason, duel=duel)

    def asks(self) -> dict[str, Any]:
        """What was held against what, before any champion: as long as this is the same, the verdict may stand."""
        names = ("metric", "value", "threshold", "direction", "margin", "confidence", "baselines")
        return {name: asdict(self)[name] for name in names}


def judge(metrics: Mapping[str, Any], gate: GateConfig) -> Verdict:
    """Hold the test metrics of ``metrics.json`` against threshold and baselines.

    The metric must reach the threshold (equal is enough) and beat each baseline (equal is not); one that is undefined
    (null) does neither. Raises ConfigError where the gate names a metric or a baseline that is not there.
    """
    value = _metric(metrics["test"], "gate.metric", gate.metric)
    baselines = {}
    for name in gate.baselines:
        if name not in metrics["baselines"]:
            there = ", ".join(metrics["baselines"]) or "none"
            raise ConfigError(f"gate.baselines: {name!r} is not in metrics.json; expected one of: {there}")
        baselines[name] = _metric(metrics["baselines"][name], f"gate.metric: baseline {name}", gate.metric)
    higher = gate.direction == "higher"
    reaches, beats = (operator.ge, operator.gt) if higher else (operator.le, operator.lt)
    sign = "≥" if higher else "≤"
    faults, merits = [], []
    found, asked = _apart(value, gate.threshold)
    if value is not None and reaches(value, gate.threshold):
        merits.append(f"{gate.metric} {found} {sign} {asked}")
    else:
        faults.append(f"{gate.metric} {found}, {sign} {asked} is asked")
    for name, other in baselines.items():
        found, reached = _apart(value, other)
        if value is not None and other is not None and beats(value, other):
            merits.append(f"better than {name} {reached}")
        else:
            faults.append(f"{gate.metric} {found} does not beat {name} {reached}")
    return Verdict(
        passed=not faults,
        reason="; ".join(faults or merits),
        metric=gate.metric,
        value=value,
        threshold=gate.threshold,
        direction=gate.direction,
        margin=gate.margin,
        confidence=gate.confidence,
        baselines=baselines,
        alias="challenger" if faults else "champion",
    )


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


def _metric(values: Mapping[str, Any], key: str, name: str) -> float | None:
    there = [k for k, v in values.items() if isinstance(v, int | float | None) and not k.endswith(("_low", "_high"))]
    if name not in there:
        raise ConfigError(f"{key}: {name!r} is not in metrics.json; expected one of: {', '.join(there) or 'none'}")
    return None if values[name] is None else float(values[name])
