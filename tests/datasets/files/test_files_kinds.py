"""Files as people publish them, each made here: what a first look finds, and what becomes of them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datasets import own_files as own
from unroll.core.errors import DataError
from unroll.datasets.files import DATASET
from unroll.datasets.files.columns import parsing
from unroll.datasets.files.columns.clock import spelt
from unroll.datasets.files.labels import in_order, text_of
from unroll.stages.ingest import download


def block_of(layout: Any) -> dict[str, Any]:
    return dict(own.found(layout)["block"])


def table_of(root: Path, **block: Any) -> pd.DataFrame:
    layout = own.ingest(root, own.config(**block))
    return own.validate(layout, own.config(**block))


def pollution(root: Path, rows: int = 600) -> np.ndarray:
    """A CSV with year, month, day and hour apart, NA, a direction of the wind, and a number a row."""
    rng = np.random.default_rng(0)
    time = pd.date_range("2010-01-01", periods=rows, freq="h")
    value = rng.integers(5, 300, rows).astype(object)
    value[:24] = "NA"
    frame = pd.DataFrame({"No": np.arange(1, rows + 1), "year": time.year, "month": time.month, "day": time.day})
    frame["hour"], frame["pm2.5"], frame["TEMP"] = time.hour, value, rng.normal(size=rows).round(1)
    frame["cbwd"] = rng.choice(["NW", "SE", "cv"], rows)
    frame.to_csv(root / "pollution.csv", index=False)
    return np.array([np.nan if one == "NA" else one for one in value], dtype=np.float32)


def test_hours_in_four_columns_with_words_and_missing_ones(tmp_path: Path) -> None:
    value = pollution(tmp_path)
    layout = own.ingest(tmp_path, own.config(table="series", path="pollution.csv"))
    block = block_of(layout)
    assert block["time"] == {"columns": ["year", "month", "day", "hour"], "formats": ["%Y %m %d %H"]}
    assert (block["values"], block["categories"]) == (["pm2.5", "TEMP"], ["cbwd"])
    assert (block["missing"], block["step"]) == (["NA"], "1h")
    assert "not used: No (it numbers the rows)" in own.found(layout)["told"]
    table = own.validate(layout, own.config(table="series", path="pollution.csv"))
    assert list(table.columns) == ["time", "pm2_5", "temp", "cbwd"]
    np.testing.assert_array_equal(table["pm2_5"], value)
    assert table["time"].iloc[25] == pd.Timestamp("2010-01-02 01:00", tz="UTC")


def air(root: Path, rows: int = 900) -> None:
    """Semicolons, decimal commas, −200 for nothing, dates spelt two ways, two empty columns, empty rows at the end."""
    rng = np.random.default_rng(1)
    lines = ["Date;Time;CO(GT);NMHC(GT);T;RH;;"]
    for row, time in enumerate(pd.date_range("2004-03-10 18:00", periods=rows, freq="h")):
        date = time.strftime("%d/%m/%Y" if row < 700 else "%d-%m-%Y")
        co = -200 if row % 6 == 0 else round(2 + rng.normal() / 4, 1)
        nmhc = 150 if row % 10 == 0 else -200
        cells = [date, time.strftime("%H.%M.%S"), co, nmhc, round(18 + rng.normal(), 1), round(40 + rng.normal(), 1)]
        lines.append(
            ";".join(str(cell).replace(".", ",") if n > 1 else str(cell) for n, cell in enumerate(cells)) + ";;"
        )
    (root / "air.csv").write_text("\r\n".join([*lines, *[";" * 7] * 114]) + "\r\n")


def test_dates_spelt_two_ways_and_a_number_for_nothing(tmp_path: Path) -> None:
    air(tmp_path)
    given = {"table": "series", "path": "air.csv", "missing": [-200], "units": {"CO(GT)": "mg_m3"}}
    layout = own.ingest(tmp_path, own.config(**given))
    assert block_of(layout)["time"] == {
        "columns": ["Date", "Time"],
        "formats": ["%d/%m/%Y %H.%M.%S", "%d-%m-%Y %H.%M.%S", "%d.%m.%Y %H.%M.%S"],
    }
    assert "not used: NMHC(GT) (90 % missing)" in own.found(layout)["told"]
    table = own.validate(layout, own.config(**given))
    assert list(table.columns) == ["time", "co_gt_mg_m3", "t", "rh"]
    assert len(table) == 900
    assert table["co_gt_mg_m3"].isna().sum() == 150
    assert (table["time"].diff().dropna() == pd.Timedelta(hours=1)).all()


def test_a_number_that_stands_apart_is_proposed_as_a_marker_and_not_taken(tmp_path: Path) -> None:
    air(tmp_path)
    layout = own.ingest(tmp_path, own.config(table="series", path="air.csv"))
    told = [line for line in own.found(layout)["told"] if line.startswith("missing?")]
    assert told == [
        (
            "missing? -200 stands in 150 of the first 900 rows of CO(GT), far below all others; -200 stands in 810 of "
            "the first 900 rows of NMHC(GT), far below all others: [-200]"
        )
    ]
    assert own.validate(layout, own.config(table="series", path="air.csv"))["co_gt"].min() == -200


def test_a_format_of_no_row_is_told_unless_it_stands_by_for_another_mark(tmp_path: Path) -> None:
    air(tmp_path)
    written = ["%d/%m/%Y %H.%M.%S", "%d-%m-%Y %H.%M.%S"]
    for others, told in (
        (["%d.%m.%Y %H.%M.%S"], []),
        (["%Y/%d/%m %H.%M.%S"], ["time: no row is written as %Y/%d/%m %H.%M.%S"]),
    ):
        time = {"columns": ["Date", "Time"], "formats": [*written, *others]}
        layout = own.ingest(tmp_path, own.config(table="series", path="air.csv", time=time))
        found = own.found(layout)
        assert [line for line in found["told"] if line.startswith("time: no row")] == told
        assert found["formats_not_there"] == others


@pytest.mark.parametrize("mark", ["999.9", "9999", "999"])
@pytest.mark.parametrize("writer", [own.csv, own.parquet])
def test_a_number_far_above_all_others_is_proposed_too(mark: str, writer: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    time = pd.date_range("2020-01-01", periods=800, freq="h")
    frame = pd.DataFrame({"time": time, "temp": rng.normal(15, 5, 800).round(1).astype(np.float32)})
    frame.loc[::40, "temp"] = np.float32(mark)
    frame["sky"] = rng.integers(1, 9, 800)
    path = tmp_path / ("a.csv" if writer is own.csv else "a.parquet")
    writer(path, frame)
    given = {"table": "series", "path": path.name}
    layout = own.ingest(tmp_path, own.config(**given))
    told = f"missing? {mark} stands in 20 of the first 800 rows of temp, far above all others: [{mark}]"
    assert told in own.found(layout)["told"]
    assert own.validate(layout, own.config(**given))["temp"].isna().sum() == 0
    assert table_of(tmp_path, **given, missing=[float(mark)])["temp"].isna().sum() == 20


def test_what_is_an_ordinary_number_in_another_column_is_no_marker(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    temp, pressure = rng.normal(15, 5, 800).round(1), rng.integers(990, 1020, 800)
    temp[::40] = 999
    time = pd.date_range("2020-01-01", periods=800, freq="h")
    pd.DataFrame({"time": time, "temp": temp, "hpa": pressure}).to_csv(tmp_path / "a.csv", index=False)
    layout = own.ingest(tmp_path, own.config(table="series", path="a.csv"))
    assert not [line for line in own.found(layout)["told"] if line.startswith("missing?")]


def tweets(root: Path) -> list[tuple[str, str]]:
    """An older encoding, line breaks and quotes in the texts, empty texts, a label to leave out."""
    rng = np.random.default_rng(2)
    words = ["café", "señor", "crew", "late", "gate", "thanks", "bag"]
    rows = []
    with (root / "tweets.csv").open("w", encoding="latin-1", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["tweet_id", "airline_sentiment", "airline_sentiment_confidence", "name", "text"])
        for row in range(900):
            label = ["negative", "neutral", "positive", "unclear"][int(rng.integers(4))]
            said = ' "so"\n'.join(rng.choice(words, 4)) if row % 5 == 0 else " ".join([*rng.choice(words, 8), str(row)])
            said = "" if row in (100, 200) else said
            writer.writerow([10**17 + row, label, round(float(rng.random()), 3), f"user{row}", said])
            rows.append((label, said))
    return rows


def test_texts_in_an_older_encoding_with_labels_to_rename_and_to_leave_out(tmp_path: Path) -> None:
    rows = tweets(tmp_path)
    given = {"table": "labelled_text", "path": "tweets.csv", "drop_labels": ["unclear"]}
    given["label_map"] = {"negative": "bad", "never": "x"}
    layout = own.ingest(tmp_path, own.config(**given))
    found = own.found(layout)
    assert (found["block"]["label"], found["block"]["text"]) == ("airline_sentiment", "text")
    assert found["dropped_labels"] == {"unclear": sum(label == "unclear" for label, _ in rows)}
    assert found["labels_not_there"] == ["never"]
    table = own.validate(layout, own.config(**given))
    expected = [("bad" if label == "negative" else label, said) for label, said in rows if label != "unclear" and said]
    assert list(zip(table["label"], table["text"], strict=True)) == expected
    aside = (layout.raw / "rejected.csv").read_text().splitlines()[1:]
    assert len(aside) == sum(not said and label != "unclear" for label, said in rows)
    assert all(line.startswith("tweets.csv,") and line.endswith(",text,,empty text,") for line in aside)


def test_a_table_without_a_header_whose_labels_are_sorted(tmp_path: Path) -> None:
    with (tmp_path / "texts.csv").open("w", encoding="latin-1", newline="") as handle:
        writer = csv.writer(handle, quoting=csv.QUOTE_ALL)
        for row in range(6000):
            label = 0 if row < 5500 else 4
            writer.writerow([label, row, "Mon Apr 06", "NO_QUERY", f"user{row % 70}", f"it was n{row}, ã so it goes"])
    given = {"path": "texts.csv", "header": False, "text": "column_6", "label": "column_1", "group": "column_5"}
    given["label_map"] = {0: "negative", 4: "positive"}
    table = table_of(tmp_path, **given)
    assert table["label"].value_counts().to_dict() == {"negative": 5500, "positive": 500}
    assert table["text"].iloc[3] == "it was n3, ã so it goes"
    assert table["group"].nunique() == 70


@pytest.mark.parametrize(("ending", "writer"), [("csv", own.ucr), ("ts", own.ts), ("tsv", None)])
@pytest.mark.parametrize("labels", [["-1", "1"], [str(number) for number in range(1, 15)]])
def test_train_and_test_files_of_series(ending: str, writer: Any, labels: list[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    parts = {}
    for part, rows in (("TRAIN", 56), ("TEST", 28)):
        frame = pd.DataFrame(rng.normal(size=(rows, 80)).astype(np.float32)).rename(columns=lambda n: f"t{n:03d}")
        frame.insert(0, "label", pd.array([labels[row % len(labels)] for row in range(rows)], dtype="str"))
        path = tmp_path / f"Waves_{part}.{ending}"
        if writer is None:  # as the archive's old files: tabs, every number with a fraction
            frame.astype(float).to_csv(path, sep="\t", header=False, index=False, float_format="%.7e")
        else:
            writer(path, frame)
        parts[part.lower()] = frame
    table = table_of(tmp_path, table="labelled_series", path=f"Waves_*.{ending}")
    for part, frame in parts.items():
        own_rows = table[table["split"] == part]
        assert own_rows["label"].tolist() == frame["label"].tolist()
        np.testing.assert_allclose(own_rows[frame.columns[1:]], frame.iloc[:, 1:].to_numpy(), rtol=1e-5)


def test_longer_series_in_a_further_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for part, steps in (("TRAIN", 12), ("TEST", 15)):
        frame = pd.DataFrame(rng.normal(size=(20, steps)).astype(np.float32)).rename(columns=lambda n: f"t{n:03d}")
        frame.insert(0, "label", pd.array(["a", "b"] * 10, dtype="str"))
        own.ts(tmp_path / f"Waves_{part}.ts", frame)
    table = table_of(tmp_path, table="labelled_series", path="Waves_*.ts")
    assert [name for name in table if name.startswith("t0")] == [f"t{step:03d}" for step in range(15)]
    assert table.loc[table["split"] == "train", "t014"].isna().all()
    assert table.loc[table["split"] == "test", "t014"].notna().all()


def test_a_text_of_a_million_characters(tmp_path: Path) -> None:
    text = "\n".join(f"line {row} of a long text\n" for row in range(40_000))[:1_000_000]
    (tmp_path / "prose.txt").write_text(text)
    layout = own.ingest(tmp_path, own.config(table="text", path="prose.txt"))
    assert "\n".join(own.validate(layout, own.config(table="text", path="prose.txt"))["text"]) == text
    assert own.found(layout)["characters"] == len(text) - text.count("\n")


# ---- time

TIMES = pd.date_range("2021-03-27 20:00", periods=60, freq="30min")


@pytest.mark.parametrize(
    ("told", "formats"),
    [
        (TIMES.strftime("%Y-%m-%d %H:%M"), ("iso",)),
        (TIMES.strftime("%Y-%m-%dT%H:%M:%SZ"), ("iso",)),
        (TIMES.strftime("%m/%d/%Y %I:%M %p"), ("%m/%d/%Y %I:%M %p",)),
        (TIMES.strftime("%d.%m.%Y %H:%M"), ("%d.%m.%Y %H:%M",)),
        (TIMES.strftime("%d-%b-%Y %H:%M:%S"), ("%d-%b-%Y %H:%M:%S",)),
        ((TIMES.astype("int64") // 10**6).astype(str), ("epoch_s",)),
        ((TIMES.astype("int64") // 10**3).astype(str), ("epoch_ms",)),
    ],
)
def test_times_spelt_in_usual_ways(told: Any, formats: tuple[str, ...], tmp_path: Path) -> None:
    assert str(TIMES.dtype) == "datetime64[us]"
    frame = pd.DataFrame({"time": pd.array(list(told), dtype="str"), "v": np.arange(60.0)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert spelt(frame, ("time",), epochs=True)[: len(formats)] == formats
    table = table_of(tmp_path, table="series", path="a.csv")
    assert table["time"].tolist() == TIMES.tz_localize("UTC").tolist()


@pytest.mark.parametrize("month", ["%m", "%b", "%B"])
@pytest.mark.parametrize(
    ("name", "clock"), [("Time", "%H:%M"), ("time", "%H.%M.%S"), ("hour", "%H"), ("Time", "%I:%M %p")]
)
def test_a_day_in_columns_goes_with_a_time_of_day_in_one(month: str, name: str, clock: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"Year": TIMES.year, "Month": TIMES.strftime(month), "Day": TIMES.day})
    hours = TIMES.floor("h") if name == "hour" else TIMES
    frame[name] = hours.strftime(clock)
    frame["v"] = np.arange(60.0) ** 2
    frame[:: 1 + (name == "hour")].to_csv(tmp_path / "a.csv", index=False)
    table = table_of(tmp_path, table="series", path="a.csv")
    assert table["time"].tolist() == hours.tz_localize("UTC").tolist()[:: 1 + (name == "hour")]


@pytest.mark.parametrize("form", ["%Y-%m-%d {}", "%d/%m/%Y {}:00", "%Y-%m-%dT{}:00:00"])
def test_24_o_clock_is_the_next_midnight(form: str, tmp_path: Path) -> None:
    hours = pd.date_range("2021-02-27 01:00", periods=60, freq="h")
    told = [f"{(at - pd.Timedelta('1h')).strftime(form).format(f'{at.hour or 24:02d}')},{at.hour**2}" for at in hours]
    (tmp_path / "a.csv").write_text("time,v\n" + "\n".join(told) + "\n")
    assert table_of(tmp_path, table="series", path="a.csv")["time"].tolist() == hours.tz_localize("UTC").tolist()


def test_a_whole_time_beside_the_parts_of_its_day_is_the_time(tmp_path: Path) -> None:
    frame = pd.DataFrame({"year": TIMES.year, "month": TIMES.month, "day": TIMES.day, "time": TIMES})
    frame.assign(v=np.arange(60.0) ** 2).to_csv(tmp_path / "a.csv", index=False)
    assert table_of(tmp_path, table="series", path="a.csv")["time"].tolist() == TIMES.tz_localize("UTC").tolist()


def test_a_month_that_cannot_be_read_is_shown_as_it_stands(tmp_path: Path) -> None:
    rows = [f"2014,Janvier,{1 + day},{day % 5}" for day in range(31)]
    (tmp_path / "a.csv").write_text("year,month,day,v\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"a\.csv row 2, year\+month\+day '2014 Janvier 1': not a time; expected %Y %m"):
        own.ingest(tmp_path, own.config(table="series", path="a.csv"))


def test_days_and_months_are_told_apart_by_time_that_goes_on() -> None:
    time = pd.date_range("2021-01-01", periods=12, freq="D")
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        assert spelt(pd.DataFrame({"t": time.strftime(form)}, dtype="str"), ("t",))[0] == form


def test_local_times_become_utc_and_the_hour_that_comes_twice_is_set_aside(tmp_path: Path) -> None:
    local = pd.date_range("2021-10-30", periods=20 * 24, freq="h")  # clocks go back at 2:00 on the 31st
    pd.DataFrame({"time": local, "v": np.arange(len(local))}).to_csv(tmp_path / "a.csv", index=False)
    given = {"table": "series", "path": "a.csv", "time": {"columns": "time", "timezone": "Europe/London"}}
    layout = own.ingest(tmp_path, own.config(**given))
    table = own.validate(layout, own.config(**given))
    expected = local.tz_localize("Europe/London", ambiguous="NaT").tz_convert("UTC").dropna()
    assert table["time"].tolist() == expected.tolist()
    assert len(local) - len(expected) == 1
    assert "a.csv,27,time,2021-10-31 01:00:00,not a time; expected iso" in (layout.raw / "rejected.csv").read_text()


def test_times_with_an_offset_of_their_own(tmp_path: Path) -> None:
    rows = [f"2021-06-01 {hour:02d}:00:00{'+02:00' if hour % 2 else ''},{hour}" for hour in range(0, 24, 3)]
    (tmp_path / "a.csv").write_text("time,v\n" + "\n".join(rows) + "\n")
    table = table_of(tmp_path, table="series", path="a.csv", time={"columns": "time", "timezone": "Europe/Berlin"})
    assert table["time"].dt.hour.tolist() == [22, 1, 4, 7, 10, 13, 16, 19]


def test_rows_without_a_time_are_numbered_for_each_site(tmp_path: Path) -> None:
    rows = [f"{site},{step}" for step in range(5) for site in "ab"]
    (tmp_path / "a.csv").write_text("site,v\n" + "\n".join(rows) + "\n")
    given = {"table": "series", "path": "a.csv", "time": None, "start": "2020-05-01", "step": "15min"}
    table = table_of(tmp_path, **given)
    assert (
        table["time"].tolist()[:4]
        == [pd.Timestamp("2020-05-01", tz="UTC")] * 2 + [pd.Timestamp("2020-05-01 00:15", tz="UTC")] * 2
    )
    assert table.groupby("site")["v"].apply(list).to_dict() == {"a": [0, 1, 2, 3, 4], "b": [0, 1, 2, 3, 4]}


# ---- steps


@pytest.mark.parametrize("how", ["mean", "sum", "first", "last", "min", "max"])
def test_resampling_is_that_of_pandas_whatever_the_chunks(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unroll.datasets.files.reading import api

    rng = np.random.default_rng(5)
    time = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 5 * 86400, 800)), unit="s")
    frame = pd.DataFrame({"time": time, "site": rng.choice(["n", "s"], 800), "v": rng.normal(size=800).round(3)})
    frame.loc[rng.random(800) < 0.2, "v"] = np.nan
    frame.to_csv(tmp_path / "a.csv", index=False)
    monkeypatch.setattr(api.chunks, "__defaults__", (None, 37, None))
    given = {"table": "series", "path": "a.csv", "site": "site", "resample": {"every": "3h", "how": how}}
    table = table_of(tmp_path, **given)
    groups = frame.set_index("time").groupby("site")["v"].resample("3h")
    expected = groups.sum(min_count=1) if how == "sum" else getattr(groups, how)()
    counts = groups.size()
    expected = expected[counts > 0]
    found = table.set_index(["site", "time"])["v"].sort_index()
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.to_numpy(), expected.sort_index().to_numpy(), rtol=1e-5)


def test_chunks_of_any_size_give_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unroll.datasets.files.reading import api

    pollution(tmp_path)
    found = []
    for rows in (1 << 18, 7, 100):
        monkeypatch.setattr(api.chunks, "__defaults__", (None, rows, None))
        layout = own.ingest(tmp_path, own.config(table="series", path="pollution.csv"), f"task{rows}")
        found.append({path.name: path.read_bytes() for path in layout.raw.iterdir()})
    assert found[0] == found[1] == found[2]


def test_bounds_set_rows_aside_and_learned_ones_only_warn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(20, 2, 1000).round(2)
    values[[500, 900]] = -80, 400
    time = pd.date_range("2020-01-01", periods=1000, freq="h")
    pd.DataFrame({"time": time, "NO2": values}).to_csv(tmp_path / "a.csv", index=False)
    given = {"table": "series", "path": "a.csv", "ranges": {"NO2": [0, None]}}
    table = table_of(tmp_path, **given)
    assert len(table) == 999
    rows = (tmp_path / "data/rejected/own/rows.csv").read_text()
    assert "table.parquet,501,no2,-80.0,beyond the bounds of data.ranges,time=2020-01-01" not in rows.splitlines()[0]
    assert "beyond the bounds of data.ranges" in rows
    values[500] = 20
    pd.DataFrame({"time": time, "NO2": np.sort(values)}).to_csv(tmp_path / "a.csv", index=False)
    assert len(table_of(tmp_path, table="series", path="a.csv")) == 1000


# ---- labels, names


@pytest.mark.parametrize("value", [1, 1.0, "1", "1.0", " 1", "+1", "1.0e+00", np.float32(1), np.int64(1)])
def test_a_label_is_one_text_however_it_is_spelt(value: object) -> None:
    assert text_of(value) == "1"


def test_labels_stand_in_their_natural_order() -> None:
    assert in_order(["10", "2", "b", "-1", "a", "1.5", "nan"]) == ["-1", "1.5", "2", "10", "a", "b", "nan"]


def test_a_group_of_thousands_does_not_begin_with_a_zero() -> None:
    told = pd.Series(["1,993.3", "0,707", "012,345", "-1,000", "10,000"], dtype="str")
    numbers, bad = parsing.numbers(told, parsing.Marks.of((), ".", ","), "")
    assert bad.tolist() == [False, True, True, False, False]
    assert numbers[~bad].tolist() == [np.float32(1993.3), -1000, 10_000]


def test_numbers_with_marks_between_thousands(tmp_path: Path) -> None:
    rows = [f"2020-01-{1 + day:02d};1.234,{day:02d};{day}" for day in range(25)]
    (tmp_path / "a.csv").write_text("date;a;b\n" + "\n".join(rows) + "\n")
    table = table_of(tmp_path, table="series", path="a.csv", decimal=",", thousands=".")
    np.testing.assert_allclose(table["a"], [1234 + day / 100 for day in range(25)], rtol=1e-6)


# ---- files of the network, and large ones


def test_a_file_of_the_network_is_downloaded_once_and_checked(tmp_path: Path) -> None:
    from file_server import serve

    pollution(tmp_path)
    content = (tmp_path / "pollution.csv").read_bytes()
    import hashlib

    digest = hashlib.sha256(content).hexdigest()
    with serve({"/pollution.csv": content}) as server:
        url = f"{server.url}/pollution.csv"
        given = {"table": "series", "path": url, "sha256": digest}
        table = table_of(tmp_path / "project", **given)
        own.ingest(tmp_path / "project", own.config(**given))
        assert len(server.paths) == 1
    assert len(table) == 600
    kept = list((tmp_path / "project/.unroll/downloads").glob("*-pollution.csv"))
    assert [path.read_bytes() for path in kept] == [content]
    assert DATASET.own_files(own.config(**given), tmp_path / "project") == {}
    with serve({"/pollution.csv": content + b"1"}) as server, pytest.raises(DataError, match="it is not the published"):
        own.ingest(tmp_path / "other", own.config(table="series", path=f"{server.url}/pollution.csv", sha256=digest))
    assert download.MIRROR == "UNROLL_MIRROR"


@pytest.mark.slow
def test_a_million_rows_become_a_table_in_little_memory(tmp_path: Path) -> None:
    import subprocess
    import sys

    root = Path(__file__).parents[3]
    command = [
        sys.executable,
        str(root / "benchmarks/files.py"),
        "--rows",
        "1000000",
        "--file",
        str(tmp_path / "b.csv"),
    ]
    subprocess.run([*command, "--part", "write"], check=True)
    said = subprocess.run([*command, "--part", "unroll"], check=True, capture_output=True, text=True).stdout
    assert said.startswith("unroll, CSV to Parquet: 1,000,000 rows in ")
    assert int(said.rpartition("peak ")[2].replace(",", "").split()[0]) < 700


@pytest.mark.parametrize("first", [0, 1])  # hours of 0 to 23, or of 1 to 24
def test_parts_of_a_time_may_be_written_with_a_point(first: int, tmp_path: Path) -> None:
    at = pd.Series(pd.date_range("2013-02-28", periods=80, freq="h"))
    day = at if first == 0 else at - pd.to_timedelta((at.dt.hour == 0).astype("int"), unit="D")
    hour = at.dt.hour.where((at.dt.hour > 0) | (first == 0), 24)
    parts = {"year": day.dt.year, "month": day.dt.month, "day": day.dt.day, "hour": hour}
    frame = pd.DataFrame({**parts, "no2": range(80)}).astype("float64")
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("2013.0,2.0,")
    block = own.config(table="series", path="a.csv", values=["no2"])
    assert own.validate(own.ingest(tmp_path, block), block)["time"].dt.tz_convert(None).tolist() == at.tolist()


def test_a_clock_with_points_is_no_whole_number(tmp_path: Path) -> None:
    rows = [f"{1 + n // 48:02d}/03/2004,{n // 2 % 24:02d}.{n % 2 * 30:02d},{n % 7}" for n in range(200)]
    (tmp_path / "a.csv").write_text("Date,Time,no2\n" + "\n".join(rows) + "\n")
    block = own.config(table="series", path="a.csv")
    found = own.validate(own.ingest(tmp_path, block), block)
    assert found["time"].diff().dropna().unique().tolist() == [pd.Timedelta("30min")]
