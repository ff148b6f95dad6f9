"""Pairs of texts against plain loops, a loss computed in NumPy, and answers put together step by step."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from problems import tables
from unroll.core import store
from unroll.core.config import TrainConfig
from unroll.core.errors import ConfigError, DataError, ValidationError
from unroll.core.layout import Layout
from unroll.core.params import Params
from unroll.core.scores import Scores
from unroll.problems.common.base import SPLITS, Batch, Prepared
from unroll.problems.sequence_to_sequence import PROBLEM, SequenceToSequenceModel, SequenceToSequencePrepare, figures
from unroll.problems.sequence_to_sequence.scores import of_answers
from unroll.stages.train.loop import fit
from unroll.stages.validate import validate

MODEL = SequenceToSequenceModel(cell="gru", hidden=6, layers=1, dropout=0.0)
PREPARE = {"validation_share": 0.1, "test_share": 0.2, "seed": 1, "reverse_source": True, "max_unknown_share": 0.0}


def config(**changed: Any) -> SequenceToSequencePrepare:
    values = {"problem": "sequence_to_sequence", **PREPARE, **changed}
    return SequenceToSequencePrepare.model_validate(values)


def prepare(folder: Path, table: pd.DataFrame, **changed: Any) -> Prepared:
    folder.mkdir(parents=True, exist_ok=True)
    store.write_json(folder / "meta.json", PROBLEM.preparation.prepare(table, config(**changed), folder))
    return Prepared.load(folder)


def pairs(*rows: tuple[Any, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["source", "target"])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Sums, of which some stand there twice or in both orders."""
    sums = tables.pairs()
    turned = sums.head(40).assign(source=["+".join(reversed(source.split("+"))) for source in sums["source"].head(40)])
    return pd.concat([sums, turned, sums.tail(10)], ignore_index=True)


@pytest.fixture(scope="module")
def prepared(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"), table)


@pytest.fixture(scope="module")
def network(prepared: Prepared) -> torch.nn.Module:
    torch.manual_seed(0)
    network = PROBLEM.learning.model(MODEL, prepared.meta)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return network


def read(prepared: Prepared, column: str, row: int) -> str:
    low, high = prepared.arrays[f"{column}_offsets"][row : row + 2]
    ids = prepared.arrays[f"{column}_ids"][low:high]
    return "".join(prepared.meta[f"{column}_characters"][number] for number in ids)


# ---- prepare


def test_arrays_hold_the_pairs_with_the_source_reversed(prepared: Prepared, table: pd.DataFrame) -> None:
    assert len(prepared.arrays["source_offsets"]) == len(table) + 1
    for row, (source, target) in enumerate(zip(table["source"], table["target"], strict=True)):
        assert read(prepared, "source", row)[::-1] == source
        assert read(prepared, "target", row) == target
    assert prepared.arrays["source_ids"].dtype == np.int16
    assert len(prepared.arrays["source_ids"]) == table["source"].str.len().sum()


def test_every_row_is_in_one_split_of_about_its_share(prepared: Prepared, table: pd.DataFrame) -> None:
    rows = np.concatenate([prepared.arrays[split] for split in SPLITS])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(table)))
    shares = {"train": 0.7, "validation": 0.1, "test": 0.2}
    for split, share in shares.items():
        assert len(prepared.arrays[split]) == prepared.meta["examples"][split]
        assert abs(prepared.meta["examples"][split] - share * len(table)) <= 3


def test_no_sum_stands_in_two_splits_in_any_order(prepared: Prepared, table: pd.DataFrame) -> None:
    where: dict[frozenset[str], set[str]] = {}
    for split in SPLITS:
        for source in table["source"][prepared.arrays[split]]:
            where.setdefault(frozenset(source.split("+")), set()).add(split)
    assert len(where) < len(table)
    assert all(len(found) == 1 for found in where.values())


def test_characters_and_lengths_are_those_of_train(tmp_path: Path) -> None:
    table = pairs(*((letter * 2, letter) for letter in "abcdefghij"), *((c * 3, c) for c in "ABCDEFGHIJ"))
    prepared = prepare(tmp_path, table, max_unknown_share=1.0)
    train = table.iloc[prepared.arrays["train"]]
    assert prepared.meta["source_characters"] == "".join(sorted(set("".join(train["source"]))))
    assert prepared.meta["target_characters"] == "".join(sorted(train["target"]))
    assert prepared.meta["reading"] is None
    low, high = prepared.arrays["source_offsets"][prepared.arrays["test"][0] :][:2]
    assert (prepared.arrays["source_ids"][low:high] == -1).all()


