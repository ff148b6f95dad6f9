"""What all rows ask of a block and the first ones did not show: times in another format, markers that begin late."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from unroll.datasets.files import Plan
from unroll.datasets.files.columns import clock
from unroll.datasets.files.columns.ends import Marker
from unroll.datasets.files.config import TimeColumns, plain
from unroll.datasets.files.infer.series_columns_seen import plain_number
from unroll.workbench.new.survey import Survey

PASSES = 3
"""How often files are read again for what the pass before has shown: one marker may hide another."""


@dataclass(frozen=True)
class Later:
    """Keys of the ``data`` block with other values, and the reasons of each; empty where the block has all."""

    keys: dict[str, Any] = field(default_factory=dict)
    whys: dict[str, list[object]] = field(default_factory=dict)


def look(plan: Plan, survey: Survey, given: Collection[str]) -> Later:
    """What a pass has shown; keys that are ``given``, such as ``data.missing``, stay as they are."""
    later, time = Later(), plan.config.time
    if isinstance(time, TimeColumns) and survey.watch.times and "data.time" not in given:
        unread = set(survey.facts.get("formats_not_there", ()))
        if new := clock.further(survey.watch.times, time.formats):
            first = [form for form in time.formats if form not in unread]
            formats = [*first, *new, *(form for form in time.formats if form in unread)]
            later.keys["time"] = {**plain(plan.config)["time"], "formats": formats}
            later.whys["time"] = [f"{', '.join(new)} as in {survey.watch.first_time}"]
    if "data.missing" not in given and plan.config.kind in ("series", "labelled_series"):
        markers, words = _markers(plan, survey), survey.watch.words
        if markers or words:
            numbers = sorted({plain_number(marker.number) for marker in markers})
            later.keys["missing"] = [*(plan.config.missing or ()), *words, *numbers]
            later.whys["missing"] = [*(f"{word} stands at first in {where}" for word, where in words.items()), *markers]
    return later


def _markers(plan: Plan, survey: Survey) -> list[Marker]:
    """Numbers that may stand for missing values; none that is an ordinary one in the first rows of another column."""
    columns = [plan.inferred.columns[name] for name in plan.config.values or () if name in plan.inferred.columns]
    markers = survey.watch.ends.markers()
    return [marker for marker in markers if not any(column.has_within(marker.number) for column in columns)]
