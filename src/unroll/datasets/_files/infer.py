"""From a first look at a file to a block that leaves nothing open. A pure function: the same look, the same block."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unroll.datasets._files import cells, clock, times
from unroll.datasets._files.cells import USUAL_MISSING, Marks
from unroll.datasets._files.columns import Column
from unroll.datasets._files.config import FilesConfig, Scalar, SourceSplit, Table, TimeColumns
from unroll.datasets._files.labelled import USUAL_PARTS
from unroll.datasets._files.labels import text_of
from unroll.datasets._files.look import Look
from unroll.datasets._files.rows import require_columns
from unroll.errors import DataError
from unroll.reading import Reading

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
LABELS = ("label", "class", "sentiment", "category", "target", "polarity", "y", "labels", "classes")
TEXTS = ("text", "tweet", "sentence", "review", "message", "content", "comment", "body", "title")
PAIRS = (("source", "target"), ("src", "tgt"), ("question", "answer"), ("input", "output"), ("prompt", "completion"))
START, STEP = "2000-01-01T00:00:00", "1h"
"""Of rows without a time: any will do, as long as it is regular."""
FEW_LABELS = 50
"""Distinct values of a column that may be the label without being told, and a fifth of the rows."""


@dataclass(frozen=True)
class Inferred:
    """A block with everything filled in.

    ``told`` says what was found, a line a key. ``proposals`` are keys that would change what is learned from, with a
    reason each: nothing takes them by itself, a person does.
    """

    config: FilesConfig
    told: Sequence[str] = ()
    proposals: Mapping[str, tuple[Any, str]] = field(default_factory=dict)


def infer(look: Look, config: FilesConfig) -> Inferred:
    """Fill in what ``config`` leaves open; raises DataError where the file does not tell, or lacks a named column."""
    require_columns(look.file, look.columns, _named(config))
    table = config.kind
    missing = _missing(look, config)
    marks = Marks.of(missing, look.reading.decimal, config.thousands)
    seen = {name: Column.of(name, look.frame[name], marks) for name in look.columns}
    found = dict(_INFER[table](_Seen(look, config, seen, marks)))
    proposals = dict(_proposals(look, config, seen, found)) if table == "series" else {}
    if table in ("series", "labelled_series", "labelled_text"):
        found["missing"] = missing
    found = {"table": table, **look.reading.model_dump(exclude_none=True), **found}
    fresh = {key: value for key, value in found.items() if _is_open(config, key) and value is not None}
    filled = config.model_copy(update=fresh)
    told = [_written(look.reading, config)] if set(fresh) & set(_WRITTEN) else []
    told += [f"{key}: {_shown(value)}" for key, value in fresh.items() if key not in Reading.model_fields and value]
    if table in ("series", "labelled_series") and not isinstance(config.values, tuple):
        told += _unused(seen, filled)
    return Inferred(filled, told, proposals)


def _unused(seen: Mapping[str, Column], filled: FilesConfig) -> list[str]:
    """The columns that nothing reads, and why, in one line."""
    used = set(_named(filled))
    left = [column for column in seen.values() if column.name not in used and not column.is_empty]
    named = [f"{column.name} ({_why_unused(column)})" for column in left]
    return [f"not used: {_shown(named)}"] if named else []


def _why_unused(column: Column) -> str:
    if column.is_numeric and column.counts_rows:
        return "it numbers the rows"
    return f"{100 * column.missing_share:.0f} % missing" if column.is_numeric else "no numbers"


_WRITTEN = ("format", "delimiter", "encoding", "decimal", "header", "label_place")


def _written(reading: Reading, config: FilesConfig) -> str:
    """How the bytes are read, in one line, as far as that was found by looking."""
    open_keys = [key for key in _WRITTEN if getattr(config, key) is None and getattr(reading, key) is not None]
    return ", ".join(f"{key}: {_shown(getattr(reading, key))}" for key in open_keys)


@dataclass(frozen=True)
class _Seen:
    look: Look
    config: FilesConfig
    columns: Mapping[str, Column]
    marks: Marks

    def free(self, *taken: str | None) -> list[Column]:
        """Columns that are filled and have no other part to play."""
        config = self.config
        used = {config.site, config.label, config.text, config.group, config.source, config.target, *taken}
        used |= {config.split.column if config.split else None, *(config.categories or ()), *(config.static or ())}
        return [column for name, column in self.columns.items() if name not in used and not column.is_empty]


def _named(config: FilesConfig) -> list[str]:
    """Columns that the block names."""
    time = config.time
    several = [config.values if config.values != "all" else (), config.categories, config.static]
    one = [config.site, config.label, config.text, config.source, config.target, config.group]
    split = config.split.column if config.split else None
    timed = times.columns(time) if isinstance(time, TimeColumns) else (time,) if time else ()
    every = [*timed, *one, split, *(name for names in several for name in names or ()), *config.units]
    return [name for name in every if name is not None]


def _is_open(config: FilesConfig, key: str) -> bool:
    given = getattr(config, key)
    if key == "time":
        return isinstance(given, str) or "time" not in config.model_fields_set or _lacks_formats(given)
    return given is None or (key == "values" and given == "all")


def _lacks_formats(time: Any) -> bool:
    return isinstance(time, TimeColumns) and not time.formats


def _missing(look: Look, config: FilesConfig) -> tuple[Scalar, ...]:
    """The markers given, or the usual words among the cells."""
    if config.missing is not None:
        return config.missing
    if config.kind not in ("series", "labelled_series"):
        return ()
    import pyarrow as pa
    import pyarrow.compute as pc

    usual = pa.array(USUAL_MISSING, pa.large_string())
    there: set[str] = set()
    for name in look.columns:
        said = cells.words(look.frame[name])
        there |= set(said.filter(pc.is_in(said, value_set=usual)).to_pylist())
    return tuple(word for word in USUAL_MISSING if word in there)


def _series(seen: _Seen) -> Iterator[tuple[str, Any]]:
    config, look = seen.config, seen.look
    time = _time(seen)
    yield "time", time
    timed = set(times.columns(time)) if time else set()
    if time is None:
        yield from (("start", START), ("step", STEP))
    names = {name.strip().lower(): name for name in reversed(look.columns)}
    site = config.site or next((names[name] for name in SITES if name in names and names[name] not in timed), None)
    yield "site", site
    free = seen.free(site, *timed)
    values = [column.name for column in free if column.is_numeric and not column.counts_rows]
    if config.values is None:
        values = [name for name in values if seen.columns[name].missing_share <= config.max_missing_share]
    if not values and config.values in (None, "all"):
        raise DataError(f"{look.file}: no column of numbers beside the time; expected one (data.values names them)")
    yield "values", tuple(values)
    chosen = values if config.values in (None, "all") else config.values or ()
    yield "categories", tuple(column.name for column in free if column.is_category and column.name not in chosen)
    if time is not None and config.step is None and config.resample is None:
        yield "step", _step(look, time, site)


def _time(seen: _Seen) -> TimeColumns | None:
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
            f"{look.file}, column {'+'.join(names)}: {shown!r} is spelt in no usual way; expected data.time.formats, "
            "such as %d/%m/%Y %H:%M"
        )
    return given.model_copy(update={"formats": formats})


def _step(look: Look, time: TimeColumns, site: str | None) -> str | None:
    """The most frequent difference between neighbouring rows, as a block has it."""
    us_N, _ = times.read(look.frame, time)
    sites_N = np.array(cells.words(look.frame[site]).to_pylist(), dtype=object) if site else np.zeros(len(us_N))
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


def _labelled_series(seen: _Seen) -> Iterator[tuple[str, Any]]:
    look, config = seen.look, seen.config
    split = _split_column(seen)
    label = config.label or _named_label(seen, split)
    if label is None and look.reading.header is False:
        label = look.columns[0]
    label = label or _likely_label(seen, split)
    yield "label", label
    yield "split", SourceSplit(column=split) if split and config.split is None else None
    values = [column.name for column in seen.free(label, split) if column.is_numeric]
    first = next(iter(seen.columns.values()))
    values = [name for name in values if not (name == first.name and first.counts_rows)]
    empty = [name for name, column in seen.columns.items() if column.is_empty]
    yield "values", tuple(name for name in look.columns if name in {*values, *empty})
    if not values:
        raise DataError(f"{look.file}: no column of numbers beside the label; expected the values of a series")


def _labelled_text(seen: _Seen) -> Iterator[tuple[str, Any]]:
    split = _split_column(seen)
    text = seen.config.text or _text(seen, split)
    yield "text", text
    yield "split", SourceSplit(column=split) if split and seen.config.split is None else None
    yield "label", seen.config.label or _named_label(seen, split, text) or _likely_label(seen, split, text)


def _plain_text(seen: _Seen) -> Iterator[tuple[str, Any]]:
    yield "text", seen.config.text or _text(seen, None)


def _pairs(seen: _Seen) -> Iterator[tuple[str, Any]]:
    config, look = seen.config, seen.look
    names = {name.strip().lower(): name for name in reversed(look.columns)}
    pair = next(((names[s], names[t]) for s, t in PAIRS if s in names and t in names), None)
    free = [column.name for column in seen.free()]
    if pair is None and len(free) == 2 and not (config.source or config.target):
        pair = free[0], free[1]
    for key, found in zip(("source", "target"), pair or (None, None), strict=True):
        if getattr(config, key) is None and found is None:
            raise DataError(
                f"{look.file}: no column of {key}s among {', '.join(look.columns)}; expected data.{key} to name it"
            )
        yield key, found


_INFER: dict[Table, Callable[[_Seen], Iterator[tuple[str, Any]]]] = {
    "series": _series,
    "labelled_series": _labelled_series,
    "labelled_text": _labelled_text,
    "text": _plain_text,
    "pairs": _pairs,
}


def _by_name(columns: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The column of a wanted name, or else the shortest that holds one as a word of it, such as airline_sentiment."""
    names = {name.strip().lower(): name for name in reversed(columns)}
    exact = next((names[name] for name in wanted if name in names), None)
    if exact:
        return exact
    parts = [(len(one), one) for one in names for name in wanted if len(name) > 2 and name in re.split(r"[^a-z]+", one)]
    return names[min(parts)[1]] if parts else None


