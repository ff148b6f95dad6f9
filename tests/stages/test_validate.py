"""The gate is checked against pandas: which rows are refused, what is counted, what a message says."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unroll.core.errors import ConfigError, ValidationError
from unroll.core.expectation import Expectation
from unroll.stages.validate import validate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Great Expectations', of its own and of pandas
VALUES = "expect_column_values_to_"
COUNT = "expect_table_row_count_to_be_between"


def frame() -> pd.DataFrame:
    """Forty rows with one fault or two of each kind."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "time": pd.date_range("2012-01-01", periods=40, freq="h", tz="UTC"),
            "site": pd.Series(["north", "south"] * 20, dtype="str"),
            "no2": rng.normal(20, 10, 40).astype(np.float32),
            "text": pd.Series([f"words {i}" for i in range(40)], dtype="str"),
            "total": np.arange(40),
        }
    )
    table.loc[3, "no2"] = np.nan
    table.loc[5, "no2"] = -999.25
    table.loc[6, "no2"] = np.inf
    table.loc[7, "site"] = "<b>moon</b>"
    table.loc[[8, 9], "text"] = ["", "  "]
    table.loc[10, "text"] = None
    table.loc[11, "time"] = table.loc[9, "time"]
    return table


def judge(*suite: Expectation, table: pd.DataFrame | None = None) -> validate.Report:
    return validate.check(frame() if table is None else table, suite, title="tiny raw")


def between(column: str, low: float, high: float) -> dict[str, Any]:
    return {"column": column, "min_value": low, "max_value": high}


IN_RANGE = Expectation(f"{VALUES}be_between", between("no2", -20, 500), reason="outside the range", refuse_rows=True)
KNOWN_SITE = Expectation(f"{VALUES}be_in_set", {"column": "site", "value_set": ["north", "south"]}, reason="no site")


@pytest.mark.parametrize(
    ("kind", "kwargs", "mask"),
    [
        (f"{VALUES}not_be_null", {"column": "no2"}, lambda t: t["no2"].isna()),
        (f"{VALUES}be_between", between("no2", 0, 30), lambda t: ~t["no2"].between(0, 30) & t["no2"].notna()),
        (f"{VALUES}be_in_set", {"column": "site", "value_set": ["north"]}, lambda t: t["site"] != "north"),
        (f"{VALUES}match_regex", {"column": "text", "regex": r"\S"}, lambda t: t["text"].str.strip().eq("")),
        (f"{VALUES}not_match_regex", {"column": "text", "regex": "7"}, lambda t: t["text"].str.contains("7", na=False)),
        (f"{VALUES}be_unique", {"column": "time"}, lambda t: t["time"].duplicated(keep=False)),
        (
            "expect_column_value_lengths_to_be_between",
            {"column": "text", "min_value": 1, "max_value": 7},
            lambda t: ~t["text"].str.len().between(1, 7) & t["text"].notna(),
        ),
        (
            "expect_compound_columns_to_be_unique",
            {"column_list": ["time", "site"]},
            lambda t: t.duplicated(["time", "site"], keep=False),
        ),
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            {"column_A": "no2", "column_B": "total"},
            lambda t: ~(t["no2"] > t["total"]),
        ),
        (
            f"{VALUES}be_between",
            {**between("no2", 0, 30), "row_condition": "site=='north'", "condition_parser": "pandas"},
            lambda t: ~t["no2"].between(0, 30) & t["no2"].notna() & (t["site"] == "north"),
        ),
    ],
)
def test_refused_rows_are_those_that_pandas_finds(
    kind: str, kwargs: dict[str, Any], mask: Callable[[pd.DataFrame], "pd.Series[bool]"]
) -> None:
    expected = mask(frame()).to_numpy()
    assert 0 < expected.sum() < 40
    report = judge(Expectation(kind, kwargs, reason="faulty", refuse_rows=True))
    np.testing.assert_array_equal(report.refused, expected)
    assert [row.row for row in report.rejected] == (np.flatnonzero(expected) + 1).tolist()
    (outcome,) = report.outcomes
    assert (outcome.set_aside, outcome.failed, outcome.unexpected) == (True, False, expected.sum())
    validate.require(report, "table.parquet")  # set aside is no failure


