"""Language modelling beyond what every problem promises (see test_contract.py)."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from problems import tables
from unroll.core.config import TrainConfig
from unroll.core.errors import DataError
from unroll.features.vocabulary import Vocabulary
from unroll.problems.common.base import Prepared, Split
from unroll.problems.language_model import verse, words
from unroll.problems.language_model.generation import Drawing, Text, draw_all
from unroll.stages.train import train as trainer

CASE = tables.CASES["language_model"]
PROBLEM, CONFIG, MODEL = CASE.open()
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
TEXT = "\n".join(tables.text()["text"])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("text"))


def network(prepared: Prepared, **changed: Any) -> Any:
    torch.manual_seed(0)
    model = PROBLEM.learning.model(MODEL.model_copy(update=changed), prepared.meta)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def lines(text: str) -> pd.DataFrame:
    return pd.DataFrame({"text": pd.array(text.split("\n"), dtype="str")})


# ---- prepare


def test_the_splits_are_consecutive_parts_of_the_whole_text(prepared: Prepared) -> None:
    known, ids = Vocabulary(prepared.meta["symbols"]), prepared.arrays["ids"].tolist()
    assert "".join(known.decode(ids)) == TEXT
    bounds = [prepared.meta["bounds"][split] for split in SPLITS]
    assert [bound[0] for bound in bounds] == [0, bounds[0][1], bounds[1][1]]
    assert bounds[2][1] == len(TEXT)
    shares = [(high - low) / len(TEXT) for low, high in bounds]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.001)


def test_rare_characters_and_those_of_later_splits_are_unknown(tmp_path: Path) -> None:
    text = ("ab" * 40 + "q" + "AB" * 40) + "ab#" * 13
    found = CASE.run(tmp_path, lines(text), lower_case=False, test_share=0.2, validation_share=0.05, min_count=2)
    assert found.meta["symbols"] == ["a", "b", "A", "B"]
    known = Vocabulary(found.meta["symbols"])
    assert "".join(known.decode(found.arrays["ids"].tolist(), "?")) == text.replace("q", "?").replace("#", "?")
    lowered = CASE.run(tmp_path / "lower", lines(text), test_share=0.2, validation_share=0.05)
    assert lowered.meta["symbols"] == ["a", "b"]


def test_many_different_characters_need_a_wider_array(tmp_path: Path) -> None:
    text = "".join(chr(0x4E00 + number % 400) for number in range(4000))
    found = CASE.run(tmp_path, lines(text))
    assert "".join(Vocabulary(found.meta["symbols"]).decode(found.arrays["ids"].tolist())) == text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (lines("abcde"), "text: 0 of 5 characters in validation; expected at least 2"),
        (lines(""), "text: 0 of 0 characters in train; expected at least 2"),
        (pd.DataFrame({"text": ["a", None]}), "text: row 1, column text: nan; expected a text"),
    ],
)
def test_what_cannot_be_prepared(table: pd.DataFrame, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        CASE.run(tmp_path, table)
    assert str(error.value) == message


def test_shares_that_leave_no_train() -> None:
    with pytest.raises(ValidationError, match="must be below 1"):
        CASE.open(validation_share=0.4, test_share=0.6)


def test_overlapping_splits_and_unknown_characters_are_found(prepared: Prepared) -> None:
    bounds = prepared.meta["bounds"]
    low, high = bounds["validation"]
    overlapping = {**bounds, "validation": [low - 3, high]}
    facts = PROBLEM.preparation.check(
        replace(prepared, meta={**prepared.meta, "bounds": overlapping}), CONFIG
    ).facts.iloc[0]
    assert facts["tokens_not_in_one_split"] == 3
    ids = prepared.arrays["ids"].copy()
    ids[high : high + 7] = 0
    facts = PROBLEM.preparation.check(replace(prepared, arrays={"ids": ids}), CONFIG).facts.iloc[0]
    assert facts["test_unknown_share"] == pytest.approx(7 / (len(TEXT) - high))
    assert facts["train_unknown_share"] == 0


# ---- batches


@pytest.mark.parametrize("streams", [1, 4, 7])
def test_streams_read_on_from_batch_to_batch(streams: int, prepared: Prepared) -> None:
    end = prepared.meta["bounds"]["train"][1]
    ids, counts, starts = prepared.arrays["ids"][:end], set(), set()
    for seed in range(12):
        batches = list(PROBLEM.learning.train_batches(prepared, streams, np.random.default_rng(seed)))
        counts.add(len(batches))
        assert {tuple(batch["x_BT"].shape) for batch in batches[:-1]} == {(streams, 16)}
        x, y = (np.concatenate([batch[name] for batch in batches], axis=1) for name in ("x_BT", "y_BT"))
        flat = x.ravel()
        (start,) = [at for at in range(16) if np.array_equal(ids[at : at + len(flat)], flat)]
        starts.add(start)
        assert np.array_equal(y.ravel(), ids[start + 1 : start + 1 + len(flat)])
        assert end - len(flat) < 16 + streams + 1  # hardly a character is left out
    assert len(counts) == 1
    assert len(starts) > 4


def test_too_little_text_for_the_streams(prepared: Prepared) -> None:
    end = prepared.meta["bounds"]["train"][1]
    with pytest.raises(DataError) as error:
        next(iter(PROBLEM.learning.train_batches(prepared, end, np.random.default_rng(0))))
    assert str(error.value) == (
        f"text: {end} characters in train; expected more than prepare.bptt 16 and one for each of train.batch_size "
        f"{end} streams"
    )


@pytest.mark.parametrize("split", SPLITS)
def test_every_character_of_a_split_is_asked_for_once(split: Split, prepared: Prepared) -> None:
    low, high = prepared.meta["bounds"][split]
    batches = list(PROBLEM.learning.batches(prepared, split, 99))
    x, y = (np.concatenate([batch[name][0] for batch in batches]) for name in ("x_BT", "y_BT"))
    first = max(low, 1)
    assert np.array_equal(y, prepared.arrays["ids"][first:high])
    assert np.array_equal(x, prepared.arrays["ids"][first - 1 : high - 1])


# ---- network


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_stepped_equals_unrolled(cell: str, prepared: Prepared) -> None:
    model = network(prepared, cell=cell, layers=2)
    ids = torch.from_numpy(prepared.arrays["ids"][:90].astype(np.int64)).reshape(3, 30)
    with torch.no_grad():
        whole, _ = model(ids)
        state, parts = None, []
        for piece in torch.split(ids, [1, 1, 12, 16], dim=1):
            part, state = model(piece, state)
            parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)


def test_the_state_of_a_loss_is_carried_into_the_next(prepared: Prepared) -> None:
    model, batches = network(prepared), list(PROBLEM.learning.train_batches(prepared, 4, np.random.default_rng(0)))[:5]
    joined = {name: torch.cat([batch[name] for batch in batches], dim=1) for name in batches[0]}
    whole, total, state = PROBLEM.learning.loss(model, joined), 0.0, None
    for batch in batches:
        found = PROBLEM.learning.loss(model, batch, state)
        total, state = total + found.total.item(), found.state
        assert found.count == batch["y_BT"].numel()
    assert total == pytest.approx(whole.total.item(), rel=1e-5)
    assert total != pytest.approx(sum(PROBLEM.learning.loss(model, batch).total.item() for batch in batches), rel=1e-5)


def test_score_is_the_loss_of_the_whole_part_in_bits(prepared: Prepared) -> None:
    model = network(prepared)
    low, high = prepared.meta["bounds"]["test"]
    ids = torch.from_numpy(prepared.arrays["ids"][low - 1 : high].astype(np.int64))
    with torch.no_grad():
        chances = model(ids[None, :-1])[0][0].softmax(-1)
    bits = -torch.log2(chances[torch.arange(high - low), ids[1:]]).numpy()
    scores = PROBLEM.scoring.score(model, prepared, "test", 4)
    np.testing.assert_allclose(scores.statistics_NK[:, 1], bits, rtol=1e-4)
    found = PROBLEM.scoring.metrics(scores.sums(), prepared.meta)
    assert found["bits_per_character"] == pytest.approx(bits.mean(), rel=1e-5)
    assert found["perplexity"] == pytest.approx(2 ** bits.mean(), rel=1e-5)
    assert scores.block == 500


def test_groups_and_places_are_those_of_the_text(prepared: Prepared) -> None:
    scores = PROBLEM.scoring.score(network(prepared), prepared, "test", 4)
    low, high = prepared.meta["bounds"]["test"]
    names = {" ": "space", "\n": "line break"}
    assert scores.groups["by_kind"].tolist() == [names.get(character, "letter") for character in TEXT[low:high]]
    by_kind = PROBLEM.scoring.breakdown(scores, prepared.meta)["by_kind"]
    together = sum(group["count"] * group["bits_per_character"] for group in by_kind.values())
    assert together / (high - low) == pytest.approx(scores.statistics_NK[:, 1].mean())


def test_unigram_bits_are_those_of_the_frequencies(prepared: Prepared) -> None:
    low, high = prepared.meta["bounds"]["test"]
    train = TEXT[: prepared.meta["bounds"]["train"][1]]
    expected = np.mean([-np.log2(train.count(character) / len(train)) for character in TEXT[low:high]])
    baselines = PROBLEM.scoring.baselines(prepared, "test")
    bits = {
        name: PROBLEM.scoring.metrics(b.sums(), prepared.meta)["bits_per_character"] for name, b in baselines.items()
    }
    assert bits["unigram"] == pytest.approx(expected, abs=0.005)
    assert bits["ngram"] < bits["unigram"] - 1


def test_training_beats_the_frequencies_and_samples_words_of_the_text(prepared: Prepared) -> None:
    config = TrainConfig(
        seed=1, threads=1, device="cpu", precision="float32", epochs=12, batch_size=4, optimizer="adam",
        learning_rate=0.01, momentum=0.9, weight_decay=0.0, schedule="one_cycle", clip_norm=1.0, patience=None,
    )  # fmt: skip
    model = trainer.build(PROBLEM, MODEL.model_copy(update={"hidden": 48, "embedding": 12}), prepared, config)
    trainer.fit_network(model, PROBLEM, prepared, config, lambda *_: None)
    scores, baselines = PROBLEM.scoring.score(model, prepared, "test", 4), PROBLEM.scoring.baselines(prepared, "test")
    reached, unigram = (
        PROBLEM.scoring.metrics(of.sums(), prepared.meta)["bits_per_character"] for of in (scores, baselines["unigram"])
    )
    assert reached < unigram - 1.5
    asked = pd.DataFrame({"text": ["my seat was "], "length": [120], "temperature": [0.2]})
    (verse,) = PROBLEM.answering.predict(model, prepared.meta, asked)["continuation"]
    words = verse.split()[:-1]
    assert sum(word in tables.WORDS for word in words) > 0.7 * len(words)
    figures = {figure.name: figure for figure in PROBLEM.scoring.figures(model, prepared, scores, baselines)}
    assert list(figures) == ["samples", "bits_by_kind", "bits_by_place"]
    headings = figures["samples"].frame["heading"].tolist()
    assert headings == ["temperature 0.2", "temperature 0.4", "temperature 0.8", "temperature 1.0"]
    assert figures["samples"].frame["text"].nunique() == 4
    (given,) = figures["samples"].frame["given"].unique()
    assert given in TEXT
    assert not figures["samples"].frame["text"].str.startswith(given).any()
    kinds = figures["bits_by_kind"].frame
    assert list(kinds) == ["kind", "value", "low", "high", "count"]
    assert kinds["count"].sum() == len(scores.statistics_NK)
    again = next(iter(PROBLEM.scoring.figures(model, prepared, scores, baselines)))
    pd.testing.assert_frame_equal(again.frame, figures["samples"].frame)
    rows = scores.table()
    by_place = figures["bits_by_place"].frame.set_index("place")
    assert by_place["network"][1] == pytest.approx(rows["bits"][rows["place"] == 1].mean())
    assert by_place["ngram"][2] == pytest.approx(baselines["ngram"].table()["bits"][rows["place"] == 2].mean())


# ---- predict


def draw(model: nn.Module, texts: list[list[int]], length: int, temperature: float) -> list[list[int]]:
    """What follows each text, each drawn by a generator of its own."""
    drawing = Drawing(temperature)
    begun = [Text(ids, length, drawing, 0, np.random.default_rng(seed)) for seed, ids in enumerate(texts)]
    draw_all(model, begun)
    return [text.drawn for text in begun]


@pytest.mark.parametrize("temperature", [0.0, 1e-4])
def test_a_low_temperature_takes_the_most_probable_character(temperature: float, prepared: Prepared) -> None:
    model, ids = network(prepared), [3, 1]
    (drawn,) = draw(model, [ids], 25, temperature)
    text = ids.copy()
    for _ in range(25):
        with torch.no_grad():
            scores = model(torch.tensor([text]))[0][0, -1]
        scores[0] = -torch.inf
        text.append(int(scores.argmax()))
    assert drawn == text[2:]


def test_drawn_characters_follow_the_softmax(prepared: Prepared) -> None:
    model = network(prepared)
    drawn = [first for (first,) in draw(model, [[2]] * 1200, 1, 2.0)]
    with torch.no_grad():
        scores = model(torch.tensor([[2]]))[0][0, -1].double() / 2
    scores[0] = -torch.inf
    chances = scores.softmax(-1).numpy()
    np.testing.assert_allclose(np.bincount(drawn, minlength=len(chances)) / 1200, chances, atol=0.05)
    assert 0 not in drawn


def test_continuations_can_be_repeated_and_differ_by_seed(prepared: Prepared) -> None:
    model = network(prepared)
    frame = pd.DataFrame({"text": ["A late €", "a late €", "a late €"], "seed": [1, 1, 2], "length": [50, 50, 30]})
    first, same, other = PROBLEM.answering.predict(model, prepared.meta, frame)["continuation"]
    assert first == same  # in lower case, with an unknown character
    assert (len(first), len(other)) == (50, 30)
    assert first[:30] != other
    assert set(first) <= set(prepared.meta["symbols"])
    (default,) = PROBLEM.answering.predict(model, prepared.meta, frame[["text"]].head(1))["continuation"]
    assert len(default) == 200


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"cell": "gru", "layers": 2, "direct_order": 0},
        {"architecture": "window", "window": 8, "stride": 3, "direct_order": 0},
    ],
    ids=["direct", "layers", "window"],
)
def test_texts_that_are_drawn_side_by_side_are_those_of_each_alone(changed: Any, prepared: Prepared) -> None:
    model, texts = network(prepared, **changed), TEXT.split("\n")
    frame = pd.DataFrame(
        {
            "text": [texts[row % len(texts)][: row + 1] for row in range(12)],
            "seed": range(12),
            "length": [1, 40, 7] * 4,
            "temperature": [0.0, 0.7, 1.0, 1.5] * 3,
            "top_k": [0, 0, 5] * 4,
        }
    )
    alone = [PROBLEM.answering.predict(model, prepared.meta, frame[row : row + 1]) for row in range(12)]
    together = PROBLEM.answering.predict_all(model, prepared.meta, [frame[:1], frame[1:5], frame[5:]])
    assert [len(each) for each in together] == [1, 4, 7]
    expected = pd.concat(alone, ignore_index=True)
    pd.testing.assert_frame_equal(pd.concat(together, ignore_index=True), expected)
    assert expected["continuation"].str.len().tolist() == frame["length"].tolist()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"seed": [1]}), "input: column 'text' is missing; expected a column of texts to go on from"),
        (pd.DataFrame({"text": ["a", None]}), "input: row 2, column text: nan; expected a text"),
        (pd.DataFrame({"text": ["a", ""]}), "input: row 2, column text: ''; expected a text that is not empty"),
        (
            pd.DataFrame({"text": ["a"], "temperature": [-1]}),
            "input: row 1, column temperature: -1; expected a number from 0.0 to 10.0",
        ),
    ],
)
def test_faulty_input_is_named(frame: pd.DataFrame, message: str, prepared: Prepared) -> None:
    with pytest.raises(DataError) as error:
        PROBLEM.answering.predict(network(prepared), prepared.meta, frame)
    assert str(error.value) == message


def test_the_example_is_a_line_of_the_test_part(prepared: Prepared) -> None:
    (line,) = PROBLEM.answering.example(prepared)["text"]
    low, high = prepared.meta["bounds"]["test"]
    assert line == TEXT[low:high].split("\n")[1] + "\n"


# ---- words


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("words"), lines(MARKED), level="word", vocabulary=18, min_count=1)


MARKED = "\n".join(line.replace(" the ", ", the ") + "." for line in TEXT.split("\n"))


def test_words_marks_and_line_ends_are_tokens(of_words: Prepared) -> None:
    meta, tokens = of_words.meta, re.findall(r"\w+|[.,]|\n", MARKED)
    train = meta["bounds"]["train"][1]
    assert (
        meta["symbols"]
        == [word for word, _ in sorted(Counter(tokens[:train]).items(), key=lambda i: (-i[1], i[0]))][:18]
    )
    found = Vocabulary(meta["symbols"]).decode(of_words.arrays["ids"].tolist())
    assert found == [token if token in meta["symbols"] else "<unk>" for token in tokens]
    assert "<unk>" in found
    assert of_words.arrays["characters"].sum() == len(MARKED)
    assert (meta["tight_before"], meta["tight_behind"]) == ([",", "."], [])
    report = PROBLEM.preparation.check(of_words, CONFIG).facts.iloc[0]
    assert report["test_tokens"] == len(tokens) - meta["bounds"]["test"][0]
    assert report["test_unknown_share"] == pytest.approx(
        found[meta["bounds"]["test"][0] :].count("<unk>") / report["test_tokens"]
    )


def test_bits_per_character_share_those_of_words_and_spell_unknown_ones(of_words: Prepared) -> None:
    model = network(of_words)
    (low, high), ids = of_words.meta["bounds"]["test"], of_words.arrays["ids"]
    with torch.no_grad():
        chances = model(torch.from_numpy(ids[None, low - 1 : high - 1].astype(np.int64)))[0][0].softmax(-1)
    bits = -torch.log2(chances[torch.arange(high - low), ids[low:high].astype(np.int64)]).double().numpy()
    tokens = re.findall(r"\w+|[.,]|\n", MARKED)
    unknown = [token for token, number in zip(tokens[low:high], ids[low:high], strict=True) if number == 0]
    spelled = words.spelling(unknown, tokens[: of_words.meta["bounds"]["train"][1]]).sum()
    characters = len(MARKED) - of_words.arrays["characters"][:low].sum()
    scores = PROBLEM.scoring.score(model, of_words, "test", 4)
    found = PROBLEM.scoring.metrics(scores.sums(), of_words.meta)
    assert found["bits_per_word"] == pytest.approx(bits.mean(), rel=1e-4)
    assert found["perplexity"] == pytest.approx(2 ** bits.mean(), rel=1e-4)
    assert spelled > 0
    assert found["bits_per_character"] == pytest.approx((bits.sum() + spelled) / characters, rel=1e-4)
    config = CONFIG.model_copy(update={"level": "word"})
    assert (
        set(found)
        == set(PROBLEM.scoring.metric_keys(config))
        == {*PROBLEM.scoring.metric_keys(CONFIG), "bits_per_word"}
    )
    baselines = PROBLEM.scoring.baselines(of_words, "test")
    by_name = {name: PROBLEM.scoring.metrics(of.sums(), of_words.meta) for name, of in baselines.items()}
    train = Counter(ids[: of_words.meta["bounds"]["train"][1]].tolist())
    expected = np.mean([-np.log2(train[int(number)] / train.total()) for number in ids[low:high]])
    assert by_name["unigram"]["bits_per_word"] == pytest.approx(expected, abs=0.01)
    assert by_name["ngram"]["perplexity"] < by_name["unigram"]["perplexity"]


def test_figures_and_predictions_of_words(of_words: Prepared) -> None:
    model = network(of_words)
    (line,) = PROBLEM.answering.example(of_words)["text"]
    assert re.sub(f"[{verse.LOST}]", "x", line).endswith(".\n")
    assert " ." not in line
    assert " ," not in line
    scores, baselines = PROBLEM.scoring.score(model, of_words, "test", 4), PROBLEM.scoring.baselines(of_words, "test")
    figures = {figure.name: figure for figure in PROBLEM.scoring.figures(model, of_words, scores, baselines)}
    kinds = figures["bits_by_kind"].frame.set_index("kind")
    assert set(kinds.index) <= {"word", "mark", "line break", "unknown"}
    marks = scores.table()["bits"][scores.table()["kind"] == "mark"]
    assert kinds["value"]["mark"] == pytest.approx(marks.mean())
    assert figures["bits_by_place"].x_label == "word of the line"
    asked = pd.DataFrame({"text": ["the late", "the late "], "length": 12, "temperature": 2.0})
    answer, spaced = PROBLEM.answering.predict(model, of_words.meta, asked)["continuation"]
    assert answer.removeprefix(" ") == spaced
    assert len(re.findall(r"\w+|[.,]|\n", answer)) == 12
    assert not re.search(r" [.,\n]|\n |  ", answer)
    assert set(re.findall(r"\w+", answer)) <= set(tables.WORDS)
    with pytest.raises(DataError, match="column text: ' '; expected a text that is not empty"):
        PROBLEM.answering.predict(model, of_words.meta, pd.DataFrame({"text": [" "]}))


# ---- random pieces


@pytest.mark.parametrize("batch_size", [1, 5, 1000])
def test_random_pieces_cover_the_text_once_in_any_order(batch_size: int, tmp_path: Path) -> None:
    prepared = CASE.run(tmp_path, partition="random")
    end, starts, counts = prepared.meta["bounds"]["train"][1], set(), set()
    ids = prepared.arrays["ids"][:end].astype(np.int64)
    for seed in range(8):
        batches = list(PROBLEM.learning.train_batches(prepared, batch_size, np.random.default_rng(seed)))
        counts.add(len(batches))
        begins = np.concatenate([batch["starts_B"] for batch in batches])
        for name, offset in (("x_BT", 0), ("y_BT", 1)):
            rows = np.concatenate([batch[name] for batch in batches])
            assert np.array_equal(rows, np.stack([ids[begin + offset : begin + offset + 16] for begin in begins]))
        ordered = np.sort(begins)
        assert (np.diff(ordered) == 16).all()  # no token twice, none left out between the first and the last
        assert ordered[0] < 16
        assert end - (ordered[-1] + 17) < 2 * 16
        assert not np.array_equal(begins, ordered)
        starts.add(int(ordered[0]))
    assert len(counts) == 1
    assert len(starts) > 3


def test_no_state_is_carried_between_random_pieces(tmp_path: Path) -> None:
    prepared = CASE.run(tmp_path, partition="random")
    model = network(prepared)
    first, second = list(PROBLEM.learning.train_batches(prepared, 6, np.random.default_rng(0)))[:2]
    assert PROBLEM.learning.loss(model, first).state is None
    sequential = {name: second[name] for name in ("x_BT", "y_BT")}
    assert PROBLEM.learning.loss(model, sequential).state is not None
    states: list[Any] = []
    model.register_forward_pre_hook(lambda _, given: states.append(given[1]))
    train(model, prepared, 2)
    assert states
    seen = [state for state in states if state is not None]  # validation reads on
    assert len(states) - len(seen) >= 2 * len(
        list(PROBLEM.learning.train_batches(prepared, 4, np.random.default_rng(0)))
    )


def test_too_little_text_for_pieces(prepared: Prepared, tmp_path: Path) -> None:
    end = prepared.meta["bounds"]["train"][1]
    found = CASE.run(tmp_path, partition="random", bptt=end)
    with pytest.raises(DataError) as error:
        next(iter(PROBLEM.learning.train_batches(found, 4, np.random.default_rng(0))))
    assert (
        str(error.value) == f"text: {end} characters in train; expected more than prepare.bptt {end} and as many again"
    )


# ---- the window architecture and direct scores

WINDOW = {"architecture": "window", "window": 8, "stride": 3, "direct_order": 0}
DIRECT = {"direct_order": 4, "direct_buckets": 512, "direct_min_count": 3, "direct_dropout": 0.3}


def train(model: Any, prepared: Prepared, epochs: int) -> Any:
    config = TrainConfig(
        seed=1, threads=1, device="cpu", precision="float32", epochs=epochs, batch_size=4, optimizer="adam",
        learning_rate=0.01, momentum=0.9, weight_decay=0.0, schedule="one_cycle", clip_norm=1.0, patience=None,
    )  # fmt: skip
    PROBLEM.learning.begin(model, prepared)
    return trainer.fit_network(model, PROBLEM, prepared, config, lambda *_: None)


@pytest.mark.parametrize("changed", [WINDOW, DIRECT, {"layers": 2, "cell": "gru", **DIRECT}])
@pytest.mark.parametrize("level", ["character", "word"])
def test_every_architecture_learns_scores_and_goes_on(level: str, changed: dict[str, Any], tmp_path: Path) -> None:
    prepared = CASE.run(tmp_path, level=level)
    torch.manual_seed(0)
    model = PROBLEM.learning.model(MODEL.model_validate({**CASE.model, "hidden": 12, **changed}), prepared.meta)
    history = train(model, prepared, 3)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss - 0.05
    scores, baselines = PROBLEM.scoring.score(model, prepared, "test", 4), PROBLEM.scoring.baselines(prepared, "test")
    total, state, count = 0.0, None, 0
    with torch.no_grad():
        for batch in PROBLEM.learning.batches(prepared, "test", 4):
            loss = PROBLEM.learning.loss(model, batch, state)
            total, state, count = total + loss.total.item(), loss.state, count + loss.count
    assert scores.sums()[:2] == pytest.approx([count, total / np.log(2)], rel=1e-4)
    names = [figure.name for figure in PROBLEM.scoring.figures(model, prepared, scores, baselines)]
    assert names == ["samples", "bits_by_kind", "bits_by_place"]
    frame = pd.DataFrame({"text": ["the late"], "length": [30]})
    first, same = (PROBLEM.answering.predict(model, prepared.meta, frame)["continuation"][0] for _ in range(2))
    assert first == same


def test_a_split_is_scored_by_windows_one_by_one(prepared: Prepared) -> None:
    torch.manual_seed(0)
    model = PROBLEM.learning.model(MODEL.model_validate({**CASE.model, **WINDOW}), prepared.meta).eval()
    low, high = prepared.meta["bounds"]["validation"]
    ids, bits = torch.from_numpy(prepared.arrays["ids"].astype(np.int64)), []
    with torch.no_grad():
        for at in range(low, high):
            scores, _ = model(ids[None, max(low - 1, at - 8) : at])
            bits.append(-scores[0, -1].log_softmax(-1)[ids[at]].item() / np.log(2))
    np.testing.assert_allclose(
        PROBLEM.scoring.score(model, prepared, "validation", 4).statistics_NK[:, 1], bits, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"architecture": "window", "direct_order": 0}, "architecture window needs the keys window and stride"),
        ({**WINDOW, "stride": None}, "architecture window needs the keys window and stride"),
        ({"direct_buckets": None}, "needs the keys direct_buckets, direct_min_count and direct_dropout"),
        ({**WINDOW, "direct_order": 3}, "direct_order: 3 with architecture window, which has no scores of groups; "),
        ({"merge": "sum"}, "merge: 'sum' adds up two .* in one; expected no such key, or architecture: window"),
    ],
)
def test_an_architecture_needs_its_keys(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MODEL.model_validate({**CASE.model, **changed})


def test_scores_of_groups_of_words_are_refused_where_a_task_is_checked() -> None:
    said = PROBLEM.disagreement(CONFIG.model_copy(update={"level": "word"}), MODEL.model_validate(CASE.model))
    assert said == (
        "model.direct_order: 3 with prepare.level word, whose groups have no scores; "
        "expected model.direct_order: 0, or prepare.level: character"
    )
    assert PROBLEM.disagreement(CONFIG, MODEL.model_validate(CASE.model)) is None
    assert PROBLEM.disagreement(
        CONFIG.model_copy(update={"level": "word"}), MODEL.model_validate({**CASE.model, **WINDOW})
    ) is None  # fmt: skip
