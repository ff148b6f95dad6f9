"""ElectricDevices: numbers read as they stand, faulty rows found one by one, a sample that distances cannot solve."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_samples import small, table, write

from unroll.core.errors import DataError
from unroll.datasets.common.base import Rejected
from unroll.datasets.household_power import DATASET, TIMES
from unroll.stages.validate import validate
from unroll.stages.validate.outcome import Report

TRAIN, TEST = "ElectricDevices_TRAIN.csv", "ElectricDevices_TEST.csv"


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def judge(frame: pd.DataFrame) -> Report:
    _, config = small("household_power")
    return validate.check(
        frame, DATASET.expectations(config), title="power", facts=lambda rows: DATASET.facts(rows, config)
    )


def test_table_holds_the_numbers_of_both_files(tmp_path: Path) -> None:
    frame = table("household_power", tmp_path).table
    assert frame["split"].tolist() == ["train"] * 140 + ["test"] * 140
    for name, split in ((TRAIN, "train"), (TEST, "test")):
        numbers = np.loadtxt(tmp_path / name, delimiter=",")
        part = frame[frame["split"] == split]
        assert part["label"].astype(int).tolist() == numbers[:, 0].tolist()
        assert np.array_equal(part[list(TIMES)].to_numpy(), numbers[:, 1:].astype(np.float32))


def test_each_faulty_row_is_set_aside_with_its_place_and_the_others_are_read(tmp_path: Path) -> None:
    _, config = write("household_power", tmp_path)
    whole = DATASET.table(tmp_path, config).table
    lines = lines_of(tmp_path / TRAIN)

    def changed(line: str, cell: int, value: str) -> str:
        cells = line.split(",")
        cells[cell] = value
        return ",".join(cells)

    lines[3] = changed(lines[3], 0, "8")
    lines[5] = changed(lines[5], 1, "0,12")
    lines[7] = changed(lines[7], 96, "abc")
    lines[9] = changed(lines[9], 42, "")
    lines[11] = changed(lines[11], 10, "nan")
    lines[13] = lines[13].rpartition(",")[0]
    lines[15] = changed(lines[15], 10, "1e99")
    lines.insert(20, "")
    (tmp_path / TRAIN).write_text("\n".join(lines) + "\n")
    found, rejected = DATASET.table(tmp_path, config)
    assert rejected == [
        Rejected(TRAIN, 4, "label", "8", "unknown class; expected 1 to 7"),
        Rejected(TRAIN, 6, "", "98 columns", "wrong number of columns; expected 97"),
        Rejected(TRAIN, 8, "t095", "abc", "not a finite number"),
        Rejected(TRAIN, 10, "t041", "", "empty value"),
        Rejected(TRAIN, 12, "t009", "nan", "not a finite number"),
        Rejected(TRAIN, 14, "", "96 columns", "wrong number of columns; expected 97"),
        Rejected(TRAIN, 16, "t009", "1e99", "not a finite number"),
    ]
    kept = whole.drop(index=[3, 5, 7, 9, 11, 13, 15]).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, kept)


def test_a_file_without_a_readable_row_is_an_error(tmp_path: Path) -> None:
    _, config = write("household_power", tmp_path)
    (tmp_path / TEST).write_text("label,value\n1,x\n")
    with pytest.raises(DataError, match=r"ElectricDevices_TEST.csv: no readable row \(row 1, 2 columns\)"):
        DATASET.table(tmp_path, config)


def test_only_a_line_end_ends_a_row(tmp_path: Path) -> None:
    _, config = write("household_power", tmp_path)
    lines = (tmp_path / TRAIN).read_text().split("\n")
    lines[2] += "\x0b\x0c\x1c\u2028"
    lines[8] = "x" + lines[8]
    (tmp_path / TRAIN).write_text("\r\n".join(lines), encoding="utf-8", newline="")
    assert [row.row for row in DATASET.table(tmp_path, config).rejected] == [3, 9]


def test_the_type_of_each_value_column_is_expected() -> None:
    suite = DATASET.expectations(small("household_power")[1])
    typed = {each.kwargs["column"]: each.kwargs["type_"] for each in suite if "column_type" in each.type}
    assert typed == {"label": "str", "split": "str"} | dict.fromkeys(TIMES, "float32")


def test_facts_of_a_few_rows(tmp_path: Path) -> None:
    _, config = small("household_power")
    days = np.zeros((4, 96), dtype=np.float32)
    days[0, 5], days[1, 7], days[2, 5] = 1, np.nan, 1
    frame = pd.DataFrame(days, columns=list(TIMES)).assign(
        label=["1", "1", "2", "2"], split=["train"] * 2 + ["test"] * 2
    )
    facts = DATASET.facts(frame, config)
    assert facts["row_missing"].tolist() == [0, 1, 0, 0]
    assert facts["row_max"].tolist() == [1, 0, 1, 0]
    assert facts["repeats"].tolist() == [False, False, True, False]
    assert facts["test_row_in_train"].tolist() == [False, False, True, False]
    assert facts["rows_of_class"].tolist() == [2, 2, 2, 2]
    assert facts["row_std"][0] == pytest.approx(np.sqrt(1 / 96 - 1 / 96**2))


def test_flat_days_and_impossible_values_are_set_aside(tmp_path: Path) -> None:
    frame = table("household_power", tmp_path).table
    frame.loc[2, list(TIMES)] = np.float32(0.25)
    frame.loc[4, "t050"] = np.float32(77)
    report = judge(frame)
    assert {row.row: row.reason for row in report.rejected} == {
        3: "constant day",
        5: "further from the mean than any of 96 values can be",
    }
    assert report.failed("critical") == []


@pytest.mark.parametrize(
    ("keep", "reason"),
    [
        (lambda t: (t["label"] != "3") | (t["split"] != "train"), "a class is missing from train or from test"),
        (lambda t: t["split"] == "train", "a class is missing from train or from test"),
        (
            lambda t: (t["label"] != "6") | (t.groupby(["split", "label"]).cumcount() < 2),
            "a class is too rare in its split",
        ),
    ],
)
def test_a_class_that_is_missing_or_rare_is_critical(keep, reason: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    frame = table("household_power", tmp_path).table
    report = judge(frame[keep(frame)].reset_index(drop=True))
    assert reason in {outcome.reason for outcome in report.failed("critical")}


def test_the_sample_is_normalised_repeats_some_days_and_is_no_matter_of_distance() -> None:
    from unroll.datasets.household_power.sample import simulate

    rng = np.random.default_rng(1)
    (train_labels, train), (labels, days) = simulate(600, rng), simulate(400, rng)
    assert np.allclose(days.mean(axis=1), 0)
    assert np.allclose(days.std(axis=1, ddof=1), 1)
    assert np.bincount(labels, minlength=8)[1:].min() >= 5
    assert len(np.unique(np.concatenate([train, days]).round(9), axis=0)) < 1000
    nearest = np.square(days[:, None] - train[None]).sum(axis=2).argmin(axis=1)
    accuracy = (train_labels[nearest] == labels).mean()
    majority = (labels == np.bincount(train_labels).argmax()).mean()
    assert majority + 0.2 < accuracy < 0.75
