"""The bodies of the stages: what they write, what they say, and that the same input gives the same bytes."""

import csv
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unroll.core import store
from unroll.core.config import DataConfig
from unroll.core.errors import ConfigError, StoreError, ValidationError
from unroll.core.expectation import Expectation
from unroll.core.layout import Layout
from unroll.datasets.common.base import Dataset, Parsed, Rejected
from unroll.problems.common.preparation import Check
from unroll.stages.validate import validate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Great Expectations', of its own and of pandas
VALUES = "expect_column_values_to_"
COUNT = "expect_table_row_count_to_be_between"


def between(column: str, low: float, high: float) -> dict[str, Any]:
    return {"column": column, "min_value": low, "max_value": high}


IN_RANGE = Expectation(f"{VALUES}be_between", between("no2", -20, 500), reason="outside the range", refuse_rows=True)
HAS_TEXT = Expectation(f"{VALUES}not_be_null", {"column": "text"}, reason="no text", refuse_rows=True)
KNOWN_SITE = Expectation(f"{VALUES}be_in_set", {"column": "site", "value_set": ["north", "south"]}, reason="no site")
ALL_SITES = Expectation(
    "expect_column_distinct_values_to_contain_set", {"column": "site", "value_set": set("abcdef")}, "warning"
)
SUITE = [
    IN_RANGE,
    HAS_TEXT,
    ALL_SITES,
    replace(KNOWN_SITE, severity="warning"),
    Expectation("expect_column_stdev_to_be_between", between("no2", 900, 901), "warning"),
    Expectation("expect_table_columns_to_match_set", {"column_set": {"u", "v", "w"}}, "warning"),
]


def frame() -> pd.DataFrame:
    """Forty rows: two out of range, one unknown site, one without a text."""
    table = pd.DataFrame(
        {
            "time": pd.date_range("2012-01-01", periods=40, freq="h", tz="UTC"),
            "site": pd.Series(["north", "south"] * 20, dtype="str"),
            "no2": np.random.default_rng(0).normal(20, 10, 40).astype(np.float32),
            "text": pd.Series([f"words {i}" for i in range(40)], dtype="str"),
        }
    )
    table.loc[5, "no2"] = -999.25
    table.loc[6, "no2"] = np.inf
    table.loc[7, "site"] = "moon"
    table.loc[10, "text"] = None
    return table


class Tiny(Dataset[DataConfig]):
    """Whatever the test gives it."""

    Config = DataConfig
    kind = "labelled text"

    def __init__(self, suite: Sequence[Expectation]) -> None:
        self.suite = suite

    def files(self, config: DataConfig) -> list[Any]:
        return []

    def sample(self, folder: Path, config: DataConfig, rng: np.random.Generator) -> None:
        raise NotImplementedError

    def table(self, folder: Path, config: DataConfig) -> Parsed:
        raise NotImplementedError

    def facts(self, table: pd.DataFrame, config: DataConfig) -> pd.DataFrame:
        return pd.DataFrame({"letters": table["text"].str.len()})

    def expectations(self, config: DataConfig) -> Sequence[Expectation]:
        return self.suite


@dataclass
class Stage:
    """A project with a raw table, and the validate stage on it."""

    layout: Layout
    table: pd.DataFrame
    unreadable: tuple[Rejected, ...] = ()
    limit: float = 0.5

    def run(self, *suite: Expectation) -> validate.Report:
        store.write_table(self.layout.raw / "table.parquet", self.table)
        store.write_csv(
            self.layout.raw / "rejected.csv", pd.DataFrame(list(self.unreadable), columns=list(Rejected._fields))
        )
        config = DataConfig(dataset="tiny", seed=0, max_rejected_share=self.limit)
        return validate.validate(Tiny(suite), config, self.layout)

    def result(self) -> Any:
        return json.loads((self.layout.reports / "validation.json").read_text())

    def rows(self) -> list[dict[str, str]]:
        with (self.layout.rejected / "rows.csv").open(newline="") as handle:
            return list(csv.DictReader(handle))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(Layout(tmp_path / "project", "tiny"), frame())


