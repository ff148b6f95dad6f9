"""Every architecture of a sequence-to-sequence task: prepared, trained, scored, asked and drawn."""

import itertools
import math
import re
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
from unroll.problems.common.base import Prepared
from unroll.problems.sequence_to_sequence import PROBLEM, SequenceToSequencePrepare
from unroll.problems.sequence_to_sequence.config import SequenceToSequenceModel, TeacherForcing
from unroll.stages.evaluate.figures import render
from unroll.stages.train import train as trainer
from unroll.stages.train.checkpoint import Checkpoint
from unroll.stages.validate import validate

LSTM = {"cell": "lstm", "hidden": 8, "layers": 1, "dropout": 0.0}
ARCHITECTURES: list[dict[str, Any]] = [
    {"architecture": "repeat"},
    {"architecture": "repeat", "bidirectional_encoder": True},
    {"architecture": "plain", "layers": 2},
    {"architecture": "plain", "bidirectional_encoder": True, "merge": "sum", "layers": 2},
    {"architecture": "peeking", "cell": "gru"},
    {"architecture": "attention", "attention": "additive"},
    {"architecture": "attention", "attention": "dot", "bidirectional_encoder": True, "merge": "sum"},
    {"architecture": "attention", "attention": "dot", "bidirectional_encoder": True, "cell": "rnn_sigmoid"},
    {"architecture": "plain", "beam_width": 3, "length_penalty": 1.0},
    {"architecture": "plain", "teacher_forcing": {"start": 1.0, "end": 0.2, "schedule": "inverse_sigmoid"}},
]
TRAIN: dict[str, Any] = {
    "seed": 1, "threads": 1, "device": "cpu", "precision": "float32", "epochs": 3, "batch_size": 16,
    "optimizer": "adam", "learning_rate": 0.02, "momentum": 0.9, "weight_decay": 0.0, "schedule": "one_cycle",
    "clip_norm": 1.0, "patience": None,
}  # fmt: skip


def model(**values: Any) -> SequenceToSequenceModel:
    return SequenceToSequenceModel.model_validate({**LSTM, **values})


def prepare(folder: Path, table: pd.DataFrame, **changed: Any) -> Prepared:
    values = {
        "problem": "sequence_to_sequence", "validation_share": 0.1, "test_share": 0.2, "seed": 1,
        "reverse_source": False, "max_unknown_share": 0.0, **changed,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    meta = PROBLEM.preparation.prepare(table, SequenceToSequencePrepare.model_validate(values), folder)
    store.write_json(folder / "meta.json", meta)
    return Prepared.load(folder)


def fit(
    prepared: Prepared, config: SequenceToSequenceModel, checkpoint: Any = None, stop: int = 0, **train: Any
) -> Any:
    values = TrainConfig(**{**TRAIN, **train})
    network = trainer.build(PROBLEM, config, prepared, values)

    def on_epoch(epoch: Any, seconds: float, units: int) -> None:
        if epoch.epoch == stop:
            raise KeyboardInterrupt

    history = trainer.fit_network(network, PROBLEM, prepared, values, on_epoch, checkpoint)
    return network, history


def exact(network: torch.nn.Module, prepared: Prepared) -> float:
    scores = PROBLEM.scoring.score(network, prepared, "test", 64)
    return float(PROBLEM.scoring.metrics(scores.sums(), prepared.meta)["exact_match"])


def table(rows: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["source", "target"])


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("sums"), tables.pairs(), reverse_source=True)


# ---- every architecture


@pytest.mark.parametrize("values", ARCHITECTURES, ids=lambda values: "-".join(map(str, values.values()))[:50])
def test_it_trains_is_scored_and_answers(values: dict[str, Any], sums: Prepared) -> None:
    network, history = fit(sums, model(**values))
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    scores = PROBLEM.scoring.score(network, sums, "test", 7)
    rows = scores.table()
    answer = PROBLEM.answering.predict(network, sums.meta, rows.rename(columns={"question": "source"})[["source"]])
    assert answer["answer"].tolist() == rows["guess"].tolist()
    np.testing.assert_allclose(answer["probability"], rows["probability"], rtol=1e-4)
    assert rows["probability"].between(0, 1).all()
    figures = {figure.name: figure for figure in PROBLEM.scoring.figures(network, sums, scores, {})}
    assert ("attention" in figures) is (values["architecture"] == "attention")