def test_a_row_is_refused_once_for_its_first_fault() -> None:
    table = pd.DataFrame({"total": [1, 50, 3]})
    low = Expectation(f"{VALUES}be_between", between("total", 2, 99), reason="too low", refuse_rows=True)
    small = Expectation(f"{VALUES}be_between", between("total", 0, 2), "warning", "too high", refuse_rows=True)
    assert [row[1:5] for row in judge(low, small, table=table).rejected] == [
        (1, "total", "1", "too low"),
        (2, "total", "50", "too high"),
        (3, "total", "3", "too high"),
    ]
    again = replace(low, kwargs=between("total", 4, 99), reason="again")
    assert [row.reason for row in judge(low, again, table=table).rejected] == ["too low", "again"]


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        (
            ["site", "time", "text"],
            ["site=north time=2012-01-01T04:00Z text='words 4'", "site=south time=None text=''"],
        ),
        (["label", "split"], ["label=b split=test row=2", "label=None split=test row=3"]),
        (["text"], ["text='words 4'", "text=''"]),
        ([], ["", ""]),
    ],
)
def test_a_refused_row_is_told_by_what_stands_in_the_source(columns: list[str], keys: list[str]) -> None:
    table = frame().assign(label="b", split=["train"] * 3 + ["test"] * 37).iloc[:6]
    table.loc[5, ["time", "label", "text"]] = [pd.NaT, None, ""]
    low = Expectation(f"{VALUES}be_between", between("total", 0, 3), refuse_rows=True)
    assert [row.key for row in judge(low, table=table[["total", *columns]]).rejected] == keys


def test_each_severity_does_its_own() -> None:
    warned = judge(replace(KNOWN_SITE, severity="warning"))
    validate.require(warned, "table.parquet")
    assert [len(warned.failed("critical")), len(warned.failed("warning"))] == [0, 1]
    assert warned.summary()["success"] is True
    stopped = judge(KNOWN_SITE)
    assert stopped.summary()["success"] is False
    with pytest.raises(ValidationError) as caught:
        validate.require(stopped, "data/raw/tiny/table.parquet")
    assert str(caught.value) == (
        "data/raw/tiny/table.parquet: column 'site': no site: 1 of 40 rows: "
        "expected values to be in set (value_set ['north', 'south']); row 8: '<b>moon</b>'"
    )


def test_a_message_quotes_the_first_rows_only_and_stays_one_line() -> None:
    table = frame()
    table["text"] = "a\nb"
    none = {"column": "text", "value_set": ["c"]}
    report = judge(*[Expectation(f"{VALUES}be_in_set", none, reason=f"reason {i}") for i in range(5)], table=table)
    with pytest.raises(ValidationError, match="40 of 40 rows") as caught:
        validate.require(report, "t")
    text = str(caught.value)
    assert "\n" not in text
    assert "row 5: 'a\\nb', …" in text
    assert "row 6" not in text
    assert text.endswith("reason 2" + text.split("reason 2")[1].split("; and")[0] + "; and 2 more critical failures")


def test_the_others_see_only_accepted_rows_and_fresh_facts() -> None:
    table = frame()
    table["label"] = ["rare"] * 3 + ["common"] * 37
    enough = {"min_value": 3, "row_condition": "label=='rare'", "condition_parser": "pandas"}
    step = Expectation(f"{VALUES}be_between", between("step", 1, 1))
    worst = Expectation(f"{VALUES}be_between", between("total", 2, 99), refuse_rows=True)
    middle = Expectation(f"{VALUES}not_be_in_set", {"column": "total", "value_set": [20]}, refuse_rows=True)

    def step_of(rows: pd.DataFrame) -> pd.DataFrame:
        assert rows.index.equals(pd.RangeIndex(len(rows)))
        return pd.DataFrame({"step": rows["total"].diff()})

    report = validate.check(table, [Expectation(COUNT, enough), step, worst, middle], title="t", facts=step_of)
    count, stepped, *_ = report.outcomes
    assert (count.failed, count.observed) == (True, 1)  # two of three were refused
    assert (stepped.judged, stepped.rows, stepped.values) == (37, [22], [2.0])  # row 21 left a gap; the table's numbers
    assert np.flatnonzero(report.refused).tolist() == [0, 1, 20]
    assert "column 'step': 1 of 37 rows: expected values to be between (min_value 1, max_value 1); row 22: 2.0" in (
        stepped.text()
    )


def test_rows_that_cannot_be_mended_by_refusing_fail() -> None:
    table = pd.DataFrame({"total": [1, 5, 2, 3, 6]})
    rising = Expectation(f"{VALUES}be_increasing", {"column": "total"}, refuse_rows=True)
    report = judge(rising, table=table)  # without 2, the 3 falls below the 5
    assert np.flatnonzero(report.refused).tolist() == [2]
    assert report.failed("critical")[0].rows == [4]


