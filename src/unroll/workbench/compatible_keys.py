"""Keys that are laid over a block of parameters: which of the block's own no longer fit, and what else is needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from unroll.core.config import Config, DisagreementError

MOST_ROUNDS = 20
"""Of adding what is missing: more than a block has rules."""


@dataclass(frozen=True)
class Fitted:
    """A block of keys and values, and the keys that another one had and it has not, since they do not fit."""

    block: dict[str, Any]
    left_out: tuple[str, ...]


def laid_over(kind: type[Config], own: Mapping[str, Any], given: Mapping[str, Any]) -> Fitted:
    """The block ``own`` with the keys ``given``, and without those of its own keys that do not go with them.

    The block may be faulty all the same: where keys of ``given`` are, or where some are missing.

    >>> from unroll.problems.forecasting import PROBLEM
    >>> layers = {"cell": "lstm", "hidden": 8, "layers": 1, "dropout": 0.0}
    >>> own = {**layers, "head": "quantiles", "quantiles": [0.1, 0.5, 0.9]}
    >>> laid_over(PROBLEM.Model, own, {"head": "value"}).left_out
    ('quantiles',)
    """
    block, left_out = {**own, **given}, list[str]()
    while unfit := [key for key in dict.fromkeys(_unfit(kind, block)) if key in block and key not in given]:
        left_out += unfit
        for key in unfit:
            del block[key]
    return Fitted(block, tuple(left_out))


def completed(kind: type[Config], own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any] | None:
    """``given`` with all that must stand beside it, so that it can be laid over ``own``; None where nothing helps.

    What is missing begins with the values that the rule or the key itself has as an example.
    """
    whole = dict(given)
    for _ in range(MOST_ROUNDS):
        block = laid_over(kind, own, whole).block
        faults = _faults(kind, block)
        if not faults:
            return whole
        missing = {key: value for fault in faults for key, value in _missing(kind, fault) if key not in whole}
        if not missing:
            return None
        whole |= missing
    return None


def _faults(kind: type[Config], block: Mapping[str, Any]) -> list[Any]:
    try:
        kind.model_validate(dict(block))
    except ValidationError as error:
        return list(error.errors())
    return []


def _unfit(kind: type[Config], block: Mapping[str, Any]) -> Iterator[str]:
    """Keys without which a block may be better."""
    for fault in _faults(kind, block):
        if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
            yield str(fault["loc"][0])
        elif rule := _rule(fault):
            yield from rule.left_out


def _missing(kind: type[Config], fault: Any) -> Iterator[tuple[str, Any]]:
    """Keys that would mend a fault, each with a value to begin with."""
    if rule := _rule(fault):
        yield from rule.given.items()
    elif fault["type"] == "missing" and len(fault["loc"]) == 1:
        key = str(fault["loc"][0])
        if (field := kind.field(key)) and field.examples:
            yield key, field.examples[0]


def _rule(fault: Any) -> DisagreementError | None:
    error = fault.get("ctx", {}).get("error")
    return error if isinstance(error, DisagreementError) and not fault["loc"] else None
