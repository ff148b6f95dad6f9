"""Times of rows: one column or several, spelt in one way or several, to UTC. Shapes: N rows, M rows yet to be read."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import ConfigError
from unroll.datasets.files.columns import parsing
from unroll.datasets.files.config import TimeColumns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NONE = np.iinfo(np.int64).min
"""In place of a time that is not there or cannot be read."""
_EPOCH_US = {"epoch_s": 1e6, "epoch_ms": 1e3, "epoch_us": 1.0}
_OFFSET = r"(Z|[+-]\d{2}:?\d{2})$"
_LATE = r"^(.*[ T])24((?:[:.]?00){0,2})$"
_POINTED = r"(^| )([+-]?\d+)\.0+( |$)"
DAY_US = 86_400_000_000
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_000_000  # years 1 to 9999


def read(frame: "pd.DataFrame", time: TimeColumns, rows: Counter[str] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds since 1970 in UTC (N,), NONE where a cell cannot be read, and whether a cell is empty (N,).

    ``rows`` counts the cells that each format reads.
    """
    import pandas as pd

    names = columns(time)
    only = frame[names[0]]
    if len(names) == 1 and pd.api.types.is_datetime64_any_dtype(only.dtype):
        return _to_utc(only, time.timezone), only.isna().to_numpy()
    written = joined(frame, names)
    empty_N = written.is_null().to_numpy(zero_copy_only=False)
    return parse(written, time.formats, time.timezone, rows), empty_N


def name_zone(frame: "pd.DataFrame", time: TimeColumns) -> bool:
    """Whether the cells tell the zone that they are in: by an offset, or as a count of seconds."""
    import pandas as pd
    import pyarrow.compute as pc

    names = columns(time)
    kind = frame[names[0]].dtype
    if len(names) == 1 and pd.api.types.is_datetime64_any_dtype(kind):
        return isinstance(kind, pd.DatetimeTZDtype)
    if any("%z" in form or form in _EPOCH_US for form in time.formats):
        return True
    return "iso" in time.formats and bool(pc.any(pc.match_substring_regex(joined(frame, names), _OFFSET)).as_py())


def columns(time: TimeColumns) -> tuple[str, ...]:
    """The columns that make the time."""
    return (time.columns,) if isinstance(time.columns, str) else time.columns


