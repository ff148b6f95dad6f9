"""What ``unroll new`` makes of files as they come: nested values, thousands marks, several sites, gaps in time."""

import json
import math
import shutil
from collections.abc import Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from datasets import own_files
from projects import ROOT

from unroll.core.errors import ConfigError, DataError
from unroll.datasets.files import FilesConfig
from unroll.datasets.files.columns import parsing
from unroll.datasets.files.columns.parsing import Marks
from unroll.workbench import new
from unroll.workbench.new import Proposal, Request, parse


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNROLL_PROGRESS", "quiet")
    return tmp_path


def proposed(root: Path, file: str, target: str | None = None, problem: str = "forecasting", **asked: Any) -> Proposal:
    return new.propose(root, "mine", Request(problem, (file,), target=target, **asked))


def reviews(root: Path) -> str:
    words = ("good fine nice", "bad broken poor")
    rows = [
        {"id": n, "body": f"{words[n % 2]} {n}", "meta": {"stars": n % 5, "by": ["x"]}, "mood": "gb"[n % 2]}
        for n in range(60)
    ]
    (root / "reviews.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return "reviews.jsonl"


def test_a_key_of_nested_values_is_left_out_and_told(root: Path) -> None:
    found = proposed(root, reviews(root), problem="text_classification", label="mood", text="body")
    assert (found.values()["data"]["text"], found.values()["data"]["label"]) == ("body", "mood")
    assert "not used: id (not asked for), meta (nested)" in found.seen


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"text": "meta"},
            r"^reviews\.jsonl: column 'meta' is nested: \{.* in row 1; expected numbers",
        ),
        ({"text": "bdy"}, r"^reviews\.jsonl: no column 'bdy'; did you mean 'body'\?; expected one of id, body, mood$"),
        (
            {"target": "mod"},
            r"^reviews\.jsonl: no column 'mod'; did you mean 'mood'\?; expected one of id, body, mood$",
        ),
    ],
)
def test_a_nested_key_that_is_asked_for_is_named_and_a_wrong_one_gets_near_names(
    asked: dict[str, str], message: str, root: Path
) -> None:
    with pytest.raises(DataError, match=message):
        proposed(root, reviews(root), problem="text_classification", **asked)


def prices(root: Path, cell: str = '"{:,.2f}"', delimiter: str = ",", name: str = "prices.csv") -> str:
    """Days with a price and a volume above a thousand, whose numbers ``cell`` spells."""
    rows = [("Date", "Close", "Volume")]
    for n in range(400):
        day = (date(2020, 1, 1) + timedelta(days=n)).isoformat()
        rows.append((day, cell.format(1041.5 + n % 40), cell.format(646_778 + 9999 * (n % 31))))
    (root / name).write_text("\n".join(map(delimiter.join, rows)) + "\n", encoding="utf-8")
    return name


SWAPPED = str.maketrans(",.", ".,")


@pytest.mark.parametrize(("thousands", "decimal", "delimiter"), [(",", ".", ","), (".", ",", ";"), ("'", ".", ";")])
def test_marks_of_thousands_are_found_and_told(thousands: str, decimal: str, delimiter: str, root: Path) -> None:
    path = root / prices(root, delimiter=delimiter)
    text = path.read_text()
    if decimal == ",":
        text = text.translate(SWAPPED)
    elif thousands == "'":
        text = text.replace(",", "'")
    path.write_text(text)
    found = proposed(root, path.name, "Close")
    data = found.values()["data"]
    assert (data["thousands"], data["decimal"], data["values"]) == (thousands, decimal, ["Close", "Volume"])
    cell = f"1{thousands}041{decimal}50"
    assert f"between groups of three digits, as in Close: {cell}" in found.text("mine")
    table = own_files.validate(own_files.ingest(root, config := FilesConfig.model_validate(data)), config)
    assert table["close"].tolist() == [1041.5 + n % 40 for n in range(400)]
    assert table["volume"].iloc[:2].tolist() == [646_778, 656_777]


