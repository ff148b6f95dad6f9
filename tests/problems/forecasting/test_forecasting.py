"""Forecasting against the raw table, sklearn, least squares, and the memory that a process really took."""

import datetime
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from problems import tables
from problems.forecasting.test_least_squares import weights_by_hand
from problems.test_contract import TRAIN
from unroll.core import store
from unroll.core.config import TrainConfig
from unroll.core.errors import DataError
from unroll.core.scores import Scores
from unroll.problems.common.base import SPLITS, Prepared
from unroll.problems.forecasting import PROBLEM
from unroll.problems.windows import arrays as _series
from unroll.stages.train import train as trainer
from unroll.stages.train.loop import Epoch
from unroll.stages.validate import validate

torch.set_num_threads(1)  # a second one only waits for networks this small

CASE = tables.CASES["forecasting"]
LAG, HORIZON, SEASON = (CASE.prepare[key] for key in ("lag", "horizon", "season"))
HOUR = pd.Timedelta(hours=1)
EDGES = [f"{side}_{band}" for band in (50, 80, 95) for side in ("low", "high")]
SPLIT_NAMES = list(SPLITS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    """The table by time: columns (variable, site)."""
    return tables.series().pivot(index="time", columns="site", values=["a_ug_m3", "b_ug_m3"])


def network(prepared: Prepared) -> torch.nn.Module:
    torch.manual_seed(0)
    model = PROBLEM.learning.model(CASE.open()[2], prepared.meta)
    for member in model.members:
        torch.nn.init.normal_(member.head.weight, std=0.3)  # so that it is not persistence
    return model


def legal_ends(raw: pd.DataFrame, low: str | None, high: str | None) -> list[pd.Timestamp]:
    """Last rows of all windows between two times, from the raw table alone."""
    rows = raw[(raw.index >= pd.Timestamp(low or 0, tz="UTC")) & (raw.index < pd.Timestamp(high or "2100", tz="UTC"))]
    good = set(rows.dropna().index)
    spans = (([t + k * HOUR for k in range(1 - LAG, HORIZON + 1)], t) for t in rows.index)
    return [t for span, t in spans if good.issuperset(span)]


CUTS = {
    "train": (None, CASE.prepare["validation_from"]),
    "validation": (CASE.prepare["validation_from"], CASE.prepare["test_from"]),
    "test": (CASE.prepare["test_from"], None),
}


@pytest.mark.parametrize("split", SPLIT_NAMES)
def test_windows_are_those_of_the_raw_table(prepared: Prepared, raw: pd.DataFrame, split: str) -> None:
    ends = legal_ends(raw, *CUTS[split])
    assert prepared.meta["examples"][split] == len(ends)
    mean, deviation = (np.array(prepared.meta["scaler"][key]) for key in ("mean", "deviation"))
    wide = raw.swaplevel(axis=1)[
        [("north", "a_ug_m3"), ("north", "b_ug_m3"), ("south", "a_ug_m3"), ("south", "b_ug_m3")]
    ]
    batches = list(PROBLEM.learning.batches(prepared, split, 50))
    x_NLF = np.concatenate([batch["x_BLF"].numpy() for batch in batches])
    y_N = np.concatenate([batch["y_BH"].numpy()[:, 0] for batch in batches])
    assert x_NLF.shape == (len(ends), LAG, 4 + 4)
    for number, end in enumerate(ends):
        times = [end + k * HOUR for k in range(1 - LAG, 1)]
        np.testing.assert_allclose(x_NLF[number, :, :4] * deviation + mean, wide.loc[times], rtol=1e-5)
        turns = np.array([[t.hour / 24, t.day_of_week / 7] for t in times])
        np.testing.assert_allclose(x_NLF[number, :, [4, 6]].T, np.sin(2 * np.pi * turns), atol=1e-6)
        np.testing.assert_allclose(x_NLF[number, :, [5, 7]].T, np.cos(2 * np.pi * turns), atol=1e-6)
        truth = raw.loc[end + HORIZON * HOUR, ("a_ug_m3", "south")]
        assert y_N[number] * deviation[2] + mean[2] == pytest.approx(truth, rel=1e-5)


def test_no_value_after_train_enters_the_scaler_or_train(tmp_path: Path, prepared: Prepared) -> None:
    table = tables.series()
    later = table["time"] >= pd.Timestamp(CASE.prepare["validation_from"], tz="UTC")
    table.loc[later, ["a_ug_m3", "b_ug_m3"]] *= 100
    changed = CASE.run(tmp_path, table)
    assert changed.meta["scaler"] == prepared.meta["scaler"]
    for ours, theirs in zip(
        PROBLEM.learning.batches(changed, "train", 64), PROBLEM.learning.batches(prepared, "train", 64), strict=True
    ):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("split", SPLIT_NAMES)
def test_metrics_are_those_of_sklearn(prepared: Prepared, raw: pd.DataFrame, split: str) -> None:
    scores = PROBLEM.scoring.score(network(prepared), prepared, split, 32)
    rows = scores.table()
    found = PROBLEM.scoring.metrics(scores.sums(), prepared.meta)
    truth = raw[("a_ug_m3", "south")].loc[rows["time"]].to_numpy(dtype=np.float64)
    last = raw[("a_ug_m3", "south")].loc[rows["time"] - HORIZON * HOUR].to_numpy(dtype=np.float64)
    np.testing.assert_allclose(rows["truth"], truth, rtol=1e-5)
    assert found["r2"] == pytest.approx(r2_score(truth, rows["guess"]), abs=1e-5)
    assert found["rmse"] == pytest.approx(mean_squared_error(truth, rows["guess"]) ** 0.5, rel=1e-5)
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, rows["guess"]), rel=1e-5)
    skill = 1 - mean_squared_error(truth, rows["guess"]) / mean_squared_error(truth, last)
    assert found["skill"] == pytest.approx(skill, abs=1e-5)


