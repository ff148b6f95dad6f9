"""What all rows ask of a block and the first ones did not show: times spelt in another way, markers that begin late."""

from collections.abc import Collection
from typing import Any, NamedTuple

from unroll.datasets.files import Plan
from unroll.datasets.files.columns import clock
from unroll.datasets.files.columns.ends import Marker
from unroll.datasets.files.config import TimeColumns, plain
from unroll.datasets.files.infer.series_columns_seen import plain_number
from unroll.workbench.new.survey import Survey

PASSES = 3
"""How often files are read again for what the pass before has found: one marker may hide another."""
SHOWN = 4


class Beyond(NamedTuple):
    """Keys of the ``data`` block with other values, and the reason of each; empty where the block has all."""

    keys: dict[str, Any]
    whys: dict[str, str]


def look(plan: Plan, survey: Survey, given: Collection[str]) -> Beyond:
    """What a pass has shown; keys that are ``given``, such as ``data.missing``, stay as they are."""
    keys, whys = dict[str, Any](), dict[str, str]()
    time = plan.config.time
    if isinstance(time, TimeColumns) and survey.watch.times and "data.time" not in given:
        unread = set(survey.found.get("formats_not_there", ()))
        if new := clock.further(survey.watch.times, time.formats):
            first = [form for form in time.formats if form not in unread]
            formats = [*first, *new, *(form for form in time.formats if form in unread)]
            keys["time"] = {**plain(plan.config)["time"], "formats": formats}
            whys["time"] = f"{', '.join(new)} as in {survey.watch.first_time}"
    if "data.missing" not in given and plan.config.kind in ("series", "labelled_series"):
        markers, words = _markers(plan, survey), survey.watch.words
        told = [
            *(f"{word} stands at first in {where}" for word, where in words.items()),
            *(
                f"{one.number:.6g} stands in {one.cells:,} of {one.numbers:,} rows of {one.column}, at first in "
                f"{one.where}, far {one.side} all others"
                for one in markers
            ),
        ]
        if told:
            numbers = sorted({plain_number(one.number) for one in markers})
            keys["missing"] = [*(plan.config.missing or ()), *words, *numbers]
            whys["missing"] = "; ".join(told[:SHOWN]) + ("; …" if len(told) > SHOWN else "")
    return Beyond(keys, whys)


def _markers(plan: Plan, survey: Survey) -> list[Marker]:
    """Numbers that may stand for missing values; none that is an ordinary one in the first rows of another column."""
    columns = [plan.inferred.columns[name] for name in plan.config.values or () if name in plan.inferred.columns]
    found = survey.watch.ends.markers()
    return [marker for marker in found if not any(column.has_within(marker.number) for column in columns)]