@pytest.mark.parametrize("digits", [0, 1, 2, 3])
@pytest.mark.parametrize("decimal", [".", ","])
def test_decimals_are_no_thousands(digits: int, decimal: str, root: Path) -> None:
    path = root / prices(root, f"{{:.{digits}f}}", ";")
    path.write_text(path.read_text().replace(".", decimal))
    data = proposed(root, path.name, "Close").values()["data"]
    assert (data["decimal"], data.get("thousands")) == (decimal if digits else ".", None)


def test_a_mark_of_thousands_that_is_given_is_no_decimal_mark(root: Path) -> None:
    rows = [f"2020-01-{1 + n // 24:02d} {n % 24:02d}:00;1,{n:03d}" for n in range(240)]
    (root / "counts.csv").write_text("when;visits\n" + "\n".join(rows) + "\n")
    assert proposed(root, "counts.csv").values()["data"]["decimal"] == ","
    data = proposed(root, "counts.csv", given=parse(["data.thousands=,"])).values()["data"]
    assert (data["thousands"], data["decimal"]) == (",", ".")
    with pytest.raises(ConfigError, match=r"thousands: ',' is the decimal mark too; expected another one"):
        proposed(root, "counts.csv", given=parse(["data.thousands=,", "data.decimal=,"]))


def test_the_target_that_was_asked_for_is_the_one_that_is_named(root: Path) -> None:
    name = prices(root)
    told = (
        r"^prices\.csv: column 'Close' cannot be forecast: row 2 holds '1,041\.50', which is not a number \(400 "
        r"of the first 400 rows are like it\); data\.thousands: ',' says that digits are in groups; "
        r"expected a column of numbers$"
    )
    with pytest.raises(DataError, match=told):
        proposed(root, name, "Close", given={"data.thousands": "'"})
    with pytest.raises(DataError, match=r"^prices\.csv: no column 'close'; did you mean 'Close'\?"):
        proposed(root, name, "close", given={"data.thousands": "'"})


GROUPS = "or data.thousands: '{}' for the mark between groups of three digits"


@pytest.mark.parametrize(
    ("decimal", "thousands", "cell", "reason"),
    [
        (",", None, "8.63", "a decimal point; expected a decimal comma (data.decimal)"),
        (".", None, "8,63", "a decimal comma; expected a decimal point (data.decimal)"),
        (",", None, "8.634", "a decimal point; expected a decimal comma (data.decimal), " + GROUPS.format(".")),
        (".", None, "1,041.60", "not a number; expected one without groups, " + GROUPS.format(",")),
        (".", ",", "1,5", "a decimal comma; expected a decimal point (data.decimal)"),
        (",", ".", "1.5", "a decimal point; expected a decimal comma (data.decimal)"),
        (",", None, "1e300", "too large for a number of 32 bits"),
        (",", ".", "1.000e300", "a decimal point; expected a decimal comma (data.decimal)"),
        (".", ",", "1,000", ""),
        (",", None, "high", "not a number; expected one with a decimal comma"),
    ],
)  # fmt: skip
def test_a_cell_that_is_no_number_is_told_by_its_marks(
    decimal: str, thousands: str | None, cell: str, reason: str
) -> None:
    marks = Marks.of((), decimal, thousands)
    column = pd.Series([cell], dtype="str")
    _, bad_N = parsing.numbers(column, marks, "a.csv")
    assert bad_N.tolist() == [bool(reason)]
    if reason:
        assert parsing.reason(marks, column)(0) == reason


def shops(root: Path, rows: int = 300, sites: tuple[str, ...] = ("Ulm", "Bonn"), group: str = "station") -> str:
    """Sales of shops, one row each a day; where they lie and what kind they are of does not change."""
    lines = [f"day,{group},altitude,kind,sales,price"]
    for n in range(rows):
        day = (date(2020, 1, 1) + timedelta(days=n)).isoformat()
        for at, site in enumerate(sites):
            sales = 100 + 10 * at + 20 * math.sin(2 * math.pi * n / 7) + n % 5
            lines.append(f"{day},{site},{100 * at + 50},{'large' if at else 'small'},{sales:.2f},{2 + n % 3}")
    (root / "shops.csv").write_text("\n".join(lines) + "\n")
    return "shops.csv"


