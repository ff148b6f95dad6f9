"""London air: time rebuilt from the place in the file, faults found, a sample in which sites help each other."""

from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_samples import small, table, write

from unroll.core.errors import DataError
from unroll.datasets.air_quality import DATASET, SITES, VARIABLES
from unroll.stages.validate import validate
from unroll.stages.validate.outcome import Report

FILE = "LondonAQ.npz"
HOURS = 1000


@pytest.fixture
def arrays(tmp_path: Path) -> dict[str, np.ndarray]:
    write("air_quality", tmp_path)
    with np.load(tmp_path / FILE) as archive:
        return {name: archive[name] for name in archive.files}


def judge(frame: pd.DataFrame) -> Report:
    _, config = small("air_quality")
    return validate.check(
        frame, DATASET.expectations(config), title="air", facts=lambda rows: DATASET.facts(rows, config)
    )


def test_raw_arrays_have_the_public_shape_and_calendar(arrays: dict[str, np.ndarray]) -> None:
    assert tuple(arrays) == ("GEltham", "GWesthorne", "BSladeGreen", "GWoolwich")
    for array in arrays.values():
        assert array.shape == (HOURS, 9)
        assert array.dtype == np.float64
        for row in (0, 23, 24, 743, 744, HOURS - 1):
            time = datetime(2012, 1, 1, tzinfo=UTC) + timedelta(hours=row)
            assert array[row, 5:].tolist() == [time.month, time.day, time.weekday(), time.hour]


