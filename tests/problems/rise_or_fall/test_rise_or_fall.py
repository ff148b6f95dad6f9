"""Rise or fall against the raw table and sklearn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss

from problems import tables
from unroll.problems.common.base import Prepared
from unroll.problems.rise_or_fall import PROBLEM

torch.set_num_threads(1)
CASE = tables.CASES["rise_or_fall"]
HORIZON, LAG = CASE.prepare["horizon"], CASE.prepare["lag"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("prepared"))


def network(prepared: Prepared) -> torch.nn.Module:
    torch.manual_seed(0)
    model = PROBLEM.learning.model(CASE.open()[2], prepared.meta)
    for parameter in (*model.head.parameters(), *model.skip.parameters()):
        torch.nn.init.normal_(parameter)
    return model


@pytest.fixture(scope="module")
def target() -> pd.Series:
    table = tables.series()
    return table[table["site"] == "south"].set_index("time")["a_ug_m3"]


def test_truth_is_a_comparison_in_the_raw_table(prepared: Prepared, target: pd.Series) -> None:
    rows = PROBLEM.scoring.score(network(prepared), prepared, "test", 32).table()
    then, now = target.loc[rows["time"]], target.loc[rows["time"] - pd.Timedelta(hours=HORIZON)]
    assert (rows["truth"] == np.where(then.to_numpy() > now.to_numpy(), "rise", "fall")).all()
    assert set(rows["truth"]) == {"rise", "fall"}


def test_no_change_is_no_rise(tmp_path: Path) -> None:
    table = tables.series()
    table.loc[table["time"] >= CASE.prepare["validation_from"], "a_ug_m3"] = np.float32(3)
    scores = PROBLEM.scoring.baselines(CASE.run(tmp_path, table), "test")
    assert {truth for found in scores.values() for truth in found.table()["truth"]} == {"fall"}


def test_metrics_are_those_of_sklearn(prepared: Prepared) -> None:
    for scores in (
        PROBLEM.scoring.score(network(prepared), prepared, "test", 32),
        *PROBLEM.scoring.baselines(prepared, "test").values(),
    ):
        rows, found = scores.table(), PROBLEM.scoring.metrics(scores.sums(), prepared.meta)
        truth, guess = rows["truth"] == "rise", rows["guess"] == "rise"
        chance = rows["probability"].clip(1e-6, 1 - 1e-6)
        assert found["accuracy"] == pytest.approx(accuracy_score(truth, guess))
        assert found["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro"))
        assert found["log_loss"] == pytest.approx(log_loss(truth, chance))
        assert found["brier"] == pytest.approx(brier_score_loss(truth, rows["probability"]))


def test_the_loss_is_the_log_loss_of_the_score(prepared: Prepared) -> None:
    model = network(prepared).eval()
    with torch.no_grad():
        found = [PROBLEM.learning.loss(model, batch) for batch in PROBLEM.learning.batches(prepared, "test", 32)]
    mean = sum(float(one.total) for one in found) / sum(one.count for one in found)
    scores = PROBLEM.scoring.score(model, prepared, "test", 32)
    assert PROBLEM.scoring.metrics(scores.sums(), prepared.meta)["log_loss"] == pytest.approx(mean, rel=1e-5)


def test_the_last_move_goes_on(prepared: Prepared, target: pd.Series) -> None:
    rows = PROBLEM.scoring.baselines(prepared, "test")["last_move"].table()
    ends = rows["time"] - pd.Timedelta(hours=HORIZON)
    moved = target.loc[ends].to_numpy() > target.loc[ends - pd.Timedelta(hours=1)].to_numpy()
    assert (rows["guess"] == np.where(moved, "rise", "fall")).all()
    assert rows["probability"].nunique() == 2


def test_the_regression_is_sklearns_on_the_raw_table(prepared: Prepared, target: pd.Series) -> None:
    def ends(split: str) -> pd.DatetimeIndex:
        time = PROBLEM.scoring.baselines(prepared, split)["majority"].table()["time"]
        return pd.DatetimeIndex(time - pd.Timedelta(hours=HORIZON))

    train, test = ends("train"), ends("test")
    low, high = prepared.meta["bounds"]["train"]
    scaled = (target - target.iloc[low:high].mean()) / target.iloc[low:high].std(ddof=0)

    def design(at: pd.DatetimeIndex) -> np.ndarray:
        lags = [scaled.loc[at - k * pd.Timedelta(hours=1)].to_numpy() for k in range(LAG)]
        turn = 2 * np.pi * at.hour.to_numpy() / 24
        return np.stack([*lags, np.sin(turn), np.cos(turn)], axis=1)

    rises = target.loc[train + pd.Timedelta(hours=HORIZON)].to_numpy() > target.loc[train].to_numpy()
    expected = LogisticRegression(max_iter=1000).fit(design(train), rises).predict_proba(design(test))[:, 1]
    found = PROBLEM.scoring.baselines(prepared, "test")["logistic_regression"].table()["probability"]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_example_is_answered_as_the_first_row_of_the_score(prepared: Prepared) -> None:
    model = network(prepared)
    answer = PROBLEM.answering.predict(model, prepared.meta, PROBLEM.answering.example(prepared))
    first = PROBLEM.scoring.score(model, prepared, "test", 32).table().iloc[0]
    assert list(answer.columns) == ["time", "site", "label", "probability_rise"]
    assert answer["time"].tolist() == [first["time"]]
    assert answer["label"].tolist() == [first["guess"]]
    assert answer["probability_rise"][0] == pytest.approx(first["probability"], rel=1e-5)
