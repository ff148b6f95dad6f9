"""``unroll new`` reads all rows: what begins late, or in another file, is found, and no large part is lost unheard."""

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets import own_files as own
from projects import ROOT

from unroll.core.errors import DataError, ValidationError
from unroll.datasets.files import DATASET
from unroll.datasets.files.columns.column import Column
from unroll.datasets.files.columns.ends import MOST, Ends
from unroll.datasets.files.columns.parsing import Marks
from unroll.workbench import new
from unroll.workbench.new import Proposal, Request, survey

LOOKED_AT = 5000
ROWS, LATE = 5400, 5150
"""Rows of a file, and where something new begins in it: behind those of a first look."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNROLL_PROGRESS", "quiet")
    return tmp_path


def asked(target: str = "co", *files: str, **changed: Any) -> Request:
    return Request("forecasting", files or ("a.csv",), target=target, **changed)


def data(found: Proposal) -> dict[str, Any]:
    block: dict[str, Any] = found.values()["data"]
    return block


def read(root: Path, found: Proposal) -> pd.DataFrame:
    """The table that the proposed block makes of the files."""
    return DATASET.table(root, own.config(**data(found))).table


def why(found: Proposal, key: str) -> str:
    return next(line.why for line in found.blocks["data"] if line.key == key)


def hours(rows: int = ROWS) -> pd.DataFrame:
    """A wandering value an hour, its time as one."""
    noise = np.random.default_rng(1).normal(size=(2, rows))
    time = pd.date_range("2004-03-10 18:00", periods=rows, freq="h")
    co = 2.5 + np.convolve(noise[0], 0.9 ** np.arange(40))[:rows]
    return pd.DataFrame({"time": time, "co": co.round(1), "t": (13 + noise[1]).round(1)})


def spelt(frame: pd.DataFrame, form: str) -> pd.DataFrame:
    return frame.assign(time=frame["time"].dt.strftime(form))


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M", "%d/%m/%y %H:%M", "%d-%b-%Y %H:%M"])
def test_a_second_spelling_of_the_time_is_found_behind_the_first_look(form: str, root: Path) -> None:
    frame = hours()
    parts = [spelt(frame[:LATE], "%d/%m/%Y %H:%M"), spelt(frame[LATE:], form)]
    pd.concat(parts).to_csv(root / "a.csv", index=False)
    found = new.propose(root, "mine", asked())
    assert read(root, found)["time"].dt.tz_convert(None).tolist() == frame["time"].tolist()
    assert f"as in a.csv row {LATE + 2} {parts[1]['time'].iloc[0]!r}" in why(found, "time")
    assert not found.warnings
    assert "max_rejected_share" not in data(found)


def test_a_second_file_of_most_rows_may_spell_the_time_in_another_way(root: Path) -> None:
    frame = hours(700)
    spelt(frame[:200], "%d/%m/%Y %H:%M").to_csv(root / "a.csv", index=False)
    spelt(frame[200:], "%b %d, %Y %H:%M").to_csv(root / "b.csv", index=False)
    found = new.propose(root, "mine", asked("co", "a.csv", "b.csv"))
    assert read(root, found)["time"].dt.tz_convert(None).tolist() == frame["time"].tolist()


def test_day_and_month_keep_their_order_where_cells_do_not_tell(root: Path) -> None:
    frame = hours(800).assign(time=pd.date_range("2004-01-01", periods=800, freq="D"))
    late = (frame["time"] >= "2006-03-01") & (frame["time"] <= "2006-03-03")
    parts = [spelt(frame, "%d/%m/%Y")[~late], spelt(frame, "%d/%m/%y")[late]]
    pd.concat(parts).sort_index().to_csv(root / "a.csv", index=False)
    found = new.propose(root, "mine", asked(time="time"))
    assert read(root, found)["time"].dt.tz_convert(None).tolist() == frame["time"].tolist()


def test_day_and_month_that_are_exchanged_are_set_aside_and_told(root: Path) -> None:
    """Of the second file's days, those up to the twelfth of a month would be taken for others without a word."""
    frame = hours(700).assign(time=pd.date_range("2019-01-01", periods=700, freq="D"))
    spelt(frame[:365], "%d/%m/%Y")[::-1].to_csv(root / "a.csv", index=False)
    spelt(frame[365:], "%m/%d/%Y")[::-1].to_csv(root / "b.csv", index=False)
    found = new.propose(root, "mine", asked("co", "a.csv", "b.csv", time="time"))
    assert not any(form.startswith("%m") for form in data(found)["time"]["formats"])
    assert any("rows cannot be used" in warning for warning in found.warnings)
    assert data(found).get("max_rejected_share", 0.01) <= 0.05


