"""What holds for every dataset: a sample that repeats, a canonical table, expectations about columns that are there."""

from pathlib import Path

import pandas as pd
import pytest
from small_samples import NAMES, write

from unroll import datasets
from unroll.core import store
from unroll.stages.validate import validate
from unroll.stages.validate.outcome import columns

TIME = "datetime64[us, UTC]"
NEEDED: dict[str, dict[str, str]] = {
    "series": {"time": TIME},
    "labelled series": {"label": "str", "t000": "float32"},
    "labelled text": {"text": "str", "label": "str"},
    "text": {"text": "str"},
    "pairs": {"source": "str", "target": "str"},
}
"""Of each kind of table: the columns that are always there, with their types."""
ALLOWED = {"series": ["site"], "labelled series": ["split", "group"], "labelled text": ["split", "group"]}
"""Columns of words that may stand beside them; the others hold numbers, in a series and a labelled one."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_dataset_says_what_it_yields_or_reads_files_in_place() -> None:
    kinds = {name: datasets.load(name).kind for name in datasets.names()}
    assert {name for name, kind in kinds.items() if kind not in NEEDED} == {*kinds} - {*NAMES}
    assert len(NAMES) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_bytes_and_another_seed_others(name: str, tmp_path: Path) -> None:
    for folder, seed in (("first", 7), ("again", 7), ("other", 8)):
        write(name, tmp_path / folder, seed=seed)
    assert contents(tmp_path / "first") == contents(tmp_path / "again")
    assert contents(tmp_path / "first") != contents(tmp_path / "other")


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_has_the_file_names_of_the_source(name: str, tmp_path: Path) -> None:
    dataset, config = write(name, tmp_path)
    public = {file.name for file in dataset.files(config)}
    assert set(contents(tmp_path)) == public if public else len(contents(tmp_path)) == 1
    assert all(file.url.startswith("https://") and file.url.endswith(file.name) for file in dataset.files(config))


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_canonical_and_survives_the_store(name: str, tmp_path: Path) -> None:
    dataset, config = write(name, tmp_path)
    table, rejected = dataset.table(tmp_path, config)
    assert rejected == []
    types = {column: str(kind) for column, kind in table.dtypes.items()}
    needed, words = NEEDED[dataset.kind], ALLOWED.get(dataset.kind, [])
    assert needed.items() <= types.items()
    others = [column for column in types if column not in needed]
    assert {column: "str" if column in words else "float32" for column in others}.items() <= types.items()
    numbers = [column for column in types if types[column] == "float32"]
    assert bool(numbers) == ("series" in dataset.kind)
    if dataset.kind == "labelled series":
        assert numbers == [f"t{step:03d}" for step in range(len(numbers))]
    assert len(table) >= 20
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
    dataset = datasets.load(name)
    required = {key for key, field in dataset.Config.model_fields.items() if field.is_required()}
    assert required == {"dataset", "seed", "max_rejected_share", *dataset.small}