@pytest.mark.parametrize("group", ["station", "shop"])
def test_of_several_sites_one_is_forecast_and_the_others_are_told(group: str, root: Path) -> None:
    found = proposed(root, shops(root, group=group), "sales")
    prepare, data = found.values()["prepare"], found.values()["data"]
    assert (data["site"], prepare["target_site"], prepare["sites"]) == (group, "Ulm", ["Ulm", "Bonn"])
    assert (
        "the forecast is of site Ulm alone; each of the others takes a task of its own, by --set "
        "prepare.target_site=Bonn: Bonn"
    ) in found.seen
    other = proposed(root, "shops.csv", "sales", given={"prepare.target_site": "Bonn"}).values()["prepare"]
    assert (other["target_site"], other["sites"]) == ("Bonn", ["Bonn", "Ulm"])
    with pytest.raises(DataError, match=r"^shops\.csv: no site 'Bon' \(prepare\.target_site\); did you mean 'Bonn'\?"):
        proposed(root, "shops.csv", "sales", given={"prepare.target_site": "Bon"})


def test_one_site_of_many_is_its_own_input(root: Path) -> None:
    sites = tuple(f"s{number}" for number in range(8))
    found = proposed(root, shops(root, 100, sites), "sales")
    assert found.values()["prepare"]["sites"] == ["s0"]
    assert any(line.endswith("prepare.target_site=s1: s1, s2, s3, s4, s5, s6, … (7)") for line in found.seen)


def test_columns_of_one_value_a_site_are_static(root: Path) -> None:
    found = proposed(root, shops(root), "sales")
    data = found.values()["data"]
    assert (data["values"], data["static"], data.get("categories")) == (["sales", "price"], ["altitude", "kind"], None)
    assert "one value a site, as altitude: Ulm 50, Bonn 150; kept in the table, no input" in found.text("mine")
    table = own_files.validate(own_files.ingest(root, config := FilesConfig.model_validate(data)), config)
    assert set(zip(table["site"], table["altitude"], table["kind"], strict=True)) == {
        ("Ulm", "50", "small"),
        ("Bonn", "150", "large"),
    }


def test_a_column_that_changes_late_is_not_static(root: Path) -> None:
    path = root / shops(root, 3000)
    lines = path.read_text().splitlines()
    day, site, _, *rest = lines[-1].split(",")
    path.write_text("\n".join([*lines[:-1], ",".join([day, site, "151", *rest])]) + "\n")
    data = proposed(root, "shops.csv", "sales").values()["data"]
    assert (data["values"], data["static"]) == (["altitude", "sales", "price"], ["kind"])


def test_a_window_that_is_cut_has_whole_seasons_and_says_so(root: Path) -> None:
    found = proposed(root, shops(root, 900), "sales")
    assert found.values()["prepare"]["lag"] == 21
    assert (
        "rows of a window: at most one in 40 of the 900 rows in whole seasons of 7, so that enough windows are left"
    ) in " ".join(found.text("mine").replace("#", "").split())