def test_r2_keeps_its_digits_far_from_zero(tmp_path: Path) -> None:
    table = tables.series()
    table["a_ug_m3"] = (1e6 + table["a_ug_m3"].astype(np.float64).round()).astype(np.float32)
    far = CASE.run(tmp_path, table)
    scores = PROBLEM.scoring.score(network(far), far, "test", 32)
    rows = scores.table()
    found = PROBLEM.scoring.metrics(scores.sums(), far.meta)["r2"]
    assert found == pytest.approx(r2_score(rows["truth"], rows["guess"]), rel=1e-9)


def test_metrics_of_many_sums_at_once_are_those_of_each(prepared: Prepared) -> None:
    scores = PROBLEM.scoring.score(network(prepared), prepared, "test", 32)
    drawn = scores.resampled_sums(seed=0)[:5]
    together = PROBLEM.scoring.metrics(drawn, prepared.meta)
    for number in range(5):
        alone = PROBLEM.scoring.metrics(drawn[number], prepared.meta)
        assert {name: value[number] for name, value in together.items()} == pytest.approx(alone)


@pytest.mark.parametrize(
    ("step_s", "stride", "test", "block"),
    [(3600, 1, 336, 168), (3600, 5, 67, 33), (3600, 1, 335, 30), (60, 1, 5000, 30), (1, 7, 5000, 5), (86_400, 1, 9, 7)],
)
def test_a_week_is_resampled_together_or_windows_with_a_row_in_common(
    step_s: int, stride: int, test: int, block: int
) -> None:
    meta = {"step_s": step_s, "stride": stride, "lag": 24, "horizon": 6, "examples": {"test": test}}
    assert _series.block(meta) == block


def test_a_target_that_never_changes_in_train_is_told(tmp_path: Path) -> None:
    table = tables.series()
    early = table.groupby("site").cumcount() < 390
    table["a_ug_m3"] = table["a_ug_m3"].where(~early, np.float32(7))
    with pytest.raises(
        DataError, match=r"^prepare\.target: column '.*a_ug_m3' is 7 in all \d+ rows of train; expected"
    ):
        CASE.run(tmp_path, table)


# ---- baselines


def guesses(scores: Scores) -> pd.Series:
    return scores.table().set_index("time")["guess"]


@pytest.mark.parametrize("split", SPLIT_NAMES)
def test_baselines_are_a_search_in_the_raw_table(prepared: Prepared, raw: pd.DataFrame, split: str) -> None:
    target = raw[("a_ug_m3", "south")].astype(np.float64)
    baselines = PROBLEM.scoring.baselines(prepared, split)
    ends = pd.DatetimeIndex(legal_ends(raw, *CUTS[split]))
    last = target.loc[ends].to_numpy()
    np.testing.assert_allclose(guesses(baselines["persistence"]), last, rtol=1e-5)
    season_ago = target.reindex(ends + (HORIZON - SEASON) * HOUR).to_numpy()
    np.testing.assert_allclose(
        guesses(baselines["seasonal_naive"]), np.where(np.isnan(season_ago), last, season_ago), rtol=1e-5
    )
    train = legal_ends(raw, *CUTS["train"])
    design, now = (
        np.array([[*(target[t - k * HOUR] for k in range(LAG)), 1.0] for t in times]) for times in (train, ends)
    )
    coefficients, *_ = np.linalg.lstsq(design, [target[t + HORIZON * HOUR] for t in train], rcond=None)
    np.testing.assert_allclose(guesses(baselines["autoregression"]), now @ coefficients, rtol=1e-4)


