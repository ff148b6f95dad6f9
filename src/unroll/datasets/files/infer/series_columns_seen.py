"""Which columns of a first look are time, site, numbers and words of a series, and what its step is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from unroll.core.errors import DataError, MissingColumnError
from unroll.datasets.files.columns import clock, parsing, times
from unroll.datasets.files.columns.column import Column
from unroll.datasets.files.columns.ends import Marker
from unroll.datasets.files.config import FilesConfig, TimeColumns
from unroll.datasets.files.first_look import Look
from unroll.datasets.files.infer.seen import Seen

SITES = (
    "site",
    "station",
    "sensor",
    "location",
    "device",
    "city",
    "place",
    "series",
    "series_id",
    "unique_id",
    "item_id",
)
TWICE, MOST_AT_ONCE = 0.2, 0.8
"""Share of times that must come again before a column of sites is looked for, and of its values at each time."""
START, STEP = "1970-01-01T00:00:00", "1s"
"""Of rows without a time: their numbers are their seconds since 1970, and nobody takes those for a day of theirs."""


class NoNumbersError(MissingColumnError):
    """No column can be forecast; ``seen`` is what every column looked like."""

    def __init__(self, message: str, seen: Seen) -> None:
        super().__init__(message, file=seen.look.file, available=seen.look.columns)
        self.seen = seen


def infer(seen: Seen) -> Iterator[tuple[str, Any]]:
    """Keys of the block with what they are, None where nothing tells."""
    config, look = seen.config, seen.look
    time = _time(seen)
    yield "time", time
    timed = set(times.columns(time)) if time else set()
    if time is None:
        yield from (("start", START), ("step", STEP))
    names = {name.strip().lower(): name for name in reversed(look.columns)}
    site = config.site or next((names[name] for name in SITES if name in names and names[name] not in timed), None)
    if site is None and time is not None and config.resample is None:
        site = _group(seen, time)
    yield "site", site
    free = seen.free(site, *timed)
    numeric = [column for column in free if column.is_numeric]
    values = [column.name for column in numeric if not column.counts_rows] or [column.name for column in numeric]
    if config.values is None:
        values = [name for name in values if seen.columns[name].missing_share <= config.max_missing_share]
    if not values and config.values in (None, "all"):
        nearest = max(free, key=lambda column: column.numeric_share, default=None)
        odd = look.odd(nearest.name, seen.marks) if nearest is not None and nearest.numeric_share > 0 else ""
        shown = f": column {nearest.name}, {odd}" if nearest is not None and odd else ""
        message = f"no column of numbers beside the time{shown}; expected one (data.values names them)"
        raise NoNumbersError(message, seen)
    yield "values", tuple(values)
    chosen = values if config.values in (None, "all") else config.values or ()
    yield "categories", tuple(column.name for column in free if column.is_category and column.name not in chosen)
    if time is not None and config.step is None and config.resample is None:
        yield "step", _step(look, time, site)


def _group(seen: Seen, time: TimeColumns) -> str | None:
    """The column that tells the rows of one time apart: of few words, else whole numbers, nearly all at each time."""
    us_N, _ = times.read(seen.look.frame, time)
    at_once = len(us_N) / max(len(np.unique(us_N)), 1)
    if at_once < 1 + TWICE:
        return None
    for column in sorted(seen.free(*times.columns(time)), key=lambda column: not column.is_category):
        said = np.array(parsing.words(seen.look.frame[column.name]).to_pylist(), dtype=object)
        whole = column.is_category or bool((np.round(column.number_N) == column.number_N).all())
        few = column.filled == column.rows and 1 < column.distinct <= at_once / MOST_AT_ONCE
        if whole and few and len(set(zip(us_N.tolist(), said.tolist(), strict=True))) == len(us_N):
            return column.name
    return None


def _time(seen: Seen) -> TimeColumns | None:
    config, look = seen.config, seen.look
    given = TimeColumns(columns=config.time) if isinstance(config.time, str) else config.time
    if given is None:
        return None if "time" in config.model_fields_set else clock.find(look.frame, look.columns)
    names = times.columns(given)
    formats = given.formats or clock.spelt(look.frame, names, epochs=True)
    if not formats and (named := clock.find(look.frame[list(names)], names)) is not None:
        formats = named.formats
    if not formats:
        shown = next((cell for cell in times.joined(look.frame, names).to_pylist() if cell), "")
        raise DataError(
            f"{look.file}, column {'+'.join(names)}: {shown!r} is not in a usual format; expected data.time.formats, "
            "such as %d/%m/%Y %H:%M"
        )
    return given.model_copy(update={"formats": formats})


def _step(look: Look, time: TimeColumns, site: str | None) -> str | None:
    """The most frequent difference between neighbouring rows, as a block has it."""
    us_N, _ = times.read(look.frame, time)
    sites_N = np.array(parsing.words(look.frame[site]).to_pylist(), dtype=object) if site else np.zeros(len(us_N))
    steps: list[int] = []
    for name in set(sites_N.tolist()):
        own = us_N[(sites_N == name) & (us_N != times.NONE)]
        steps += np.diff(own).tolist()
    good, counts = np.unique([step for step in steps if step >= 1_000_000], return_counts=True)
    if not len(good):
        return None
    best_s = int(good[np.argmax(counts)]) // 1_000_000
    unit, size = next((u, s) for u, s in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)) if best_s % s == 0)
    return f"{best_s // size}{unit}"


def proposals(
    look: Look, config: FilesConfig, seen: Mapping[str, Column], inferred: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[Any, Sequence[object]]]]:
    """What a person may want for a series: markers of missing values, sorting; each with its reasons."""
    values = config.values if isinstance(config.values, tuple) else inferred["values"]
    if markers := _markers([seen[name] for name in values]):
        numbers = sorted({plain_number(marker.number) for marker in markers})
        yield "missing", ([*(config.missing or ()), *numbers], markers)
    time = inferred["time"]
    if time is not None and not config.sort and inferred.get("site") is None and config.resample is None:
        us_N, _ = times.read(look.frame, time)
        step = np.diff(us_N[us_N != times.NONE])
        if len(step) and (step < 0).mean() > 0.01:
            yield "sort", (True, [f"time runs backwards in {100 * float((step < 0).mean()):.0f} % of the first rows"])


def _markers(columns: Sequence[Column]) -> list[Marker]:
    """What may mark missing values in the rows of the first look.

    A marker counts for all columns: what is an ordinary number in one of them, such as 999 hPa, is not a marker.
    """
    markers = [(column, marker) for column in columns for marker in column.markers()]
    marked = {marker for _, marker in markers}
    ordinary = {marker for marker in marked for column in columns if column.has_within(marker)}
    return [
        Marker(column.name, marker, int((column.number_N == np.float32(marker)).sum()), column.rows)
        for column, marker in markers
        if marker not in ordinary
    ]


def plain_number(number: float) -> float | int:
    """A number as a block has it: whole ones without a point, others as short as they were.

    >>> plain_number(-200.0), plain_number(float(np.float32(999.9)))
    (-200, 999.9)
    """
    return int(number) if number == int(number) else float(f"{number:.6g}")
