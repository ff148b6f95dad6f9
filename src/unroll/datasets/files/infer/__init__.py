"""From a first look at a file to a block that leaves nothing open. A pure function: the same look, the same block."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unroll.datasets.files.columns import parsing, times
from unroll.datasets.files.columns.column import Column
from unroll.datasets.files.columns.parsing import Marks
from unroll.datasets.files.config import FilesConfig, Scalar, Table, TimeColumns
from unroll.datasets.files.first_look import Look
from unroll.datasets.files.infer import labelled_columns, series_columns_seen
from unroll.datasets.files.infer.seen import Seen
from unroll.datasets.files.reading import NoCells, Reading, missing, numerals, require_columns


@dataclass(frozen=True)
class Inferred:
    """A block with everything filled in.

    ``notes`` say what was inferred, a line a key. ``proposals`` are keys that would change what is learned from, with
    reasons, which ``str`` turns into text: nothing takes them by itself, a person does.
    """

    config: FilesConfig
    notes: Sequence[str] = ()
    proposals: Mapping[str, tuple[Any, Sequence[object]]] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)
    left_out: Mapping[str, NoCells] = field(default_factory=dict)

    def unused(self) -> dict[str, str]:
        """The columns that nothing reads, and why."""
        used, numbers = set(named_columns(self.config)), self.config.kind in ("series", "labelled_series")
        left = {name: column for name, column in self.columns.items() if name not in used}
        unused = {
            name: _why_unused(column) if numbers or column.is_empty else "not asked for"
            for name, column in left.items()
        }
        return unused | {name: what.kind for name, what in self.left_out.items()}


def infer(look: Look, config: FilesConfig) -> Inferred:
    """Fill in what ``config`` leaves open; raises DataError where the file does not tell, or lacks a named column."""
    require_columns(look.file, look.columns, named_columns(config), look.left_out)
    table = config.kind
    missing = _missing(look, config)
    decimal, thousands = _marks(look, config, missing)
    look = replace(look, reading=look.reading.model_copy(update={"decimal": decimal}))
    marks = Marks.of(missing, decimal, thousands)
    seen = {name: Column.of(name, look.frame[name], marks) for name in look.columns}
    keys = dict(_INFER[table](Seen(look, config, seen, marks)))
    proposals = dict(series_columns_seen.proposals(look, config, seen, keys)) if table == "series" else {}
    if table in ("series", "labelled_series", "labelled_text"):
        keys["missing"] = missing
    if table in NUMBERS:
        keys["thousands"] = thousands
    keys = {"table": table, **look.reading.model_dump(exclude_none=True), **keys}
    fresh = {key: value for key, value in keys.items() if _is_open(config, key) and value is not None}
    filled = config.model_copy(update=fresh)
    notes = [_written(look.reading, config)] if set(fresh) & set(_WRITTEN) else []
    notes += [f"{key}: {_shown(value)}" for key, value in fresh.items() if key not in Reading.model_fields and value]
    inferred = Inferred(filled, notes, proposals, seen, look.left_out)
    if table in ("series", "labelled_series") and not isinstance(config.values, tuple):
        notes += [line] if (line := unused_line(inferred)) else []
    return inferred


def unused_line(inferred: Inferred) -> str:
    """The columns that nothing reads, each with the reason, in one line; empty ones say so only by their number."""
    seen = inferred.columns
    named = [
        f"{name} ({why})" for name, why in inferred.unused().items() if name not in seen or not seen[name].is_empty
    ]
    return f"not used: {_shown(named)}" if named else ""


def _why_unused(column: Column) -> str:
    if column.is_empty:
        return "empty"
    if column.is_numeric and column.counts_rows:
        return "it numbers the rows"
    if column.is_numeric and column.distinct == 1 and column.missing_share < 0.5:
        return "one value"
    if column.is_numeric:
        return f"{100 * column.missing_share:.0f} % missing" if column.missing_share >= 0.005 else "not asked for"
    if not column.numeric_share:
        return (
            f"no numbers, and {column.distinct:,} different words: no category" if column.distinct > 1 else "one word"
        )
    return f"{100 * (1 - column.numeric_share):.2g} % of its cells are not numbers"


NUMBERS = ("series", "labelled_series")
"""Tables of numbers."""
MOST_CELLS, FEWEST_ROWS = 200_000, 50
"""Cells that are looked at for how numbers are written, and rows of very wide tables."""
_WRITTEN = ("format", "delimiter", "encoding", "decimal", "header", "label_place")


def _written(reading: Reading, config: FilesConfig) -> str:
    """How the bytes are read, in one line, as far as that was found by looking."""
    open_keys = [key for key in _WRITTEN if getattr(config, key) is None and getattr(reading, key) is not None]
    return ", ".join(f"{key}: {_shown(getattr(reading, key))}" for key in open_keys)


def named_columns(config: FilesConfig) -> list[str]:
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


def _marks(look: Look, config: FilesConfig, missing: Sequence[Scalar]) -> tuple[str | None, str | None]:
    """The decimal mark and the mark of thousands: those given, or as the cells are written."""
    known = look.reading.decimal
    if config.kind not in NUMBERS or look.reading.format == "ucr" or (config.decimal and config.thousands):
        return known, config.thousands
    cells_of = look.texts(missing, max(MOST_CELLS // max(len(look.columns), 1), FEWEST_ROWS))
    columns = [cells for _, cells in cells_of]
    decimal, thousands = numerals.marks(columns, look.reading.delimiter, config.decimal, config.thousands)
    return (decimal if thousands or (known is None and decimal == ",") else known), thousands


def _missing(look: Look, config: FilesConfig) -> tuple[Scalar, ...]:
    """The markers given, or the usual words among the cells."""
    if config.missing is not None:
        return config.missing
    if config.kind not in ("series", "labelled_series"):
        return ()
    import pyarrow as pa
    import pyarrow.compute as pc

    usual = pa.array(missing.WORDS, pa.large_string())
    there: set[str] = set()
    for name in look.columns:
        said = parsing.words(look.frame[name])
        there |= set(said.filter(pc.is_in(said, value_set=usual)).to_pylist())
    return tuple(word for word in missing.WORDS if word in there)


_INFER: dict[Table, Callable[[Seen], Iterator[tuple[str, Any]]]] = {
    "series": series_columns_seen.infer,
    "labelled_series": labelled_columns.labelled_series,
    "labelled_text": labelled_columns.labelled_text,
    "text": labelled_columns.plain_text,
    "pairs": labelled_columns.pairs,
}


def _shown(value: Any) -> str:
    if isinstance(value, TimeColumns):
        names = " + ".join(times.columns(value))
        zone = "" if value.timezone == "UTC" else f", {value.timezone}"
        return f"{names} as {' or '.join(value.formats)}{zone}"
    if isinstance(value, tuple | list):
        shown = [repr(one) if one in ("", " ") else str(one) for one in value]
        return ", ".join(shown[:12]) + (f", … ({len(shown)})" if len(shown) > 12 else "")
    return repr(value) if isinstance(value, str) and not value.strip() else str(value)