def test_an_old_block_without_the_new_keys_is_the_network_of_before(sums: Prepared) -> None:
    config = SequenceToSequenceModel.model_validate(LSTM)
    assert config.architecture == "repeat"
    names = set(PROBLEM.learning.model(config, sums.meta).state_dict())
    assert {name.split(".")[0] for name in names} == {"encoder", "decoder", "head"}
    old = {key: value for key, value in sums.meta.items() if key not in ("source_unit", "sources", "unequal_lengths")}
    assert PROBLEM.answering.predict(
        PROBLEM.learning.model(config, old), old, pd.DataFrame({"source": ["1+2"]})
    ).shape == (1, 2)


def test_a_beam_is_at_least_as_probable_as_greedy_on_the_whole(sums: Prepared) -> None:
    torch.manual_seed(0)
    greedy, beam = (
        PROBLEM.learning.model(model(architecture="plain", beam_width=width), sums.meta) for width in (1, 5)
    )
    beam.load_state_dict(greedy.state_dict())
    found = [
        PROBLEM.scoring.score(network, sums, "train", 64).table()["probability"].mean() for network in (greedy, beam)
    ]
    assert found[1] > found[0]


# ---- teacher forcing


def test_schedules_go_from_start_to_end() -> None:
    linear = TeacherForcing(start=1.0, end=0.25, schedule="linear")
    assert [linear.at(share) for share in (0.0, 0.5, 1.0)] == [1.0, 0.625, 0.25]
    sigmoid = TeacherForcing(start=1.0, end=0.0, schedule="inverse_sigmoid")
    assert [sigmoid.at(share) for share in (0.0, 0.5, 1.0)] == [1.0, pytest.approx(0.5), 0.0]
    k, steps = math.exp(5), 10 * math.exp(5)  # k / (k + exp(i / k)) of Bengio et al. 2015, over these many steps
    for share in (0.2, 0.4, 0.7, 0.9):
        assert sigmoid.at(share) == pytest.approx(k / (k + math.exp(share * steps / k)), abs=0.01)
    assert TeacherForcing(start=0.5, end=0.5, schedule="constant").at(0.3) == 0.5