def joined(frame: "pd.DataFrame", names: Sequence[str]) -> "pa.Array":
    """The cells of several columns with a blank between them, null where one of them is empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [parsing.words(frame[name]) for name in names]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, pa.scalar(" ", pa.large_string()))


def parse(written: "pa.Array", formats: Sequence[str], timezone: str, rows: Counter[str] | None = None) -> np.ndarray:
    """Microseconds (N,) of the cells; each is read by the first format that reads it, NONE by none."""
    us_N = np.full(len(written), NONE, dtype=np.int64)
    left_M = np.flatnonzero(written.is_valid().to_numpy(zero_copy_only=False))
    for form in formats:
        if not len(left_M):
            break
        read_M = _parse(written if len(left_M) == len(written) else written.take(left_M), form, timezone)
        us_N[left_M] = read_M
        gone_M = read_M == NONE
        if rows is not None:
            rows[form] += int((~gone_M).sum())
        left_M = left_M[gone_M]
    for mended in (_late, _pointed):
        if len(left_M):
            us_N[left_M] = mended(written.take(left_M), formats, timezone)
            left_M = left_M[us_N[left_M] == NONE]
    return us_N


def _late(written: "pa.Array", formats: Sequence[str], timezone: str) -> np.ndarray:
    """Of cells (M,) that no format reads: 24 o'clock is the next day's midnight (ISO 8601:2004, 4.2.3)."""
    import pyarrow.compute as pc

    us_M = np.full(len(written), NONE, dtype=np.int64)
    late_M = pc.match_substring_regex(written, _LATE).to_numpy(zero_copy_only=False)
    if late_M.any():
        early = pc.replace_substring_regex(written.filter(late_M), _LATE, r"\1" + "00" + r"\2")
        us = parse(early, formats, timezone)
        us_M[late_M] = np.where(us == NONE, NONE, us + DAY_US)
    return us_M


def _pointed(written: "pa.Array", formats: Sequence[str], timezone: str) -> np.ndarray:
    """Of cells (M,) that no format reads: whole numbers of several columns that are written 2013.0, as pandas does."""
    import pyarrow as pa
    import pyarrow.compute as pc

    us_M = np.full(len(written), NONE, dtype=np.int64)
    several = pc.and_(pc.match_substring(written, " "), pc.match_substring_regex(written, _POINTED))
    pointed_M = several.to_numpy(zero_copy_only=False)
    if pointed_M.any():
        plain: pa.Array = written.filter(several)
        for _ in range(2):  # neighbours share the blank between them
            plain = pc.replace_substring_regex(plain, _POINTED, r"\1\2\3")
        us_M[pointed_M] = parse(plain, formats, timezone)
    return us_M


def instant(text: str) -> int:
    """One time in ISO form, in UTC unless it says otherwise, in microseconds; raises ConfigError."""
    import pyarrow as pa

    us = int(parse(pa.array([text], pa.large_string()), ("iso",), "UTC")[0])
    if us == NONE:
        raise ConfigError(
            f"data.start: {text!r} is not allowed; expected a time such as 2020-01-01 or 2020-01-01T06:00"
        )
    return us


def _parse(written: "pa.Array", form: str, timezone: str) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if form in _EPOCH_US:
        number_N, bad_N = parsing._from_text(written, parsing.Marks())
        us_N = np.where(bad_N | np.isnan(number_N), np.inf, number_N * _EPOCH_US[form])
        good_N = (us_N >= _FIRST) & (us_N <= _LAST)
        return np.where(good_N, np.round(np.where(good_N, us_N, 0)), NONE).astype(np.int64)
    if form == "iso":
        try:  # the quick way, for times without an offset that are all in order
            return _localised(pc.cast(written, pa.timestamp("us")).to_numpy(zero_copy_only=False), timezone)
        except pa.ArrowInvalid:
            offset_N = pc.match_substring_regex(written, _OFFSET).to_numpy(zero_copy_only=False)
            dated_N = pc.match_substring_regex(written, r"^[+-]?\d{4}-?\d{2}-?\d{2}").to_numpy(zero_copy_only=False)
            zoned_N = _pandas(written, "ISO8601", timezone, offset_N & dated_N)
            plain_N = _pandas(written, "ISO8601", timezone, ~offset_N & dated_N)
            return np.where(zoned_N == NONE, plain_N, zoned_N)
    every_N = np.ones(len(written), dtype=bool)
    return _pandas(written, form, timezone, every_N, zoned="%z" in form)


def _pandas(
    written: "pa.Array", form: str, timezone: str, where_N: np.ndarray, zoned: bool | None = None
) -> np.ndarray:
    """Microseconds (N,) of the cells ``where_N``; those with an offset of their own are not localised."""
    import pandas as pd

    us_N = np.full(len(written), NONE, dtype=np.int64)
    places = np.flatnonzero(where_N)
    if not len(places):
        return us_N
    cells_M = pd.Series(written.take(places).to_pylist(), dtype="str")
    utc = bool(re.search(_OFFSET, cells_M.iloc[0])) if zoned is None else zoned
    try:
        times_M = pd.to_datetime(cells_M, format=form, errors="coerce", utc=utc)
    except ValueError as error:
        raise ConfigError(f"data.time.formats: {form!r} is not allowed; {' '.join(str(error).split())}") from None
    us_N[places] = _to_utc(times_M, timezone)
    return us_N


def _to_utc(times: "pd.Series[Any]", timezone: str) -> np.ndarray:
    if times.dt.tz is None:
        return _localised(times.to_numpy().astype("datetime64[us]"), timezone)
    return _micros(times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())


def _localised(times_N: np.ndarray, timezone: str) -> np.ndarray:
    """Local times to UTC; those that the clock shows twice or never cannot be read."""
    import pandas as pd

    if timezone == "UTC":
        return _micros(times_N)
    try:
        local = pd.Series(times_N).dt.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT")
    except Exception as error:  # zoneinfo and pandas have one error each, that none of them names
        if type(error).__name__ not in ("ZoneInfoNotFoundError", "UnknownTimeZoneError", "KeyError", "ValueError"):
            raise
        raise ConfigError(
            f"data.time.timezone: {timezone!r} is not allowed; expected one such as UTC or Europe/London"
        ) from None
    return _micros(local.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())


def _micros(times_N: np.ndarray) -> np.ndarray:
    us_N: np.ndarray = times_N.astype("datetime64[us]").astype(np.int64)
    return np.where((us_N >= _FIRST) & (us_N <= _LAST), us_N, NONE)


def show(us: int) -> str:
    """A time for a message."""
    return str(np.datetime64(us, "us").astype("datetime64[s]" if us % 1_000_000 == 0 else "datetime64[us]"))
