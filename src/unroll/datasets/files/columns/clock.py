"""Which columns tell the time at a first look, and in which format. Shapes: N rows looked at."""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from unroll.datasets.files.columns import parsing, times
from unroll.datasets.files.config import TimeColumns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NAMED_PARTS = (("year", "%Y"), ("month", "%m"), ("day", "%d"), ("hour", "%H"), ("minute", "%M"), ("second", "%S"))
DATES = (
    *("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y%m%d"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
CLOCKS = ("", " %H:%M:%S", " %H:%M", " %H.%M.%S", " %H.%M", " %H", "T%H:%M:%S", "T%H:%M", " %H:%M:%S.%f",
          " %I:%M:%S %p", " %I:%M %p", " %H%M")  # fmt: skip
OF_DAY = ("time", "clock", "hhmm", "time of day", "time_of_day")
"""Names of a column that has the time of day, beside year, month and day."""
TIMES_OF_DAY = tuple(clock[1:] for clock in CLOCKS if clock.startswith(" "))
MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%b-%Y", "%b-%y", "%B %Y")
FORMATS = ("iso", *(date + clock for date, clock in product(DATES, CLOCKS)), "%Y-%m-%d %H.%M.%S", "%Y-%m-%d %H",
           "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %H%M", *MONTHS)  # fmt: skip
EPOCHS = (("epoch_s", 1e8, 1e10), ("epoch_ms", 1e11, 1e13), ("epoch_us", 1e14, 1e16))
"""Seconds since 1970 from 1973 on, in what unit a number as large counts them."""
MARKS = ("/", "-", ".")
SAMPLE, ENOUGH, MOST = 400, 0.9, 4
"""Cells that formats are tried on, the share of them that must be read, and formats of one column."""
FEWEST = 3
"""Cells that another format must read, where most have a known one: one or two may be slips."""
_EXCHANGED = {"dmy": "mdy", "mdy": "dmy"}
_TIMELY = re.compile(
    r"(^|[^a-z])(time|date|datetime|timestamp|ts|ds|utc|zeit|datum|day|hour)([^a-z]|$)|time|date", re.I
)


def find(frame: "pd.DataFrame", columns: Sequence[str]) -> TimeColumns | None:
    """The columns that tell the time, with their formats; None where none does."""
    named = {name.strip().lower(): name for name in reversed(columns)}
    if {"year", "month", "day"} <= set(named):
        return _of_parts(frame, named)
    timely = [name for name in columns if _TIMELY.search(name)]
    if "date" in named and "time" in named and (formats := spelt(frame, (named["date"], named["time"]))):
        return TimeColumns(columns=(named["date"], named["time"]), formats=formats)
    for name in timely:
        if formats := spelt(frame, (name,), epochs=True):
            return TimeColumns(columns=name, formats=formats)
    for name in columns:
        if name not in timely and (formats := spelt(frame, (name,))):
            return TimeColumns(columns=name, formats=formats)
    return None


def _of_parts(frame: "pd.DataFrame", named: Mapping[str, str]) -> TimeColumns:
    """Year, month and day in columns of their own; hour, minute and second too, or a time of day in one column.

    The month may be a name. Of what cannot be read the plainest format is given: the rows then tell why.
    """
    days = [(named["year"], ("%Y", "%y")), (named["month"], ("%m", "%b", "%B")), (named["day"], ("%d",))]
    hours = [(named[part], (form,)) for part, form in NAMED_PARTS[3:] if part in named]
    clock = next((named[name] for name in OF_DAY if name in named), None)
    plain = [*days, *hours]
    for parts in [[*days, (clock, TIMES_OF_DAY)], plain] if clock and not hours else [plain]:
        names = tuple(name for name, _ in parts)
        written = times.joined(frame, names)
        written = written.filter(written.is_valid())
        sample = written.take(_evenly(len(written)))
        for forms in product(*(forms for _, forms in parts)):
            if len(sample) and _read(sample, " ".join(forms)).mean() >= ENOUGH:
                return TimeColumns(columns=names, formats=(" ".join(forms),))
        if parts is not plain and clock and (whole := spelt(frame, (clock,), epochs=True)):
            return TimeColumns(columns=clock, formats=whole)
    return TimeColumns(columns=tuple(name for name, _ in plain), formats=(" ".join(forms[0] for _, forms in plain),))


def _evenly(count: int) -> np.ndarray:
    """The places of some of so many cells."""
    return np.arange(0, count, max(1, count // SAMPLE))


def spelt(frame: "pd.DataFrame", names: Sequence[str], *, epochs: bool = False) -> tuple[str, ...]:
    """The formats that read nearly all of the cells, the most frequent first; none where they are not times.

    Of formats that read the same cells (03/04/2020), that one counts under which time goes on.
    """
    import pandas as pd

    if len(names) == 1 and pd.api.types.is_datetime64_any_dtype(frame[names[0]].dtype):
        return ("iso",)
    written = times.joined(frame, names)
    written = written.filter(written.is_valid())
    sample = written.take(_evenly(len(written)))
    if not len(sample):
        return ()
    if epochs and len(names) == 1 and (epoch := _epoch(sample)):
        return (epoch,)
    if parsing.numbers(pd.Series(sample.to_pylist(), dtype="str"), parsing.Marks(), "")[1].mean() < 0.5:
        return ("%Y%m%d",) if epochs and _read(sample, "%Y%m%d").mean() >= ENOUGH else ()
    if _read(sample, "iso").all():  # no other format is as plain
        return ("iso",)
    formats: list[str] = []
    left_M = np.arange(len(sample))
    while len(left_M) and len(formats) < MOST:
        best = max(FORMATS, key=lambda form: _fit(sample.take(left_M), form))
        read_M = _read(sample.take(left_M), best)
        if not read_M.any():
            break
        formats.append(best)
        left_M = left_M[~read_M]
    if len(left_M) > (1 - ENOUGH) * len(sample):
        return ()
    return (*formats, *(form for form in siblings(formats[0]) if form not in formats))


def further(written: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Formats that read times which the ``known`` ones do not, those that read most of them first; () for none.

    Where two read as many and time goes on alike, that one counts which has day and month in the order of the known;
    where that does not tell either, none does. No format has day and month exchanged: the known one would read its
    cells of the first twelve days of a month, wrongly. Of less than FEWEST cells nothing is concluded.
    """
    import pyarrow as pa

    left = pa.array(written, pa.large_string())
    left = left.take(np.flatnonzero(times.parse(left, known, "UTC") == times.NONE))  # others are at a change of clocks
    sample = left.take(_evenly(len(left)))
    named = [form.replace("%m", month).replace("%Y", year)
             for form in known for month in ("%m", "%b", "%B") for year in ("%Y", "%y")]  # fmt: skip
    orders = {_order(form) for form in known if "%m" in form}
    exchanged = {_EXCHANGED[order] for order in orders if order in _EXCHANGED}
    forms = [form for form in dict.fromkeys((*FORMATS, *named)) if form not in known]
    forms = [form for form in forms if "%m" not in form or _order(form) not in exchanged]
    formats: list[str] = []
    while len(sample) and len(formats) < MOST:
        fits = {form: _fit(sample, form) for form in forms}
        best = max(forms, key=lambda form: (*fits[form][:2], _order(form) in orders, fits[form][2]))
        read_M = _read(sample, best)
        twins = [form for form in forms if _order(form) == _EXCHANGED.get(_order(best)) and fits[form] == fits[best]]
        if read_M.sum() < FEWEST or ("%m" in best and _order(best) not in orders and twins):
            break
        formats.append(best)
        sample = sample.take(np.flatnonzero(~read_M))
    return tuple(formats)


def _order(form: str) -> str:
    """Day, month and year as a format has them.

    >>> _order("%d/%m/%Y %H:%M"), _order("%b %d, %y")
    ('dmy', 'mdy')
    """
    return "".join(re.findall(r"%([dmbBYy])", form)).lower().replace("b", "m")[:3]


def siblings(form: str) -> list[str]:
    """The same order of day, month and year with another mark between: a file may change its mark midway."""
    own = next((mark for mark in MARKS if re.search(rf"%[dmYy]\{mark}%[dmYy]\{mark}%[dmYy]", form)), None)
    if own is None:
        return []
    date, *rest = re.split(r"(?<=%[dmYy])(?=[ T]|$)", form, maxsplit=1)
    return [date.replace(own, mark) + "".join(rest) for mark in MARKS if mark != own]


def _epoch(sample: "pa.Array") -> str | None:
    number_N, bad_N = parsing._from_text(sample, parsing.Marks())
    if bad_N.any():
        return None
    return next((name for name, low, high in EPOCHS if ((number_N >= low) & (number_N < high)).all()), None)


def _read(sample: "pa.Array", form: str) -> np.ndarray:
    return times.parse(sample, (form,), "UTC") != times.NONE


def _fit(sample: "pa.Array", form: str) -> tuple[int, int, int]:
    """Cells read, how often time goes on from one to the next, and in how few different steps."""
    us_M = times.parse(sample, (form,), "UTC")
    us_M = us_M[us_M != times.NONE]
    steps = np.diff(us_M)
    return len(us_M), int((steps >= 0).sum()), -len(np.unique(steps))
