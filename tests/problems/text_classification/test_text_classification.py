"""Text classification beyond what every problem promises (see test_contract.py)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from problems import tables
from unroll import problems
from unroll.core.config import TrainConfig
from unroll.core.errors import DataError
from unroll.features import tokenization
from unroll.features.vocabulary import Vocabulary
from unroll.problems.common.base import Prepared, Split
from unroll.problems.common.preparation import Check
from unroll.stages.train import train as trainer

CASE = tables.CASES["text_classification"]
PROBLEM, CONFIG, MODEL = CASE.open()
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("texts"))


def network(prepared: Prepared, **changed: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    model = PROBLEM.learning.model(MODEL.model_copy(update=changed), prepared.meta)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def texts_of(prepared: Prepared, split: Split, name: str = "clean") -> list[str]:
    rows = np.asarray(prepared.arrays[split])
    offsets, ids = prepared.arrays[f"{name}_offsets"], prepared.arrays[f"{name}_ids"]
    return [ids[offsets[row] : offsets[row + 1]].tobytes().decode() for row in rows]


def broken(check: Check) -> list[tuple[str, str]]:
    """Severity and reason of every expectation, all of them bounds, that the facts do not meet."""
    facts = check.facts.iloc[0]
    assert {expectation.type for expectation in check.expectations} == {"expect_column_values_to_be_between"}
    return [
        (expectation.severity, expectation.reason)
        for expectation in check.expectations
        if not expectation.kwargs["min_value"]
        <= facts[expectation.kwargs["column"]]
        <= expectation.kwargs.get("max_value", np.inf)
    ]


# ---- prepare


def test_file_order_leaves_out_what_stands_in_a_later_split(tmp_path: Path) -> None:
    table = tables.labelled_text()  # rows 0, 1 and the last have the same text
    table.loc[150, "text"] = "@Someone  " + str(table["text"].iloc[-2]).upper()
    table.loc[[180, 3], "text"] = ["@Else same words", "@one SAME words"]
    found = CASE.run(tmp_path, table, split="file_order", validation_share=0.2, test_share=0.1)
    assert found.arrays["test"].tolist() == list(range(216, 240))
    cleaned = [tokenization.clean(one) for one in table["text"]]
    for split, low, high in (("train", 0, 168), ("validation", 168, 216)):
        assert found.arrays[split].tolist() == [row for row in range(low, high) if cleaned[row] not in cleaned[high:]]
    assert not {0, 1, 3} & set(found.arrays["train"].tolist())
    assert found.meta["texts_left_out"] == 240 - sum(found.meta["examples"].values()) > 0
    seen = [set(texts_of(found, split)) for split in SPLITS]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_stratified_keeps_every_text_and_the_shares_of_the_classes(prepared: Prepared) -> None:
    rows = [np.asarray(prepared.arrays[split]) for split in SPLITS]
    assert sorted(np.concatenate(rows).tolist()) == list(range(240))
    labels = tables.labelled_text()["label"]
    for index, share in zip(rows, (0.65, 0.15, 0.2), strict=True):
        np.testing.assert_allclose(labels[index].value_counts() / labels.value_counts(), share, atol=0.05)
    seen = [set(texts_of(prepared, split)) for split in SPLITS]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_arrays_hold_the_texts_as_they_are_and_their_words(prepared: Prepared) -> None:
    table, meta = tables.labelled_text(), prepared.meta
    for split in SPLITS:
        raw = table["text"][prepared.arrays[split]].tolist()
        assert texts_of(prepared, split, "raw") == raw
        assert texts_of(prepared, split) == [tokenization.clean(one) for one in raw]
        numbers = prepared.arrays["labels"][prepared.arrays[split]]
        assert [meta["classes"][number] for number in numbers] == table["label"][prepared.arrays[split]].tolist()
    offsets, ids = prepared.arrays["tokens_offsets"], prepared.arrays["tokens_ids"]
    known = Vocabulary(meta["vocabulary"])
    for row, one in enumerate(table["text"]):
        words = tokenization.tokens(tokenization.clean(one))[:6]
        expected = [word if word in meta["vocabulary"] else "<unk>" for word in words]
        assert known.decode(ids[offsets[row] : offsets[row + 1]].tolist()) == expected


def test_the_vocabulary_is_that_of_train(tmp_path: Path) -> None:
    table = tables.labelled_text()
    table["text"] += np.where(np.arange(240) >= 192, " testword", " trainword")
    found = CASE.run(tmp_path, table, split="file_order", test_share=0.2, validation_share=0.1, vocabulary=500)
    assert "trainword" in found.meta["vocabulary"]
    assert "testword" not in found.meta["vocabulary"]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("text", None, "labelled text: row 7, column text: nan; expected a text that is not empty"),
        ("text", " ", "labelled text: row 7, column text: ' '; expected a text that is not empty"),
        ("label", None, "labelled text: row 7, column label: nan; expected a text that is not empty"),
    ],
)
def test_a_row_that_is_no_text(column: str, value: str | None, message: str, tmp_path: Path) -> None:
    table = tables.labelled_text()
    table.loc[7, column] = value
    with pytest.raises(DataError) as error:
        CASE.run(tmp_path, table)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"validation_share": 0.5, "test_share": 0.5}, "must be below 1"),
        ({"character_ngrams": [], "word_ngrams": []}, "must name a length"),
        ({"word_ngrams": [0]}, "greater than 0"),
        ({"split": "random"}, "'file_order', 'stratified' or 'source'"),
    ],
)
def test_a_config_that_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CASE.open(**changed)


# ---- check


def test_a_text_in_two_splits_is_found(prepared: Prepared) -> None:
    train = np.append(prepared.arrays["train"], prepared.arrays["test"][3])
    leaking = replace(prepared, arrays={**prepared.arrays, "train": train})
    assert broken(PROBLEM.preparation.check(prepared, CONFIG)) == []
    assert broken(PROBLEM.preparation.check(leaking, CONFIG)) == [("critical", "a text in two splits")]


def test_a_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    table = tables.labelled_text()
    table = table.assign(label=np.where(np.arange(240) < 200, "usual", "rare"))
    found = CASE.run(tmp_path, table, split="file_order", validation_share=0.1, test_share=0.1)
    assert broken(PROBLEM.preparation.check(found, CONFIG)) == [("critical", "class 'rare' has no text in train")]


def test_many_unknown_words_are_a_warning(tmp_path: Path) -> None:
    prepared = CASE.run(tmp_path, vocabulary=8)
    found = PROBLEM.preparation.check(prepared, CONFIG.model_copy(update={"max_unknown_share": 0.4}))
    assert ("warning", "many words of test are not in the vocabulary") in broken(found)
    offsets, ids = prepared.arrays["tokens_offsets"], prepared.arrays["tokens_ids"]
    words = np.concatenate([ids[offsets[row] : offsets[row + 1]] for row in prepared.arrays["test"]])
    assert found.facts["test_unknown_share"].iloc[0] == pytest.approx((words == 0).mean())


def test_a_split_without_texts_is_found(prepared: Prepared) -> None:
    empty = replace(prepared, arrays={**prepared.arrays, "validation": np.zeros(0, np.int32)})
    assert broken(PROBLEM.preparation.check(empty, CONFIG)) == [("critical", "validation has no texts")]


# ---- network


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_padded_equals_unpadded(cell: str, prepared: Prepared) -> None:
    model = network(prepared, cell=cell)
    (batch,) = PROBLEM.learning.batches(prepared, "test", 1000)
    together = model(batch["tokens_BT"], batch["lengths_B"], batch["grams_G"], batch["starts_B"])
    for row, single in enumerate(PROBLEM.learning.batches(prepared, "test", 1)):
        assert single["tokens_BT"].shape[1] == batch["lengths_B"][row]
        alone = model(single["tokens_BT"], single["lengths_B"], single["grams_G"], single["starts_B"])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)


def test_the_bag_is_a_sum_over_the_ngrams_of_each_text(prepared: Prepared) -> None:
    model = network(prepared, bag_scale=2.5)
    (batch,) = PROBLEM.learning.batches(prepared, "test", 1000)
    names = ("tokens_BT", "lengths_B", "grams_G", "starts_B")
    whole = model(*(batch[name] for name in names))
    bag = model.bag.detach().clone()
    model.bag.data.zero_()
    ends = [*batch["starts_B"][1:].tolist(), len(batch["grams_G"])]
    bags = [batch["grams_G"][low:high] for low, high in zip(batch["starts_B"].tolist(), ends, strict=True)]
    expected = torch.stack([2.5 * bag[grams].sum(0) / len(grams) ** 0.5 for grams in bags])
    torch.testing.assert_close(whole - model(*(batch[name] for name in names)), expected, rtol=1e-4, atol=1e-5)


def test_without_a_bag(tmp_path: Path) -> None:
    found = CASE.run(tmp_path, hashed_buckets=0)
    model = network(found)
    assert not any("bag" in name for name, _ in model.named_parameters())
    assert len(PROBLEM.scoring.score(model, found, "test", 16).statistics_NK) == len(found.arrays["test"])


def test_dropout_is_for_training_only(prepared: Prepared) -> None:
    model, (batch, *_) = network(prepared), PROBLEM.learning.batches(prepared, "train", 32)
    once, again = (PROBLEM.learning.loss(model, batch).total.item() for _ in range(2))
    model.train()
    trained = {PROBLEM.learning.loss(model, batch).total.item() for _ in range(4)}
    assert once == again
    assert len(trained) == 4


def test_loss_is_the_sum_of_the_negative_log_probabilities_in_any_precision(prepared: Prepared) -> None:
    model, (batch,) = network(prepared), PROBLEM.learning.batches(prepared, "test", 1000)
    found = PROBLEM.learning.loss(model, batch)
    rows = PROBLEM.answering.predict(model, prepared.meta, pd.DataFrame({"text": texts_of(prepared, "test", "raw")}))
    truth = [prepared.meta["classes"][number] for number in batch["y_B"]]
    expected = -sum(np.log(rows[f"probability_{name}"].iloc[row]) for row, name in enumerate(truth))
    assert (found.count, found.state) == (len(truth), None)
    assert found.total.item() == pytest.approx(expected, rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert PROBLEM.learning.loss(model, batch).total.item() == pytest.approx(expected, rel=0.03)


def test_members_learn_from_the_mean_of_their_losses_and_are_judged_by_their_mix(prepared: Prepared) -> None:
    model, (batch,) = (
        network(prepared, members=3, dropout=0.0, bag_dropout=0.0),
        PROBLEM.learning.batches(prepared, "test", 99),
    )
    names = ("tokens_BT", "lengths_B", "grams_G", "starts_B")
    each = [
        -torch.log_softmax(one, dim=1)[torch.arange(len(one)), batch["y_B"]].sum()
        for one in model.each(*(batch[name] for name in names))
    ]
    judged = PROBLEM.learning.loss(model, batch)
    learned = PROBLEM.learning.loss(model.train(), batch)
    assert learned.total.item() == pytest.approx(sum(each).item() / 3, rel=1e-5)
    assert judged.count == learned.count == len(batch["y_B"])
    rows = PROBLEM.scoring.score(model, prepared, "test", 16).table()
    chances = PROBLEM.answering.predict(model, prepared.meta, pd.DataFrame({"text": texts_of(prepared, "test", "raw")}))
    truth = [chances[f"probability_{name}"].iloc[row] for row, name in enumerate(rows["truth"])]
    assert judged.total.item() == pytest.approx(-np.log(truth).sum(), rel=1e-5)
    assert judged.total.item() < learned.total.item()  # Jensen: a mix of log-probabilities is never worse than the mean


# ---- scores


def test_metrics_are_those_of_scikit_learn(prepared: Prepared) -> None:
    scores = PROBLEM.scoring.score(network(prepared), prepared, "test", 16)
    rows, names = scores.table(), prepared.meta["classes"]
    found = PROBLEM.scoring.metrics(scores.sums(), prepared.meta)
    assert found["accuracy"] == pytest.approx(accuracy_score(rows["truth"], rows["guess"]))
    assert found["macro_f1"] == pytest.approx(f1_score(rows["truth"], rows["guess"], average="macro", labels=names))
    expected = precision_recall_fscore_support(rows["truth"], rows["guess"], labels=names, zero_division=0)
    by_class = PROBLEM.scoring.breakdown(scores, prepared.meta)["by_class"]
    for name, *values in zip(names, *expected, strict=True):
        assert [by_class[name][key] for key in ("precision", "recall", "f1", "count")] == pytest.approx(values)


def test_training_beats_the_majority_and_finds_the_telling_word(prepared: Prepared) -> None:
    config = TrainConfig(
        seed=1, threads=1, device="cpu", precision="float32", epochs=12, batch_size=16, optimizer="adam",
        learning_rate=0.02, momentum=0.9, weight_decay=0.0, schedule="one_cycle", clip_norm=1.0, patience=None,
    )  # fmt: skip
    model = trainer.build(PROBLEM, MODEL, prepared, config)
    trainer.fit_network(model, PROBLEM, prepared, config, lambda *_: None)
    reached = PROBLEM.scoring.metrics(PROBLEM.scoring.score(model, prepared, "test", 16).sums(), prepared.meta)[
        "accuracy"
    ]
    baselines = PROBLEM.scoring.baselines(prepared, "test")
    majority = PROBLEM.scoring.metrics(baselines["majority"].sums(), prepared.meta)["accuracy"]
    assert majority == pytest.approx(baselines["majority"].table()["truth"].value_counts(normalize=True).max(), abs=0.1)
    assert reached > majority + 0.3
    asked = pd.DataFrame({"text": ["the crew lost my seat", "@X LOVE my seat!!!", "which gate was it"]})
    assert PROBLEM.answering.predict(model, prepared.meta, asked)["label"].tolist() == [
        "negative",
        "positive",
        "neutral",
    ]


def test_figures_show_the_most_confident_mistakes(prepared: Prepared) -> None:
    model = network(prepared)
    scores = PROBLEM.scoring.score(model, prepared, "test", 16)
    figures = {figure.name: figure for figure in PROBLEM.scoring.figures(model, prepared, scores, {})}
    assert list(figures) == ["confusion", "f1_by_class", "mistakes"]
    rows = scores.table()
    assert figures["confusion"].frame["count"].sum() == len(rows)
    mistakes = figures["mistakes"].frame
    assert (mistakes["truth"] != mistakes["guess"]).all()
    assert mistakes["probability"].is_monotonic_decreasing
    assert mistakes["probability"].iloc[0] == rows[rows["truth"] != rows["guess"]]["probability"].max()
    table = tables.labelled_text().groupby("text")["label"].agg(set)
    assert all(truth in table[one] for one, truth in zip(mistakes["text"], mistakes["truth"], strict=True))


# ---- predict


def test_answers_are_those_of_the_test_scores(prepared: Prepared) -> None:
    model = network(prepared)
    rows = PROBLEM.scoring.score(model, prepared, "test", 16).table()
    answers = PROBLEM.answering.predict(model, prepared.meta, pd.DataFrame({"text": texts_of(prepared, "test", "raw")}))
    chances = answers[[f"probability_{name}" for name in prepared.meta["classes"]]]
    assert answers["label"].tolist() == rows["guess"].tolist()
    np.testing.assert_allclose(chances.max(axis=1), rows["probability"], rtol=1e-5)
    np.testing.assert_allclose(chances.sum(axis=1), 1)


def test_texts_without_words_and_endless_ones_are_answered(prepared: Prepared) -> None:
    asked = pd.DataFrame({"text": ["...", "a " * 5000, "✈", "x" * 5000]})
    answers = PROBLEM.answering.predict(network(prepared), prepared.meta, asked)
    assert answers.drop(columns="label").notna().all(axis=None)


def test_no_rows_give_no_answers(prepared: Prepared) -> None:
    answers = PROBLEM.answering.predict(network(prepared), prepared.meta, pd.DataFrame({"text": []}))
    assert list(answers) == ["label", "probability_negative", "probability_neutral", "probability_positive"]
    assert answers.empty


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"tweet": ["a"]}), "input: column 'text' is missing; expected a column of texts"),
        (
            pd.DataFrame({"text": ["a", None]}),
            "input: row 2, column text: nan; expected a text that is not empty",
        ),
        (
            pd.DataFrame({"text": ["a", 3]}, dtype=object),
            "input: row 2, column text: 3; expected a text that is not empty",
        ),
        (pd.DataFrame({"text": [""]}), "input: row 1, column text: ''; expected a text that is not empty"),
    ],
)
def test_faulty_input_is_named(frame: pd.DataFrame, message: str, prepared: Prepared) -> None:
    with pytest.raises(DataError) as error:
        PROBLEM.answering.predict(network(prepared), prepared.meta, frame)
    assert str(error.value) == message


def test_the_problem_is_found_by_name() -> None:
    assert problems.load("text_classification") is PROBLEM