@pytest.mark.parametrize("values", [{"architecture": "plain"}, {"architecture": "attention", "attention": "dot"}])
def test_a_killed_training_goes_on_to_the_same_weights(values: dict[str, Any], sums: Prepared, tmp_path: Path) -> None:
    config = model(**values, teacher_forcing={"start": 1.0, "end": 0.0, "schedule": "linear"})
    whole, history = fit(sums, config)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(sums, config, Checkpoint(path, "x", every_s=0.0), stop=2)
    again, resumed = fit(sums, config, Checkpoint(path, "x", every_s=0.0))
    assert resumed == history
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
    forced, _ = fit(sums, model(**values))
    pairs = zip(whole.state_dict().values(), forced.state_dict().values(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


def test_every_step_hears_how_much_is_over(sums: Prepared) -> None:
    heard: list[float] = []
    network = trainer.build(PROBLEM, model(architecture="plain"), sums, TrainConfig(**TRAIN))
    network.progress = heard.append  # type: ignore[assignment]
    trainer.fit_network(network, PROBLEM, sums, TrainConfig(**TRAIN), lambda *_: None)
    steps = 3 * math.ceil(sums.meta["examples"]["train"] / 16)
    assert heard == [step / (steps - 1) for step in range(steps)]


# ---- parameters


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"architecture": "attention"},
            "attention is None where architecture is 'attention'; expected additive or dot",
        ),
        ({"architecture": "plain", "attention": "dot"}, "attention is 'dot' where architecture is 'plain'"),
        (
            {"teacher_forcing": {"start": 1.0, "end": 0.5, "schedule": "linear"}},
            "teacher_forcing is of no use where architecture is 'repeat'",
        ),
        (
            {"architecture": "plain", "teacher_forcing": {"start": 1.0, "end": 0.5, "schedule": "constant"}},
            "end must be 1.0 as start is, where the schedule is constant",
        ),
        ({"architecture": "one_to_many", "bidirectional_encoder": True}, "bidirectional_encoder must be false"),
        ({"architecture": "aligne"}, "'aligne' is not allowed"),
        ({"beam_width": 0}, "0 is not allowed; input should be greater than 0"),
        ({"teacher_forcing": {"begin": 1.0}}, "did you mean"),
    ],
)
def test_a_faulty_block_is_named(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    path = tmp_path / "params.yaml"
    YAML().dump({"source": "sample", "tasks": {"a": {"model": {**LSTM, **values}}}}, path)
    with pytest.raises(ConfigError, match=re.escape(message)) as raised:
        Params(path).block("a", "model", SequenceToSequenceModel)
    assert "tasks.a.model" in str(raised.value)


# ---- aligned: a label for every step


def bits(count: int, longest: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, longest + 1, count)
    return sorted({"".join(map(str, rng.integers(0, 2, length))) for length in lengths})


def parities(text: str) -> str:
    return "".join("eo"[text[: place + 1].count("1") % 2] for place in range(len(text)))


def incremented(text: str) -> str:
    return format((int(text, 2) + 1) % 2 ** len(text), f"0{len(text)}b")


@pytest.mark.parametrize(
    ("label", "prepared_as", "values"),
    [
        (parities, {}, {}),
        (incremented, {"reverse_source": True}, {"cell": "gru"}),
        (incremented, {}, {"bidirectional_encoder": True}),
    ],
)
def test_a_label_for_every_step_is_learned(
    label: Any, prepared_as: dict[str, Any], values: dict[str, Any], tmp_path: Path
) -> None:
    prepared = prepare(tmp_path, table([(text, label(text)) for text in bits(900, 12, seed=0)]), **prepared_as)
    config = model(**{"architecture": "aligned", "hidden": 16, **values})
    network, _ = fit(prepared, config, epochs=10, batch_size=16, learning_rate=0.03)
    assert exact(network, prepared) > 0.99
    assert exact_of_baseline(prepared) < 0.05
    unseen = ["0111011101", "1"]
    answer = PROBLEM.answering.predict(network, prepared.meta, pd.DataFrame({"source": unseen}))["answer"].tolist()
    assert answer == [label(text) for text in unseen]


def exact_of_baseline(prepared: Prepared) -> float:
    found = [scores.sums() for scores in PROBLEM.scoring.baselines(prepared, "test").values()]
    return max(float(PROBLEM.scoring.metrics(sums, prepared.meta)["exact_match"]) for sums in found)


def test_the_loss_of_labels_is_a_mean_over_labels_alone(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, table([(text, parities(text)) for text in bits(60, 9, seed=1)]))
    network = PROBLEM.learning.model(model(architecture="aligned"), prepared.meta)
    (batch,) = PROBLEM.learning.batches(prepared, "test", 1000)
    loss = PROBLEM.learning.loss(network, batch)
    assert loss.count == int(batch["lengths_B"].sum())
    scores = network(batch["source_BS"], batch["lengths_B"], int(batch["lengths_B"].max())).log_softmax(-1)
    total = 0.0
    for row, (length, target) in enumerate(zip(batch["lengths_B"].tolist(), batch["target_BT"].tolist(), strict=True)):
        total -= sum(scores[row, place, target[place]].item() for place in range(length))
    assert loss.total.item() == pytest.approx(total, rel=1e-5)


def test_a_pair_of_unequal_lengths_is_named(tmp_path: Path) -> None:
    rows = [(text, parities(text)) for text in bits(40, 8, seed=2)]
    rows[7] = (rows[7][0], "e")
    prepared = prepare(tmp_path, table(rows))
    with pytest.raises(DataError) as raised:
        PROBLEM.learning.model(model(architecture="aligned"), prepared.meta)
    seen = f"row 7: source '{rows[7][0]}' has {len(rows[7][0])} characters, target 'e' 1; expected equal lengths"
    assert seen in str(raised.value)
    PROBLEM.learning.model(model(architecture="plain"), prepared.meta)


# ---- one to many: a category starts an answer

GRAMMAR = {
    "iamb": re.compile(r"(da DUM ?)+"),
    "trochee": re.compile(r"(DUM da ?)+"),
    "anapaest": re.compile(r"(da da DUM ?)+"),
}


def verses(seed: int = 0, count: int = 60) -> pd.DataFrame:
    """Lines of one to four feet, with an ending of its own now and then: several answers to each label."""
    feet = {"iamb": "da DUM", "trochee": "DUM da", "anapaest": "da da DUM"}
    rng = np.random.default_rng(seed)
    rows = [(name, " ".join([foot] * int(rng.integers(1, 5)))) for name, foot in feet.items() for _ in range(count)]
    return table([rows[place] for place in rng.permutation(len(rows))])


def metre(text: str) -> list[str]:
    return [name for name, pattern in GRAMMAR.items() if pattern.fullmatch(text)]


@pytest.fixture(scope="module")
def verse(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Prepared]:
    letters = "abcdefgh"
    rows = verses()
    # A free ending makes pairs that differ, so that held-out ones exist.
    endings = ["", *(f"/{a}{b}" for a, b in itertools.product(letters, letters))]
    rng = np.random.default_rng(1)
    rows["target"] = [line + str(rng.choice(endings)) for line in rows["target"]]
    prepared = prepare(tmp_path_factory.mktemp("verse"), rows, source_unit="whole", max_unknown_share=0.1)
    config = model(architecture="one_to_many", cell="gru", hidden=32, beam_width=5)
    return fit(prepared, config, epochs=25, batch_size=8)[0], prepared


def test_a_category_is_one_symbol_that_stands_in_every_split(verse: tuple[Any, Prepared]) -> None:
    _, prepared = verse
    assert prepared.meta["sources"] == ["anapaest", "iamb", "trochee"]
    (batch,) = PROBLEM.learning.batches(prepared, "test", 1000)
    assert batch["source_BS"].shape[1] == 1
    assert batch["source_BS"].unique().tolist() == [0, 1, 2]
    check = PROBLEM.preparation.check(prepared, SequenceToSequencePrepare.model_validate({
        "problem": "x", "validation_share": 0.1, "test_share": 0.2, "seed": 1, "reverse_source": False,
        "max_unknown_share": 0.1, "source_unit": "whole",
    }))  # fmt: skip
    facts = check.facts.iloc[0]
    assert facts["questions_in_two_splits"] == facts["unknown_sources"] == 0


def test_drawn_answers_belong_to_their_category(verse: tuple[Any, Prepared]) -> None:
    network, prepared = verse
    asked = pd.DataFrame({"source": ["iamb", "trochee", "anapaest"] * 40, "temperature": 0.7, "seed": range(120)})
    answer = PROBLEM.answering.predict(network, prepared.meta, asked)
    lines = [text.split("/")[0] for text in answer["answer"]]
    right = [name in metre(line) for name, line in zip(asked["source"], lines, strict=True)]
    assert np.mean(right) > 0.9
    assert len(set(answer["answer"])) > 30  # one category, many answers
    assert answer["probability"].between(0, 1).all()
    pd.testing.assert_frame_equal(PROBLEM.answering.predict(network, prepared.meta, asked), answer)
    alone = PROBLEM.answering.predict(network, prepared.meta, asked[5:6])
    assert alone["answer"][0] == answer["answer"][5]


def test_without_a_temperature_the_answer_is_searched_for(verse: tuple[Any, Prepared]) -> None:
    network, prepared = verse
    asked = pd.DataFrame({"source": ["iamb", "trochee"]})
    found = PROBLEM.answering.predict(network, prepared.meta, asked)
    for name, line in zip(asked["source"], found["answer"], strict=True):
        assert name in metre(line.split("/")[0])
    mixed = PROBLEM.answering.predict(network, prepared.meta, asked.assign(temperature=[0, 5.0], seed=3))
    assert mixed["answer"][0] == found["answer"][0]
    assert mixed["answer"][1] != found["answer"][1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"source": "iambs"},
            "row 1, column source: 'iambs': no source of train; expected one of its 3, such as 'iamb'",
        ),
        (
            {"source": 3},
            "row 1, column source: 3: no source of train; expected one of its 3, such as 'anapaest', 'iamb'",
        ),
        ({"source": "iamb", "temperature": -1.0}, "row 1, column temperature: -1.0; expected a number from 0 to 10"),
        ({"source": "iamb", "temperature": "x"}, "row 1, column temperature: 'x'; expected a number from 0 to 10"),
        ({"source": "iamb", "seed": 1.5}, "row 1, column seed: 1.5; expected a whole number from 0 to"),
        ({"source": "iamb", "seed": float("inf")}, "row 1, column seed: inf; expected a whole number"),
    ],
)
def test_a_faulty_request_is_named(verse: tuple[Any, Prepared], columns: dict[str, Any], message: str) -> None:
    network, prepared = verse
    with pytest.raises(DataError) as raised:
        PROBLEM.answering.predict(
            network, prepared.meta, pd.DataFrame({name: [value] for name, value in columns.items()})
        )
    assert message in str(raised.value)


