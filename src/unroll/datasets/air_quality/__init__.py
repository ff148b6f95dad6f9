"""Hourly air of four sites in south-east London, 2012–2016: a series to be forecast.

Public source: the London Air Quality Network, as an npz of one array a site. Shapes: H hours, S sites, V variables.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.lib import format as npy
from pydantic import Field

from unroll.core.config import DataConfig
from unroll.core.errors import DataError
from unroll.core.expectation import Expectation
from unroll.core.text import shorten
from unroll.datasets.common import raw
from unroll.datasets.common.base import MAX_BYTES, Dataset, Parsed, Rejected, RemoteFile
from unroll.datasets.common.suite import between, schema

if TYPE_CHECKING:
    import pandas as pd

FILE = RemoteFile(
    "LondonAQ.npz",
    "https://raw.githubusercontent.com/bejar/DLMAI/017573fc41a20d23b1093a71a56f7120723374b4/AirQuality/LondonAQ.npz",
    "sha256:fc2bf49ed6df8438e2479f94f21e16936003c41d4def39d98c6996af8355cdb0",
    "London Air Quality Network",
)
SITES = ("GEltham", "GWesthorne", "BSladeGreen", "GWoolwich")
START = np.datetime64("2012-01-01T00", "h")
CALENDAR = ("month", "day", "weekday", "hour")
# What an instrument can show: a little below zero is noise, and each bound is far above what London has seen.
RANGES = {
    "pm10_ug_m3": (-15, 1000),
    "no_ug_m3": (-10, 1500),
    "no2_ug_m3": (-10, 600),
    "o3_ug_m3": (-10, 500),
    "so2_ug_m3": (-10, 1500),
}
VARIABLES = tuple(RANGES)
WIDTH = len(VARIABLES) + len(CALENDAR)
MAX_MISFITS = 0.01
"""Share of rows whose calendar columns may not fit: above it an hour is missing or stands there twice."""


class AirQualityConfig(DataConfig):
    """The ``data`` block of an air quality task."""

    sample_hours: int = Field(ge=48, le=1_000_000, description="Hours of the embedded sample, from 2012-01-01 00:00")


class AirQuality(Dataset[AirQualityConfig]):
    """Five pollutants an hour at four sites."""

    Config = AirQualityConfig
    kind = "series"
    small = MappingProxyType({"sample_hours": 1000})

    def files(self, config: AirQualityConfig) -> Sequence[RemoteFile]:
        """One npz."""
        return (FILE,)

    def sample(self, folder: Path, config: AirQualityConfig, rng: np.random.Generator) -> None:
        """Simulated air: weather, traffic, and plumes that the wind carries from site to site."""
        from unroll.datasets.air_quality import sample as air_quality

        times_H = START + np.arange(config.sample_hours)
        calendar_HC = calendar(times_H)
        values_SHV = air_quality.simulate(times_H, rng)
        arrays = {site: np.column_stack([values_SHV[i], calendar_HC]) for i, site in enumerate(SITES)}
        np.savez_compressed(folder / FILE.name, allow_pickle=False, **arrays)

    def table(self, folder: Path, config: AirQualityConfig) -> Parsed:
        """Site by site in time; a row whose calendar columns do not fit its place is set aside."""
        import pandas as pd

        arrays = _load(raw.find(folder, FILE.name))
        hours = len(arrays[SITES[0]])
        times_H = START + np.arange(hours)
        fits_SH = np.stack([(arrays[site][:, len(VARIABLES) :] == calendar(times_H)).all(axis=1) for site in SITES])
        misfits = np.argwhere(~fits_SH).tolist()
        if len(misfits) > MAX_MISFITS * fits_SH.size:
            first = _misfit(arrays, *misfits[0])
            raise DataError(
                f"{first.file} row {first.row}, {first.column}: {first.value}; {first.reason}; "
                f"{len(misfits):,} of {fits_SH.size:,} rows do not fit: an hour is missing or stands there twice"
            )
        stamps = pd.DatetimeIndex(np.tile(times_H.astype("datetime64[us]"), len(SITES))).tz_localize("UTC")
        columns: dict[str, object] = {"time": stamps, "site": pd.array(np.repeat(SITES, hours), dtype="str")}
        for v, name in enumerate(VARIABLES):
            columns[name] = np.concatenate([arrays[site][:, v] for site in SITES]).astype(np.float32)
        table = pd.DataFrame(columns)
        rejected = [_misfit(arrays, site, row) for site, row in misfits]
        return Parsed(table[fits_SH.ravel()].reset_index(drop=True) if misfits else table, rejected)

    def facts(self, table: "pd.DataFrame", config: AirQualityConfig) -> "pd.DataFrame":
        """``step_h`` since the site's row before, and for how many rows each variable has stood still."""
        import pandas as pd

        hours = table["time"].dt.tz_convert(None).to_numpy().astype("datetime64[s]").astype(np.int64) / 3600
        new_site = np.ones(len(table), dtype=bool)
        new_site[1:] = (table["site"] != table["site"].shift())[1:]
        facts = {"step_h": np.where(new_site, np.nan, np.diff(hours, prepend=np.nan))}
        place = np.arange(len(table))
        for name in VARIABLES:
            moved = new_site | (np.diff(table[name].to_numpy(), prepend=np.float32("nan")) != 0)
            facts[f"flat_h_{name}"] = place - np.maximum.accumulate(np.where(moved, place, 0)) + 1
        return pd.DataFrame(facts, index=table.index)

    def expectations(self, config: AirQualityConfig) -> Sequence[Expectation]:
        """Time without steps back, values that an instrument can show, no dead sensor."""
        types = {"time": "datetime64[us, UTC]", "site": "str"} | dict.fromkeys(VARIABLES, "float32")
        suite = [
            *schema(types, min_rows=48 * len(SITES)),
            Expectation("expect_column_distinct_values_to_equal_set", {"column": "site", "value_set": list(SITES)}),
            between("step_h", 1, None, "time stands still or goes back"),
            between("step_h", None, 1, "gap in time", "warning"),
        ]
        return suite + [each for name, bounds in RANGES.items() for each in _variable(name, bounds)]


