"""What holds for every dataset: a sample that repeats, a canonical table, expectations about columns that are there."""

from pathlib import Path

import pandas as pd
import pytest
from small_samples import NAMES, SMALL, small, write

from unroll import datasets
from unroll.core import store
from unroll.stages.validate import validate
from unroll.stages.validate.outcome import columns

TIMES = [f"t{time:03d}" for time in range(96)]
AIR = ["pm10_ug_m3", "no_ug_m3", "no2_ug_m3", "o3_ug_m3", "so2_ug_m3"]
CANONICAL: dict[str, dict[str, str]] = {
    "series": {"time": "datetime64[us, UTC]", "site": "str"} | dict.fromkeys(AIR, "float32"),
    "labelled series": {"label": "str"} | dict.fromkeys(TIMES, "float32") | {"split": "str"},
    "labelled text": {"text": "str", "label": "str"},
    "text": {"text": "str"},
    "pairs": {"source": "str", "target": "str"},
}
ROWS = {"air_quality": 4 * 1000, "household_power": 2 * 140, "tweets": 400, "addition": 500}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_these_are_all_datasets() -> None:
    assert datasets.names() == sorted([*NAMES, "files"])


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_bytes_and_another_seed_others(name: str, tmp_path: Path) -> None:
    for folder, seed in (("first", 7), ("again", 7), ("other", 8)):
        write(name, tmp_path / folder, seed=seed)
    assert contents(tmp_path / "first") == contents(tmp_path / "again")
    assert contents(tmp_path / "first") != contents(tmp_path / "other")


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_has_the_file_names_of_the_source(name: str, tmp_path: Path) -> None:
    dataset, config = write(name, tmp_path)
    public = {file.name for file in dataset.files(config)} or {"addition.csv"}
    assert set(contents(tmp_path)) == public
    assert all(file.url.startswith("https://") and file.url.endswith(file.name) for file in dataset.files(config))


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_canonical_and_survives_the_store(name: str, tmp_path: Path) -> None:
    dataset, config = write(name, tmp_path)
    table, rejected = dataset.table(tmp_path, config)
    assert rejected == []
    assert {column: str(kind) for column, kind in table.dtypes.items()} == CANONICAL[dataset.kind]
    assert len(table) == ROWS.get(name, len(table))
    store.write_table(tmp_path / "table.parquet", table)
    pd.testing.assert_frame_equal(store.read_table(tmp_path / "table.parquet"), table)


@pytest.mark.parametrize("name", NAMES)
def test_facts_stand_beside_the_rows_and_expectations_name_columns_that_are_there(name: str, tmp_path: Path) -> None:
    dataset, config = write(name, tmp_path)
    table = dataset.table(tmp_path, config).table
    facts = dataset.facts(table, config)
    assert facts.index.equals(table.index)
    known = {*table.columns, *facts.columns}
    assert len(known) == len(table.columns) + len(facts.columns)
    for expectation in dataset.expectations(config):
        assert {*columns(expectation.kwargs), *expectation.kwargs.get("column_set", [])} <= known
        if expectation.refuse_rows:
            assert expectation.reason, f"{expectation.type}: a row is refused without a reason"


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_meets_every_critical_expectation(name: str, tmp_path: Path) -> None:
    dataset, config = write(name, tmp_path)
    table = dataset.table(tmp_path, config).table
    report = validate.check(
        table, dataset.expectations(config), title=name, facts=lambda rows: dataset.facts(rows, config)
    )
    assert report.failed("critical") == []
    assert len(report.rejected) == 0
    assert [outcome.error for outcome in report.outcomes if outcome.error] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_tuned_value_has_no_default(name: str) -> None:
    dataset, _ = small(name)
    required = {key for key, field in dataset.Config.model_fields.items() if field.is_required()}
    assert required == {"dataset", "seed", "max_rejected_share", *SMALL[name]}