def test_categories_are_groups_of_the_scores(verse: tuple[Any, Prepared]) -> None:
    network, prepared = verse
    scores = PROBLEM.scoring.score(network, prepared, "test", 16)
    assert set(PROBLEM.scoring.breakdown(scores, prepared.meta)["by_source"]) == {"anapaest", "iamb", "trochee"}
    names = [figure.name for figure in PROBLEM.scoring.figures(network, prepared, scores, {})]
    assert names == ["questions", "error_by_source"]


def test_an_unknown_category_is_critical(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, verses(), source_unit="whole")
    row = int(prepared.arrays["test"][0])
    ids = np.array(prepared.arrays["source_ids"])
    ids[row] = -1
    lost = Prepared({**prepared.arrays, "source_ids": ids}, prepared.meta)
    config = SequenceToSequencePrepare.model_validate({
        "problem": "x", "validation_share": 0.1, "test_share": 0.2, "seed": 1, "reverse_source": False,
        "max_unknown_share": 0.0, "source_unit": "whole",
    })  # fmt: skip
    with pytest.raises(ValidationError, match="a source that train does not have"):
        validate.validate_prepared(PROBLEM.preparation.check(lost, config), Layout(tmp_path, "verse"))


@pytest.mark.parametrize(
    ("architecture", "whole", "message"),
    [
        ("one_to_many", False, "expected prepare.source_unit: whole or numbers, but it is 'character'"),
        ("aligned", True, "expected prepare.source_unit: character, but it is 'whole'"),
    ],
)
def test_an_architecture_that_does_not_fit_the_sources_is_named(
    architecture: str, whole: bool, message: str, tmp_path: Path
) -> None:
    prepared = prepare(tmp_path, verses(), source_unit="whole" if whole else "character", max_unknown_share=1.0)
    with pytest.raises(ConfigError, match=message):
        PROBLEM.learning.model(model(architecture=architecture), prepared.meta)


