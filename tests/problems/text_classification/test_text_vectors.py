"""Text classification that begins with word vectors from a file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from problems import tables
from unroll.core import store
from unroll.core.config import TrainConfig
from unroll.core.errors import ConfigError, DataError
from unroll.problems.common.base import Prepared
from unroll.stages.train import train
from unroll.stages.validate import validate

torch.set_num_threads(1)

CASE = tables.CASES["text_classification"]
PROBLEM, _, MODEL = CASE.open()
TRAIN = TrainConfig(
    seed=1, threads=1, device="cpu", precision="float32", epochs=2, batch_size=16, optimizer="adam",
    learning_rate=0.02, momentum=0.9, weight_decay=0.0, schedule="constant", clip_norm=1.0, patience=None,
)  # fmt: skip
KNOWN = ["late", "lost", "gate", "love", "crew", "never", "a"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "small.txt"
    rows = np.random.default_rng(0).normal(size=(len(KNOWN), 4)).round(3).tolist()
    lines = (
        " ".join([word, *map(str, row)])
        for word, row in zip(
            [
                "Late",
                *KNOWN[1:],
            ],
            rows,
            strict=True,
        )
    )
    path.write_text("\n".join([*lines, "late 9 8 7 6"]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def prepared(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("texts"), vectors=str(file))


def build(prepared: Prepared, **changed: Any) -> Any:
    return train.build(PROBLEM, MODEL.model_copy(update=changed), prepared, TRAIN)


def trained(prepared: Prepared, weight_decay: float = 0.0, **changed: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The embedding before and after training."""
    config = TRAIN.model_copy(update={"weight_decay": weight_decay})
    model = build(prepared, **changed)
    before = model.embedding.weight.detach().clone()
    train.fit_network(model, PROBLEM, prepared, config, lambda *_: None)
    return before, model.embedding.weight.detach()


def test_prepare_keeps_the_vectors_of_the_vocabulary(prepared: Prepared, file: Path) -> None:
    meta, vectors, found = prepared.meta, prepared.arrays["vectors"], prepared.arrays["vectors_found"]
    theirs = pd.read_csv(file, sep=" ", header=None, index_col=0).astype(np.float32)
    for number, word in enumerate(["<unk>", *meta["vocabulary"]]):
        assert found[number] == (word in theirs.index)
        if found[number]:
            np.testing.assert_array_equal(vectors[number], theirs.loc[word])
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert meta["vectors"] == {"sha256": digest, "width": 4, "words_found": int(found.sum())}
    assert 0 < found.sum() < len(found)


def test_facts_tell_how_many_words_have_a_vector(prepared: Prepared) -> None:
    check = PROBLEM.preparation.check(prepared, CASE.open()[1])
    facts = check.facts.iloc[0]
    found, offsets = prepared.arrays["vectors_found"], prepared.arrays["tokens_offsets"]
    assert facts["vocabulary_words"] == 20
    assert facts["vocabulary_words_with_a_vector"] == found.sum()
    for split in ("train", "validation", "test"):
        ids = np.concatenate(
            [prepared.arrays["tokens_ids"][offsets[row] : offsets[row + 1]] for row in prepared.arrays[split]]
        )
        assert facts[f"{split}_share_with_a_vector"] == pytest.approx(found[ids].mean())
    assert validate.check(check.facts, check.expectations, title="texts").failures() == []


def test_frozen_vectors_stay_as_the_file_has_them(prepared: Prepared) -> None:
    before, after = trained(prepared, weight_decay=0.1, vectors="frozen")
    np.testing.assert_array_equal(before[1:], prepared.arrays["vectors"])
    assert torch.equal(before, after)


def test_tuned_vectors_begin_with_the_file_and_change(prepared: Prepared) -> None:
    before, after = trained(prepared, vectors="tuned")
    np.testing.assert_array_equal(before[1:], prepared.arrays["vectors"])
    assert (before[2:] != after[2:]).any(dim=1).all()
    assert torch.equal(before[0], after[0])  # padding


def test_learned_vectors_know_nothing_of_the_file(prepared: Prepared, tmp_path: Path) -> None:
    without = CASE.run(tmp_path)
    assert "vectors" not in without.meta
    assert "vectors" not in without.arrays
    for a, b in zip(build(prepared).state_dict().values(), build(without).state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_other_weights_are_those_of_the_seed_whatever_the_vectors(prepared: Prepared) -> None:
    learned, tuned = build(prepared).state_dict(), build(prepared, vectors="tuned").state_dict()
    assert [name for name in learned if not torch.equal(learned[name], tuned[name])] == ["embedding.weight"]


def test_a_frozen_model_is_loaded_without_the_file(prepared: Prepared, tmp_path: Path) -> None:
    model = build(prepared, vectors="frozen").eval()
    store.write_tensors(tmp_path / "w.safetensors", model.state_dict())
    meta = json.loads(json.dumps(prepared.meta))
    other = PROBLEM.learning.model(MODEL.model_copy(update={"vectors": "frozen"}), meta)
    other.load_state_dict(store.read_tensors(tmp_path / "w.safetensors")[0])
    asked = pd.DataFrame({"text": ["the crew lost my seat", "never late"]})
    pd.testing.assert_frame_equal(
        PROBLEM.answering.predict(model, meta, asked), PROBLEM.answering.predict(other, meta, asked)
    )


def test_a_relative_file_lies_in_the_project(prepared: Prepared, file: Path, tmp_path: Path) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "mine.txt").write_bytes(file.read_bytes())
    found = CASE.run(tmp_path / "data" / "prepared" / "texts", vectors="vectors/mine.txt")
    assert found.meta == prepared.meta
    np.testing.assert_array_equal(found.arrays["vectors"], prepared.arrays["vectors"])


def test_what_does_not_fit_together_is_named(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        build(prepared, vectors="frozen", embedding=5)
    assert str(error.value) == "model.embedding: 5 is not allowed; expected 4, the width of prepare.vectors"
    with pytest.raises(ConfigError, match=r"^model\.vectors: 'tuned' needs a file of word vectors, and prepare\.vec"):
        build(CASE.run(tmp_path), vectors="tuned")
    with pytest.raises(DataError, match=r"^prepare\.vectors: .*absent\.txt: not there; expected a file of lines"):
        CASE.run(tmp_path, vectors=str(tmp_path / "absent.txt"))
    (tmp_path / "bad.txt").write_text("late 1 2\nlost 3 four\n")
    with pytest.raises(DataError, match=r"^prepare\.vectors: .*bad\.txt: line 2: number 2 of 'lost' is 'four'; exp"):
        CASE.run(tmp_path, vectors=str(tmp_path / "bad.txt"))


# ---- what the vectors stand for


def test_symbols_name_the_rows_of_the_embedding(prepared: Prepared) -> None:
    symbols = list(PROBLEM.embedding.symbols(prepared.meta))
    model = build(prepared, vectors="frozen")
    assert len(symbols) == len(model.embedding.weight)
    assert model.embedding.weight[symbols.index("late")].tolist() == [9, 8, 7, 6]
    assert symbols[:2] == ["", ""]


def test_groups_are_the_classes_that_words_are_signs_of(prepared: Prepared) -> None:
    groups = dict(zip(PROBLEM.embedding.symbols(prepared.meta), PROBLEM.embedding.groups(prepared), strict=True))
    signs = {"lost": "negative", "gate": "neutral", "love": "positive"}
    assert {word: groups[word] for word in signs} == signs
    assert sum(not group for group in groups.values()) > len(groups) / 2
