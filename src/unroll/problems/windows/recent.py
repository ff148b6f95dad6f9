"""Raw recent rows, as a person has them, to the windows of a trained forecaster.

Shapes: T rows, R runs of good ones, N windows, L lag, F inputs.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import TableError
from unroll.features import scaling
from unroll.problems.common.capabilities import NoWindowError
from unroll.problems.windows import calendar, categories, filling, starts

if TYPE_CHECKING:
    import pandas as pd

_DAY = r"\s*\d{4}-?\d\d-?\d\d"


def recent_windows(frame: "pd.DataFrame", meta: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Scaled inputs (N, L, F) float32 of every whole window, and the time of each one's last row in seconds.

    ``frame`` has ``time`` (timestamps or text), ``site`` where the model knows sites, its variables and categories.
    Missing values are filled in as they were before training, where the task does so. Raises TableError for the
    row and column of a value that cannot be used, NoWindowError that says how many rows are missing.
    """
    words = meta.get("categories", [])
    needed = ["time", *(["site"] if meta["target_site"] else []), *meta["variables"], *(each["name"] for each in words)]
    for name in needed:
        if name not in frame:
            raise TableError(f"column {name!r} is missing; expected {', '.join(needed)}", column=name)
    if frame.empty:
        raise TableError(f"no rows; expected at least {meta['lag']} of each site")
    stamps, step_s = seconds(frame["time"]), int(meta["step_s"])
    times = filling.bridge(np.unique(stamps), step_s, meta.get("bridge", 0))
    rows = np.searchsorted(times, stamps)
    values, codes = _lay_out(frame, stamps, rows, len(times), meta)
    joined = np.ediff1d(times, to_begin=step_s) == step_s
    last_T, scaled = np.ones(len(times), dtype=bool), scaling.apply(values, meta["scaler"])
    parts = [scaled, calendar.expand(calendar.codes(times, meta["calendar"]), meta["calendar"])]
    if words:
        parts.append(categories.expand(codes, [each["words"] for each in words] * len(meta["sites"])))
    if "missing" in meta:
        missing = filling.fill(scaled, filling.breaks(joined), meta["missing"], meta["bridge"])
        if meta["missing"] == "mask":
            parts.append(missing.astype(np.float32))
        else:
            last_T = ~np.asarray(missing.any(axis=1))
    good = np.asarray(np.isfinite(scaled).all(axis=1))
    lag, runs_R2 = meta["lag"], starts.runs(good, joined)
    windows = starts.split_windows(runs_R2, 0, len(times), lag, horizon=0, stride=1)
    last = windows.starts(np.arange(len(windows))) + lag - 1
    last = last[last_T[last]]
    if not len(last):
        sites = f" for each of the sites {', '.join(meta['sites'])}" if meta["target_site"] else ""
        longest = np.diff(runs_R2).max(initial=0)
        whole = "" if last_T.all() else ", the last one whole"
        raise NoWindowError(
            f"the longest stretch without a gap or a missing value has {longest} rows; expected {lag} rows "
            f"{meta['step_s']} s apart{sites}{whole}",
            int(longest),
        )
    inputs = np.concatenate(parts, axis=1)
    return inputs[last[:, None] + np.arange(1 - lag, 1)], times[last]


def windows_of_all(
    frames: "Sequence[pd.DataFrame]", meta: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The windows of several raw inputs one behind the other, as of one, and where those of each end."""
    inputs, last = zip(*(recent_windows(frame, meta) for frame in frames), strict=True)
    return np.concatenate(inputs), np.concatenate(last), np.cumsum([len(each) for each in last]).tolist()


def _lay_out(
    frame: "pd.DataFrame", stamps: np.ndarray, rows: np.ndarray, count: int, meta: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Values (T, F), NaN where none is, and codes of the categories (T, C), 0 where none is."""
    words = meta.get("categories", [])
    values = np.full((count, len(meta["columns"])), np.nan, dtype=np.float32)
    codes = np.zeros((count, len(meta["sites"]) * len(words)), dtype=np.int16)
    for number, site in enumerate(meta["sites"]):
        where = (
            np.flatnonzero((frame["site"].astype(str) == site).to_numpy())
            if meta["target_site"]
            else np.arange(len(frame))
        )
        _require_single(stamps, where, site)
        for offset, name in enumerate(meta["variables"]):
            values[rows[where], number * len(meta["variables"]) + offset] = _numbers(frame, name, where)
        for offset, each in enumerate(words):
            known = categories.look_up(frame[each["name"]].iloc[where], each["words"])
            codes[rows[where], number * len(words) + offset] = known
    return values, codes


def seconds(time: "pd.Series[Any]") -> np.ndarray:
    """Times, or texts that are some, in seconds since 1970; raises TableError for the row of what is none."""
    import pandas as pd

    time_or_none = time.mask(time.map(pd.api.types.is_number).astype(bool))  # pandas takes 5 for 5 ns after 1970
    if time.dtype.kind != "M":  # and "now" for now, "12:00" for noon today, "2012" for its first moment
        time_or_none = time_or_none.where(time_or_none.astype("str").str.match(_DAY))
    parsed = pd.to_datetime(time_or_none, utc=True, errors="coerce", format="ISO8601" if time.dtype == "str" else None)
    bad = np.flatnonzero(parsed.isna())
    if len(bad):
        (seen,) = time.iloc[bad[:1]].tolist()
        raise TableError(f"{seen!r}; expected a time (ISO 8601, UTC)", row=int(bad[0]) + 1, column="time")
    seconds_T: np.ndarray = parsed.dt.as_unit("s").astype("int64").to_numpy()
    return seconds_T


def _require_single(stamps: np.ndarray, where: np.ndarray, site: str) -> None:
    _, first = np.unique(stamps[where], return_index=True)
    again = np.delete(where, first)
    if len(again):
        when = np.datetime64(int(stamps[again[0]]), "s")
        of_site = f" of site {site}" if site else ""
        raise TableError(f"a second row{of_site} at {when}; expected one", row=int(again[0]) + 1, column="time")


def _numbers(frame: "pd.DataFrame", name: str, where: np.ndarray) -> np.ndarray:
    column = frame[name].iloc[where]
    values = scaling.floats(column)
    bad = np.flatnonzero(~np.isfinite(values) & column.notna().to_numpy())
    if len(bad):
        (seen,) = column.iloc[bad[:1]].tolist()
        raise TableError(f"{seen!r:.80}; expected a number", row=int(where[bad[0]]) + 1, column=name)
    return values