@pytest.mark.parametrize(
    ("gone", "missing", "told"),
    [
        (
            range(300, 310),
            "drop",
            (
                "10 rows missing in one place, at most 10 in a row, after 2021-03-13T11:00:00; windows over them are "
                "left out (prepare.missing: drop)"
            ),
        ),
        (
            [*range(300, 340), *range(900, 903)],
            "interpolate",
            (
                "43 rows missing in 2 places, at most 40 in a row, after 2021-03-13T11:00:00; up to 3 in a row are "
                "filled in on a line, windows over more are left out (prepare.missing: interpolate)"
            ),
        ),
        (
            [n for n in range(40, 1500) if n % 40 < 10],
            "mask",
            (
                "370 rows missing in 37 places, at most 10 in a row, after 2021-03-02T15:00:00; up to 24 in a row are "
                "masked, with a mark as input, windows over more are left out (prepare.missing: mask)"
            ),
        ),
        ([], "drop", ""),
    ],
)
def test_gaps_in_time_are_told_with_what_becomes_of_them(
    gone: Collection[int], missing: str, told: str, root: Path
) -> None:
    hours = [n for n in range(1500) if n not in gone]
    rows = [f"{datetime(2021, 3, 1) + timedelta(hours=n)},{10 + 5 * math.sin(n / 4) + n % 3:.2f}" for n in hours]
    (root / "hours.csv").write_text("when,load\n" + "\n".join(rows) + "\n")
    found = proposed(root, "hours.csv")
    assert found.values()["prepare"]["missing"] == missing
    assert [line.removeprefix("gaps in time: ") for line in found.seen if "gaps" in line] == ([told] if told else [])


@pytest.mark.parametrize(("label", "text"), [("1", "3"), ("column_1", "column_3"), ("1", None)])
def test_columns_of_a_table_without_a_header_are_named_by_their_places(
    label: str, text: str | None, root: Path
) -> None:
    lines = [f'{"04"[n % 3 == 0]},{n},"{"good" if n % 3 else "bad"} word{n % 17}, yes"' for n in range(300)]
    (root / "nohead.csv").write_text("\n".join(lines) + "\n")
    data = proposed(root, "nohead.csv", problem="text_classification", label=label, text=text).values()["data"]
    assert (data["label"], data["text"], data["header"]) == ("column_1", "column_3", False)
    with pytest.raises(DataError, match=r"^nohead\.csv: no column '9'; expected one of column_1, column_2, column_3$"):
        proposed(root, "nohead.csv", problem="text_classification", label="9")
    with pytest.raises(DataError, match=r"^nohead\.csv: no column '9'; expected one of column_1, column_2, column_3$"):
        proposed(root, "nohead.csv", problem="text_classification", label=label, text="9")


def test_a_target_of_a_table_without_a_header_is_named_by_its_place(root: Path) -> None:
    lines = [f"2021-03-{1 + n // 24:02d} {n % 24:02d}:00,{10 + n % 7},{20 + n % 5}" for n in range(500)]
    (root / "nohead.csv").write_text("\n".join(lines) + "\n")
    assert proposed(root, "nohead.csv", "3").values()["prepare"]["target"] == "column_3"


@pytest.mark.parametrize(
    ("text", "told"), [("abc", "3 characters in one line"), ("ab\ncd\n", "4 characters in 2 lines")]
)
def test_a_short_text_is_counted_without_its_line_ends(text: str, told: str, root: Path) -> None:
    (root / "one.txt").write_text(text)
    with pytest.raises(DataError, match=rf"^one\.txt: {told}; expected at least 2,000$"):
        proposed(root, "one.txt", problem="language_model")


def test_numbers_that_never_change_are_left_out(root: Path) -> None:
    at, last = datetime(2021, 3, 1), 7000
    rows = [f"{at + timedelta(hours=n)},{10 + n % 7 + n % 5},0,{int(n == last - 1)},2.5" for n in range(last)]
    (root / "snow.csv").write_text("when,load,snow,rain,hail\n" + "\n".join(rows) + "\n")
    found = proposed(root, "snow.csv", "load")
    assert found.values()["data"]["values"] == ["load", "rain"]  # rain fell once, in the last of the rows
    assert "left out, for they hold one number in all rows: snow 0, hail 2.5" in " ".join(
        found.text("mine").replace("#", "").split()
    )
    assert "not used: snow (one value), hail (one value)" in found.seen
    given = {"data.values": ["load", "snow"]}
    assert proposed(root, "snow.csv", "load", given=given).values()["data"]["values"] == ["load", "snow"]