def test_the_same_table_and_seed_give_the_same_bytes(tmp_path: Path, table: pd.DataFrame) -> None:
    folders = [tmp_path / name for name in ("one", "two", "other")]
    for folder, seed in zip(folders, [1, 1, 2], strict=True):
        prepare(folder, table, seed=seed)
    same, again, other = ({p.name: p.read_bytes() for p in sorted(folder.iterdir())} for folder in folders)
    assert same == again
    assert same["test.npy"] != other["test.npy"]


@pytest.mark.parametrize(("faulty", "column"), [("", "source"), (float("nan"), "target"), (7, "target")])
def test_an_empty_text_is_named(tmp_path: Path, faulty: Any, column: str) -> None:
    row = (faulty, "3") if column == "source" else ("1+2", faulty)
    with pytest.raises(DataError, match=f"row 1, column {column}: {faulty!r}; expected a text that is not empty"):
        prepare(tmp_path, pairs(("1+1", "2"), row).astype(object))


def test_too_few_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 different sources in 3 rows; expected at least 3"):
        prepare(tmp_path, pairs(("1+2", "3"), ("2+1", "3"), ("1+1", "2")))


def test_shares_that_leave_no_train_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    lines = "\n".join(f"      {k}: {str(v).lower()}" for k, v in {**PREPARE, "test_share": 0.9}.items())
    path.write_text(f"source: sample\ntasks:\n  a:\n    prepare:\n      problem: x\n{lines}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tasks\.a\.prepare.*validation_share \+ test_share must be below 1"):
        Params(path).block("a", "prepare", SequenceToSequencePrepare)


# ---- check


def test_sound_data_pass_and_the_facts_are_counted(prepared: Prepared, tmp_path: Path) -> None:
    check = PROBLEM.preparation.check(prepared, config())
    report = validate.validate_prepared(check, Layout(tmp_path, "sums"))
    assert not report.failures()
    facts = check.facts.iloc[0]
    assert facts["train_pairs"] == len(prepared.arrays["train"])
    assert facts["questions_in_two_splits"] == 0


def test_a_leak_is_critical(prepared: Prepared, table: pd.DataFrame, tmp_path: Path) -> None:
    twice = next(
        row for row in prepared.arrays["test"] if (table["source"] == table["source"][row]).sum() + (
            table["source"] == "+".join(reversed(table["source"][row].split("+")))).sum() > 1
    )  # fmt: skip
    moved = {
        "test": np.setdiff1d(prepared.arrays["test"], [twice]),
        "train": np.append(prepared.arrays["train"], twice),
    }
    leaked = Prepared({**prepared.arrays, **moved}, prepared.meta)
    with pytest.raises(ValidationError, match="stands in two splits"):
        validate.validate_prepared(PROBLEM.preparation.check(leaked, config()), Layout(tmp_path, "sums"))
    lost = Prepared({**prepared.arrays, "test": prepared.arrays["test"][1:]}, prepared.meta)
    with pytest.raises(ValidationError, match="a pair in no or two splits"):
        validate.validate_prepared(PROBLEM.preparation.check(lost, config()), Layout(tmp_path, "sums"))


def test_unknown_characters_are_counted_and_bounded(tmp_path: Path) -> None:
    table = pairs(*((f"{number:03d}", "x") for number in range(40)))
    prepared = prepare(tmp_path / "prepared", table)
    row = int(prepared.arrays["test"][0])
    table.loc[row, "source"] = "9Ü9"
    seen = prepare(tmp_path / "unknown", table)
    held = np.concatenate([seen.arrays["validation"], seen.arrays["test"]])
    assert row in held
    share = PROBLEM.preparation.check(seen, config()).facts["unknown_character_share"][0]
    known = set("".join(table["source"][seen.arrays["train"]])) | {"x"}
    text = "".join(table["source"][held]) + "x" * len(held)
    assert share == pytest.approx(sum(character not in known for character in text) / len(text))
    with pytest.raises(ValidationError, match="characters that train does not have"):
        validate.validate_prepared(PROBLEM.preparation.check(seen, config()), Layout(tmp_path, "t"))
    lenient = PROBLEM.preparation.check(seen, config(max_unknown_share=0.5))
    assert not validate.validate_prepared(lenient, Layout(tmp_path, "t")).failed("critical")


# ---- batches and loss