def test_stage_writes_accepted_and_rejected_rows(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.unreadable = (Rejected("a.csv", 12, "no2", "abc,\n1", "no number"),)
    stage.run(IN_RANGE, HAS_TEXT, replace(KNOWN_SITE, severity="warning"), Expectation(COUNT, {"max_value": 37}))
    kept = frame().drop(index=[5, 6, 10]).reset_index(drop=True)
    pd.testing.assert_frame_equal(store.read_table(stage.layout.validated / "table.parquet"), kept)
    assert list(stage.rows()[0]) == ["file", "row", "column", "value", "reason", "key"]
    file, wide = "table.parquet", "outside the range"
    assert [tuple(row.values()) for row in stage.rows()] == [
        ("a.csv", "12", "no2", "abc,\n1", "no number", ""),
        (file, "6", "no2", "-999.25", wide, "site=south time=2012-01-01T05:00Z text='words 5'"),
        (file, "7", "no2", "inf", wide, "site=north time=2012-01-01T06:00Z text='words 6'"),
        (file, "11", "text", "", "no text", "site=north time=2012-01-01T10:00Z text=None"),
    ]
    result = stage.result()
    assert [result[key] for key in ("success", "rows", "accepted_rows", "rejected_rows")] == [True, 41, 37, 4]
    assert result["rejected_share"] == pytest.approx(4 / 41)
    assert result["expectations"] == {"evaluated": 4, "set_aside": 2, "failed": {"critical": 0, "warning": 1}}
    assert [failure[:31] for failure in result["failures"]] == ["warning: column 'site': no site"]
    warned, aside = capsys.readouterr().err.splitlines()
    assert warned.startswith("data/raw/tiny/table.parquet: warning: column 'site': no site: 1 of 37")
    assert aside == (
        "data/raw/tiny/table.parquet: rows set aside: 4 of 41, kept with their reasons in data/rejected/tiny/rows.csv; "
        "the first: a.csv row 12, no2 'abc,\\n1': no number"
    )


def test_a_critical_failure_leaves_the_result_but_no_table(stage: Stage) -> None:
    stage.run()
    assert (stage.layout.validated / "table.parquet").exists()
    with pytest.raises(ValidationError, match=r"^data/raw/tiny/table\.parquet: column 'site': no site: 1 of 40 rows"):
        stage.run(KNOWN_SITE)
    assert not (stage.layout.validated / "table.parquet").exists()
    kept = json.loads((stage.layout.state / "validation" / "result.json").read_text())
    assert kept == stage.result()
    assert kept["success"] is False
    assert kept["expectations"]["failed"] == {"critical": 1, "warning": 0}
    assert "no site" in (stage.layout.state / "validation" / "index.html").read_text()


@pytest.mark.parametrize(("limit", "passes"), [(0.05, True), (0.049, False), (0.0, False)])
def test_the_share_of_rejected_rows_is_bounded(stage: Stage, limit: float, passes: bool) -> None:
    stage.limit = limit  # two of forty rows are out of range
    if passes:
        assert stage.run(IN_RANGE).refused.sum() == 2
        return
    with pytest.raises(ValidationError) as caught:
        stage.run(IN_RANGE)
    allowed = int(40 * limit)
    assert str(caught.value) == (
        f"data/raw/tiny/table.parquet: 2 of 40 rows set aside; expected at most {allowed} "
        f"(data.max_rejected_share {limit}); table.parquet row 6 "
        "(site=south time=2012-01-01T05:00Z text='words 5'), no2 '-999.25': outside the range; table.parquet row 7 "
        "(site=north time=2012-01-01T06:00Z text='words 6'), no2 'inf': outside the range"
    )
    assert stage.result()["success"] is False
    assert stage.result()["failures"][0].startswith("critical: 2 of 40 rows set aside")
    assert len(stage.rows()) == 2
    assert "2 of 40 rows set aside" in (stage.layout.state / "validation" / "index.html").read_text()


def test_some_row_must_be_left(stage: Stage) -> None:
    stage.limit = 1.0
    stage.table = stage.table.iloc[:0]
    with pytest.raises(ValidationError, match="0 of 0 rows set aside; expected some rows to be left"):
        stage.run(IN_RANGE)
    stage.table = frame().iloc[[5, 6]]
    with pytest.raises(ValidationError, match="2 of 2 rows set aside; expected some rows to be left"):
        stage.run(IN_RANGE)


def test_a_missing_or_damaged_list_of_rejected_rows_is_named(stage: Stage) -> None:
    stage.run()
    for text, reason in [("file,row\n", "columns file, row; expected file, row, column"), ("", "not enough values")]:
        (stage.layout.raw / "rejected.csv").write_text(text)
        with pytest.raises(StoreError, match=rf"rejected\.csv: not a valid list of rejected rows: {reason}"):
            validate.validate(Tiny([]), DataConfig(dataset="t", seed=0, max_rejected_share=0), stage.layout)
    (stage.layout.raw / "rejected.csv").unlink()
    with pytest.raises(StoreError, match=r"rejected\.csv: not there"):
        validate.validate(Tiny([]), DataConfig(dataset="t", seed=0, max_rejected_share=0), stage.layout)


def outputs(layout: Layout) -> dict[str, bytes]:
    folders = (layout.validated, layout.rejected, layout.reports)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(layout.root).as_posix(): path.read_bytes() for path in files}


