"""What ``unroll new`` proposes passes ``unroll check`` and goes through the stages, whatever the files are like."""

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from projects import ROOT, read_yaml

from unroll.core import store
from unroll.core.errors import ConfigError, DataError
from unroll.pipeline import check
from unroll.problems.common.base import Prepared
from unroll.stages.common.task import Task
from unroll.stages.ingest import ingest
from unroll.stages.validate import validate
from unroll.workbench import new
from unroll.workbench.new import Proposal, Request, blocks, gaps, rhythm
from unroll.workbench.new.blocks import Line
from workbench.new import files


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNROLL_PROGRESS", "quiet")
    return tmp_path


def made(root: Path, case: str) -> dict[str, Any]:
    """The values of the block proposed for the files of a case."""
    return new.propose(root, "mine", files.CASES[case](root)).values()


@pytest.mark.parametrize("case", files.CASES)
def test_a_proposed_task_passes_the_stages_before_training(root: Path, case: str) -> None:
    new.main(root, "mine", files.CASES[case](root), True, io.StringIO())
    check.check(root)
    task = Task.open(root, "mine")
    dataset, data = task.dataset()
    with store.atomic_folder(task.layout.raw) as folder:
        ingest.read(dataset, data, "", folder, root, task.name)
    validate.validate(dataset, data, task.layout)
    problem, prepare = task.problem(), task.prepare_config()
    path = task.layout.validated / "table.parquet"
    table = store.read_table(path, problem.preparation.columns(prepare), problem.preparation.coded(prepare))
    with store.atomic_folder(task.layout.prepared) as folder:
        store.write_json(folder / "meta.json", problem.preparation.prepare(table, prepare, folder))
        prepared = Prepared.load(folder)
        validate.validate_prepared(problem.preparation.check(prepared, prepare), task.layout)
        network = problem.learning.model(task.model_config(), prepared.meta)
        problem.learning.begin(network, prepared)
        batch = next(iter(problem.learning.batches(prepared, "validation", 4)))
        assert np.isfinite(problem.learning.loss(network, batch).total.item())
    assert min(prepared.meta["examples"].values()) >= 10


def test_hours_with_gaps_get_a_day_as_window_and_a_mask(root: Path) -> None:
    found = made(root, "pollution")
    assert found["data"]["time"] == {"columns": ["year", "month", "day", "hour"], "formats": ["%Y %m %d %H"]}
    assert found["data"]["missing"] == ["NA"]
    assert found["data"]["categories"] == ["cbwd"]
    prepare = found["prepare"]
    assert (prepare["target"], prepare["lag"], prepare["season"], prepare["horizon"]) == ("pm2_5", 24, 24, [1, 6, 24])
    assert (prepare["missing"], prepare["categories"]) == ("mask", ["cbwd"])
    assert found["gate"]["baselines"] == ["persistence", "seasonal_naive"]


def test_the_floor_of_a_forecast_is_what_persistence_reaches_in_train(root: Path) -> None:
    asked = files.pollution(root)
    value = pd.read_csv(root / "pollution.csv")["pm2.5"].iloc[: int(0.7 * 1500)].astype(float)
    pairs = pd.DataFrame({"now": value.shift(1), "then": value}).dropna()
    r2 = 1 - ((pairs["then"] - pairs["now"]) ** 2).mean() / pairs["then"].var(ddof=0)
    threshold = new.propose(root, "mine", asked).values()["gate"]["threshold"]
    assert threshold == pytest.approx(0.9 * r2, abs=0.011)


def test_a_marker_below_all_others_is_proposed_and_a_column_of_it_is_left_out(root: Path) -> None:
    found = made(root, "sensors")
    assert found["data"]["missing"] == [-200]
    assert found["data"]["decimal"] == ","
    assert found["data"]["time"]["formats"][:2] == ["%d/%m/%Y %H.%M.%S", "%d-%m-%Y %H.%M.%S"]
    assert found["data"]["values"] == ["CO(GT)", "T"]