def test_an_epoch_has_every_pair_of_train_once_in_batches_of_like_length(prepared: Prepared) -> None:
    batches = list(PROBLEM.learning.train_batches(prepared, 8, np.random.default_rng(0)))
    characters = prepared.meta["source_characters"]
    seen = sorted(
        "".join(characters[number] for number in ids if number >= 0)[::-1]
        for batch in batches
        for ids in batch["source_BS"].tolist()
    )
    rows = prepared.arrays["train"]
    assert seen == sorted(read(prepared, "source", row)[::-1] for row in rows)
    padding = sum(int((batch["source_BS"] < 0).sum()) for batch in batches)
    unsorted = sum(
        int((batch["source_BS"] < 0).sum())
        for batch in PROBLEM.learning.batches(Prepared({**prepared.arrays, "test": rows}, prepared.meta), "test", 8)
    )
    assert padding < unsorted / 4


def test_the_order_of_an_epoch_is_the_generators(prepared: Prepared) -> None:
    def order(seed: int) -> list[int]:
        batches = PROBLEM.learning.train_batches(prepared, 16, np.random.default_rng(seed))
        return [int(batch["source_BS"].sum()) for batch in batches]

    assert order(3) == order(3) != order(4)


def test_answers_end_and_are_padded_beyond(prepared: Prepared) -> None:
    (batch,) = PROBLEM.learning.batches(prepared, "validation", 1000)
    for row, target in zip(prepared.arrays["validation"], batch["target_BT"].tolist(), strict=True):
        expected = [prepared.meta["target_characters"].index(c) + 1 for c in read(prepared, "target", row)] + [0]
        assert target == expected + [-1] * (len(target) - len(expected))


def test_the_loss_is_cross_entropy_over_characters_and_ends(prepared: Prepared, network: torch.nn.Module) -> None:
    (batch,) = PROBLEM.learning.batches(prepared, "test", 1000)
    loss = PROBLEM.learning.loss(network, batch)
    with torch.inference_mode():
        scores = network(batch["source_BS"], batch["lengths_B"], batch["target_BT"].shape[1]).double().numpy()
    total, count = 0.0, 0
    for row, target in zip(scores, batch["target_BT"].tolist(), strict=True):
        for step, symbol in enumerate(target):
            if symbol >= 0:
                total += float(np.log(np.exp(row[step]).sum()) - row[step][symbol])
                count += 1
    assert loss.total.item() == pytest.approx(total, rel=1e-5)
    assert loss.count == count == sum(len(read(prepared, "target", row)) + 1 for row in prepared.arrays["test"])


def test_a_padded_batch_has_the_loss_of_its_pairs_alone(prepared: Prepared, network: torch.nn.Module) -> None:
    def total(batches: list[Batch]) -> tuple[float, int]:
        losses = [PROBLEM.learning.loss(network, batch) for batch in batches]
        return sum(loss.total.item() for loss in losses), sum(loss.count for loss in losses)

    together, together_count = total(list(PROBLEM.learning.batches(prepared, "test", 1000)))
    alone, alone_count = total(list(PROBLEM.learning.batches(prepared, "test", 1)))
    assert together == pytest.approx(alone, rel=1e-5)
    assert together_count == alone_count


# ---- score


def test_scores_count_what_a_person_would(prepared: Prepared, network: torch.nn.Module) -> None:
    scores = PROBLEM.scoring.score(network, prepared, "test", 7)
    rows = scores.table()
    assert rows["truth"].tolist() == [read(prepared, "target", row) for row in prepared.arrays["test"]]
    assert rows["question"].tolist() == [read(prepared, "source", row)[::-1] for row in prepared.arrays["test"]]
    for (truth, guess), found in zip(rows[["truth", "guess"]].to_numpy(), scores.statistics_NK, strict=True):
        right = sum(place < len(guess) and guess[place] == truth[place] for place in range(len(truth)))
        assert found.tolist() == [1, int(truth == guess), right, len(truth)]
    pd.testing.assert_frame_equal(PROBLEM.scoring.score(network, prepared, "test", 64).table(), rows, atol=1e-6)


