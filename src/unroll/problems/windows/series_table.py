"""A series table in long form (time, site, variables) to one regular array. Shapes: T times, F columns, S sites."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unroll.core import store
from unroll.core.errors import DataError
from unroll.problems.windows import categories as words
from unroll.problems.windows import filling

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 1 << 16


class Series(NamedTuple):
    """What the columns of ``values.npy`` are, and the times of its rows in seconds since 1970."""

    sites: list[str]
    variables: list[str]
    columns: list[str]
    seconds_T: np.ndarray
    words: list[list[str]] = []  # noqa: RUF012 - of each category, if there are any


def choose(selection: str | Sequence[str], there: Sequence[str], what: str) -> list[str]:
    """The names asked for (``all`` is every one), or DataError that says which there are."""
    if selection == "all":
        return list(there)
    names = [selection] if isinstance(selection, str) else list(selection)
    for name in names:
        if name not in there:
            raise DataError(f"{what} {name!r} is not in the table; expected one of {', '.join(there)}")
    return names


def lay_out(
    table: "pd.DataFrame",
    sites: str | Sequence[str],
    variables: str | Sequence[str],
    target: str,
    path: Path,
    categories: Sequence[str] = (),
    bridge: int = 0,
) -> Series:
    """Write ``values`` (T, F) float32 as ``.npy`` at ``path``: a column for each site and variable, time by row.

    Consumes ``table`` and writes block by block, so that neither stands in memory beside a second copy. A value that
    is not there is NaN. Raises DataError for an unknown site or variable, a row without a time, or two rows of one
    site at one time. With ``categories`` their codes (T, C) go to ``categories.npy`` beside it, a column for each site
    and category; rows that lack in time are put in where they are at most ``bridge`` in a row.
    """
    there = [str(c) for c in table.columns if c not in ("time", "site") and _is_number(table[c])]
    names = choose(variables, there, "column")
    if target not in names:
        raise DataError(f"target {target!r} is not among the variables; expected one of {', '.join(names)}")
    categorical = choose(categories, [str(c) for c in table.columns if c not in ("time", "site", *there)], "category")
    code, levels = _site_codes(table)
    chosen = choose(sites, levels, "site")
    seconds = _seconds(table.pop("time"))
    rows = [_in_time(_site_rows(code, levels.index(site)), seconds, site) for site in chosen]
    columns = [table.pop(name).to_numpy(dtype=np.float32) for name in names]
    seconds_S = [seconds[where] for where in rows]
    times = _merge(seconds_S)
    if bridge:
        times = filling.bridge(times, step_s(times), bridge)
    shape = (len(times), len(chosen) * len(names))
    store.write_parts(path, shape, np.float32, _blocks(times, rows, seconds_S, columns, np.float32(np.nan)))
    coded = [words.encode(table.pop(name), name) for name in categorical]
    if coded:
        blocks = _blocks(times, rows, seconds_S, [codes for codes, _ in coded], np.int16(0))
        store.write_parts(path.with_name("categories.npy"), (len(times), len(chosen) * len(coded)), np.int16, blocks)
    prefixed = [f"{site}/{name}" if site else name for site in chosen for name in names]
    return Series(chosen, names, prefixed, times, [known for _, known in coded])


def _is_number(column: "pd.Series[Any]") -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(column.dtype))


def _site_codes(table: "pd.DataFrame") -> tuple[np.ndarray, list[str]]:
    if "site" not in table:
        return np.zeros(len(table), dtype=np.int8), [""]
    category = table.pop("site").astype("category").cat
    return category.codes.to_numpy(), [str(level) for level in category.categories]


def _seconds(time: "pd.Series[Any]") -> np.ndarray:
    missing = np.flatnonzero(time.isna())
    if len(missing):
        raise DataError(f"row {missing[0] + 1} of the table, column time: missing; expected a time")
    seconds: np.ndarray = time.dt.as_unit("s").astype("int64").to_numpy()
    return seconds


def _site_rows(code: np.ndarray, level: int) -> slice | np.ndarray:
    """The table's rows of one site: a slice, which takes no memory, where they stand together."""
    rows = np.flatnonzero(code == level)
    together = len(rows) and rows[-1] - rows[0] + 1 == len(rows)
    return slice(rows[0], rows[-1] + 1) if together else rows


def _in_time(rows: slice | np.ndarray, seconds: np.ndarray, site: str) -> slice | np.ndarray:
    """The same rows in the order of time."""
    here = seconds[rows]
    if (here[1:] > here[:-1]).all():
        return rows
    order = np.argsort(here, kind="stable")
    twice = np.flatnonzero(np.diff(here[order]) == 0)
    if len(twice):
        when = np.datetime64(int(here[order[twice[0]]]), "s")
        raise DataError(f"site {site or '(only one)'}: two rows at {when}; expected one row a time")
    return np.arange(len(seconds))[rows][order]


def _merge(seconds_S: Sequence[np.ndarray]) -> np.ndarray:
    """The sorted distinct times of all sites."""
    times, *others = seconds_S
    for other in others:
        times = times if np.array_equal(times, other) else np.union1d(times, other)
    return times


def _blocks(
    times: np.ndarray,
    rows: Sequence[slice | np.ndarray],
    seconds_S: Sequence[np.ndarray],
    columns: list[np.ndarray],
    nothing: np.generic,
) -> Iterator[np.ndarray]:
    """``values`` block by block: each site's rows that fall into the block's times, at their place."""
    for low in range(0, len(times), BLOCK):
        here = times[low : low + BLOCK]
        block = np.full((len(here), len(rows) * len(columns)), nothing)
        for number, (where, seconds) in enumerate(zip(rows, seconds_S, strict=True)):
            first, stop = np.searchsorted(seconds, here[0]), np.searchsorted(seconds, here[-1], side="right")
            place = np.searchsorted(here, seconds[first:stop])
            for offset, column in enumerate(columns):
                piece = column[where][first:stop] if isinstance(where, slice) else column[where[first:stop]]
                block[place, number * len(columns) + offset] = piece
        yield block


def follows(seconds_T: np.ndarray, step_s: int) -> np.ndarray:
    """Whether each row follows the one before by one regular step; the first row counts as one that does."""
    joined_T = np.ones(len(seconds_T), dtype=bool)
    np.equal(seconds_T[1:] - seconds_T[:-1], step_s, out=joined_T[1:])
    return joined_T


def step_s(seconds_T: np.ndarray) -> int:
    """The regular step: the most frequent difference between neighbouring times, in seconds."""
    if len(seconds_T) < 2:
        raise DataError(f"{len(seconds_T)} times in the table; expected at least two")
    counts: Counter[int] = Counter()
    for low in range(0, len(seconds_T) - 1, BLOCK):
        steps, times = np.unique(np.diff(seconds_T[low : low + BLOCK + 1]), return_counts=True)
        counts.update(dict(zip(steps.tolist(), times.tolist(), strict=True)))
    return min(counts, key=lambda step: (-counts[step], step))