def test_two_runs_give_the_same_bytes_and_write_nothing_elsewhere(tmp_path: Path, stage: Stage) -> None:
    """Here and in a second process, which walks sets in another order."""
    stage.run(*SUITE)
    code = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_validate_stage import SUITE, Layout, Stage, frame
        Stage(Layout(Path("project"), "tiny"), frame()).run(*SUITE)
    """
    here = tmp_path / "second"
    for name in ("home", "tmp"):
        (here / name).mkdir(parents=True)
    places = {"HOME": str(here / "home"), "TMPDIR": str(here / "tmp"), "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-Bc", textwrap.dedent(code)], cwd=here, env=os.environ | places, check=True)
    assert {path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()} == {
        "project/data/raw/tiny/table.parquet",
        "project/data/raw/tiny/rejected.csv",
        "project/data/validated/tiny/table.parquet",
        "project/data/rejected/tiny/rows.csv",
        "project/reports/tiny/validation.json",
        "project/.unroll/tiny/validation/index.html",
        "project/.unroll/tiny/validation/result.json",
    }
    first, second = outputs(stage.layout), outputs(Layout(here / "project", "tiny"))
    assert len(first) == 3
    assert first == second


def test_prepared_data_is_judged_by_its_facts(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "tiny")
    facts = pd.DataFrame({"unknown_share": [np.float32(0.25)], "shared_texts": [np.int64(0)], "gap": [np.nan]})
    few = Expectation(f"{VALUES}be_between", between("unknown_share", 0, 0.3), "warning", "unknown words")
    none = Expectation(f"{VALUES}be_in_set", {"column": "shared_texts", "value_set": [0]}, reason="texts on both sides")
    validate.validate_prepared(Check(facts, [few, none]), layout)
    result = json.loads((layout.reports / "prepared.json").read_text())
    assert result["facts"] == {"unknown_share": 0.25, "shared_texts": 0, "gap": None}
    assert result["success"] is True
    facts["shared_texts"] = 3
    with pytest.raises(
        ValidationError, match=r"^data/prepared/tiny: column 'shared_texts': texts on both sides: .*row 1: 3$"
    ):
        validate.validate_prepared(Check(facts, [few, none]), layout)
    assert json.loads((layout.state / "prepared" / "result.json").read_text())["success"] is False
    assert (layout.state / "prepared" / "index.html").exists()
    with pytest.raises(ConfigError, match="refuse_rows is set"):
        validate.validate_prepared(Check(facts, [replace(none, refuse_rows=True)]), layout)