def test_persistence_has_no_skill(prepared: Prepared) -> None:
    scores = PROBLEM.scoring.baselines(prepared, "test")["persistence"]
    assert PROBLEM.scoring.metrics(scores.sums(), prepared.meta)["skill"] == pytest.approx(0)


# ---- prediction


def test_the_example_is_forecast_as_the_first_row_of_the_score(prepared: Prepared) -> None:
    model = network(prepared)
    answer = PROBLEM.answering.predict(model, prepared.meta, PROBLEM.answering.example(prepared))
    first = PROBLEM.scoring.score(model, prepared, "test", 32).table().iloc[0]
    assert list(answer.columns) == ["time", "site", "a_ug_m3"]
    assert answer["time"].tolist() == [first["time"]]
    assert answer["site"].tolist() == ["south"]
    assert answer["a_ug_m3"][0] == pytest.approx(first["guess"], rel=1e-5)


def test_raw_rows_are_forecast_as_in_the_score(prepared: Prepared) -> None:
    model, table = network(prepared), tables.series()
    answer = PROBLEM.answering.predict(model, prepared.meta, table).set_index("time")["a_ug_m3"]
    for split in SPLITS:
        scored = guesses(PROBLEM.scoring.score(model, prepared, split, 32))
        np.testing.assert_allclose(answer.loc[scored.index], scored, rtol=1e-5)
    assert answer.index[-1] == table["time"].max() + HORIZON * HOUR  # beyond what is known


def test_faulty_input_names_row_and_column(prepared: Prepared) -> None:
    frame = PROBLEM.answering.example(prepared).astype({"b_ug_m3": object})
    frame.loc[7, "b_ug_m3"] = "x"
    with pytest.raises(DataError, match=r"^input: row 8, column b_ug_m3: 'x'; expected a number$"):
        PROBLEM.answering.predict(network(prepared), prepared.meta, frame)


# ---- several horizons, heads and models

HORIZONS = [1, 3, 6]
SEVERAL = {"head": "quantiles", "quantiles": [0.1, 0.5, 0.9], "members": 2, "linear": [2, 40], "expert": 0.5}
PATHS = {"multi_step": "autoregressive", "head": "student_t", "trajectories": 12, "members": 2}
KINDS: dict[str, dict[str, Any]] = {
    "quantiles": {**CASE.model, **SEVERAL},
    "weighted": {**CASE.model, **SEVERAL, "weighted": True},
    "gaussian": {**CASE.model, "head": "gaussian"},
    "paths": {**CASE.model, **PATHS},
    "ar": {"kind": "ar", "order": 2, "criterion": "aic", "method": "yule_walker"},
    "var": {"kind": "var", "order": None, "criterion": "validation"},
    "arma": {"kind": "arma", "order": [1, 1], "criterion": "aic"},
    "state_space": {"kind": "state_space", "states": 2, "iterations": 3, "tolerance": 1e-4, "rows": 500},
}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("several"), horizon=HORIZONS)


@pytest.fixture(scope="module")
def simple(several: Prepared) -> Mapping[str, Scores]:
    return PROBLEM.scoring.baselines(several, "test")


