"""Classification of series against sklearn and the raw table."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from problems import tables
from unroll.core.errors import DataError
from unroll.core.scores import Scores
from unroll.problems.common import classification
from unroll.problems.common.base import SPLITS, Prepared
from unroll.problems.series_classification import PROBLEM
from unroll.stages.validate import validate

torch.set_num_threads(1)  # a second one only waits for networks this small

CASE = tables.CASES["series_classification"]
STEPS = [f"t{step:03d}" for step in range(12)]
SPLIT_NAMES = list(SPLITS)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return tables.labelled_series()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("prepared"))


def network(prepared: Prepared) -> torch.nn.Module:
    torch.manual_seed(0)
    return PROBLEM.learning.model(CASE.open()[2], prepared.meta)


# ---- splits and scaling


def test_classes_are_in_the_order_of_numbers(prepared: Prepared, table: pd.DataFrame) -> None:
    assert prepared.meta["classes"] == ["1", "2", "10"]
    labels = np.array(prepared.meta["classes"])[prepared.arrays["labels"]]
    np.testing.assert_array_equal(labels, table["label"])


def test_the_sources_test_part_is_kept_and_train_is_split_by_class(prepared: Prepared, table: pd.DataFrame) -> None:
    rows = {split: prepared.arrays[split] for split in SPLITS}
    np.testing.assert_array_equal(rows["test"], np.flatnonzero(table["split"] == "test"))
    together = np.concatenate([rows["train"], rows["validation"]])
    np.testing.assert_array_equal(np.sort(together), np.flatnonzero(table["split"] == "train"))
    counts = table.loc[table["split"] == "train", "label"].value_counts()
    held = table.loc[rows["validation"], "label"].value_counts()
    # One more than a share where a series that stands there twice is taken whole.
    assert ((held - 0.25 * counts).abs() < 2).all()


def test_equal_series_stay_on_one_side(tmp_path: Path) -> None:
    table = tables.labelled_series()
    twice = pd.concat([table[:40], table[:40], table[60:]], ignore_index=True)
    both = CASE.run(tmp_path, twice)
    train = {tuple(row) for row in twice.loc[both.arrays["train"], STEPS].to_numpy().tolist()}
    held = {tuple(row) for row in twice.loc[both.arrays["validation"], STEPS].to_numpy().tolist()}
    assert train.isdisjoint(held)
    assert len(both.arrays["validation"]) >= 16


def test_the_seed_draws_the_split(tmp_path: Path, prepared: Prepared) -> None:
    again, other = CASE.run(tmp_path / "a"), CASE.run(tmp_path / "b", seed=2)
    np.testing.assert_array_equal(again.arrays["validation"], prepared.arrays["validation"])
    assert set(other.arrays["validation"]) != set(prepared.arrays["validation"])


def test_values_are_scaled_by_train_alone_as_sklearn_does(prepared: Prepared, table: pd.DataFrame) -> None:
    raw = table[STEPS].to_numpy(dtype=np.float64)
    scaler = StandardScaler().fit(raw[prepared.arrays["train"]].reshape(-1, 1))
    assert prepared.meta["scaler"]["mean"] == pytest.approx(scaler.mean_)
    assert prepared.meta["scaler"]["deviation"] == pytest.approx(scaler.scale_)
    np.testing.assert_allclose(
        prepared.arrays["values"], scaler.transform(raw.reshape(-1, 1)).reshape(raw.shape), atol=1e-5
    )


def test_columns_out_of_order_are_put_in_order(tmp_path: Path, prepared: Prepared, table: pd.DataFrame) -> None:
    mixed = CASE.run(tmp_path, table[[*reversed(STEPS), "split", "label"]])
    np.testing.assert_array_equal(mixed.arrays["values"], prepared.arrays["values"])


# ---- metrics


@pytest.mark.parametrize("split", SPLIT_NAMES)
def test_metrics_are_those_of_sklearn(prepared: Prepared, split: str) -> None:
    scores = PROBLEM.scoring.score(network(prepared), prepared, split, 7)
    require_sklearn(prepared, scores)
    for baseline in PROBLEM.scoring.baselines(prepared, split).values():
        require_sklearn(prepared, baseline)


def require_sklearn(prepared: Prepared, scores: Scores) -> None:
    rows, names = scores.table(), prepared.meta["classes"]
    truth, guess = rows["truth"], rows["guess"]
    found = PROBLEM.scoring.metrics(scores.sums(), prepared.meta)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro", zero_division=0))
    table = precision_recall_fscore_support(truth, guess, labels=names, zero_division=0)
    by_class = PROBLEM.scoring.breakdown(scores, prepared.meta)["by_class"]
    for number, name in enumerate(names):
        theirs = {
            key: column[number] for key, column in zip(("precision", "recall", "f1", "count"), table, strict=True)
        }
        assert {key: by_class[name][key] for key in theirs} == pytest.approx(theirs)
    figure = next(iter(PROBLEM.scoring.figures(None, prepared, scores, {})))
    matrix = figure.frame.pivot(index="truth", columns="guess", values="count").loc[names, names]
    np.testing.assert_array_equal(matrix, confusion_matrix(truth, guess, labels=names))


def test_metrics_of_random_guesses_are_those_of_sklearn() -> None:
    rng = np.random.default_rng(0)
    for classes in (2, 3, 7):
        for _ in range(20):
            truth, guess = rng.integers(0, rng.integers(1, classes + 1), (2, 30))
            found = classification.metrics(classification.statistics(truth, guess, classes).sum(axis=0), classes)
            assert found["accuracy"] == pytest.approx(accuracy_score(truth, guess))
            # A class that is neither asked nor guessed has no F1: sklearn leaves it out as well.
            assert found["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro", zero_division=0))


def test_more_than_255_of_a_kind_are_counted() -> None:
    truth = np.zeros(1000, dtype=int)
    scores = Scores(classification.statistics(truth, truth, 2))
    assert classification.metrics(scores.sums(), 2)["accuracy"] == 1
    assert classification.metrics(scores.resampled_sums(0)[:4], 2)["accuracy"].tolist() == [1] * 4


# ---- baselines


@pytest.mark.parametrize("split", SPLIT_NAMES)
def test_baselines_are_those_of_sklearn(prepared: Prepared, table: pd.DataFrame, split: str) -> None:
    train, asked = (table.loc[prepared.arrays[name]] for name in ("train", split))
    baselines = PROBLEM.scoring.baselines(prepared, split)
    neighbour = KNeighborsClassifier(n_neighbors=1, algorithm="brute")
    neighbour.fit(train[STEPS].to_numpy(dtype=np.float64), train["label"])
    expected = neighbour.predict(asked[STEPS].to_numpy(dtype=np.float64))
    np.testing.assert_array_equal(baselines["nearest_neighbour"].table()["guess"], expected)
    (guess,) = set(baselines["majority"].table()["guess"])
    assert guess in set(train["label"].mode())
    for scores in baselines.values():
        np.testing.assert_array_equal(scores.table()["truth"], asked["label"])


def test_kernels_beat_the_majority_by_far(prepared: Prepared) -> None:
    baselines = PROBLEM.scoring.baselines(prepared, "test")
    assert set(baselines) == set(PROBLEM.scoring.baseline_names)
    reached = {
        name: PROBLEM.scoring.metrics(scores.sums(), prepared.meta)["accuracy"] for name, scores in baselines.items()
    }
    assert reached["random_kernels"] > reached["majority"] + 0.3


# ---- loss and prediction


def test_the_loss_is_the_cross_entropy_of_the_right_class(prepared: Prepared) -> None:
    model = network(prepared).eval()
    batch = next(iter(PROBLEM.learning.batches(prepared, "test", 9)))
    found = PROBLEM.learning.loss(model, batch)
    inputs = [batch[name] for name in ("x_BT", "words_G", "weights_G", "starts_B")]
    losses = []
    for scores in model.experts(*inputs):
        chances = np.exp(scores.detach().numpy().astype(np.float64))
        chances /= chances.sum(axis=1, keepdims=True)
        losses.append(-np.log(chances[np.arange(9), batch["y_B"]]).sum())
    assert found.count == 9
    assert found.total.item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_the_experts_are_mixed_as_validation_finds_best(prepared: Prepared) -> None:
    model = network(prepared).eval()
    truth = np.asarray(prepared.arrays["labels"][prepared.arrays["validation"]])
    (batch,) = PROBLEM.learning.batches(prepared, "validation", 1000)
    inputs = [batch[name] for name in ("x_BT", "words_G", "weights_G", "starts_B")]

    def loss(share: float) -> float:
        model.recurrent_share.fill_(share)
        chances = model(*inputs).softmax(dim=1).detach().numpy().astype(np.float64)
        return float(-np.log(chances[np.arange(len(truth)), truth]).mean())

    model.bag.data += torch.randn(model.bag.shape, generator=torch.Generator().manual_seed(3))
    best = min((loss(share), share) for share in np.linspace(0, 1, 21))
    PROBLEM.learning.finish(model, prepared)
    assert model.recurrent_share.item() == pytest.approx(best[1])


def test_raw_series_are_answered_as_in_the_score(prepared: Prepared, table: pd.DataFrame) -> None:
    model = network(prepared)
    raw = table.loc[prepared.arrays["test"]]
    answer = PROBLEM.answering.predict(model, prepared.meta, raw)
    rows = PROBLEM.scoring.score(model, prepared, "test", 4).table()
    assert answer["label"].tolist() == rows["guess"].tolist()
    chances = answer[[f"probability_{name}" for name in ("1", "2", "10")]]
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(chances.max(axis=1), rows["probability"], rtol=1e-4)
    example = PROBLEM.answering.example(prepared)
    np.testing.assert_allclose(example, raw[STEPS][:3], atol=1e-6)


@pytest.mark.parametrize("value", ["x", "", None, np.nan, np.inf, "1e400"])
def test_a_value_that_is_no_number_names_row_and_column(prepared: Prepared, value: Any) -> None:
    frame = PROBLEM.answering.example(prepared).astype(object)
    frame.loc[1, "t007"] = value
    with pytest.raises(DataError) as caught:
        PROBLEM.answering.predict(network(prepared), prepared.meta, frame)
    assert str(caught.value) == f"input: row 2, column t007: {value!r}; expected a finite number"


def test_a_missing_column_is_named(prepared: Prepared) -> None:
    frame = PROBLEM.answering.example(prepared).drop(columns=["t003", "t009"])
    with pytest.raises(DataError, match=r"^input: column 't003' is missing; expected t000 … t011$"):
        PROBLEM.answering.predict(network(prepared), prepared.meta, frame)


def test_no_rows_are_told(prepared: Prepared) -> None:
    with pytest.raises(DataError, match=r"^input: no rows; expected at least one series$"):
        PROBLEM.answering.predict(network(prepared), prepared.meta, PROBLEM.answering.example(prepared)[:0])


# ---- checks, and what cannot serve


def failures(prepared: Prepared, severity: str) -> list[str]:
    check = PROBLEM.preparation.check(prepared, CASE.open()[1])
    report = validate.check(check.facts, check.expectations, title="prepared")
    return [outcome.reason for outcome in report.failed(severity)]


def test_a_good_split_passes_the_check(prepared: Prepared) -> None:
    assert failures(prepared, "critical") == failures(prepared, "warning") == []
    assert prepared.meta["test_rows_also_in_train"] == 0


def test_an_equal_series_in_validation_is_found(prepared: Prepared) -> None:
    values = np.array(prepared.arrays["values"])
    values[prepared.arrays["validation"][0]] = values[prepared.arrays["train"][0]]
    leaky = Prepared({**prepared.arrays, "values": values}, prepared.meta)
    assert failures(leaky, "critical") == ["an equal series stands in validation and in train"]


def test_an_equal_series_in_the_sources_test_part_is_told_but_no_error(tmp_path: Path) -> None:
    table = tables.labelled_series()
    table.loc[[70, 80], STEPS] = table.loc[[10, 10], STEPS].to_numpy()
    shared = CASE.run(tmp_path, table)
    expected = 2 if 10 in shared.arrays["train"] else 0
    assert shared.meta["test_rows_also_in_train"] == expected
    assert failures(shared, "critical") == []
    assert failures(shared, "warning") == ["an equal series stands in the source's test and train parts"] * (
        expected > 0
    )


def test_a_series_in_two_splits_is_found(prepared: Prepared) -> None:
    test = np.append(prepared.arrays["test"], prepared.arrays["validation"][0])
    assert "a series in two splits" in failures(Prepared({**prepared.arrays, "test": test}, prepared.meta), "critical")


def test_a_split_without_series_is_found(prepared: Prepared) -> None:
    empty = Prepared({**prepared.arrays, "validation": prepared.arrays["validation"][:0]}, prepared.meta)
    assert failures(empty, "critical") == ["each split has series"]


def test_a_class_that_train_does_not_have_is_told(tmp_path: Path) -> None:
    table = tables.labelled_series()
    table.loc[85, "label"] = "7"
    with pytest.raises(DataError, match=r"^class '7' is in test but not in train; expected one of 1, 2, 10$"):
        CASE.run(tmp_path, table)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_without_rows_is_told(tmp_path: Path, part: str) -> None:
    table = tables.labelled_series()
    table = table[table["split"] != part]
    with pytest.raises(DataError, match=f"^split {part}: no rows; expected at least one series$"):
        CASE.run(tmp_path, table)


def test_a_table_without_steps_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^no column t000, t001, … in the table; there are label, split$"):
        CASE.run(tmp_path, tables.labelled_series().drop(columns=STEPS))