def test_months_are_numbered(root: Path) -> None:
    found = made(root, "months")
    assert (found["data"]["time"], found["data"]["step"], found["data"]["start"]) == (
        None,
        "30d",
        "1990-01-01T00:00:00",
    )
    assert (found["prepare"]["season"], found["prepare"]["calendar"]) == (12, [])


@pytest.mark.parametrize(
    ("wave", "season", "baselines"), [(10.0, 24, ["persistence", "seasonal_naive"]), (0.0, 1, ["persistence"])]
)
def test_rows_without_a_time_have_the_season_of_their_values_and_no_calendar(
    root: Path, wave: float, season: int, baselines: list[str]
) -> None:
    rng = np.random.default_rng(0)
    values = wave * np.sin(2 * np.pi * np.arange(1300) / 24) + rng.normal(size=1300).cumsum()
    (root / "rows.csv").write_text("x\n" + "".join(f"{value:.3f}\n" for value in values))
    found = new.propose(root, "mine", _asked(files=("rows.csv",), target="x"))
    blocks = found.values()
    prepare = blocks["prepare"]
    assert (prepare["season"], prepare["calendar"], blocks["gate"]["baselines"]) == (season, [], baselines)
    assert 24 <= prepare["lag"] <= 30
    assert (blocks["data"]["start"], blocks["data"]["step"]) == ("1970-01-01T00:00:00", "1s")
    assert found.seen[0] == "rows.csv: 1,300 rows, numbered"


def test_rows_without_a_time_but_with_a_step_have_days(root: Path) -> None:
    asked = files.unnamed(root)
    given = Request(asked.problem, asked.files, target="value", given={"data.step": "1h"})
    prepare = new.propose(root, "mine", given).values()["prepare"]
    assert (prepare["season"], prepare["calendar"]) == (24, ["hour", "weekday"])


