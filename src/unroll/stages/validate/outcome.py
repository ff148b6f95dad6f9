"""The outcome of a validation, as plain data and in words. Nothing here knows how it was judged."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from unroll.core.expectation import Severity
from unroll.datasets.common.base import Rejected

SHOWN = 5
"""Rows quoted in a message and in a report; all refused rows are in ``rows.csv``."""


@dataclass(frozen=True)
class Outcome:
    """How one expectation came out, in values that JSON can hold.

    ``set_aside``: its failing rows were refused and the rest meets it, so it did not fail. ``unexpected`` counts the
    rows against it among the ``judged`` ones; ``rows`` (places in the table, from 1) and ``values`` are the first
    few of them. ``observed`` is what an expectation on a whole column or table saw, ``error`` why it could not be
    judged at all.
    """

    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    reason: str
    success: bool
    set_aside: bool
    judged: int
    unexpected: int
    share: float
    rows: Sequence[int]
    values: Sequence[Any]
    observed: Any
    error: str

    @property
    def failed(self) -> bool:
        """It counts against the data."""
        return not self.success and not self.set_aside

    def text(self) -> str:
        """One line: column, reason, number of rows, what was expected, what was found and where."""
        names = columns(self.kwargs)
        parts = [f"column {', '.join(map(repr, names))}"] if names else []
        parts += [self.reason] if self.reason else []
        parts += [f"{self.unexpected:,} of {self.judged:,} rows"] if self.unexpected else []
        if self.error:
            ending = f"; cannot be judged: {self.error}"
        elif self.rows:
            shown = [f"row {row}: {_short(value)}" for row, value in zip(self.rows, self.values, strict=True)]
            ending = "; " + ", ".join(shown) + (", …" if self.unexpected > len(shown) else "")
        else:
            ending = "" if self.observed is None else f"; found {_short(self.observed)}"
        return ": ".join([*parts, f"expected {expected(self.type, self.kwargs)}{ending}"])


@dataclass(frozen=True, eq=False)
class Report:
    """What a suite found in a table of ``len(refused)`` rows: ``refused`` marks those to set aside, ``rejected`` says
    of each why, by the first expectation that it failed."""

    title: str
    outcomes: Sequence[Outcome]
    refused: np.ndarray
    rejected: Sequence[Rejected]

    def failed(self, severity: Severity) -> list[Outcome]:
        """The failures of one severity, in the suite's order."""
        return [outcome for outcome in self.outcomes if outcome.failed and outcome.severity == severity]

    def failures(self) -> list[str]:
        """All failures in words, critical ones first."""
        return [f"{each.severity}: {each.text()}" for each in (*self.failed("critical"), *self.failed("warning"))]

    def summary(self) -> dict[str, Any]:
        """Numbers and booleans for DVC metrics; lists, which DVC passes over, for people."""
        critical, warning = len(self.failed("critical")), len(self.failed("warning"))
        return {
            "success": not critical,
            "expectations": {
                "evaluated": len(self.outcomes),
                "set_aside": sum(outcome.set_aside for outcome in self.outcomes),
                "failed": {"critical": critical, "warning": warning},
            },
            "failures": self.failures(),
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }


def share_fault(rejected: Sequence[Rejected], total: int, limit: float) -> str:
    """Why too many rows were set aside, or nothing."""
    if len(rejected) == total:
        expected = "expected some rows to be left"
    elif len(rejected) / total > limit:
        expected = f"expected at most {int(limit * total + 1e-9):,} (data.max_rejected_share {limit})"
    else:
        return ""
    shown = [row.text() for row in rejected[:SHOWN]]
    return "; ".join([f"{len(rejected):,} of {total:,} rows set aside", expected, *shown])


def columns(kwargs: Mapping[str, Any]) -> list[str]:
    """The columns that an expectation speaks about; none for one on the table's shape."""
    return [str(kwargs[key]) for key in ("column", "column_A", "column_B") if kwargs.get(key) is not None]


def expected(kind: str, kwargs: Mapping[str, Any]) -> str:
    """What an expectation asks for, in words.

    >>> expected("expect_column_values_to_be_between", {"column": "no2_ug_m3", "min_value": -5})
    'values to be between (min_value -5)'
    """
    words = kind.removeprefix("expect_").removeprefix("column_").removeprefix("table_").replace("_", " ")
    elsewhere = ("column", "column_A", "column_B", "row_condition", "condition_parser")
    bounds = [f"{key} {_short(value)}" for key, value in kwargs.items() if key not in elsewhere]
    where = f" where {kwargs['row_condition']}" if kwargs.get("row_condition") else ""
    return words + (f" ({', '.join(bounds)})" if bounds else "") + where


def plain(value: Any) -> Any:
    """``value`` as JSON has it: missing values as None, infinities as text, sets in order, times in ISO 8601.

    >>> plain({"b": np.float32(0.1), "a": float("nan"), "c": {2, 1}})
    {'b': 0.1, 'a': None, 'c': [1, 2]}
    """
    match value:
        case None | bool() | int():
            return value
        case str():
            return str(value)  # no subclass, such as numpy's
        case np.bool_() | np.integer():
            return value.item()
        case float() | np.floating():
            shortest = float(str(value))  # float32 0.1 stays 0.1
            return shortest if np.isfinite(shortest) else None if np.isnan(shortest) else str(shortest)
        case Mapping():
            return {str(key): plain(inner) for key, inner in value.items()}
        case AbstractSet():
            return sorted((plain(inner) for inner in value), key=lambda inner: (str(type(inner)), inner))
        case list() | tuple() | np.ndarray():
            return [plain(inner) for inner in value]
        case date():  # NaT is one too
            return value.isoformat() if value == value else None
        case _:
            return None if str(value) == "<NA>" else str(value)


def _short(value: Any, limit: int = 160) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