def _text(seen: _Seen, split: str | None) -> str:
    columns = seen.free(split)
    named = _by_name([column.name for column in columns if not column.is_numeric], TEXTS)
    if named or not columns:
        return named or seen.look.columns[0]
    return max(columns, key=lambda column: column.mean_length).name


def _few(seen: _Seen, *taken: str | None) -> list[Column]:
    """Columns of few distinct values."""
    return [c for c in seen.free(*taken) if c.distinct <= FEW_LABELS and c.distinct <= max(c.rows // 5, 2)]


def _named_label(seen: _Seen, *taken: str | None) -> str | None:
    """A column of few distinct values whose name says that it is the label."""
    return _by_name([column.name for column in _few(seen, *taken)], LABELS)


def _likely_label(seen: _Seen, *taken: str | None) -> str:
    """The one column of few distinct values; raises DataError where several are as likely, or none is."""
    few = [column for column in _few(seen, *taken) if column.distinct > 1]
    whole = [
        c.name
        for c in few
        if c.numeric_share in (0.0, 1.0) and (np.round(c.number_N) == c.number_N).sum() in (0, c.filled)
    ]
    if len(whole) == 1:
        return whole[0]
    seen_as = f"{', '.join(whole[:8])} could be it" if whole else "no column of few distinct values"
    raise DataError(f"{seen.look.file}: which column is the label? {seen_as}; expected data.label to name it")


def _split_column(seen: _Seen) -> str | None:
    """The column given, or one named split whose values are parts."""
    if seen.config.split is not None:
        return seen.config.split.column
    name = next((name for name in seen.look.columns if name.strip().lower() in ("split", "subset")), None)
    if name is None:
        return None
    distinct = {text_of(value).lower() for value in seen.look.frame[name].dropna().unique()}
    return name if distinct and distinct <= set(USUAL_PARTS) else None


def _proposals(
    look: Look, config: FilesConfig, seen: Mapping[str, Column], found: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[Any, str]]]:
    """What a person may want for a series: markers of missing values, sorting."""
    values = config.values if isinstance(config.values, tuple) else found["values"]
    markers = {name: marker for name in values if (marker := seen[name].marker()) is not None}
    if markers:
        name, number = next(iter(markers.items()))
        share = float((seen[name].number_N == np.float32(number)).mean())
        why = f"{number:g} stands in {100 * share:.0f} % of the rows of {name}, far below all others"
        given = [*(config.missing or ()), *sorted({int(marker) for marker in markers.values()})]
        yield "missing", (given, why)
    time = found["time"]
    if time is not None and not config.sort and found.get("site") is None and config.resample is None:
        us_N, _ = times.read(look.frame, time)
        step = np.diff(us_N[us_N != times.NONE])
        if len(step) and (step < 0).mean() > 0.01:
            yield "sort", (True, f"time runs backwards in {100 * float((step < 0).mean()):.0f} % of the first rows")


def _shown(value: Any) -> str:
    if isinstance(value, TimeColumns):
        names = " + ".join(times.columns(value))
        zone = "" if value.timezone == "UTC" else f", {value.timezone}"
        return f"{names} as {' or '.join(value.formats)}{zone}"
    if isinstance(value, tuple | list):
        shown = [repr(one) if one in ("", " ") else str(one) for one in value]
        return ", ".join(shown[:12]) + (f", … ({len(shown)})" if len(shown) > 12 else "")
    return repr(value) if isinstance(value, str) and not value.strip() else str(value)