@pytest.mark.parametrize(
    ("expectation", "text"),
    [
        (Expectation(f"{VALUES}be_between", between("o3", 0, 1)), "cannot be judged: no such column among time, site"),
        (Expectation("expect_column_to_exist", {"column": "o3"}), "column 'o3': expected to exist"),
        (Expectation(f"{VALUES}be_between", between("text", 0, 1)), "cannot be judged: "),
        (Expectation(COUNT, {"min_value": 41}), "expected row count to be between (min_value 41); found 40"),
        (Expectation(f"{VALUES}be_of_type", {"column": "site", "type_": "float32"}), "found 'str'"),
        (Expectation("expect_column_max_to_be_between", between("no2", 0, 9)), "found 'inf'"),
        (
            Expectation("expect_column_distinct_values_to_contain_set", {"column": "site", "value_set": {"y", "x"}}),
            "(value_set ['x', 'y']); found {'missing': ['x', 'y']}",
        ),
        (
            Expectation("expect_table_columns_to_match_set", {"column_set": ["time", "o3"], "exact_match": False}),
            "'missing': ['o3']",
        ),
        (
            Expectation(f"{VALUES}be_between", {"column": "time", "min_value": pd.Timestamp("2012-01-01 02:00Z")}),
            "(min_value '2012-01-01T02:00:00+00:00'); row 1: '2012-01-01T00:00:00+00:00', row 2: '2012-01-01T01:00:00",
        ),
        (
            Expectation("expect_compound_columns_to_be_unique", {"column_list": ["site", "time"]}),
            "(column_list ['site', 'time']); row 10: {'site': 'south', 'time': '2012-01-01T09:00:00+00:00'}, row 12: ",
        ),
        (
            Expectation("expect_column_pair_values_to_be_equal", {"column_A": "no2", "column_B": "total"}),
            "column 'no2', 'total': 40 of 40 rows",
        ),
    ],
)
def test_failures_say_what_was_found(expectation: Expectation, text: str) -> None:
    (outcome,) = judge(expectation).outcomes
    assert outcome.failed
    assert text in outcome.text()
    json.dumps(judge(expectation).summary(), allow_nan=False)


@pytest.mark.parametrize(
    ("dtype", "values", "kind"),
    [
        ("str", ["a", None], "str"),
        ("float32", [1, np.nan], "float32"),
        ("int64", [1, 2], "int64"),
        ("bool", [1, 0], "bool"),
    ],
)
def test_types_of_the_canonical_tables_are_recognised(dtype: str, values: list[Any], kind: str) -> None:
    table = pd.DataFrame({"x": pd.Series(values, dtype=dtype)})
    for name in (f"{VALUES}be_of_type", "expect_column_type_to_be"):
        assert not judge(Expectation(name, {"column": "x", "type_": kind}), table=table).outcomes[0].failed
        assert judge(Expectation(name, {"column": "x", "type_": "int8"}), table=table).outcomes[0].failed


@pytest.mark.parametrize(
    ("expectation", "text"),
    [
        (Expectation(f"{VALUES}be_betwen", {}), f"did you mean '{VALUES}be_between'?"),
        (Expectation("fly", {}), "none of this type"),
        (Expectation(f"{VALUES}be_between", {"column": "x", "minimum": 1}), "minimum extra fields not permitted"),
        (Expectation(f"{VALUES}be_between", {"column": "x"}), "cannot both be None"),
        (Expectation(COUNT, {"min_value": 1}, refuse_rows=True), "expected a type that judges single rows"),
    ],
)
def test_a_faulty_expectation_is_named(expectation: Expectation, text: str) -> None:
    with pytest.raises(ConfigError, match=r"expectation 2 \(") as caught:
        judge(KNOWN_SITE, expectation)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_page_names_the_suite_and_needs_no_network(tmp_path: Path) -> None:
    suite = [IN_RANGE, replace(KNOWN_SITE, severity="warning")]
    validate.check(frame(), suite, title="tiny raw", docs=tmp_path / "docs")
    assert [path.name for path in (tmp_path / "docs").iterdir()] == ["index.html"]
    page = (tmp_path / "docs" / "index.html").read_text()
    assert "Expectation Suite:" in page  # Great Expectations' own page
    assert "<h1>tiny raw: passed</h1>" in page
    assert page.count("tiny raw") >= 3
    for fetched in ("http://", "https://", "<script", "<link", "<img", "src="):
        assert fetched not in page
    assert "default-src 'none'" in page
    assert "<b>moon" not in page  # the data's own text is shown, not obeyed
    assert "&lt;b&gt;moon&lt;/b&gt;" in page
    assert "set aside: column &#x27;no2&#x27;: outside the range: 2 of 40 rows" in page
    validate.check(frame(), [KNOWN_SITE], title="tiny raw", docs=tmp_path / "docs")
    assert "<h1>tiny raw: failed</h1>" in (tmp_path / "docs" / "index.html").read_text()