def test_a_whole_source_has_no_order() -> None:
    with pytest.raises(ValueError, match="reverse_source must be false where source_unit is whole"):
        SequenceToSequencePrepare.model_validate({
            "problem": "x", "validation_share": 0.1, "test_share": 0.2, "seed": 1, "reverse_source": True,
            "max_unknown_share": 0.0, "source_unit": "whole",
        })  # fmt: skip


# ---- attention as a picture


@pytest.mark.parametrize("reverse", [False, True])
def test_maps_show_weights_at_the_characters_as_they_are_written(reverse: bool, tmp_path: Path) -> None:
    prepared = prepare(tmp_path, tables.pairs(), reverse_source=reverse)
    torch.manual_seed(0)
    network: Any = PROBLEM.learning.model(model(architecture="attention", attention="dot"), prepared.meta).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    scores = PROBLEM.scoring.score(network, prepared, "test", 64)
    figure = {figure.name: figure for figure in PROBLEM.scoring.figures(network, prepared, scores, {})}["attention"]
    frame, first = figure.frame, scores.table().iloc[0]
    own = frame[frame["map"] == f"{first['question']} → {first['guess']}"]
    assert frame["map"].nunique() == 6
    assert own[own["row"] == 0]["column_label"].tolist() == list(first["question"])
    assert own[own["column"] == 0]["row_label"].tolist() == [*first["guess"], "end"]
    np.testing.assert_allclose(own.groupby("row")["value"].sum(), 1, atol=1e-5)
    text = first["question"][::-1] if reverse else first["question"]
    source = torch.tensor([[prepared.meta["source_characters"].index(c) for c in text]])
    target = torch.tensor([[*(prepared.meta["target_characters"].index(c) + 1 for c in first["guess"]), 0]])
    weights = network.attended(source, torch.tensor([len(text)]), target)[0].detach().numpy()
    shown = own.pivot_table(index="row", columns="column", values="value").to_numpy()
    np.testing.assert_allclose(shown[:, ::-1] if reverse else shown, weights, atol=1e-5)
    render.write(figure, tmp_path / "figures", tmp_path)
    assert (tmp_path / "figures" / "attention.png").stat().st_size > 10_000