@pytest.mark.parametrize("season", [2, 7, 24, 168])
def test_a_season_is_found_in_noise_and_none_in_what_only_wanders(season: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        noise, shape = rng.normal(size=2000), rng.normal(size=season)
        assert rhythm.season_of(np.tile(3 * shape, 1000)[:2000] + noise) == season
        assert rhythm.season_of(noise) == rhythm.season_of(noise.cumsum()) == 1
        assert rhythm.season_of(np.r_[np.full(1500, np.nan), noise[:500]]) == 1


def test_rows_at_no_regular_step_are_resampled(root: Path) -> None:
    assert made(root, "meters")["data"]["resample"] == {"every": "15min", "how": "mean"}


def test_two_stations_are_both_inputs(root: Path) -> None:
    prepare = made(root, "stations")["prepare"]
    assert sorted(prepare["sites"]) == ["north", "south"]
    assert prepare["target_site"] in prepare["sites"]


def test_train_and_test_files_become_the_split(root: Path) -> None:
    found = made(root, "humps")
    assert found["data"]["split"] == {"train": ["Humps_TRAIN.csv"], "test": ["Humps_TEST.csv"]}
    assert found["data"]["labels"] == ["-1", "1"]
    assert found["prepare"]["split"] == "source"


@pytest.mark.parametrize("pattern", [False, True])
def test_folders_named_train_and_test_become_the_split(root: Path, pattern: bool) -> None:
    files.humps(root)
    for part in ("train", "test"):
        (root / "own" / part).mkdir(parents=True)
        (root / f"Humps_{part.upper()}.csv").rename(root / "own" / part / "data.csv")
    given = ("own/*/data.csv",) if pattern else ("own/test/data.csv", "own/train/data.csv")
    found = new.propose(root, "mine", Request("series_classification", given)).values()
    assert found["prepare"]["split"] == "source"
    if pattern:
        assert found["data"]["path"] == "own/*/data.csv"
    else:
        assert found["data"]["split"] == {"train": ["own/train/data.csv"], "test": ["own/test/data.csv"]}


def test_files_of_one_name_in_folders_of_one_name_are_told_apart(root: Path, tmp_path_factory: Any) -> None:
    files.humps(root)
    away = tmp_path_factory.mktemp("away")
    given = []
    for folder, name in (("a/train", "TRAIN"), ("b/train", "TRAIN"), ("a/test", "TEST")):
        (away / folder).mkdir(parents=True)
        text = (root / f"Humps_{name}.csv").read_text()
        (away / folder / "data.csv").write_text(text)
        given.append(str(away / folder / "data.csv"))
    found = new.propose(root, "mine", Request("series_classification", tuple(given)))
    assert found.values()["data"]["split"] == {"train": given[:2], "test": given[2:]}
    assert "train 120 rows, test 50 rows" in found.seen[0]


def test_a_test_file_of_other_lengths_is_refused_unless_it_is_meant(root: Path) -> None:
    for part, steps in (("TRAIN", 30), ("TEST", 40)):
        label_N, value_NT = files.shapes(40, steps, steps)
        lines = [",".join(map(str, [la, *v])) for la, v in zip(label_N, value_NT, strict=True)]
        (root / f"Set_{part}.csv").write_text("\n".join(lines) + "\n")
    asked = Request("series_classification", ("Set_TRAIN.csv", "Set_TEST.csv"))
    with pytest.raises(
        DataError, match=r"^Set_TEST\.csv row 1: a series of 40 values, .*; expected 30 as in Set_TRAIN\.csv row 1"
    ):
        new.propose(root, "mine", asked)
    split = {"train": ["Set_TRAIN.csv"], "test": ["Set_TEST.csv"]}
    meant = Request("series_classification", asked.files, given={"data.split": split})
    assert new.propose(root, "mine", meant).values()["data"]["split"] == split


@pytest.mark.parametrize(
    ("labels", "told"), [(["-1", "0", "1"], "-1 (20)"), (["?", "a", "b"], "? (20)"), (["-1", "1"], "")]
)
def test_a_label_that_may_mean_none_is_told(labels: list[str], told: str, root: Path) -> None:
    rows = [f"some words {number},{label}\n" for number in range(20) for label in labels]
    (root / "texts.csv").write_text("text,label\n" + "".join(rows))
    seen = new.propose(root, "mine", Request("text_classification", ("texts.csv",))).seen
    line = f"labels that may mean that there is none: {told}; data.drop_labels leaves their rows out"
    assert (line in seen) == bool(told)
    assert any("may mean" in each for each in seen) == bool(told)


def test_a_target_of_mixed_types_is_told_with_row_and_value(root: Path) -> None:
    rows = [f"2020-01-{1 + n // 24:02d} {n % 24:02d}:00,{'low' if n % 5 == 3 else n % 9},{n % 7}\n" for n in range(240)]
    (root / "mixed.csv").write_text("when,x,y\n" + "".join(rows))
    told = r"^mixed\.csv: column 'x' cannot be forecast: row 5 holds 'low', which is not a number \(48 of the first 240"
    with pytest.raises(DataError, match=told):
        new.propose(root, "mine", _asked(files=("mixed.csv",), target="x"))


def test_a_target_that_counts_up_is_one_where_it_is_asked_for(root: Path) -> None:
    rows = [f"2020-01-{1 + n // 24:02d} {n % 24:02d}:00,{100 + n},{n % 7}\n" for n in range(240)]
    (root / "count.csv").write_text("when,visits,y\n" + "".join(rows))
    found = new.propose(root, "mine", _asked(files=("count.csv",), target="visits"))
    assert found.values()["data"]["values"] == ["visits", "y"]
    assert found.values()["prepare"]["target"] == "visits"
    other = new.propose(root, "mine", _asked(files=("count.csv",), target="y"))
    assert other.values()["data"]["values"] == ["y"]
    assert "not used: visits (it numbers the rows)" in other.seen


def test_each_column_that_is_not_used_has_its_reason(root: Path) -> None:
    rows = [f"{n},2020-01-{1 + n // 24:02d} {n % 24:02d}:00,{n % 7},w{n},,{'' if n % 3 else n}\n" for n in range(240)]
    (root / "more.csv").write_text("No,when,x,note,blank,rare\n" + "".join(rows))
    found = new.propose(root, "mine", _asked(files=("more.csv",), target="x"))
    assert found.seen[-1] == (
        "not used: No (it numbers the rows), note (no numbers, and 240 different words: no category), blank (empty), "
        "rare (67 % missing)"
    )


def test_rows_that_cannot_be_used_are_told(root: Path) -> None:
    rows = [f"2020-01-{1 + n // 24:02d} {n % 24:02d}:00,{'low' if n == 200 else n % 9}\n" for n in range(240)]
    (root / "odd.csv").write_text("when,x\n" + "".join(rows))
    found = new.propose(root, "mine", _asked(files=("odd.csv",), target="x"))
    assert found.seen[-1] == (
        "1 of 240 rows cannot be used and are set aside; the first: odd.csv row 202, x 'low': not a number; "
        "expected one"
    )


def test_rare_labels_and_those_alike_are_told_before_the_block(root: Path) -> None:
    labels = ["Yes"] * 30 + ["no"] * 40 + ["yes"] * 12 + ["-1"] * 3
    rows = "".join(f"some words {number},{label}\n" for number, label in enumerate(labels))
    (root / "texts.csv").write_text("text,label\n" + rows)
    found = new.propose(root, "mine", Request("text_classification", ("texts.csv",)))
    assert found.values()["data"]["drop_labels"] == ["-1"]
    assert "labels left out, with fewer than 5 rows to learn from: -1 (3)" in found.seen
    assert any(
        line.startswith("labels that differ only in their case are different ones: Yes (30), yes (12)")
        for line in found.seen
    )


def test_a_target_that_never_changes_is_refused(root: Path) -> None:
    rows = [f"2020-01-{1 + n // 24:02d} {n % 24:02d}:00,5,{n % 7}\n" for n in range(240)]
    (root / "flat.csv").write_text("when,x,y\n" + "".join(rows))
    with pytest.raises(DataError, match=r"^flat\.csv, column x: 5 in all of the first 168 rows, which train; expected"):
        new.propose(root, "mine", _asked(files=("flat.csv",), target="x"))


def test_the_floor_of_a_classifier_is_the_share_of_the_largest_label(root: Path) -> None:
    found = made(root, "humps")
    labels = pd.read_csv(root / "Humps_TRAIN.csv", header=None)[0]
    assert found["gate"]["threshold"] == round(float(labels.value_counts(normalize=True).max()), 2)


def test_labels_too_rare_to_learn_are_left_out(root: Path) -> None:
    found = made(root, "named_series")
    assert found["data"]["drop_labels"] == ["broken"]
    assert found["data"]["labels"] == ["left", "right"]


def test_given_keys_stand_in_the_block_and_empty_texts_widen_the_share_set_aside(root: Path) -> None:
    found = made(root, "tweets")["data"]
    assert found["label_map"] == {"0": "bad", "4": "good"}
    assert (found["labels"], found["drop_labels"]) == (["bad", "good"], ["2"])
    assert 0.018 < found["max_rejected_share"] < 0.05


def test_other_keys_can_be_given_too(root: Path) -> None:
    asked = files.unnamed(root)
    other = Request(asked.problem, asked.files, target="value", given={"prepare.lag": 12, "train.epochs": 1})
    found = new.propose(root, "mine", other).values()
    assert (found["prepare"]["lag"], found["train"]["epochs"]) == (12, 1)


def test_a_column_that_only_an_option_names_makes_the_first_row_a_header(root: Path) -> None:
    found = made(root, "words")["data"]
    assert (found["header"], found["source"], found["target"]) == (True, "one", "many")


def test_the_floor_of_a_language_model_is_the_entropy_of_its_characters(root: Path) -> None:
    asked = files.prose(root)
    counts = pd.Series(list((root / "prose.txt").read_text())).value_counts(normalize=True)
    bits = float(-(counts * np.log2(counts)).sum())
    assert new.propose(root, "mine", asked).values()["gate"]["threshold"] == pytest.approx(bits, abs=0.006)


@pytest.mark.parametrize(
    "given",
    [
        {"prepare.level": "word", "prepare.vocabulary": 500},
        {"model.architecture": "window", "model.window": 8, "model.stride": 4},
    ],
)
def test_scores_of_groups_are_proposed_only_where_there_are_any(root: Path, given: dict[str, Any]) -> None:
    asked = files.prose(root)
    assert "direct_order" in new.propose(root, "mine", asked).values()["model"]
    assert "direct_order" not in new.propose(root, "mine", replace(asked, given=given)).values()["model"]


def test_the_same_files_give_the_same_block(root: Path) -> None:
    asked = files.stations(root)
    assert new.propose(root, "mine", asked).text("mine") == new.propose(root, "mine", asked).text("mine")


def test_the_text_says_what_the_values_are(root: Path) -> None:
    found = new.propose(root, "mine", files.tweets(root))
    (root / "block.yaml").write_text("tasks:\n" + found.text("mine"))
    assert read_yaml(root / "block.yaml")["tasks"]["mine"] == found.values()


def _asked(**changed: Any) -> Request:
    return Request(**{"problem": "forecasting", "files": ("pollution.csv",), "target": "pm2.5", **changed})


@pytest.mark.parametrize(
    ("changed", "error", "told"),
    [
        ({"target": "pm25"}, DataError, r"pollution\.csv: no column 'pm25'; did you mean 'pm2\.5'\?"),
        (
            {"target": "cbwd"},
            DataError,
            r"column 'cbwd' cannot be forecast: row 2 holds '\w\w', which is not a number",
        ),
        ({"target": None}, DataError, "several columns of numbers; expected --target to name one: pm2.5, TEMP"),
        ({"files": ("polution.csv",)}, DataError, "path 'polution.csv': missing; .* near names: pollution.csv"),
        ({"files": ("https://example.com/a.csv",)}, ConfigError, "--from: .* is an address; expected a file"),
        ({"problem": "regression"}, ConfigError, "--problem: 'regression' is not allowed; expected one of forecasting"),
        ({"label": "cbwd"}, ConfigError, "--label: of no use to forecasting; expected --site, --target, --time"),
        ({"given": {"data.sorted": True}}, ConfigError, "data.sorted: unknown key .* did you mean 'sort'"),
        ({"given": {"prepare.lags": 3}}, ConfigError, "prepare.lags: unknown key .* did you mean 'lag'"),
        ({"given": {"model.cell": "elman"}}, ConfigError, "tasks.mine.model.cell: 'elman' is not allowed"),
    ],
)
def test_what_cannot_be_proposed_is_told(root: Path, changed: Any, error: type[Exception], told: str) -> None:
    files.pollution(root)
    before = (root / "params.yaml").read_bytes()
    with pytest.raises(error, match=told):
        new.main(root, "mine", _asked(**changed), True, io.StringIO())
    assert (root / "params.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "told"), [("tweets", "tasks.tweets: is there already"), ("my task", "'my task' cannot name a task")]
)
def test_a_name_must_be_new_and_a_name(root: Path, name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        new.propose(root, name, _asked())


def test_time_that_runs_backwards_is_told_with_the_way_out(root: Path) -> None:
    (root / "back.csv").write_text(
        "when,x\n" + "".join(f"2020-01-{31 - day % 31:02d},{day % 5}\n" for day in range(31))
    )
    with pytest.raises(DataError, match=r"back\.csv row 3: time runs backwards: .*; --set data\.KEY=VALUE changes"):
        new.propose(root, "mine", _asked(files=("back.csv",), target="x", given={"data.sort": False}))


def test_rows_out_of_order_are_proposed_to_be_sorted(root: Path) -> None:
    hours = [f"2020-01-{9 - day:02d}T{hour:02d}:00,{hour % 7}\n" for day in range(9) for hour in range(24)]
    (root / "back.csv").write_text("when,x\n" + "".join(hours))
    assert new.propose(root, "mine", _asked(files=("back.csv",), target="x")).values()["data"]["sort"] is True


def test_too_few_rows_are_told(root: Path) -> None:
    (root / "few.csv").write_text("when,x\n" + "".join(f"2020-01-{day + 1:02d},{day % 7}\n" for day in range(30)))
    with pytest.raises(DataError, match=r"few\.csv: 30 rows; expected at least 80"):
        new.propose(root, "mine", _asked(files=("few.csv",), target="x"))


def test_one_label_is_told(root: Path) -> None:
    (root / "one.csv").write_text("text,label\n" + "".join(f"some words {n},a\n" for n in range(40)))
    with pytest.raises(DataError, match=r"one\.csv row 2, column label: 'a' is the only label of 40 rows"):
        new.propose(root, "mine", Request("text_classification", ("one.csv",)))


@pytest.mark.parametrize("setting", ["data.sort", "sort=true", "extra.sort=true", "data.split.column=a", "data.x=[1"])
def test_a_setting_that_is_none_is_told(setting: str) -> None:
    with pytest.raises(ConfigError, match="--set: "):
        new.parse([setting])


def test_settings_are_yaml() -> None:
    found = new.parse(['data.label_map={"0": bad}', "data.missing=[NA, -200]", "data.sort=true"])
    assert found == {"data.label_map": {"0": "bad"}, "data.missing": ["NA", -200], "data.sort": True}


def test_a_long_reason_stands_above_its_key_and_a_short_one_behind() -> None:
    lines = {name: [Line("a", 1, "short")] for name in ("data", "prepare", "model", "train")}
    text = Proposal(["seen"], {**lines, "gate": [Line("b", "x", "word " * 40)]}).text("mine")
    rows = text.splitlines()
    assert rows[:4] == ["  # seen", "  mine:", "    data:", "      a: 1 # short"]
    assert rows[-3:] == [f"      # {('word ' * 22).strip()}", f"      # {('word ' * 18).strip()}", "      b: x"]
    assert max(map(len, rows)) <= blocks.WIDTH


def test_windows_left_are_those_that_brute_force_finds() -> None:
    rng = np.random.default_rng(0)
    seconds_T = np.delete(np.arange(200) * 10, [40, 41, 90])
    missing_TF = rng.random((len(seconds_T), 2)) < 0.04
    found = gaps.Gaps(seconds_T, missing_TF, 1, 10)
    lag, asked = 5, [1, 3]
    whole = [
        start
        for start in range(len(seconds_T) - lag - 2)
        if np.diff(seconds_T[start : start + lag + 3]).max() == 10 and not missing_TF[start : start + lag + 3].any()
    ]
    assert found.share("drop", 0, lag, asked) == len(whole) / (len(seconds_T) - lag - 2)
    assert found.share("mask", lag, lag, asked) > found.share("interpolate", 3, lag, asked) > len(whole) / 197


@pytest.mark.parametrize(
    ("step_s", "season", "lag", "horizons"),
    [
        (60, 1440, 60, (1, 15, 60)),
        (900, 96, 96, (1, 24, 96)),
        (3600, 24, 24, (1, 6, 24)),
        (21_600, 4, 28, (1, 4)),
        (86_400, 7, 28, (1, 7)),
        (604_800, 52, 26, (1, 4)),
    ],
)
def test_the_window_follows_from_the_step(step_s: int, season: int, lag: int, horizons: tuple[int, ...]) -> None:
    found = rhythm.of(step_s, 1e8)
    assert (found.season, found.lag, found.horizons) == (season, lag, horizons)


def test_a_short_series_gets_a_short_window() -> None:
    found = rhythm.of(3600, 1e6).fitting(200)
    assert (found.lag, found.horizons) == (5, (1,))