def every_type() -> list[Expectation]:
    """Each type that a suite may well use, with arguments that fail."""
    column, low = {"column": "no2"}, {"min_value": -2, "max_value": -1}
    text, pair = {"column": "text"}, {"column_A": "no2", "column_B": "total"}
    names = ["min", "max", "mean", "median", "stdev", "sum", "unique_value_count"]
    names += ["proportion_of_non_null_values", "proportion_of_unique_values"]
    sets = ["distinct_values_to_equal_set", "distinct_values_to_be_in_set", "distinct_values_to_contain_set"]
    sets += ["values_to_be_in_set", "most_common_value_to_be_in_set"]
    quantiles = {"quantiles": [0.1, 0.9], "value_ranges": [[0, 1], [0, 1]]}
    arguments: dict[str, dict[str, Any]] = {
        "column_to_exist": {"column": "o3"},
        "column_type_to_be": column | {"type_": "int8"},
        "column_values_to_be_of_type": column | {"type_": "int8"},
        "column_values_to_be_null": column,
        "column_values_to_not_be_null": column,
        "column_values_to_be_between": column | low,
        "column_values_to_be_unique": {"column": "site"},
        "column_values_to_be_increasing": column,
        "column_values_to_be_decreasing": column,
        "column_values_to_match_regex": text | {"regex": "^<$"},
        "column_values_to_not_match_regex": text | {"regex": "o"},
        "column_values_to_match_regex_list": text | {"regex_list": ["^<$"]},
        "column_values_to_not_be_in_set": {"column": "site", "value_set": ["north"]},
        "column_value_lengths_to_be_between": text | {"min_value": 99},
        "column_value_lengths_to_equal": text | {"value": 99},
        "column_value_z_scores_to_be_less_than": {"column": "total", "threshold": 0.1, "double_sided": True},
        "column_quantile_values_to_be_between": {"column": "total", "quantile_ranges": quantiles},
        "column_pair_values_to_be_equal": pair,
        "column_pair_values_a_to_be_greater_than_b": pair,
        "compound_columns_to_be_unique": {"column_list": ["site", "time"]},
        "select_column_values_to_be_unique_within_record": {"column_list": ["total", "total_again"]},
        "table_columns_to_match_set": {"column_set": ["o3"]},
        "table_columns_to_match_ordered_list": {"column_list": ["o3"]},
        "table_column_count_to_equal": {"value": 1},
        "table_row_count_to_equal": {"value": 1},
        "table_row_count_to_be_between": {"max_value": 1},
    }
    arguments |= {f"column_{name}_to_be_between": {"column": "total"} | low for name in names}
    arguments |= {f"column_{name}": {"column": "site", "value_set": ["east"]} for name in sets}
    return [Expectation(f"expect_{name}", kwargs) for name, kwargs in arguments.items()]


def test_every_type_fails_in_one_line_and_is_drawn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Great Expectations leaves out of its page what it cannot draw, and only logs it."""
    table, suite = frame(), every_type()
    table["total_again"] = table["total"]
    with caplog.at_level(logging.WARNING):
        report = validate.check(table, suite, title="all", docs=tmp_path)
    assert caplog.messages == []
    assert [outcome.type for outcome in report.outcomes if not outcome.failed or outcome.error] == []
    assert not any("\n" in outcome.text() for outcome in report.outcomes)
    json.dumps(report.summary(), allow_nan=False)
    page = (tmp_path / "index.html").read_text()
    assert f">{table['total'].mean()}<" in page
    assert "&#x27;missing&#x27;: [&#x27;east&#x27;]" in page
    opposite = [replace(each, kwargs={"column": "total", "min_value": -5, "max_value": 1e9}) for each in suite]
    bounded = [each for each in opposite if each.type.endswith("_to_be_between") and "quantile" not in each.type]
    bounded = [each for each in bounded if "lengths" not in each.type and "row_count" not in each.type]
    equal = Expectation(
        "expect_column_distinct_values_to_equal_set", {"column": "site", "value_set": table["site"].unique().tolist()}
    )
    with caplog.at_level(logging.WARNING):
        met = validate.check(table, [*bounded, equal], title="all", docs=tmp_path)
    assert caplog.messages == []
    assert met.failures() == []
    assert "<h1>all: passed</h1>" in (tmp_path / "index.html").read_text()


def test_importing_the_gate_is_cheap() -> None:
    heavy = "{'great_expectations', 'pandas'}"
    code = f"import sys, unroll.stages.validate.validate\nsys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