# ---- one to many: a vector of numbers starts an answer


def measured_verses(seed: int = 0, count: int = 400) -> pd.DataFrame:
    """A line's length and, by its sign, its metre, both with noise: no two sources are equal."""
    rng = np.random.default_rng(seed)
    feet, iamb = rng.integers(1, 5, count), rng.random(count) < 0.5
    length, sign = feet + rng.uniform(-0.3, 0.3, count), np.where(iamb, 1, -1) * rng.uniform(20, 90, count)
    lines = [" ".join(["da DUM" if one else "DUM da"] * many) for many, one in zip(feet, iamb, strict=True)]
    return table([(f"{a:.3f}  {b:.2e}", line) for a, b, line in zip(length, sign, lines, strict=True)])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Prepared]:
    prepared = prepare(tmp_path_factory.mktemp("measured"), measured_verses(), source_unit="numbers")
    return fit(prepared, model(architecture="one_to_many", hidden=32), epochs=20, batch_size=8)[0], prepared


def test_an_answer_starts_from_a_vector(measured: tuple[Any, Prepared], tmp_path: Path) -> None:
    network, prepared = measured
    assert exact(network, prepared) > 0.9
    assert exact_of_baseline(prepared) < 0.3
    unseen = measured_verses(seed=9, count=50)
    answer = PROBLEM.answering.predict(network, prepared.meta, unseen[["source"]])
    assert (answer["answer"] == unseen["target"]).mean() > 0.9
    store.write_tensors(tmp_path / "w.safetensors", network.state_dict())
    again = PROBLEM.learning.model(model(architecture="one_to_many", hidden=32), prepared.meta)
    again.load_state_dict(store.read_tensors(tmp_path / "w.safetensors")[0])
    pd.testing.assert_frame_equal(PROBLEM.answering.predict(again, prepared.meta, unseen[["source"]]), answer)
    example = PROBLEM.answering.example(prepared)
    assert len(PROBLEM.answering.predict(network, prepared.meta, example)) == len(example) == 3