@pytest.mark.parametrize("slip", ["20-01-21 20:00", "09/10/2020 00:00", "21.01.20 20:00"])
def test_a_slip_in_one_time_is_no_format_and_hides_no_marker(slip: str, root: Path) -> None:
    frame = spelt(hours(), "%Y-%m-%d %H:%M")
    frame.loc[LATE, "time"] = slip
    frame.loc[LATE + 5 :: 8, "co"] = -999
    frame.to_csv(root / "a.csv", index=False)
    found = new.propose(root, "mine", asked())
    assert data(found)["time"]["formats"] == ["iso"]
    assert data(found)["missing"] == [-999]
    assert len(read(root, found)) == ROWS - 1


def test_times_that_would_go_astray_hide_no_marker(root: Path) -> None:
    frame = spelt(hours(), "%Y-%m-%d %H:%M")
    frame.loc[[LATE, LATE + 1, LATE + 2], "time"] = ["13/04/2003 00:00", "14/04/2003 00:00", "15/04/2003 00:00"]
    frame.loc[LATE + 5 :: 8, "co"] = -999
    frame.to_csv(root / "a.csv", index=False)
    found = new.propose(root, "mine", asked())
    assert data(found)["missing"] == [-999]
    assert len(read(root, found)) == ROWS - 3


@pytest.mark.parametrize("real", ["the lowest", "amid", "passed by a counter"])
def test_what_is_an_ordinary_number_of_some_column_in_a_few_rows_is_no_marker(real: str, root: Path) -> None:
    frame = spelt(hours(40_000), "%Y-%m-%d %H:%M")
    marker, rng = -200, np.random.default_rng(3)
    frame["other"] = rng.integers(-199, 300, len(frame)) * 1.0
    frame.loc[[6001, 30_001], "other"] = marker
    if real == "amid":
        frame.loc[::300, "other"] = -250
    if real == "passed by a counter":
        marker = 9999
        frame["other"] = np.arange(len(frame)) // 2 + 1
    frame.loc[7000::90, "co"] = marker
    frame.to_csv(root / "a.csv", index=False)
    found = new.propose(root, "mine", asked())
    assert not data(found).get("missing")
    assert read(root, found)["other"].to_numpy().tolist() == frame["other"].tolist()
    (warning,) = found.warnings
    assert f"{marker} stands in {int((frame['co'] == marker).sum())} of 40,000 rows of co" in warning
    assert f"among the ordinary numbers is {marker:g} (2 rows of other)" in warning


def test_markers_that_begin_late_are_found_one_behind_the_other(root: Path) -> None:
    frame = spelt(hours(), "%Y-%m-%d %H:%M")
    frame.loc[LATE + 5 :: 8, "co"] = -200
    frame.loc[LATE + 7 :: 8, "co"] = -9999
    frame.loc[LATE + 1 :: 60, "t"] = -9999
    frame.to_csv(root / "a.csv", index=False)
    found = new.propose(root, "mine", asked())
    assert data(found)["missing"] == [-9999, -200]
    table = read(root, found)
    assert table["co"].isna().tolist() == (frame["co"] < -100).tolist()
    count = int((frame["co"] == -9999).sum())
    assert f"-9999 stands in {count} of {ROWS:,} rows of co, at first in a.csv row {LATE + 9}" in why(found, "missing")


@pytest.mark.parametrize("word", ["NA", "n/a", "NULL", "--"])
def test_a_word_for_missing_values_may_begin_in_another_file(word: str, root: Path) -> None:
    frame = spelt(hours(900), "%Y-%m-%d %H:%M").assign(sky=np.resize(["clear", "cloud", "rain"], 900))
    frame[:300].to_csv(root / "a.csv", index=False)
    other = frame[300:].astype({"co": object})
    other.iloc[::5, 1], other.iloc[::7, 3] = word, word
    other.to_csv(root / "b.csv", index=False)
    found = new.propose(root, "mine", asked("co", "a.csv", "b.csv"))
    table = read(root, found)
    assert data(found)["missing"] == [word]
    assert (len(table), table["co"].isna().sum(), table["sky"].isna().sum()) == (900, 120, 86)