def test_table_is_site_by_site_with_the_values_of_the_file(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    frame = table("air_quality", tmp_path).table
    assert list(frame.columns) == ["time", "site", *VARIABLES]
    assert len(frame) == len(SITES) * HOURS
    for number, site in enumerate(SITES):
        part = frame.iloc[number * HOURS : (number + 1) * HOURS]
        assert set(part["site"]) == {site}
        assert part["time"].iloc[0] == pd.Timestamp("2012-01-01 00:00", tz="UTC")
        assert part["time"].iloc[-1] == pd.Timestamp("2012-01-01", tz="UTC") + pd.Timedelta(hours=HOURS - 1)
        assert np.array_equal(part[list(VARIABLES)].to_numpy(), arrays[site][:, :5].astype(np.float32))


def test_a_row_whose_calendar_does_not_fit_is_set_aside(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    arrays["BSladeGreen"][30, 7] = 3  # 2012-01-02 06:00 was a Monday
    np.savez(tmp_path / FILE, allow_pickle=False, **arrays)
    _, config = small("air_quality")
    found, rejected = DATASET.table(tmp_path, config)
    assert [tuple(row) for row in rejected] == [
        (
            FILE,
            31,
            "weekday",
            "3",
            "BSladeGreen: expected weekday 0 at 2012-01-02T06:00",
            "site=BSladeGreen time=2012-01-02T06:00Z",
        )
    ]
    assert len(found) == 4 * HOURS - 1
    steps = DATASET.facts(found, config)["step_h"]
    assert steps.max() == 2
    assert steps.isna().sum() == 4


def test_a_lost_hour_is_an_error_that_names_the_place(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    short = {name: np.delete(array, 100, axis=0) for name, array in arrays.items()}
    np.savez(tmp_path / FILE, allow_pickle=False, **short)
    _, config = small("air_quality")
    with pytest.raises(
        DataError, match=r"LondonAQ.npz row 101, hour: 5; GEltham: expected hour 4 .* an hour is missing"
    ):
        DATASET.table(tmp_path, config)


@pytest.mark.parametrize("bytewise", [False, True])
def test_letters_are_named_by_array_row_column_and_value(
    bytewise: bool, tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    words = arrays["GWoolwich"].astype("S12" if bytewise else "U12")
    words[41, 2] = words[50, 0] = "n/a"
    np.savez(tmp_path / FILE, allow_pickle=False, **{**arrays, "GWoolwich": words})
    with pytest.raises(DataError, match=r"LondonAQ.npz: array GWoolwich row 42, no2_ug_m3: 'n/a'; expected a number"):
        DATASET.table(tmp_path, small("air_quality")[1])


def test_facts_match_a_plain_count(tmp_path: Path) -> None:
    frame = table("air_quality", tmp_path).table
    frame.loc[10:14, "no_ug_m3"] = 3.5
    frame.loc[20:22, "no_ug_m3"] = np.nan
    frame = frame.drop(index=[5, 6]).reset_index(drop=True)
    facts = DATASET.facts(frame, small("air_quality")[1])
    expected_steps, expected_runs = [], []
    for _, site in frame.groupby("site", sort=False):
        times = site["time"].tolist()
        expected_steps += [np.nan, *((b - a).total_seconds() / 3600 for a, b in pairwise(times))]
        values = [value if value == value else object() for value in site["no_ug_m3"]]
        for _, run in groupby(values):
            expected_runs += range(1, len(list(run)) + 1)
    assert np.array_equal(facts["step_h"], expected_steps, equal_nan=True)
    assert facts["flat_h_no_ug_m3"].tolist() == expected_runs


def test_impossible_values_are_set_aside_and_noise_below_zero_is_not(tmp_path: Path) -> None:
    frame = table("air_quality", tmp_path).table
    frame.loc[5, "pm10_ug_m3"] = 5000
    frame.loc[6, "o3_ug_m3"] = np.inf
    frame.loc[7, "pm10_ug_m3"] = -14
    report = judge(frame)
    assert [(row.row, row.column, row.value) for row in report.rejected] == [
        (6, "pm10_ug_m3", "5000.0"),
        (7, "o3_ug_m3", "inf"),
    ]
    assert report.failed("critical") == []
    assert [outcome.reason for outcome in report.failed("warning")] == ["gap in time"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda frame: frame.iloc[[0, 2, 1, *range(3, len(frame))]], "time stands still or goes back"),
        (lambda frame: frame.iloc[[0, 1, 1, *range(3, len(frame))]], "time stands still or goes back"),
        (lambda frame: frame[frame["site"] != "GWoolwich"], ""),
        (lambda frame: frame.assign(o3_ug_m3=np.float32("nan")), "too many missing values"),
        (lambda frame: frame.assign(so2_ug_m3=np.float32(1)), "constant series"),
        (
            lambda frame: frame.assign(no_ug_m3=frame["no_ug_m3"].where(frame.index > 800, 1)),
            "the sensor stood still for four weeks",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_critical(fault, reason: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    frame = fault(table("air_quality", tmp_path).table).reset_index(drop=True)
    assert reason in {outcome.reason for outcome in judge(frame).failed("critical")}


def test_the_sample_is_persistent_and_other_sites_help() -> None:
    from unroll.datasets.air_quality import sample as air

    times = np.datetime64("2012-01-01T00", "h") + np.arange(12000)
    values_SHV = air.simulate(times, np.random.default_rng(1))
    target = values_SHV[0, :, 0]
    truth, lags, train = target[6:], range(6), slice(0, 9000)

    def r2(inputs_HK: np.ndarray) -> float:
        design = np.column_stack([np.ones(len(target)), inputs_HK])
        rows = np.concatenate([design[5 - lag : len(target) - 1 - lag] for lag in lags], axis=1)
        weights = np.linalg.lstsq(rows[train], truth[train], rcond=None)[0]
        rest = truth[9000:]
        return float(1 - np.square(rest - rows[9000:] @ weights).sum() / np.square(rest - rest.mean()).sum())

    rest = truth[9000:]
    persistence = 1 - np.square(rest - target[9005:-1]).sum() / np.square(rest - rest.mean()).sum()
    alone, together = r2(target[:, None]), r2(values_SHV.transpose(1, 0, 2).reshape(len(target), -1))
    assert 0.65 < persistence < 0.85
    assert persistence + 0.005 < alone < together - 0.03
    assert -15 < values_SHV.min() < 0