def test_metrics_are_shares_of_answers_and_of_true_digits() -> None:
    truths, guesses = ["579", "1000", "8"], ["579", "100", "81"]
    scores = of_answers(["123+456", "1+999", "4+4"], truths, guesses, None, "forward")
    found = PROBLEM.scoring.metrics(scores.statistics_NK.sum(axis=0), {})
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert found["digit_accuracy"] == pytest.approx((3 + 3 + 1) / 8)
    assert scores.groups["by_digits"].tolist() == [3, 3, 1]
    assert scores.groups["by_carries"].tolist() == [0, 3, 0]
    by_group = scores.by_group(lambda sums: PROBLEM.scoring.metrics(sums, {}))
    none = by_group["by_carries"]["0"]
    assert [none[key] for key in ("count", "exact_match", "digit_accuracy")] == [2, 0.5, 1.0]
    assert (none["exact_match_low"], none["exact_match_high"]) == (0, 1)


def test_questions_are_grouped_by_length_where_they_are_no_sums() -> None:
    scores = of_answers(["abc", "a"], ["x", "y"], ["x", "z"], None, None)
    assert {name: found.tolist() for name, found in scores.groups.items()} == {"by_length": [3, 1]}
    mixed = of_answers(["1+2", "one"], ["3", "1"], ["3", "1"], None, "forward")
    assert mixed.groups["by_carries"].tolist() == [0, -1]


def test_reversed_questions_are_read_as_such(tmp_path: Path) -> None:
    table = tables.pairs().assign(source=[source[::-1] for source in tables.pairs()["source"]])
    prepared = prepare(tmp_path, table, reverse_source=False)
    assert prepared.meta["reading"] == "backward"
    chance = PROBLEM.scoring.baselines(prepared, "test")["digit_chance"]
    plain = [question[::-1].split("+") for question in chance.table()["question"]]
    assert chance.groups["by_digits"].tolist() == [max(len(a), len(b)) for a, b in plain]


def test_baselines_ignore_the_question(prepared: Prepared, table: pd.DataFrame) -> None:
    baselines = PROBLEM.scoring.baselines(prepared, "test")
    train, test = (table["target"][prepared.arrays[split]] for split in ("train", "test"))
    commonest = train.value_counts()
    assert set(baselines) == {"digit_chance", "most_frequent"}
    (guess,) = set(baselines["most_frequent"].table()["guess"])
    assert commonest[guess] == commonest.max()
    sums = baselines["most_frequent"].statistics_NK.sum(axis=0)
    assert PROBLEM.scoring.metrics(sums, prepared.meta)["exact_match"] == pytest.approx((test == guess).mean())
    assert baselines["digit_chance"].table()["guess"].nunique() == 1


# ---- figures


def test_figures_show_wrong_answers_first_and_the_error_by_group(prepared: Prepared, network: torch.nn.Module) -> None:
    questions = [f"{a}+{b}" for a in range(5) for b in range(6, 9)]
    truths = [str(sum(map(int, question.split("+")))) for question in questions]
    guesses = ["0", *truths[1:4], "1", *truths[5:]]
    scores = of_answers(questions, truths, guesses, None, "forward")
    table, digits, carries = PROBLEM.scoring.figures(network, prepared, scores, {})
    assert table.frame["right"].tolist() == ["✗"] * 2 + ["✓"] * 10
    assert table.frame["question"].tolist()[:2] == [questions[0], questions[4]]
    assert (digits.frame["digits"].tolist(), digits.frame["value"].tolist()) == ([1], [pytest.approx(2 / 15)])
    for carry, value, count in carries.frame[["carries", "value", "count"]].to_numpy():
        chosen = [t != g for q, t, g in zip(questions, truths, guesses, strict=True) if (len(t) > 1) == bool(carry)]
        assert (value, count) == (pytest.approx(np.mean(chosen)), len(chosen))
    assert (carries.frame["low"] <= carries.frame["value"]).all()


