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

from proposal import files
from unroll import ingestion, proposal, schema, store, validation
from unroll.errors import ConfigError, DataError
from unroll.problems.base import Prepared
from unroll.proposal import Asked, Proposal, blocks, gaps, rhythm
from unroll.proposal.blocks import Line
from unroll.tasks import Task


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNROLL_PROGRESS", "quiet")
    return tmp_path


def made(root: Path, case: str) -> dict[str, Any]:
    """The values of the block proposed for the files of a case."""
    return proposal.propose(root, "mine", files.CASES[case](root)).values()


@pytest.mark.parametrize("case", files.CASES)
def test_a_proposed_task_passes_the_stages_before_training(root: Path, case: str) -> None:
    proposal.main(root, "mine", files.CASES[case](root), True, io.StringIO())
    schema.check(root)
    task = Task.open(root, "mine")
    dataset, data = task.dataset()
    with store.atomic_folder(task.layout.raw) as folder:
        ingestion.read(dataset, data, "", folder, root, task.name)
    validation.validate(dataset, data, task.layout)
    problem, prepare = task.problem(), task.prepare_config()
    path = task.layout.validated / "table.parquet"
    table = store.read_table(path, problem.columns(prepare), problem.coded(prepare))
    with store.atomic_folder(task.layout.prepared) as folder:
        store.write_json(folder / "meta.json", problem.prepare(table, prepare, folder))
        prepared = Prepared.load(folder)
        validation.validate_prepared(problem.check(prepared, prepare), task.layout)
        network = problem.model(task.model_config(), prepared.meta)
        problem.begin(network, prepared)
        batch = next(iter(problem.batches(prepared, "validation", 4)))
        assert np.isfinite(problem.loss(network, batch).total.item())
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
    threshold = proposal.propose(root, "mine", asked).values()["gate"]["threshold"]
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
    other = Asked(asked.problem, asked.files, target="value", given={"prepare.lag": 12, "train.epochs": 1})
    found = proposal.propose(root, "mine", other).values()
    assert (found["prepare"]["lag"], found["train"]["epochs"]) == (12, 1)


def test_a_column_that_only_an_option_names_makes_the_first_row_a_header(root: Path) -> None:
    found = made(root, "words")["data"]
    assert (found["header"], found["source"], found["target"]) == (True, "one", "many")


def test_the_floor_of_a_language_model_is_the_entropy_of_its_characters(root: Path) -> None:
    asked = files.prose(root)
    counts = pd.Series(list((root / "prose.txt").read_text())).value_counts(normalize=True)
    bits = float(-(counts * np.log2(counts)).sum())
    assert proposal.propose(root, "mine", asked).values()["gate"]["threshold"] == pytest.approx(bits, abs=0.006)


@pytest.mark.parametrize(
    "given",
    [
        {"prepare.level": "word", "prepare.vocabulary": 500},
        {"model.architecture": "window", "model.window": 8, "model.stride": 4},
    ],
)
def test_scores_of_groups_are_proposed_only_where_there_are_any(root: Path, given: dict[str, Any]) -> None:
    asked = files.prose(root)
    assert "direct_order" in proposal.propose(root, "mine", asked).values()["model"]
    assert "direct_order" not in proposal.propose(root, "mine", replace(asked, given=given)).values()["model"]


def test_the_same_files_give_the_same_block(root: Path) -> None:
    asked = files.stations(root)
    assert proposal.propose(root, "mine", asked).text("mine") == proposal.propose(root, "mine", asked).text("mine")


def test_the_text_says_what_the_values_are(root: Path) -> None:
    found = proposal.propose(root, "mine", files.tweets(root))
    (root / "block.yaml").write_text("tasks:\n" + found.text("mine"))
    assert read_yaml(root / "block.yaml")["tasks"]["mine"] == found.values()


def _asked(**changed: Any) -> Asked:
    return Asked(**{"problem": "forecasting", "files": ("pollution.csv",), "target": "pm2.5", **changed})


@pytest.mark.parametrize(
    ("changed", "error", "told"),
    [
        ({"target": "pm25"}, DataError, r"pollution\.csv: no column 'pm25'; did you mean 'pm2\.5'\?"),
        ({"target": "cbwd"}, DataError, "column 'cbwd' cannot be forecast: it is no column of numbers"),
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
        proposal.main(root, "mine", _asked(**changed), True, io.StringIO())
    assert (root / "params.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "told"), [("tweets", "tasks.tweets: is there already"), ("my task", "'my task' is no name of a task")]
)
def test_a_name_must_be_new_and_a_name(root: Path, name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        proposal.propose(root, name, _asked())


def test_time_that_runs_backwards_is_told_with_the_way_out(root: Path) -> None:
    (root / "back.csv").write_text(
        "when,x\n" + "".join(f"2020-01-{31 - day % 31:02d},{day % 5}\n" for day in range(31))
    )
    with pytest.raises(DataError, match=r"back\.csv row 3: time runs backwards: .*; --set data\.KEY=VALUE changes"):
        proposal.propose(root, "mine", _asked(files=("back.csv",), target="x", given={"data.sort": False}))


def test_rows_out_of_order_are_proposed_to_be_sorted(root: Path) -> None:
    hours = [f"2020-01-{9 - day:02d}T{hour:02d}:00,{hour % 7}\n" for day in range(9) for hour in range(24)]
    (root / "back.csv").write_text("when,x\n" + "".join(hours))
    assert proposal.propose(root, "mine", _asked(files=("back.csv",), target="x")).values()["data"]["sort"] is True


def test_too_few_rows_are_told(root: Path) -> None:
    (root / "few.csv").write_text("when,x\n" + "".join(f"2020-01-{day + 1:02d},{day % 7}\n" for day in range(30)))
    with pytest.raises(DataError, match=r"few\.csv: 30 rows; expected at least 80"):
        proposal.propose(root, "mine", _asked(files=("few.csv",), target="x"))


def test_one_label_is_told(root: Path) -> None:
    (root / "one.csv").write_text("text,label\n" + "".join(f"some words {n},a\n" for n in range(40)))
    with pytest.raises(DataError, match=r"one\.csv, column label: a \(40\); expected at least two labels of 5 rows"):
        proposal.propose(root, "mine", Asked("text_classification", ("one.csv",)))


@pytest.mark.parametrize("setting", ["data.sort", "sort=true", "extra.sort=true", "data.split.column=a", "data.x=[1"])
def test_a_setting_that_is_none_is_told(setting: str) -> None:
    with pytest.raises(ConfigError, match="--set: "):
        proposal.parse([setting])


def test_settings_are_yaml() -> None:
    found = proposal.parse(['data.label_map={"0": bad}', "data.missing=[NA, -200]", "data.sort=true"])
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
