"""Raw recent rows: the same inputs as in training, and errors that name row and column."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from problems import tables
from unroll.core.errors import DataError
from unroll.problems.common.base import Prepared
from unroll.problems.windows.recent import recent_windows

CASE = tables.CASES["forecasting"]
LAG = CASE.prepare["lag"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def frame() -> pd.DataFrame:
    """Ten hours of both sites without a missing value, counted from 0."""
    table = tables.series()
    return table[table["time"].between("2020-01-15", "2020-01-15 09:00")].reset_index(drop=True)


def refusal(frame: pd.DataFrame, prepared: Prepared) -> str:
    with pytest.raises(DataError) as caught:
        recent_windows(frame, prepared.meta)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_same_inputs_as_in_training(prepared: Prepared, split: str) -> None:
    table = tables.series()
    low, high = prepared.meta["bounds"][split]
    times = table["time"].drop_duplicates().iloc[low:high]
    x_NLF, last_N = recent_windows(table[table["time"].isin(times)], prepared.meta)
    problem, _, _ = CASE.open()
    batches = list(problem.learning.batches(prepared, split, 32))
    trained_NLF = np.concatenate([batch["x_BLF"].numpy() for batch in batches])
    # Recent rows need no row that is forecast: there are more windows of them, at the end and before a missing value.
    starts = windows_of(prepared, split)
    places = np.searchsorted(last_N, prepared.arrays["seconds"][starts + LAG - 1])
    np.testing.assert_array_equal(x_NLF[places], trained_NLF, strict=True)


def windows_of(prepared: Prepared, split: str) -> np.ndarray:
    return np.concatenate([np.arange(low, high) for low, high in prepared.arrays[f"{split}_ranges"]])


def test_order_of_rows_and_spelling_of_times_do_not_matter(prepared: Prepared, frame: pd.DataFrame) -> None:
    expected, last_N = recent_windows(frame, prepared.meta)
    assert len(expected) == 10 - LAG + 1
    spelled = frame.assign(time=frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    local = frame.assign(time=frame["time"].dt.tz_convert("Asia/Kolkata"))
    naive = frame.assign(time=frame["time"].dt.tz_localize(None))
    objects = spelled.astype({"time": object, "site": object, "a_ug_m3": object})
    words = frame.astype({"a_ug_m3": "str", "site": "category"})
    for same in (frame.sample(frac=1, random_state=0), spelled, local, naive, objects, words):
        found, last = recent_windows(same, prepared.meta)
        np.testing.assert_array_equal(last, last_N)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_columns_and_sites_that_the_model_does_not_know_do_no_harm(prepared: Prepared, frame: pd.DataFrame) -> None:
    more = pd.concat([frame, frame[:3].assign(site="east", a_ug_m3=None)]).assign(weather="wet")
    np.testing.assert_array_equal(recent_windows(more, prepared.meta)[0], recent_windows(frame, prepared.meta)[0])


def test_a_missing_value_leaves_the_whole_windows_around_it(prepared: Prepared) -> None:
    table = tables.series()
    hours = table[table["time"].between("2020-01-15", "2020-01-15 23:00")].reset_index(drop=True)
    hours.loc[30, "b_ug_m3"] = np.nan  # the seventh hour of the second site
    gone = hours.drop(index=30)
    for holed in (hours, gone):
        x_NLF, last_N = recent_windows(holed, prepared.meta)
        begin = pd.Timestamp("2020-01-15").timestamp()
        assert ((last_N - begin) / 3600).tolist() == [5, *range(12, 24)]
        assert np.isfinite(x_NLF).all()


def test_a_column_that_is_missing(prepared: Prepared, frame: pd.DataFrame) -> None:
    for name in ("time", "site", "a_ug_m3", "b_ug_m3"):
        message = refusal(frame.drop(columns=name), prepared)
        assert message == f"input: column {name!r} is missing; expected time, site, a_ug_m3, b_ug_m3"


def test_no_rows(prepared: Prepared, frame: pd.DataFrame) -> None:
    assert refusal(frame[:0], prepared) == f"input: no rows; expected at least {LAG} of each site"


@pytest.mark.parametrize("value", ["noon", "now", "today", "12:00", "2020", "2020-01", "", None, "2020-13-01"])
def test_a_time_that_is_none(prepared: Prepared, frame: pd.DataFrame, value: object) -> None:
    times = frame["time"].dt.strftime("%Y-%m-%dT%H:%M").astype(object)
    times[4] = value
    for column in (times, times.astype("str")):
        message = refusal(frame.assign(time=column), prepared)
        assert message.startswith("input: row 5, column time: ")
        assert message.endswith("; expected a time (ISO 8601, UTC)")


def test_a_number_is_no_time(prepared: Prepared, frame: pd.DataFrame) -> None:
    message = refusal(frame.assign(time=np.arange(len(frame))), prepared)
    assert message == "input: row 1, column time: 0; expected a time (ISO 8601, UTC)"


def test_letters_in_a_number(prepared: Prepared, frame: pd.DataFrame) -> None:
    wrong = frame.astype({"b_ug_m3": object})
    wrong.loc[13, "b_ug_m3"] = "4,5"
    assert refusal(wrong, prepared) == "input: row 14, column b_ug_m3: '4,5'; expected a number"


def test_two_rows_of_a_site_at_one_time(prepared: Prepared, frame: pd.DataFrame) -> None:
    twice = pd.concat([frame, frame.iloc[[12]].assign(a_ug_m3=1.0)])
    message = refusal(twice, prepared)
    assert message == "input: row 21, column time: a second row of site south at 2020-01-15T02:00:00; expected one"


@pytest.mark.parametrize("value", ["inf", "1e300"])
def test_a_number_beyond_all_numbers(prepared: Prepared, frame: pd.DataFrame, value: str) -> None:
    wrong = frame.astype({"a_ug_m3": object})
    wrong.loc[3, "a_ug_m3"] = value
    assert refusal(wrong, prepared) == f"input: row 4, column a_ug_m3: {value!r}; expected a number"


def test_too_few_rows_in_one_stretch(prepared: Prepared, frame: pd.DataFrame) -> None:
    short = frame[frame["time"] != pd.Timestamp("2020-01-15 05:00", tz="UTC")]
    assert refusal(short, prepared) == (
        "input: the longest stretch without a gap or a missing value has 5 rows; expected 6 rows 3600 s apart "
        "for each of the sites north, south"
    )
    one_site = frame[frame["site"] == "south"]
    assert "has 0 rows; expected 6 rows" in refusal(one_site, prepared)


def test_a_model_without_sites_asks_for_none(tmp_path: Path) -> None:
    table = tables.series(sites=("",))
    prepared = CASE.run(tmp_path, table=table.copy(), target_site=None)
    x_NLF, _ = recent_windows(table[250:262], prepared.meta)
    assert len(x_NLF) == 7
    message = refusal(table[250:262].drop(columns="a_ug_m3"), prepared)
    assert message == "input: column 'a_ug_m3' is missing; expected time, a_ug_m3, b_ug_m3"