def test_the_interval_of_a_share_is_wilsons() -> None:
    from scipy.stats import binomtest

    for count, exact in [(20, 20), (50, 45), (5000, 4990), (3, 0)]:
        found = figures.wrong_share(count, exact)
        expected = binomtest(count - exact, count).proportion_ci(0.95, method="wilson")
        assert (found["low"], found["high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))


# ---- predict


def test_predict_answers_as_score_does(prepared: Prepared, network: torch.nn.Module) -> None:
    rows = PROBLEM.scoring.score(network, prepared, "test", 16).table()
    answer = PROBLEM.answering.predict(
        network, prepared.meta, rows[["question"]].rename(columns={"question": "source"})
    )
    assert answer["answer"].tolist() == rows["guess"].tolist()
    np.testing.assert_allclose(answer["probability"], rows["probability"], rtol=1e-5)


def test_the_answer_takes_the_best_symbol_at_each_step_up_to_the_end(tmp_path: Path) -> None:
    table = pairs(*((a + b + c, target) for (a, b, c), target in zip(
        itertools.product("ab", repeat=3), ["x", "yy", "xy", "y", "xx", "yx", "x", "y"], strict=True
    )))  # fmt: skip
    prepared = prepare(tmp_path, table, max_unknown_share=1.0)
    letters, steps = prepared.meta["target_characters"], prepared.meta["longest_target"] + 1
    lengths = set()
    for seed in range(20):
        torch.manual_seed(seed)
        network = PROBLEM.learning.model(MODEL, prepared.meta)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
        found = PROBLEM.answering.predict(network, prepared.meta, pd.DataFrame({"source": ["aab"]})).iloc[0]
        ids = torch.tensor([[prepared.meta["source_characters"].index(c) for c in "baa"]])
        with torch.inference_mode():
            chances = network(ids, torch.tensor([3]), steps)[0].double().softmax(-1).numpy()
        text, probability = "", 1.0
        for row in chances:
            probability *= row.max()
            if row.argmax() == 0:
                break
            text += letters[row.argmax() - 1]
        assert found["answer"] == text
        assert found["probability"] == pytest.approx(probability, rel=1e-4)
        lengths.add(len(text))
    assert len(lengths) > 2  # answers that end at once, later, and not at all


def test_the_example_can_be_asked(prepared: Prepared, network: torch.nn.Module, table: pd.DataFrame) -> None:
    example = PROBLEM.answering.example(prepared)
    assert example["source"].tolist() == table["source"][prepared.arrays["test"][:3]].tolist()
    answer = PROBLEM.answering.predict(network, prepared.meta, example)
    assert list(answer.columns) == ["answer", "probability"]
    assert answer["probability"].between(0, 1).all()
    assert PROBLEM.answering.predict(network, prepared.meta, example.head(0)).empty


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("12x+3", "row 2, column source: '12x+3': character 'x' is unknown; expected only '+0123456789'"),
        ("123+4567", "row 2, column source: '123+4567': 8 characters; expected at most 5, the longest in train"),
        ("", "row 2, column source: ''; expected a text of at most 5 characters among '+0123456789'"),
        (None, "row 2, column source: None; expected a text"),
        (12, "row 2, column source: 12; expected a text"),
    ],
)
def test_a_faulty_question_is_named(prepared: Prepared, network: torch.nn.Module, source: Any, message: str) -> None:
    with pytest.raises(DataError) as raised:
        PROBLEM.answering.predict(
            network, prepared.meta, pd.DataFrame({"source": pd.Series(["1+2", source], dtype=object)})
        )
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_column_is_named(prepared: Prepared, network: torch.nn.Module) -> None:
    with pytest.raises(DataError, match="column 'source' is missing; expected it among question"):
        PROBLEM.answering.predict(network, prepared.meta, pd.DataFrame({"question": ["1+2"]}))


# ---- training


def test_a_small_network_learns_to_copy_backwards(tmp_path: Path) -> None:
    words = ["".join(letters) for letters in itertools.product("abcdef", repeat=3)]
    prepared = prepare(tmp_path, pairs(*((word, word[::-1]) for word in words)))
    torch.manual_seed(0)
    network = PROBLEM.learning.model(
        SequenceToSequenceModel(cell="gru", hidden=32, layers=1, dropout=0.0), prepared.meta
    )
    train = TrainConfig(
        seed=0, threads=1, device="cpu", precision="float32", epochs=25, batch_size=16, optimizer="adam",
        learning_rate=0.02, momentum=0.9, weight_decay=0.0, schedule="one_cycle", clip_norm=1.0, patience=None,
    )  # fmt: skip

    def exact(scores: Scores) -> float:
        return float(PROBLEM.scoring.metrics(scores.statistics_NK.sum(axis=0), prepared.meta)["exact_match"])

    fit(
        network,
        PROBLEM.learning.loss,
        lambda rng: PROBLEM.learning.train_batches(prepared, 16, rng),
        lambda: PROBLEM.learning.batches(prepared, "validation", 64),
        lambda model: exact(PROBLEM.scoring.score(model, prepared, "validation", 64)),
        train,
        lambda epoch, seconds, units: None,
    )
    assert exact(PROBLEM.scoring.score(network, prepared, "test", 64)) > 0.6
    assert exact(PROBLEM.scoring.baselines(prepared, "test")["digit_chance"]) < 0.1
