"""Bad input of each kind: one line that names file, row and column, what was seen and what was expected."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from datasets import own_files as own
from unroll.core.errors import DataError, UnrollError
from unroll.core.errors import ValidationError as Refused
from unroll.datasets.files import DATASET
from unroll.datasets.files.plan import Plan

HEAD = "time,no2,wind\n"


def hours(count: int) -> list[str]:
    return [f"2020-01-{1 + hour // 24:02d} {hour % 24:02d}:00,{20 + hour % 7},N" for hour in range(count)]


def written(root: Path, lines: list[str], name: str = "air.csv", head: str = HEAD) -> str:
    (root / name).write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return name


def fault(root: Path, **block: Any) -> str:
    """The message of the error that ingest and validate end with; what was there before is still there."""
    layout = own.Layout(root, "own")
    layout.raw.mkdir(parents=True)
    (layout.raw / "before").write_text("kept")
    with pytest.raises(UnrollError) as raised:
        own.ingest(root, own.config(**block))
    assert [path.name for path in layout.raw.iterdir()] == ["before"]
    message = str(raised.value)
    assert "\n" not in message
    return message


def rejected(layout: Any) -> list[str]:
    lines: list[str] = (layout.raw / "rejected.csv").read_text(encoding="utf-8").splitlines()[1:]
    return lines


# ---- columns


@pytest.mark.parametrize("key", ["time", "site", "label", "group"])
def test_a_column_that_is_not_there_is_told_with_near_names(key: str, tmp_path: Path) -> None:
    name = written(tmp_path, hours(30))
    table = "series" if key in ("time", "site") else "labelled_series"
    assert fault(tmp_path, table=table, path=name, **{key: "Tme"}) == (
        "air.csv: no column 'Tme'; did you mean 'time'?; expected one of time, no2, wind"
    )


def test_the_values_and_units_name_columns_too(tmp_path: Path) -> None:
    name = written(tmp_path, hours(30))
    assert fault(tmp_path, table="series", path=name, values=["NO"]).startswith("air.csv: no column 'NO'; did you mean")


def test_a_further_file_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    written(tmp_path, hours(24), "a.csv")
    written(tmp_path, ["2020-01-02 00:00,3"], "b.csv", "time,no\n")
    assert fault(tmp_path, table="series", path="*.csv") == (
        "b.csv: no column 'no2'; did you mean 'no'?; expected one of time, no"
    )


def test_two_columns_of_one_name_in_the_table_are_told(tmp_path: Path) -> None:
    name = written(tmp_path, ["2020-01-01,1,2", "2020-01-02,2,3"], head="time,PM2.5,pm2_5\n")
    assert fault(tmp_path, table="series", path=name, values="all") == (
        "data.values: 'pm2_5' and 'PM2.5' have the same name 'pm2_5' in the table; expected different ones "
        "(data.units adds a unit to a name)"
    )


@pytest.mark.parametrize("path", ["away.csv", "no/*.csv"])
def test_a_path_that_matches_nothing_is_told(path: str, tmp_path: Path) -> None:
    written(tmp_path, hours(3), "a_way.csv")
    message = fault(tmp_path, table="series", path=path)
    assert message.startswith(f"path {path!r}: ")
    assert ("a_way.csv" in message) == (path == "away.csv")


# ---- time


def test_two_rows_at_one_time_are_both_named(tmp_path: Path) -> None:
    lines = hours(30)
    lines.insert(12, lines[11])
    assert fault(tmp_path, table="series", path=written(tmp_path, lines)) == (
        "air.csv row 14: a second row at 2020-01-01T11:00:00, after row 13; expected one row a time (`site` names a "
        "column that tells several series apart, `resample` makes one row of several)"
    )


def test_two_rows_at_one_time_in_two_files_are_both_named(tmp_path: Path) -> None:
    written(tmp_path, hours(24), "a.csv")
    written(tmp_path, hours(24)[23:], "b.csv")
    message = fault(tmp_path, table="series", path=["a.csv", "b.csv"])
    assert message.startswith("b.csv row 2: a second row at 2020-01-01T23:00:00, after a.csv row 25; expected one row")


def test_two_rows_of_one_site_at_one_time_name_the_site(tmp_path: Path) -> None:
    lines = [f"2020-01-0{day},{site},{day}" for day in (1, 2, 3) for site in "ab"]
    name = written(tmp_path, [*lines, "2020-01-03,a,7"], head="time,site,no2\n")
    assert fault(tmp_path, table="series", path=name).startswith(
        "air.csv row 8: a second row of site 'a' at 2020-01-03T00:00:00, after row 6; expected one row a time"
    )


def test_time_that_runs_backwards_is_told_and_sorted_where_that_is_said(tmp_path: Path) -> None:
    lines = hours(30)
    lines[20], lines[5] = lines[5], lines[20]
    name = written(tmp_path, lines)
    assert fault(tmp_path, table="series", path=name) == (
        "air.csv row 8: time runs backwards: 2020-01-01T06:00:00 after 2020-01-01T20:00:00 (row 7); expected later "
        "times (`sort: true` puts rows into the order of time)"
    )
    layout = own.ingest(tmp_path, own.config(table="series", path=name, sort=True), "sorted")
    table = own.validate(layout, own.config(table="series", path=name, sort=True))
    assert table["time"].is_monotonic_increasing
    assert table["no2"].tolist() == [20 + hour % 7 for hour in range(30)]


def test_sorting_does_not_hide_two_rows_at_one_time(tmp_path: Path) -> None:
    lines = hours(30)
    lines.append(lines[3])
    message = fault(tmp_path, table="series", path=written(tmp_path, lines), sort=True)
    assert message.startswith(
        "air.csv row 32: a second row at 2020-01-01T03:00:00, after row 5; expected one row a time"
    )


def test_a_time_in_no_usual_form_asks_for_formats(tmp_path: Path) -> None:
    name = written(tmp_path, [f"day {day} of spring,{day},N" for day in range(30)])
    assert fault(tmp_path, table="series", path=name, time="time") == (
        "air.csv, column time: 'day 0 of spring' is not in a usual format; expected data.time.formats, such as "
        "%d/%m/%Y %H:%M"
    )


def test_a_format_that_is_none_is_told(tmp_path: Path) -> None:
    name = written(tmp_path, hours(30))
    time = {"columns": "time", "formats": ["%Q"]}
    assert fault(tmp_path, table="series", path=name, time=time).startswith("data.time.formats: '%Q' is not allowed; ")


def test_a_timezone_that_is_none_is_told(tmp_path: Path) -> None:
    time = {"columns": "time", "timezone": "Europe/Atlantis"}
    assert fault(tmp_path, table="series", path=written(tmp_path, hours(30)), time=time) == (
        "data.time.timezone: 'Europe/Atlantis' is not allowed; expected one such as UTC or Europe/London"
    )


def test_a_row_without_a_readable_time_is_set_aside(tmp_path: Path) -> None:
    lines = hours(300)
    lines[7], lines[9] = "yesterday,3,N", ",4,N"
    layout = own.ingest(tmp_path, own.config(table="series", path=written(tmp_path, lines)))
    assert rejected(layout) == ["air.csv,11,time,,no time,", "air.csv,9,time,yesterday,not a time; expected iso,"]


# ---- cells


def test_a_row_with_a_word_among_numbers_is_set_aside(tmp_path: Path) -> None:
    lines = hours(300)
    lines[7], lines[9] = "2020-01-01 07:00,about 3,N", "2020-01-01 09:00,1e300,N"
    layout = own.ingest(tmp_path, own.config(table="series", path=written(tmp_path, lines)))
    assert rejected(layout) == [
        "air.csv,9,no2,about 3,not a number; expected one,",
        "air.csv,11,no2,1e300,too large for a number of 32 bits,",
    ]
    assert len(own.validate(layout, own.config(table="series", path="air.csv"))) == 298


def test_too_many_rows_set_aside_stop_the_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = hours(300)
    for row in range(100, 110):
        lines[row] = lines[row].replace(",2", ",two ")
    block = own.config(table="series", path=written(tmp_path, lines))
    layout = own.ingest(tmp_path, block)
    assert (
        "ingest own: 10 of 300 rows set aside, kept with their reasons in data/raw/own/rejected.csv; the first: "
        "air.csv row 102, no2 'two 2': not a number; expected one\n"
    ) in capsys.readouterr().err
    with pytest.raises(
        Refused, match=r"10 of 300 rows set aside; expected at most 3 .*; air\.csv row 102, no2 'two 2': no"
    ):
        own.validate(layout, block)
    assert not (layout.validated / "table.parquet").exists()


def test_a_file_without_a_readable_row_is_told(tmp_path: Path) -> None:
    name = written(tmp_path, [f"2020-01-01 {hour:02d}:00,no,N" for hour in range(24)])
    assert fault(tmp_path, table="series", path=name, values=["no2"]) == (
        "24 of the first 24 rows cannot be read; the first: air.csv row 2, no2 'no': not a number; expected one"
    )


def test_reading_stops_early_where_most_rows_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unroll.datasets.files.reading import api

    monkeypatch.setattr(api, "ROWS", 10)
    monkeypatch.setattr(api.chunks, "__defaults__", (None, 10, None))
    lines = [f"2020-01-01 {hour:02d}:00,{'no' if hour < 8 else 3},N" for hour in range(24)]
    assert fault(tmp_path, table="series", path=written(tmp_path, lines), values=["no2"]) == (
        "8 of the first 10 rows cannot be read; the first: air.csv row 2, no2 'no': not a number; expected one"
    )


def test_a_static_column_that_changes_is_told(tmp_path: Path) -> None:
    lines = hours(30)
    lines[20] = lines[20].replace(",N", ",S")
    assert fault(tmp_path, table="series", path=written(tmp_path, lines), static=["wind"]) == (
        "air.csv row 22, column wind: 'S' after 'N' (air.csv row 2); expected one value a site (data.static)"
    )


# ---- labels


def texts(root: Path, labels: list[str]) -> str:
    rows = [f"the crew was number {row},{label}" for row, label in enumerate(labels)]
    return written(root, rows, "texts.csv", "text,label\n")


def test_an_unknown_label_is_set_aside(tmp_path: Path) -> None:
    block = own.config(path=texts(tmp_path, ["a", "b"] * 100 + ["c"]), text="text", label="label", labels=["a", "b"])
    layout = own.ingest(tmp_path, block)
    assert rejected(layout) == ['texts.csv,202,label,c,"unknown label; expected a, b",']
    assert set(own.validate(layout, block)["label"]) == {"a", "b"}


def test_one_class_only_stops_the_task(tmp_path: Path) -> None:
    name = texts(tmp_path, ["a"] * 30)
    assert fault(tmp_path, path=name, text="text", label="label") == (
        "texts.csv row 2, column label: 'a' is the only label of 30 rows; expected two or more"
    )


def test_one_class_that_is_left_stops_the_task(tmp_path: Path) -> None:
    name = texts(tmp_path, ["b", "a"] * 20)
    assert fault(tmp_path, path=name, text="text", label="label", drop_labels=["b"]).startswith(
        "texts.csv row 3, column label: 'a' is the only label of 20 rows; expected two"
    )


def test_labels_that_differ_in_their_case_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = own.config(path=texts(tmp_path, ["Yes", "no", "yes"] * 20), text="text", label="label")
    own.validate(own.ingest(tmp_path, block), block)
    assert "labels that differ only in their case are different ones" in capsys.readouterr().err
    same = own.config(path="texts.csv", text="text", label="label", label_map={"Yes": "yes"})
    own.validate(own.ingest(tmp_path, same), same)
    assert "differ only in their case" not in capsys.readouterr().err


def test_numbers_that_never_change_stop_the_task(tmp_path: Path) -> None:
    name = written(tmp_path, [line.rpartition(",")[0][:17] + "7,N" for line in hours(30)])
    assert fault(tmp_path, table="series", path=name) == (
        "air.csv: columns of numbers hold one value in all of 30 rows (no2 7); expected one that changes"
    )


def test_a_map_of_no_label_is_told(tmp_path: Path) -> None:
    name = texts(tmp_path, ["1", "2.0"] * 20)
    assert fault(tmp_path, path=name, text="text", label="label", label_map={"3": "x"}) == (
        "data.label_map: '3' is not a label in the files; expected some of 1, 2"
    )


def test_labels_to_drop_that_are_not_there_are_told(tmp_path: Path) -> None:
    name = texts(tmp_path, ["1", "2.0"] * 20)
    assert fault(tmp_path, path=name, text="text", label="label", drop_labels=["x"]) == (
        "data.drop_labels: 'x' is not a label in the files; expected some of 1, 2"
    )


def test_numbers_that_never_come_again_are_no_labels(tmp_path: Path) -> None:
    name = texts(tmp_path, [f"{row}.5" for row in range(300)])
    assert fault(tmp_path, path=name, text="text", label="label").startswith(
        "data.label: 'label' has 300 distinct labels in 300 rows (0.5, 1.5, 2.5"
    )


def test_a_label_that_nothing_tells_is_asked_for(tmp_path: Path) -> None:
    rows = [f"{row % 2},{row % 3},the crew was number {row}" for row in range(60)]
    name = written(tmp_path, rows, "texts.csv", "a,b,text\n")
    assert fault(tmp_path, path=name, table="labelled_text") == (
        "texts.csv: which column is the label? a, b could be it; expected data.label to name it"
    )


def test_lines_that_cannot_be_read_come_before_a_label_that_is_not_found(tmp_path: Path) -> None:
    lines = ['{"text": "the crew was late"}', '{"text": "lost", "mood": "bad"', '{"text": "a seat"}'] * 5
    name = written(tmp_path, lines, "posts.jsonl", "")
    message = fault(tmp_path, path=name, table="labelled_text")
    assert message.startswith('posts.jsonl row 2: {"text": "lost", "mood": "bad": not JSON (')
    assert "(5 of the first 15 rows cannot be read); and then posts.jsonl: which column is the label?" in message


def test_a_file_of_broken_lines_is_told_by_the_first(tmp_path: Path) -> None:
    name = written(tmp_path, ['{"text": "lost", "mood": "bad"'] * 5 + ['{"text": "a", "mood": "good"}'], "a.jsonl", "")
    message = fault(tmp_path, path=name, table="labelled_text", label="mood")
    assert message.startswith('a.jsonl row 1: {"text": "lost", "mood": "bad": not JSON (')
    assert message.endswith("(5 of the first 6 rows cannot be read)")


def test_words_among_the_only_numbers_are_shown(tmp_path: Path) -> None:
    lines = [line.replace(",2", ",about 2") if row % 3 == 1 else line for row, line in enumerate(hours(30))]
    assert fault(tmp_path, table="series", path=written(tmp_path, lines)) == (
        "air.csv: no column of numbers beside the time: column no2, row 3 holds 'about 21', which is not a number "
        "(10 of the first 30 rows are like it); expected one (data.values names them)"
    )


def test_arrays_of_a_split_are_not_laid_side_by_side(tmp_path: Path) -> None:
    values, labels = np.random.default_rng(1).normal(size=(20, 30)), np.arange(20) % 2
    np.savez(tmp_path / "set.npz", X_train=values, y_train=labels, X_test=values, y_test=labels)
    assert fault(tmp_path, path="set.npz", table="labelled_series", label="y_train").startswith(
        "set.npz: arrays of 'y_train' and of 'y_test' are parts of a split; expected a file for each part"
    )


def test_the_text_is_the_column_with_texts_in_it(tmp_path: Path) -> None:
    rows = [f"{'good' if row % 3 else 'bad'},x,the crew was number {row}" for row in range(60)]
    name = written(tmp_path, rows, "texts.csv", "label,selected_text,Tweet Content\n")
    layout = own.ingest(tmp_path, own.config(path=name, table="labelled_text"))
    assert pd.read_parquet(layout.raw / "table.parquet")["text"][0] == "the crew was number 0"


@pytest.mark.parametrize(("mark", "delimiter"), [("-200.0", ","), ("-200,0", ";")])
def test_a_marker_is_known_however_it_is_written(tmp_path: Path, mark: str, delimiter: str) -> None:
    rows = [
        delimiter.join(
            [f"2020-01-{1 + row // 24:02} {row % 24:02}:00", mark if row % 5 == 0 else f"{row % 7}", f"{row}"]
        )
        for row in range(240)
    ]
    name = written(tmp_path, rows, "air.csv", delimiter.join(["time", "CO", "No"]) + "\n")
    layout = own.ingest(tmp_path, own.config(path=name, time="time", missing=[-200]))
    table = pd.read_parquet(layout.raw / "table.parquet")
    assert list(table) == ["time", "co"]  # the other numbers the rows
    assert table["co"].isna().sum() == 48


def test_a_column_that_numbers_rows_of_a_longer_file_is_no_input(tmp_path: Path) -> None:
    kept = [row for row in range(240) if row % 50]
    rows = [f"{row},2020-01-{1 + row // 24:02} {row % 24:02}:00,{row % 7}" for row in kept]
    name = written(tmp_path, rows, "air.csv", "No,time,CO\n")
    layout = own.ingest(tmp_path, own.config(path=name, time="time"))
    assert list(pd.read_parquet(layout.raw / "table.parquet")) == ["time", "co"]


def test_months_are_times(tmp_path: Path) -> None:
    rows = [f"{1949 + row // 12}-{1 + row % 12:02},{row % 7 + row}" for row in range(144)]
    name = written(tmp_path, rows, "air.csv", "Month,#Passengers\n")
    block = own.config(path=name, table="series")
    found = Plan.of(block, tmp_path).config
    assert (found.time.columns, found.time.formats[0]) == ("Month", "%Y-%m")


def test_columns_that_hardly_hold_anything_are_no_labels(tmp_path: Path) -> None:
    rows = [
        f"{'good' if row % 3 else 'bad'},the crew was number {row},{row % 2 if row < 9 else ''}" for row in range(60)
    ]
    name = written(tmp_path, rows, "texts.csv", "mood,text,\n")
    layout = own.ingest(tmp_path, own.config(path=name, table="labelled_text"))
    assert set(pd.read_parquet(layout.raw / "table.parquet")["label"]) == {"good", "bad"}


def test_a_label_of_test_that_train_does_not_have_stops_the_task(tmp_path: Path) -> None:
    for part, labels in (("TRAIN", "12"), ("TEST", "13")):
        rows = [f"{label},{','.join(str(v) for v in np.arange(10) + row)}" for row in range(10) for label in labels]
        written(tmp_path, rows, f"Set_{part}.csv", "")
    assert fault(tmp_path, path="Set_*.csv", table="labelled_series") == (
        "Set_TEST.csv row 2, column label: the test part has the label '3'; expected one that train has: 1, 2 "
        "(data.drop_labels leaves rows out)"
    )
    block = own.config(path="Set_*.csv", table="labelled_series", drop_labels=["3"])
    assert set(own.validate(own.ingest(tmp_path, block), block)["label"]) == {"1", "2"}


def test_series_of_other_columns_are_no_further_file(tmp_path: Path) -> None:
    for part, letter in (("train", "v"), ("test", "w")):
        head = ",".join(["label", *(f"{letter}{step}" for step in range(5))]) + "\n"
        written(tmp_path, [f"{'ab'[row % 2]},{row},2,3,{row * row},5" for row in range(20)], f"{part}.csv", head)
    assert fault(tmp_path, path=["train.csv", "test.csv"], label="label") == (
        "test.csv: columns w0, w1, w2, w3, …, and no v0, v1, v2, v3, …; expected the columns of train.csv"
    )


def test_a_value_of_the_split_that_is_no_part_is_set_aside(tmp_path: Path) -> None:
    rows = [f"the crew was number {row},{'ab'[row % 2]},{'tset' if row == 7 else 'train'}" for row in range(300)]
    name = written(tmp_path, rows, "texts.csv", "text,label,part\n")
    layout = own.ingest(tmp_path, own.config(path=name, text="text", label="label", split={"column": "part"}))
    (line,) = rejected(layout)
    assert line.startswith('texts.csv,9,part,tset,"no part of the split; expected train, training, fit, validation, ')


# ---- files


def test_a_hash_that_is_another_one_is_told(tmp_path: Path) -> None:
    name = written(tmp_path, hours(30))
    message = fault(tmp_path, table="series", path=name, sha256="0" * 64)
    assert message.startswith("air.csv: sha256 ")
    assert message.endswith("; expected " + "0" * 64 + ": it is another file")


def test_a_url_needs_a_hash() -> None:
    with pytest.raises(ValidationError, match=r"sha256 is missing; expected the hash of https://example\.org/a\.csv"):
        own.config(table="series", path="https://example.org/a.csv")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({}, "path is missing; expected a file, a list, a pattern, a folder or a URL"),
        ({"path": "a.csv"}, "table is missing; expected one of series, labelled_series, labelled_text, text, pairs"),
        ({"path": "a.csv", "table": "text", "label": "x"}, "label: not a key of table text; it has text"),
        ({"path": "a.csv", "table": "series", "step": "1 month"}, "expected a number and one of s, min, h, d, w"),
        (
            {"path": "a.csv", "split": {"train": "a", "test": "b"}, "label": "x"},
            "path and the files of split are both given",
        ),
        (
            {"path": "a.csv", "label": "x", "split": {"train": "a"}},
            "split needs a column, or the files of train and of",
        ),
    ],
)
def test_a_block_that_cannot_be_meant_is_refused(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        own.config(**block)
    assert message in str(raised.value)


def test_the_dataset_has_no_sample(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^dataset files has no sample; expected data\.path to name files$"):
        DATASET.sample(tmp_path, own.config(path="a", table="text"), np.random.default_rng(0))


def test_a_series_shorter_than_the_window_is_told(tmp_path: Path) -> None:
    block = own.config(table="series", path=written(tmp_path, hours(30)))
    layout = own.ingest(tmp_path, block)
    own.validate(layout, block)
    shares = {"validation_from": None, "test_from": None, "validation_share": 0.2, "test_share": 0.2}
    with pytest.raises(DataError, match=r"^split validation: 6 rows hold no whole window of 6 \+ 2 rows without a gap"):
        own.prepare(layout, "forecasting", **shares, target="no2", target_site=None)
