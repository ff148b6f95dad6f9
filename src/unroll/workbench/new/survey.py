"""All rows of a block's files, read once: how many there are, how many cannot be used and why, and facts of them.

What they ask of the block that the first rows did not show follows from these.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from unroll.core.errors import DataError
from unroll.datasets.common.base import Rejected
from unroll.datasets.files import Plan
from unroll.datasets.files.columns import clock
from unroll.datasets.files.columns.ends import Marker
from unroll.datasets.files.columns.watch import Watch
from unroll.datasets.files.config import TimeColumns, plain
from unroll.datasets.files.infer.series_columns_seen import plain_number

SPARE = 1.5
"""How many times the rows set aside now may be set aside later."""
FEW = 0.03
"""Share of rows set aside up to which a block makes room for them by itself: for a twentieth of all rows at most."""
MOST_ASIDE = 0.5
KINDS, OTHER = 100, ("", "")
"""Columns and reasons that are told apart, and what stands for further ones."""
PASSES = 3
"""How often files are read again for what the pass before has shown: one marker may hide another."""


@dataclass
class Reason:
    """Rows that are set aside for one reason: how many, and the first."""

    first: Rejected
    rows: int = 0


@dataclass
class Survey:
    """What a whole pass came to; ``watch`` saw all of it."""

    rows: int = 0
    aside: int = 0
    reasons: dict[tuple[str, str], Reason] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)

    @property
    def aside_share(self) -> float:
        """Share of the rows that cannot be used."""
        return self.aside / max(self.rows + self.aside, 1)

    @property
    def allowance(self) -> float:
        """A share of rows to be set aside that these files keep to, with something to spare."""
        return round(min(self.aside_share * SPARE + 0.005, 1.0), 2)

    @property
    def first_aside(self) -> str:
        """The first row that cannot be used; empty where all can."""
        return next(iter(self.reasons.values())).first.text() if self.reasons else ""

    def refuse(self, rejected: Sequence[Rejected]) -> None:
        """Count rows that cannot be used, each by its column and reason."""
        self.aside += len(rejected)
        for row in rejected:
            kind = (row.column, row.reason)
            known = kind in self.reasons or len(self.reasons) < KINDS
            self.reasons.setdefault(kind if known else OTHER, Reason(row)).rows += 1

    def require_usable(self) -> None:
        """Raise DataError where half of the rows cannot be used, or there are none."""
        if self.aside_share > MOST_ASIDE or not self.rows:
            raise DataError(
                f"{self.aside:,} of {self.rows + self.aside:,} rows cannot be used; the first: "
                f"{self.first_aside or 'there is none'}"
            )

    def later(self, plan: Plan, given: Collection[str]) -> tuple[dict[str, Any], dict[str, list[object]]]:
        """Keys of the ``data`` block that all rows ask for with other values, and the reasons of each.

        Keys that are ``given``, such as ``data.missing``, stay as they are.
        """
        keys, whys, time = dict[str, Any](), dict[str, list[object]](), plan.config.time
        if isinstance(time, TimeColumns) and self.watch.times and "data.time" not in given:
            unread = set(self.facts.get("formats_not_there", ()))
            if new := clock.further(self.watch.times, time.formats):
                first = [form for form in time.formats if form not in unread]
                formats = [*first, *new, *(form for form in time.formats if form in unread)]
                keys["time"] = {**plain(plan.config)["time"], "formats": formats}
                whys["time"] = [f"{', '.join(new)} as in {self.watch.first_time}"]
        if "data.missing" not in given and plan.config.kind in ("series", "labelled_series"):
            markers, words = self._markers(plan), self.watch.words
            if markers or words:
                numbers = sorted({plain_number(marker.number) for marker in markers})
                keys["missing"] = [*(plan.config.missing or ()), *words, *numbers]
                whys["missing"] = [*(f"{word} stands at first in {where}" for word, where in words.items()), *markers]
        return keys, whys

    def _markers(self, plan: Plan) -> list[Marker]:
        """Numbers that may stand for missing values; none that is ordinary in the first rows of another column."""
        columns = [plan.inferred.columns[name] for name in plan.config.values or () if name in plan.inferred.columns]
        markers = self.watch.ends.markers()
        return [marker for marker in markers if not any(column.has_within(marker.number) for column in columns)]