DATASET = AirQuality()


def calendar(times_H: np.ndarray) -> np.ndarray:
    """Month, day, weekday (Monday 0) and hour of each hour, as the public file has them."""
    days_H, months_H = times_H.astype("datetime64[D]"), times_H.astype("datetime64[M]")
    month = months_H.astype(int) % 12 + 1
    day = (days_H - months_H.astype("datetime64[D]")).astype(int) + 1
    weekday = (days_H.astype(int) + 3) % 7  # 1970-01-01 was a Thursday
    return np.column_stack([month, day, weekday, (times_H - days_H).astype(int)]).astype(np.float64)


def _variable(name: str, bounds: tuple[float, float]) -> list[Expectation]:
    there, flat = "expect_column_proportion_of_non_null_values_to_be_between", f"flat_h_{name}"
    return [
        Expectation(there, {"column": name, "min_value": 0.9}, reason="too many missing values"),
        Expectation(there, {"column": name, "min_value": 0.99}, "warning", reason="missing values"),
        between(name, *bounds, "no physical value", refuse_rows=True),
        Expectation(
            "expect_column_unique_value_count_to_be_between",
            {"column": name, "min_value": 10},
            reason="constant series",
        ),
        between(flat, None, 28 * 24, "the sensor stood still for four weeks"),
        between(flat, None, 72, "the sensor stood still for three days", "warning"),
    ]


def _load(path: Path) -> dict[str, np.ndarray]:
    """The four arrays, all (hours, 9); raises DataError for anything else."""
    expected = f"expected arrays {', '.join(SITES)} of numbers, each hours × {WIDTH}"
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if (size := sum(member.file_size for member in members)) > MAX_BYTES:
                raise DataError(f"{size:,} bytes unpacked; expected at most {MAX_BYTES:,}", file=path.name)
            for member in members:
                with archive.open(member) as opened:
                    if _holds_objects(opened):
                        wrong = "holds Python objects (pickle), which are never loaded; expected numbers"
                        raise DataError(f"array {Path(member.filename).stem} {wrong}", file=path.name)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: _array(archive, name, path.name) for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, MemoryError) as error:
        raise DataError(f"no readable npz: {' '.join(str(error).split())}; {expected}", file=path.name) from None
    if set(arrays) != set(SITES):
        raise DataError(f"arrays {', '.join(arrays)}; {expected}", file=path.name)
    for name, array in arrays.items():
        if array.shape != (len(arrays[SITES[0]]), WIDTH) or array.dtype.kind not in "fiu" or not len(array):
            raise DataError(f"array {name} has shape {array.shape} and type {array.dtype}; {expected}", file=path.name)
    return arrays


def _array(archive: Mapping[str, np.ndarray], name: str, file: str) -> np.ndarray:
    """One array; raises DataError for one with a cell that is not a number."""
    array = np.asarray(archive[name])
    if array.dtype.kind in "US" and array.ndim == 2:
        names = (*VARIABLES, *CALENDAR, *(f"column {at + 1}" for at in range(WIDTH, array.shape[1])))
        for (row, column), value in np.ndenumerate(array):
            if not _is_number(value):
                cell = f"row {row + 1}, {names[column]}: {shorten(_text(value))!r}"
                raise DataError(f"array {name} {cell}; expected a number", file=file)
    return array


def _holds_objects(member: IO[bytes]) -> bool:
    """Whether the header of an array says that it is one of Python objects; what is no array holds none."""
    start = member.read(npy.MAGIC_LEN)
    header = _HEADERS.get(start[-2:]) if start.startswith(npy.MAGIC_PREFIX) else None
    return header is not None and bool(header(member)[2].hasobject)


_HEADERS = {b"\x01\x00": npy.read_array_header_1_0, b"\x02\x00": npy.read_array_header_2_0}
"""By the version that the array's first bytes name."""


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _is_number(value: str | bytes) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _misfit(arrays: dict[str, np.ndarray], site: int, row: int) -> Rejected:
    """The first calendar column of a row that does not fit the row's place."""
    time = START + row
    expected_C, seen_C = calendar(np.array([time]))[0], arrays[SITES[site]][row, len(VARIABLES) :]
    at = int(np.flatnonzero(expected_C != seen_C)[0])
    reason = f"{SITES[site]}: expected {CALENDAR[at]} {expected_C[at]:g} at {time}:00"
    key = f"site={SITES[site]} time={time}:00Z"
    return Rejected(FILE.name, row + 1, CALENDAR[at], f"{seen_C[at]:g}", reason, key)