def test_numbers_reach_the_network_as_they_stand_in_the_table_and_are_scaled_by_train(
    measured: tuple[Any, Prepared],
) -> None:
    network, prepared = measured
    raw = np.array([[float(part) for part in text.split()] for text in measured_verses()["source"]])
    for split in ("train", "validation", "test"):
        seen = np.concatenate([batch["source_BS"].numpy() for batch in PROBLEM.learning.batches(prepared, split, 7)])
        np.testing.assert_allclose(seen, raw[prepared.arrays[split]], rtol=1e-6)
    train = raw[prepared.arrays["train"]]
    np.testing.assert_allclose(network.source.mean_D, train.mean(0), rtol=1e-5)
    np.testing.assert_allclose(network.source.deviation_D, train.std(0), rtol=1e-5)
    batch = next(iter(PROBLEM.learning.batches(prepared, "test", 5)))
    _, (hidden, cell) = network.source(batch["source_BS"], batch["lengths_B"])
    weight, bias = (each.detach().numpy() for each in (network.source.start.weight, network.source.start.bias))
    scaled = (raw[prepared.arrays["test"][:5]] - train.mean(0)) / train.std(0)
    expected = scaled @ weight.T + bias
    np.testing.assert_allclose(np.concatenate([hidden[0].detach(), cell[0].detach()], 1), expected, atol=1e-5)


def test_equal_vectors_stand_in_one_split_however_they_are_written(tmp_path: Path) -> None:
    rows = [(f"{place % 20}{end}", "ab"[place % 2]) for end in ("", ".0", "e0") for place in range(20)]
    prepared = prepare(tmp_path, table(rows), source_unit="numbers")
    places = [{int(row) % 20 for row in prepared.arrays[split]} for split in ("train", "validation", "test")]
    assert sum(map(len, places)) == len(set().union(*places)) == 20
    config = SequenceToSequencePrepare.model_validate({
        "problem": "x", "validation_share": 0.1, "test_share": 0.2, "seed": 1, "reverse_source": False,
        "max_unknown_share": 0.0, "source_unit": "numbers",
    })  # fmt: skip
    check = PROBLEM.preparation.check(prepared, config)
    assert validate.check(check.facts, check.expectations, title="prepared").failed("critical") == []
    assert validate.check(check.facts, check.expectations, title="prepared").failed("warning") == []


def test_vectors_have_a_score_and_pictures(measured: tuple[Any, Prepared]) -> None:
    network, prepared = measured
    scores = PROBLEM.scoring.score(network, prepared, "test", 16)
    assert PROBLEM.scoring.breakdown(scores, prepared.meta) == {}
    assert [figure.name for figure in PROBLEM.scoring.figures(network, prepared, scores, {})] == ["questions"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1.5 x", "column source: number 2 is 'x'; expected a finite number like 0.25"),
        ("nan 1", "column source: number 1 is 'nan'; expected a finite number"),
        ("1 1e39", "column source: number 2 is '1e39'; expected a finite number"),
        ("1_0 1", "column source: number 1 is '1_0'; expected a finite number"),
        ("1", "column source: 1 numbers; expected 2"),
        ("1 2 3", "column source: 3 numbers; expected 2"),
    ],
)
def test_a_faulty_number_is_named_by_its_row(
    measured: tuple[Any, Prepared], source: str, message: str, tmp_path: Path
) -> None:
    network, prepared = measured
    asked = pd.DataFrame({"source": ["1 20", source]})
    with pytest.raises(DataError) as raised:
        PROBLEM.answering.predict(network, prepared.meta, asked)
    assert f"input: row 2, {message}" in str(raised.value)
    rows = measured_verses(count=30)
    rows.loc[17, "source"] = source
    with pytest.raises(DataError) as raised:
        prepare(tmp_path, rows, source_unit="numbers")
    assert f"pairs: row 17, {message}" in str(raised.value)


@pytest.mark.parametrize("architecture", ["repeat", "plain", "aligned"])
def test_only_one_to_many_starts_from_numbers(measured: tuple[Any, Prepared], architecture: str) -> None:
    with pytest.raises(ConfigError, match=f"{architecture}' reads symbols; expected one_to_many"):
        PROBLEM.learning.model(model(architecture=architecture), measured[1].meta)
    with pytest.raises(ValueError, match="must be false where source_unit is numbers: numbers are not read one by one"):
        SequenceToSequencePrepare.model_validate({
            "problem": "x", "validation_share": 0.1, "test_share": 0.2, "seed": 1, "reverse_source": True,
            "max_unknown_share": 0.0, "source_unit": "numbers",
        })  # fmt: skip