def test_a_word_for_missing_values_in_later_series_is_found(root: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [[f"{n % 2}", *(f"{x:.2f}" for x in rng.normal(n % 2, 1, 8))] for n in range(80)]
    rows[70][3] = "n/a"
    (root / "a.csv").write_text("label,a,b,c,d,e,f,g,h\n" + "".join(",".join(row) + "\n" for row in rows))
    assert (
        read(root, new.propose(root, "mine", Request("series_classification", ("a.csv",), label="label"))).shape[0]
        == 80
    )


def test_what_is_given_stays(root: Path) -> None:
    frame = hours()
    frame.loc[LATE::4, "co"] = -200
    pd.concat([spelt(frame[:LATE], "%d/%m/%Y %H:%M"), spelt(frame[LATE:], "%Y-%m-%d %H:%M")]).to_csv(
        root / "a.csv", index=False
    )
    time = {"columns": "time", "formats": ["%d/%m/%Y %H:%M"]}
    found = new.propose(root, "mine", asked(given={"data.time": time, "data.missing": ["NA"]}))
    assert (data(found)["time"], data(found)["missing"]) == (time, ["NA"])
    assert len(read(root, found)) == LATE
    both = new.propose(root, "mine", asked(given={"data.missing": [-200]}))
    assert len(read(root, both)) == ROWS


def test_a_number_that_is_ordinary_in_another_column_is_no_marker_however_late(root: Path) -> None:
    frame = spelt(hours(), "%Y-%m-%d %H:%M")
    frame["hpa"] = np.random.default_rng(2).integers(980, 1020, ROWS)
    frame.loc[LATE::4, "t"] = 999
    frame.to_csv(root / "a.csv", index=False)
    assert "missing" not in data(new.propose(root, "mine", asked()))


def twice(root: Path, count: int) -> None:
    """Hours of which the last ones come once more, spelt in another way."""
    frame = hours()
    pd.concat([spelt(frame, "%d/%m/%Y %H:%M"), spelt(frame[-count:], "%Y-%m-%d %H:%M")]).to_csv(
        root / "a.csv", index=False
    )


def test_few_rows_that_would_spoil_the_order_stay_aside_and_many_are_an_error(root: Path) -> None:
    twice(root, 6)
    assert len(read(root, new.propose(root, "mine", asked()))) == ROWS
    twice(root, 300)
    with pytest.raises(
        DataError, match=r"^a\.csv row 5402: time runs backwards.*\(read with iso as in a\.csv row 5402 '2004"
    ):
        new.propose(root, "mine", asked())


def words(root: Path, bad: int, rows: int = 300) -> None:
    texts = ["" if n < bad else f"good fine {n}" for n in range(rows)]
    pd.DataFrame({"text": texts, "mood": np.resize(["up", "down", "down"], rows)}).to_csv(root / "w.csv", index=False)


def sorted_texts(**given: Any) -> Request:
    return Request("text_classification", ("w.csv",), label="mood", text="text", given=given)


def test_many_rows_that_cannot_be_used_are_told_and_stop_validation(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words(root, bad=60)
    out = io.StringIO()
    new.main(root, "mine", sorted_texts(), True, out)
    err = capsys.readouterr().err
    told = "60 of 300 rows cannot be used and are set aside; the first: w.csv row 2, text '': empty text"
    assert f"unroll: warning: {told}\n" in err
    assert "that is 20 %, and data.max_rejected_share allows 1 %: validate will stop" in err
    assert "--set data.max_rejected_share=0.31\n" in err
    assert told in " ".join(out.getvalue().replace("#", " ").split())
    found = new.propose(root, "more", sorted_texts())
    assert data(found)["max_rejected_share"] == 0.01
    layout = own.ingest(root, own.config(**data(found)))
    with pytest.raises(ValidationError, match=r"60 of 300 rows set aside; expected at most 3 .*w\.csv row 2"):
        own.validate(layout, own.config(**data(found)))


def test_many_rows_are_set_aside_where_it_is_asked_for_and_few_by_themselves(root: Path) -> None:
    words(root, bad=60)
    found = new.propose(root, "mine", sorted_texts(**{"data.max_rejected_share": 0.3}))
    assert (data(found)["max_rejected_share"], list(found.warnings)) == (0.3, [])
    words(root, bad=8)
    found = new.propose(root, "mine", sorted_texts())
    assert data(found)["max_rejected_share"] <= 0.05
    assert list(found.warnings) == []
    assert any("8 of 300 rows cannot be used" in line for line in found.seen)
    strict = new.propose(root, "mine", sorted_texts(**{"data.max_rejected_share": 0.0}))
    assert data(strict)["max_rejected_share"] == 0.0
    assert "allows 0 %" in strict.warnings[-1]


def test_each_reason_is_told_with_its_rows(root: Path) -> None:
    frame = spelt(hours(600), "%Y-%m-%d %H:%M").astype({"co": object})
    frame.iloc[100:104, 1], frame.iloc[50:80, 0] = "low", "noon"
    frame.to_csv(root / "a.csv", index=False)
    found = new.propose(root, "mine", asked())
    assert found.warnings[0].startswith("34 of 600 rows cannot be used and are set aside; the first: a.csv row 52, ")
    assert "of these 30 as a.csv row 52, time 'noon'" in found.warnings[1]
    assert "; 4 as a.csv row 102, co 'low': not a number" in found.warnings[1]


def test_reasons_beyond_a_number_are_counted_together() -> None:
    from unroll.datasets.common.base import Rejected

    seen = survey.Survey()
    seen.refuse([Rejected("a.csv", n, "x", "", f"reason {n}") for n in range(500)])
    assert (seen.aside, len(seen.reasons)) == (500, survey.KINDS + 1)
    assert sum(kind.rows for kind in seen.reasons.values()) == 500


def gauss(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.normal(15, 5, rows).round(1)


def marked(rng: np.random.Generator, rows: int) -> np.ndarray:
    number_N = gauss(rng, rows)
    number_N[rng.random(rows) < rng.choice([0.0005, 0.01, 0.3])] = rng.choice([-200.0, 999.9, -9999.0, 9999.0, 40.0])
    return number_N


def clipped(rng: np.random.Generator, rows: int) -> np.ndarray:
    """A sensor that ends at −50, with all values down to there."""
    return np.maximum(rng.normal(-20, 12, rows), -50).round(1)


@pytest.mark.parametrize("draw", [gauss, marked, clipped])
def test_ends_of_chunks_are_those_of_the_whole_column(draw: Callable[..., np.ndarray]) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        number_N = draw(rng, int(rng.integers(20, LOOKED_AT))).astype(np.float32)
        number_N[rng.random(len(number_N)) < 0.1] = np.nan
        whole = Column.of("x", pd.Series(number_N), Marks()).markers()
        assert [marker.number for marker in _ends(number_N, rng).markers()] == whole
        for marker in _ends(number_N, rng).markers():
            assert marker.cells == (number_N == np.float32(marker.number)).sum()
            assert marker.where == f"f row {np.flatnonzero(number_N == np.float32(marker.number))[0]}"


def test_a_sample_does_not_grow_with_the_rows() -> None:
    rng = np.random.default_rng(1)
    number_N = clipped(rng, 200_000).astype(np.float32)
    number_N[150_000:151_000] = -999
    found = _ends(number_N, rng)
    assert [(m.number, m.cells) for m in found.markers()] == [(-999, 1000)]
    kept: Sequence[int] = [len(column.sample_S()) for column in found._columns.values()]
    assert MOST / 10 < kept[0] <= MOST


def _ends(number_N: np.ndarray, rng: np.random.Generator) -> Ends:
    """The column in chunks of any size."""
    ends, low = Ends(), 0
    while low < len(number_N):
        high = low + int(rng.integers(1, max(len(number_N) // 3, 2)))
        ends.add({"x": number_N[low:high]}, "f", np.arange(low, min(high, len(number_N))))
        low = high
    return ends