def made(kind: str, several: Prepared) -> Any:
    config = PROBLEM.Model.model_validate(KINDS[kind])
    torch.manual_seed(0)
    model = PROBLEM.learning.solve(config, several) or PROBLEM.learning.model(config, several.meta)
    PROBLEM.learning.begin(model, several)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    PROBLEM.learning.finish(model, several)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_scored_at_every_horizon_as_sklearn_does(several: Prepared, raw: pd.DataFrame, kind: str) -> None:
    scores = PROBLEM.scoring.score(made(kind, several), several, "test", 32)
    found, rows = PROBLEM.scoring.metrics(scores.sums(), several.meta), scores.table()
    assert tuple(found) == PROBLEM.scoring.metric_keys(CASE.open(horizon=HORIZONS)[1])
    target = raw[("a_ug_m3", "south")]
    for horizon, end in zip(HORIZONS, ("", "_3", "_6"), strict=True):
        truth = target.loc[rows["time"] + (horizon - 1) * HOUR].to_numpy()
        np.testing.assert_allclose(rows[f"truth{end}"], truth, rtol=1e-5)
        assert found[f"r2{end}"] == pytest.approx(r2_score(truth, rows[f"guess{end}"]), abs=1e-5)
    for band in (50, 80, 95):
        inside = rows["truth"].between(rows[f"low_{band}"], rows[f"high_{band}"])
        assert found[f"coverage_{band}"] == pytest.approx(inside.mean())
        assert found[f"width_{band}"] == pytest.approx((rows[f"high_{band}"] - rows[f"low_{band}"]).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_calibrated_bands_cover_validation(several: Prepared, kind: str) -> None:
    scores = PROBLEM.scoring.score(made(kind, several), several, "validation", 32)
    found = PROBLEM.scoring.metrics(scores.sums(), several.meta)
    for band in (50, 80, 95):
        for end in ("", "_3", "_6"):
            assert found[f"coverage_{band}{end}"] >= band / 100 - 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_answers_raw_rows_as_in_the_score_and_comes_back_from_a_file(
    several: Prepared, kind: str, tmp_path: Path
) -> None:
    model = made(kind, several)
    store.write_tensors(tmp_path / "w.safetensors", model.state_dict())
    other = PROBLEM.learning.model(PROBLEM.Model.model_validate(KINDS[kind]), several.meta)
    other.load_state_dict(store.read_tensors(tmp_path / "w.safetensors")[0])
    answer = PROBLEM.answering.predict(other, several.meta, PROBLEM.answering.example(several))
    assert list(answer.columns) == ["time", "site", "horizon", "a_ug_m3", *EDGES]
    assert answer["horizon"].tolist() == HORIZONS
    first = PROBLEM.scoring.score(model, several, "test", 32).table().iloc[0]
    assert answer["time"].tolist() == [first["time"] + (horizon - 1) * HOUR for horizon in HORIZONS]
    expected = [first["guess"], first["guess_3"], first["guess_6"]]
    np.testing.assert_allclose(answer["a_ug_m3"], expected, rtol=1e-4)
    np.testing.assert_allclose(answer.loc[0, EDGES].astype(float), first[EDGES].astype(float), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_pictures(several: Prepared, simple: Mapping[str, Scores], kind: str) -> None:
    model = made(kind, several)
    scores = PROBLEM.scoring.score(model, several, "test", 32)
    found = {figure.name: figure for figure in PROBLEM.scoring.figures(model, several, scores, simple)}
    assert {"forecast", "bands", "cone", "coverage", "by_horizon", "autocorrelation"} <= set(found)
    cone = found["cone"].frame.set_index("steps")
    assert cone.index.tolist() == list(range(1 - LAG, 7))
    ahead = cone.loc[0:]
    assert (ahead["low_95"] <= ahead["low_50"]).all()
    assert (ahead["high_50"] <= ahead["high_95"]).all()
    assert any(name.startswith("path_") for name in cone) is (kind == "paths")


@pytest.mark.parametrize(("kind", "cone"), [("paths", True), ("gaussian", False), ("ar", False)])
def test_paths_have_a_cone_with_the_last_step_as_the_only_horizon(
    several: Prepared, tmp_path: Path, kind: str, cone: bool
) -> None:
    alone = CASE.run(tmp_path, horizon=6)
    model = made(kind, alone)
    scores = PROBLEM.scoring.score(model, alone, "test", 32)
    found = {
        figure.name: figure
        for figure in PROBLEM.scoring.figures(model, alone, scores, PROBLEM.scoring.baselines(alone, "test"))
    }
    assert ("cone" in found) is cone
    if cone:
        frame = found["cone"].frame.set_index("steps").loc[1:]
        assert frame.index.tolist() == [1, 2, 3, 4, 5, 6]
        assert frame[["low_95", "low_50", "forecast", "high_50", "high_95", "path_1"]].notna().all(axis=None)
        steps = frame["path_1"].diff().dropna()
        assert steps.nunique() == 5  # each is a draw, not a line between two horizons


@pytest.mark.parametrize(("picture", "end", "ahead"), [("bands", "", "one step"), ("cone", "_6", "6 steps")])
def test_legends_of_bands_say_what_was_measured_on_the_rows_of_that_horizon(
    several: Prepared, simple: Mapping[str, Scores], raw: pd.DataFrame, picture: str, end: str, ahead: str
) -> None:
    model = made("gaussian", several)
    scores = PROBLEM.scoring.score(model, several, "test", 32)
    found = {figure.name: figure for figure in PROBLEM.scoring.figures(model, several, scores, simple)}[picture]
    answer = PROBLEM.answering.predict(model, several.meta, tables.series()) if end else None
    rows = scores.table()
    for band in (50, 80, 95):
        if answer is None:
            inside = rows["truth"].between(rows[f"low_{band}"], rows[f"high_{band}"])
        else:
            ends = answer[answer["horizon"] == 6].set_index("time").loc[rows["time"] + 5 * HOUR]
            truth = raw[("a_ug_m3", "south")].loc[ends.index]
            inside = truth.between(ends[f"low_{band}"], ends[f"high_{band}"])
        assert found.legend[str(band)] == f"{band} % (measured {100 * inside.mean():.1f} %)"
    assert found.note == f"coverage measured on {len(rows):,} test windows, {ahead} ahead"


def test_a_weighted_expert_is_iterated_from_one_weight_a_row(several: Prepared) -> None:
    model = PROBLEM.learning.model(PROBLEM.Model.model_validate(KINDS["weighted"]), several.meta)
    PROBLEM.learning.begin(model, several)
    weights_HLF = model.expert.weights_HLF.numpy()
    order = LAG - int(np.flatnonzero(np.abs(weights_HLF).max(axis=(0, 2)))[0])
    values = several.arrays["values"].astype(np.float64)
    reach = LAG + max(HORIZONS) - 1
    last = np.concatenate([np.arange(a + order - 1, b + reach - 1) for a, b in several.arrays["train_ranges"]])
    ones = np.ones((len(last), 1))
    design = np.concatenate([*(values[last - lag] for lag in range(order)), ones], axis=1)
    weights = weights_by_hand(design, values[last + 1], np.concatenate([values[last], ones], axis=1))
    one_step = Ridge(alpha=1.0, fit_intercept=False).fit(design, values[last + 1], sample_weight=weights)
    batch = next(iter(PROBLEM.learning.batches(several, "test", 50)))
    found = model.expert(batch["x_BLF"]).numpy()
    window = list(batch["x_BLF"][:, -order:, : values.shape[1]].double().numpy().transpose(1, 0, 2))
    for step in range(1, max(HORIZONS) + 1):
        window.append(one_step.predict(np.concatenate([*window[: -order - 1 : -1], np.ones((50, 1))], axis=1)))
        if step in HORIZONS:
            expected = window[-1][:, several.meta["target_column"]]
            np.testing.assert_allclose(found[:, HORIZONS.index(step)], expected, atol=1e-4, err_msg=f"{step} ahead")


@pytest.mark.parametrize(("trend", "beats"), [("growth", 0.9), ("line", 0.9)])
def test_a_state_space_model_forecasts_a_series_that_never_settles(tmp_path: Path, trend: str, beats: float) -> None:
    table = tables.series()
    hours = ((table["time"] - table["time"].min()) / HOUR).to_numpy()
    noise = np.random.default_rng(0).normal(size=len(table))
    values = {"growth": 1.02**hours, "line": 3.0 * hours + noise}
    one = table.assign(a_ug_m3=values[trend])[lambda rows: rows["site"] == "south"]
    made = CASE.run(tmp_path, one, sites=["south"], variables=["a_ug_m3"], horizon=[1, 3, 6])
    block = {"kind": "state_space", "states": 2, "iterations": 20, "tolerance": 0.0, "rows": 300}
    model = PROBLEM.learning.solve(PROBLEM.Model.model_validate(block), made)
    assert model is not None
    found = PROBLEM.scoring.metrics(PROBLEM.scoring.score(model, made, "test", 64).sums(), made.meta)
    assert found["skill_6"] > beats, found  # over persistence, on values beyond all of train


def weekly(tmp_path: Path) -> Prepared:
    """A window of six hours does not tell what day it is, and tomorrow's value is mostly that of the day."""
    rng, rows = np.random.default_rng(4), 24 * 7 * 16
    time = pd.date_range("2020-01-06", periods=rows, freq="h", tz="UTC").as_unit("us")
    noise = np.zeros(rows)
    for t in range(1, rows):
        noise[t] = 0.5 * noise[t - 1] + rng.normal()
    day = np.asarray(time.day_of_week)
    values = 50 + 6 * np.sin(2 * np.pi * day / 7) - 3 * np.cos(2 * np.pi * day / 7) + noise
    table = pd.DataFrame({"time": time, "a_ug_m3": values.astype(np.float32)})
    return CASE.run(
        tmp_path,
        table,
        sites="all",
        target_site=None,
        calendar=["weekday"],
        horizon=[1, 24],
        validation_from="2020-03-16",
        test_from="2020-03-30",
    )


def test_a_state_space_model_knows_the_calendar_of_the_hours_ahead(tmp_path: Path) -> None:
    """Better than without, and as good as a regression with errors of an AR(1), which the series is."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    made = weekly(tmp_path)
    block = {"kind": "state_space", "states": 1, "iterations": 12, "tolerance": 1e-6, "rows": 1500}
    found, rows_of = {}, {}
    for inputs in ("calendar", "none"):
        config = PROBLEM.Model.model_validate({**block, "inputs": inputs})
        model = PROBLEM.learning.solve(config, made)
        assert model is not None
        scores = PROBLEM.scoring.score(model, made, "test", 64)
        found[inputs], rows_of[inputs] = PROBLEM.scoring.metrics(scores.sums(), made.meta), scores.table()
    assert PROBLEM.Model.model_validate(block).inputs == "calendar"  # type: ignore[attr-defined]
    assert found["calendar"]["rmse_24"] < 0.75 * found["none"]["rmse_24"], found
    assert found["calendar"]["rmse"] < found["none"]["rmse"]

    values = _series.target(made)
    angle = 2 * np.pi * np.asarray(made.arrays["calendar"])[:, 0] / 7
    circles = np.stack([np.ones_like(angle), np.sin(angle), np.cos(angle)], 1)
    train = slice(*made.meta["bounds"]["train"])
    phi_beta = SARIMAX(values[train], exog=circles[train], order=(1, 0, 0)).fit(disp=False)
    ends = _series.last_rows(made, "test")
    beta, phi = phi_beta.params[:3], phi_beta.params[3]
    theirs = circles[ends + 24] @ beta + phi**24 * (values[ends] - circles[ends] @ beta)
    rmse = mean_squared_error(rows_of["calendar"]["truth_24"], theirs) ** 0.5
    assert found["calendar"]["rmse_24"] == pytest.approx(rmse, rel=0.02)
    np.testing.assert_allclose(rows_of["calendar"]["guess_24"], theirs, atol=0.35)


def test_a_solved_model_has_a_history_of_one_row(several: Prepared) -> None:
    model = PROBLEM.learning.solve(PROBLEM.Model.model_validate(KINDS["var"]), several)
    assert model is not None
    told: list[Epoch] = []
    config = TrainConfig(**TRAIN)
    history = trainer.judge_solved(model, PROBLEM, several, config, lambda epoch, *_: told.append(epoch))
    assert history.epochs == told
    rows = PROBLEM.scoring.score(model, several, "validation", 32).table()
    assert history.best.validation_metric == pytest.approx(r2_score(rows["truth"], rows["guess"]), abs=1e-5)
    deviation = several.meta["scaler"]["deviation"][2]
    squares = [
        (((rows[f"guess{end}"] - rows[f"truth{end}"]) / deviation / spread) ** 2).mean()
        for end, spread in zip(("", "_3", "_6"), several.meta["spread"], strict=True)
    ]
    assert history.best.validation_loss == pytest.approx(sum(squares), rel=1e-4)


def test_baselines_of_several_horizons_are_those_of_single_ones(
    several: Prepared, simple: Mapping[str, Scores], tmp_path: Path
) -> None:
    alone = CASE.run(tmp_path, horizon=6)  # the same windows: they reach as far
    for name, single in PROBLEM.scoring.baselines(alone, "test").items():
        np.testing.assert_allclose(simple[name].table()["guess_6"], single.table()["guess"], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("horizon", [[6, 1], [1, 1], [], [0], 0, [1.5], True, "1"])
def test_horizons_ascend(horizon: object) -> None:
    with pytest.raises(ValidationError, match="horizon"):
        CASE.open(horizon=horizon)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"head": "quantiles"}, r"quantiles: \[\] with head quantiles"),
        (
            {"head": "quantiles", "quantiles": [0.1, 0.9]},
            r"quantiles: \[0.1, 0.9\]; expected ascending levels with 0.5",
        ),
        ({"head": "quantiles", "quantiles": [0.9, 0.5, 0.1]}, "expected ascending levels"),
        ({"quantiles": [0.1, 0.5, 0.9]}, "only head quantiles has levels"),
        ({"head": "student_t"}, "head: 'student_t' with multi_step direct; expected value or quantiles or gaussian"),
        ({"multi_step": "autoregressive"}, "head: 'value' with multi_step autoregressive; expected gaussian or"),
        ({"multi_step": "autoregressive", "head": "gaussian"}, "trajectories: None with multi_step autoregressive"),
        ({**PATHS, "linear": [6]}, r"linear: \[6\] with multi_step autoregressive; it is for multi_step direct alone"),
        ({**PATHS, "expert": 0.3}, "expert: 0.3 with multi_step autoregressive"),
        ({**PATHS, "weighted": True}, "weighted: True with multi_step autoregressive"),
        ({**PATHS, "robust": 1.0}, "robust: 1.0 with multi_step autoregressive"),
        ({"trajectories": 5}, "trajectories: 5 with multi_step direct"),
        ({"kind": "arima"}, "kind: 'arima' is not allowed; expected recurrent, ar, var, arma, state_space"),
        ({"kind": "ar"}, "cell: not a key of kind ar; expected some of kind, order, criterion, method"),
    ],
)
def test_keys_of_the_model_that_do_not_go_together_are_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PROBLEM.Model.model_validate({**CASE.model, **changed})


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"kind": "ar", "order": [1, 1], "criterion": "aic"}, "order: \\(1, 1\\); expected one number or null"),
        ({"kind": "arma", "order": 2, "criterion": "aic"}, "order: 2; expected \\[p, q\\] or null"),
        ({"kind": "var", "order": 2, "criterion": "aic", "method": "yule_walker"}, "it estimates an ar alone"),
        ({"kind": "ar", "order": 2}, "criterion"),
        ({"kind": "state_space", "states": 0, "iterations": 5, "tolerance": 0.1, "rows": 9}, "states"),
        (
            {"kind": "state_space", "states": 100, "iterations": 5, "tolerance": 0.1, "rows": 20000},
            "states: 100 with rows 20000; expected rows · states² of at most 25,000,000, .* at most 35 states",
        ),
    ],
)
def test_keys_of_classical_models_are_strict(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PROBLEM.Model.model_validate(block)


# ---- checks


@pytest.mark.parametrize(("stride", "lag", "horizon"), [(1, 6, 2), (4, 6, 2), (7, 3, 5), (30, 24, 24)])
def test_good_windows_pass_the_check(tmp_path: Path, stride: int, lag: int, horizon: int) -> None:
    made = CASE.run(tmp_path, stride=stride, lag=lag, horizon=horizon)
    check = PROBLEM.preparation.check(made, CASE.open(stride=stride, lag=lag, horizon=horizon)[1])
    report = validate.check(check.facts, check.expectations, title="prepared")
    assert report.failed("critical") == []


@pytest.mark.parametrize(
    ("split", "earlier", "later", "reason"),
    [
        ("train", 0, 1, "a window crosses a split"),
        ("test", 1, 0, "a window crosses a split"),
        ("validation", 0, 1, "a window crosses a split"),
        ("validation", 0, -1000, "each split has windows"),
    ],
)
def test_a_leak_is_found(prepared: Prepared, split: str, earlier: int, later: int, reason: str) -> None:
    ranges = np.array(prepared.arrays[f"{split}_ranges"])
    ranges[0, 0] -= earlier
    ranges[-1, 1] += later
    arrays = {**prepared.arrays, f"{split}_ranges": ranges[-1:][ranges[-1:, 1] > 0]}
    if earlier:
        arrays[f"{split}_ranges"] = ranges[:1]
    check = PROBLEM.preparation.check(Prepared(arrays, prepared.meta), CASE.open()[1])
    report = validate.check(check.facts, check.expectations, title="prepared")
    assert reason in [outcome.reason for outcome in report.failed("critical")]


def test_a_window_across_a_gap_in_time_is_found(prepared: Prepared) -> None:
    seconds = np.array(prepared.arrays["seconds"])
    seconds[100:] += 3600
    check = PROBLEM.preparation.check(Prepared({**prepared.arrays, "seconds": seconds}, prepared.meta), CASE.open()[1])
    report = validate.check(check.facts, check.expectations, title="prepared")
    assert "a window crosses a gap in time" in [outcome.reason for outcome in report.failed("critical")]


# ---- what cannot serve


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"target": "c"}, "target 'c' is not among the variables; expected one of a_ug_m3, b_ug_m3"),
        (
            {"target_site": "east"},
            "target 'east/a_ug_m3' is not among the inputs; expected one of north/a_ug_m3, north/b_ug_m3, ",
        ),
        ({"target_site": None}, "target 'a_ug_m3' is not among the inputs; expected one of north/a_ug_m3, "),
        ({"sites": ["north"]}, "target 'south/a_ug_m3' is not among the inputs; expected one of north/a_ug_m3, "),
        (
            {"test_from": "2021-01-01"},
            (
                "prepare.validation_from 2020-01-11 and test_from 2021-01-01 leave a split without rows; "
                "expected 2020-01-01T00:00:00 < validation_from < test_from <= 2020-01-17T15:00:00"
            ),
        ),
        (
            {"validation_from": "2019-01-01"},
            "prepare.validation_from 2019-01-01 and test_from 2020-01-14 leave a split",
        ),
        (
            {"lag": 90},
            "split validation: 72 rows hold no whole window of 90 + 2 rows without a gap; expected at least one",
        ),
    ],
)
def test_what_cannot_be_prepared_is_told_in_one_line(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        CASE.run(tmp_path, **changed)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"validation_from": "2020-02-30"}, "expected a date such as 2015-07-01"),
        ({"test_from": "soon"}, "expected a date such as 2015-07-01"),
        ({"validation_from": "2020-01-14"}, "validation_from 2020-01-14 must be before test_from 2020-01-14"),
        ({"variables": []}, "at least 1 item"),
        ({"variables": ["a_ug_m3", "a_ug_m3"]}, "each name may stand there once"),
    ],
)
def test_what_no_series_could_satisfy_is_refused_with_the_parameters(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CASE.open(**changed)


def test_a_date_may_be_unquoted() -> None:
    _, prepare, _ = CASE.open(validation_from=datetime.date(2020, 1, 11))
    assert prepare.validation_from == "2020-01-11"


def test_many_missing_values_are_told_and_too_many_are_critical(tmp_path: Path) -> None:
    table, rng = tables.series(), np.random.default_rng(1)

    def failed(share: float) -> set[str]:
        holes = rng.random(len(table)) < share
        holed = table.assign(a_ug_m3=table["a_ug_m3"].mask(holes))
        problem, prepare, _ = CASE.open()
        folder = tmp_path / str(share)
        folder.mkdir()
        meta = problem.preparation.prepare(holed, prepare, folder)
        store.write_json(folder / "meta.json", meta)
        check = problem.preparation.check(Prepared.load(folder), prepare)
        judged = [one for one in check.expectations if one.kwargs.get("column") == "window_share"]
        return {one.severity for one in judged if check.facts["window_share"].min() < one.kwargs["min_value"]}

    assert failed(0.0) <= {"warning"}
    assert failed(0.02) == {"warning"}
    assert failed(0.1) == {"warning", "critical"}


def test_a_series_without_a_value_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^split train: 240 rows hold no whole window of 6 \+ 2 rows without a gap"):
        CASE.run(tmp_path, tables.series().assign(a_ug_m3=np.float32("nan")))


@pytest.mark.parametrize("rows", [0, 1])
def test_a_series_that_is_hardly_there_is_told(tmp_path: Path, rows: int) -> None:
    table = tables.series()
    table = table[table["time"] < table["time"].min() + rows * HOUR]
    message = "site 'south' is not in the table" if rows == 0 else "1 times in the table; expected at least two"
    with pytest.raises(DataError, match=message):
        CASE.run(tmp_path, table, **({"sites": ["south"]} if rows == 0 else {}))


def test_a_test_part_that_never_changes_has_no_r2(tmp_path: Path) -> None:
    table = tables.series()
    table.loc[table["time"] >= CASE.prepare["test_from"], "a_ug_m3"] = np.float32(20.1)
    constant = CASE.run(tmp_path, table)
    for scores in (
        PROBLEM.scoring.score(network(constant), constant, "test", 32),
        *PROBLEM.scoring.baselines(constant, "test").values(),
    ):
        found = PROBLEM.scoring.metrics(scores.sums(), constant.meta)
        assert np.isnan(found["r2"])
        assert np.isfinite(found["rmse"])


# ---- memory

MEMORY = """
import re, sys
from pathlib import Path
from unroll.core import store
from unroll.problems.common.base import Prepared
from unroll.problems.forecasting import PROBLEM

for folder in sys.argv[1:]:  # the small one first: all that is imported and set up once
    folder = Path(folder)
    config = PROBLEM.Prepare.model_validate(store.read_json(folder / "prepare.json"))
    (folder / "out").mkdir()
    preparation = PROBLEM.preparation
    table = store.read_table(folder / "table.parquet", preparation.columns(config), preparation.categories)
    meta = preparation.prepare(table, config, folder / "out")
    store.write_json(folder / "out" / "meta.json", meta)
    PROBLEM.preparation.check(Prepared.load(folder / "out"), config)
    print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


def write_hours(folder: Path, rows: int, sites: tuple[str, ...] = ("north",)) -> None:
    """A table of ``rows`` hours of three variables in all, and the block ``prepare`` of its task."""
    hours = rows // len(sites)
    start, rng = np.datetime64("1700-01-01T00", "h"), np.random.default_rng(0)
    time = pd.Series(np.tile((start + np.arange(hours)).astype("datetime64[us]"), len(sites)), copy=False)
    parts: dict[str, Any] = {"time": time.dt.tz_localize("UTC")}
    if len(sites) > 1:
        parts["site"] = pd.array(np.repeat(sites, hours), dtype="str")
    parts |= {name: rng.random(len(time), dtype=np.float32) for name in ("a", "b", "c")}
    folder.mkdir()
    store.write_table(folder / "table.parquet", pd.DataFrame(parts))
    cuts = {key: str(start + int(share * hours)) for key, share in (("validation_from", 0.7), ("test_from", 0.85))}
    block = {**CASE.prepare, **cuts, "target": "a", "target_site": sites[0] if len(sites) > 1 else None}
    store.write_json(folder / "prepare.json", block)


def growth(folder: Path, rows: int, sites: tuple[str, ...]) -> float:
    """How much more memory a process took for ``rows`` hours than for a few, as a multiple of the raw array.

    The peak is the kernel's own (VmHWM); ``ru_maxrss`` would count this process too, from which the other is forked.
    """
    write_hours(folder / "few", 4000, sites)
    write_hours(folder / "many", rows, sites)
    command = [sys.executable, "-c", MEMORY, str(folder / "few"), str(folder / "many")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    few, many = (int(line) * 1024 for line in done.stdout.split())
    return (many - few) / (rows * (3 * 4 + 8))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("sites", [("north",), ("north", "east", "south", "west")])
def test_preparing_stays_below_twice_the_raw_array(tmp_path: Path, sites: tuple[str, ...]) -> None:
    assert growth(tmp_path, 3_000_000, sites) < 2
