"""The regular array against a pandas pivot."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from problems import tables
from unroll.core.errors import DataError
from unroll.problems.windows import series_table

NAMES = ["a_ug_m3", "b_ug_m3"]


def lay_out(table: pd.DataFrame, folder: Path, sites="all", variables="all", target: str = "a_ug_m3"):
    """What is laid out, and the array; the table given is left as it was."""
    laid = series_table.lay_out(table.copy(), sites, variables, target, folder / "values.npy")
    return laid, np.load(folder / "values.npy")


def pivot(table: pd.DataFrame, sites: list[str], names: list[str]) -> pd.DataFrame:
    wide = table.pivot(index="time", columns="site", values=names)
    return pd.concat([wide[name][site] for site in sites for name in names], axis=1)


def require_equal(table: pd.DataFrame, folder: Path, sites: list[str], names: list[str], asked_sites="all") -> None:
    laid, values = lay_out(table, folder, asked_sites, names)
    expected = pivot(table[table["site"].isin(sites)], sites, names)
    np.testing.assert_array_equal(values, expected.to_numpy(dtype=np.float32), strict=True)
    np.testing.assert_array_equal(laid.seconds_T, expected.index.as_unit("s").asi8, strict=True)
    assert laid.columns == [f"{site}/{name}" for site in sites for name in names]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_and_any_holes_give_the_pivot(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    table = tables.series(20, ("x", "y", "z"))
    size = data.draw(st.integers(2, len(table)))
    order = data.draw(st.permutations(range(len(table))))[:size]
    table = table.iloc[sorted(order) if data.draw(st.booleans()) else order]
    sites = sorted(table["site"].unique())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_table, "BLOCK", data.draw(st.integers(1, 25)))
        require_equal(table, tmp_path_factory.mktemp("laid"), sites, NAMES)


def test_sites_and_variables_in_the_order_asked_for(tmp_path: Path) -> None:
    table = tables.series(50, ("x", "y", "z"))
    require_equal(table, tmp_path, ["z", "x"], ["b_ug_m3", "a_ug_m3"], asked_sites=("z", "x"))


def test_rows_in_time_order_with_the_sites_side_by_side(tmp_path: Path) -> None:
    table = tables.series(50, ("x", "y", "z")).sort_values(["time", "site"])
    require_equal(table, tmp_path, ["x", "y", "z"], NAMES)


def test_a_site_in_codes_is_the_same_as_in_words(tmp_path: Path) -> None:
    table = tables.series(50)
    coded = table.astype({"site": pd.CategoricalDtype(["south", "north", "nowhere"])})
    laid, values = lay_out(coded, tmp_path, sites=("north", "south"))
    np.testing.assert_array_equal(values, lay_out(table, tmp_path)[1])
    assert laid.sites == ["north", "south"]


def test_a_table_without_sites(tmp_path: Path) -> None:
    table = tables.series(50, ("",)).sample(frac=1, random_state=0)
    laid, values = lay_out(table, tmp_path)
    in_time = table.sort_values("time")
    np.testing.assert_array_equal(values, in_time[NAMES].to_numpy())
    np.testing.assert_array_equal(laid.seconds_T, pd.DatetimeIndex(in_time["time"]).as_unit("s").asi8)
    assert (laid.sites, laid.columns) == ([""], NAMES)


def test_the_table_is_consumed(tmp_path: Path) -> None:
    table = tables.series(50)
    series_table.lay_out(table, "all", ["a_ug_m3"], "a_ug_m3", tmp_path / "values.npy")
    assert list(table.columns) == ["b_ug_m3"]


@pytest.mark.parametrize("shuffle", [False, True])
def test_two_rows_of_a_site_at_one_time_are_refused(tmp_path: Path, shuffle: bool) -> None:
    table = tables.series(50)
    table = pd.concat([table, table.iloc[[63]]])
    table = table.sample(frac=1, random_state=1) if shuffle else table
    with pytest.raises(DataError, match=r"^site south: two rows at 2020-01-01T13:00:00; expected one row a time$"):
        lay_out(table, tmp_path)


def test_two_rows_at_one_time_without_sites_are_refused(tmp_path: Path) -> None:
    table = pd.concat([tables.series(9, ("",))] * 2)
    with pytest.raises(
        DataError, match=r"^site \(only one\): two rows at 2020-01-01T00:00:00; expected one row a time$"
    ):
        lay_out(table, tmp_path)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sites": ("north", "east")}, "site 'east' is not in the table; expected one of north, south"),
        ({"variables": ("a_ug_m3", "c")}, "column 'c' is not in the table; expected one of a_ug_m3, b_ug_m3"),
        ({"variables": ("b_ug_m3",)}, "target 'a_ug_m3' is not among the variables; expected one of b_ug_m3"),
        ({"target": "c"}, "target 'c' is not among the variables; expected one of a_ug_m3, b_ug_m3"),
    ],
)
def test_unknown_names_are_answered_with_those_there_are(tmp_path: Path, asked: dict, message: str) -> None:
    with pytest.raises(DataError) as caught:
        lay_out(tables.series(50), tmp_path, **asked)
    assert str(caught.value) == message


def test_a_row_without_a_time_is_named(tmp_path: Path) -> None:
    table = tables.series(50)
    table.loc[[41, 70], "time"] = pd.NaT
    with pytest.raises(DataError, match=r"^row 42 of the table, column time: missing; expected a time$"):
        lay_out(table, tmp_path)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_times_have_no_step(tmp_path: Path, rows: int) -> None:
    laid, values = lay_out(tables.series(50, ("",)).iloc[:rows], tmp_path)
    assert values.shape == (rows, 2)
    with pytest.raises(DataError, match=rf"^{rows} times in the table; expected at least two$"):
        series_table.step_s(laid.seconds_T)
