"""A series table in long form (time, site, variables) to one regular array. Shapes: T times, F columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unroll import store
from unroll.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


class Series(NamedTuple):
    """What the columns of ``values.npy`` are, and the times of its rows in seconds since 1970."""

    sites: list[str]
    variables: list[str]
    columns: list[str]
    seconds_T: np.ndarray


def choose(asked: str | Sequence[str], there: Sequence[str], what: str) -> list[str]:
    """The names asked for (``all`` is every one), or DataError that says which there are."""
    if asked == "all":
        return list(there)
    names = [asked] if isinstance(asked, str) else list(asked)
    for name in names:
        if name not in there:
            raise DataError(f"{what} {name!r} is not in the table; expected one of {', '.join(there)}")
    return names


def lay_out(
    table: "pd.DataFrame", sites: str | Sequence[str], variables: str | Sequence[str], target: str, path: Path
) -> Series:
    """Write ``values`` (T, F) float32 as a memory map at ``path``: a column for each site and variable, time by row.

    Consumes ``table`` column by column, so that it never stands in memory beside a second copy. A value that is not
    there is NaN. Raises DataError for an unknown site or variable, or for two rows of one site at one time.
    """
    there = [str(c) for c in table.columns if c not in ("time", "site")]
    names = choose(variables, there, "column")
    if target not in names:
        raise DataError(f"target {target!r} is not among the variables; expected one of {', '.join(names)}")
    seconds = table.pop("time").dt.as_unit("s").astype("int64").to_numpy()
    code, levels = _site_codes(table)
    chosen = choose(sites, levels, "site")
    times, rows = _index_times(seconds)
    keys = [(site, np.flatnonzero(code == levels.index(site)) if len(levels) > 1 else slice(None)) for site in chosen]
    for site, where in keys:
        _require_single(seconds[where], site)
    values = store.create_array(path, (len(times), len(chosen) * len(names)), np.float32)
    values[:] = np.nan
    for offset, name in enumerate(names):
        column = table.pop(name).to_numpy(dtype=np.float32)
        for number, (_, where) in enumerate(keys):
            values[rows[where], number * len(names) + offset] = column[where]
    values.flush()
    prefixed = [f"{site}/{name}" if site else name for site in chosen for name in names]
    return Series(chosen, names, prefixed, times)


def _site_codes(table: "pd.DataFrame") -> tuple[np.ndarray, list[str]]:
    if "site" not in table:
        return np.zeros(0, dtype=np.int8), [""]
    category = table.pop("site").astype("category").cat
    return category.codes.to_numpy(), [str(level) for level in category.categories]


def _index_times(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct times, and for each row of the table its place among them."""
    if len(seconds) and (np.diff(seconds) > 0).all():
        return seconds, np.arange(len(seconds))
    times, rows = np.unique(seconds, return_inverse=True)
    return times, rows


def _require_single(seconds: np.ndarray, site: str) -> None:
    sorted_s = np.sort(seconds)
    twice = np.flatnonzero(sorted_s[1:] == sorted_s[:-1])
    if len(twice):
        when = np.datetime64(int(sorted_s[twice[0]]), "s")
        raise DataError(f"site {site or '(only one)'}: two rows at {when}; expected one row a time")


def step_s(seconds_T: np.ndarray) -> int:
    """The regular step: the most frequent difference between neighbouring times, in seconds."""
    if len(seconds_T) < 2:
        raise DataError(f"{len(seconds_T)} times in the table; expected at least two")
    steps, counts = np.unique(np.diff(seconds_T), return_counts=True)
    return int(steps[counts.argmax()])
