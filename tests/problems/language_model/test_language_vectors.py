"""A language model of words that begins with word vectors from a file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from problems import tables
from unroll.core import store
from unroll.core.config import TrainConfig
from unroll.core.errors import ConfigError, DataError
from unroll.problems.common.base import Prepared
from unroll.stages.train import train
from unroll.stages.validate import validate

torch.set_num_threads(1)

CASE = tables.CASES["language_model"]
PROBLEM, CONFIG, _ = CASE.open()
CARRIED = {**CASE.model, "direct_order": 0}
WINDOW = {**CARRIED, "architecture": "window", "window": 5, "stride": 3}
TRAIN = TrainConfig(
    seed=1, threads=1, device="cpu", precision="float32", epochs=1, batch_size=4, optimizer="adam",
    learning_rate=0.02, momentum=0.9, weight_decay=0.1, schedule="constant", clip_norm=1.0, patience=None,
)  # fmt: skip
KNOWN = ["late", "lost", "gate", "love", "crew", "absent"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "small.txt"
    rows = np.random.default_rng(0).normal(size=(len(KNOWN), 4)).round(3)
    path.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in zip(KNOWN, rows, strict=True)))
    return path


@pytest.fixture(scope="module")
def prepared(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return CASE.run(tmp_path_factory.mktemp("words"), level="word", vectors=str(file))


def build(prepared: Prepared, block: dict[str, Any] = CARRIED, **changed: Any) -> Any:
    return train.build(PROBLEM, PROBLEM.Model.model_validate({**block, **changed}), prepared, TRAIN)


def test_prepare_keeps_the_vectors_of_the_words_it_knows(prepared: Prepared, file: Path) -> None:
    meta, vectors, found = prepared.meta, prepared.arrays["vectors"], prepared.arrays["vectors_found"]
    theirs = pd.read_csv(file, sep=" ", header=None, index_col=0).astype(np.float32)
    names = ["<unk>", *meta["symbols"]]
    assert found.tolist() == [name in KNOWN for name in names]
    for name, vector, own in zip(names, vectors, found, strict=True):
        assert not own or (vector == theirs.loc[name].to_numpy()).all(), name
    drawn = vectors[~found]
    assert 0.5 < drawn.std() / vectors[found].std() < 1.5  # a word that the file lacks: the spread of those it has
    assert len(np.unique(drawn, axis=0)) == len(drawn)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert meta["vectors"] == {"sha256": digest, "width": 4, "words_found": 5}


def test_facts_tell_how_many_words_have_a_vector(prepared: Prepared) -> None:
    check = PROBLEM.preparation.check(prepared, CONFIG)
    facts, ids, found = check.facts.iloc[0], prepared.arrays["ids"], prepared.arrays["vectors_found"]
    assert facts["vocabulary_words"] == len(prepared.meta["symbols"])
    assert facts["vocabulary_words_with_a_vector"] == 5
    for split, (low, high) in prepared.meta["bounds"].items():
        assert facts[f"{split}_share_with_a_vector"] == pytest.approx(np.mean([found[each] for each in ids[low:high]]))
    assert validate.check(check.facts, check.expectations, title="words").failures() == []


@pytest.mark.parametrize("block", [CARRIED, WINDOW], ids=["carried", "window"])
def test_frozen_vectors_stay_and_tuned_ones_change(prepared: Prepared, block: dict[str, Any]) -> None:
    for vectors in ("frozen", "tuned"):
        model = build(prepared, block, vectors=vectors)
        np.testing.assert_array_equal(model.embedding.weight.detach(), prepared.arrays["vectors"])
        train.fit_network(model, PROBLEM, prepared, TRAIN, lambda *_: None)
        same = np.array_equal(model.embedding.weight.detach(), prepared.arrays["vectors"])
        assert same == (vectors == "frozen")


@pytest.mark.parametrize("block", [CARRIED, WINDOW], ids=["carried", "window"])
def test_all_else_starts_as_without_a_file(prepared: Prepared, block: dict[str, Any], tmp_path: Path) -> None:
    without = CASE.run(tmp_path, level="word")
    assert "vectors" not in without.meta
    own, learned, tuned = (
        build(data, block, **changed).state_dict()
        for data, changed in ((without, {}), (prepared, {}), (prepared, {"vectors": "tuned"}))
    )
    assert all(torch.equal(own[name], learned[name]) for name in own)
    assert [name for name in own if not torch.equal(own[name], tuned[name])] == ["embedding.weight"]


def test_a_frozen_model_is_loaded_without_the_file(prepared: Prepared, tmp_path: Path) -> None:
    model = build(prepared, vectors="frozen").eval()
    store.write_tensors(tmp_path / "w.safetensors", model.state_dict())
    meta = json.loads(json.dumps(prepared.meta))
    other = PROBLEM.learning.model(PROBLEM.Model.model_validate({**CARRIED, "vectors": "frozen"}), meta)
    other.load_state_dict(store.read_tensors(tmp_path / "w.safetensors")[0])
    asked = pd.DataFrame({"text": ["the crew lost"], "length": [20]})
    pd.testing.assert_frame_equal(
        PROBLEM.answering.predict(model, meta, asked), PROBLEM.answering.predict(other, meta, asked)
    )


def test_what_does_not_fit_together_is_named(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"vectors: 'v\.txt' with level character; expected level word, or null"):
        PROBLEM.Prepare.model_validate({**CASE.prepare, "vectors": "v.txt"})
    with pytest.raises(ConfigError, match=r"^model\.embedding: 5 is not allowed; expected 4, the width of prep"):
        build(prepared, vectors="frozen", embedding=5)
    words = CONFIG.model_copy(update={"level": "word"})
    tuned = PROBLEM.Model.model_validate({**CARRIED, "vectors": "tuned"})
    said = PROBLEM.disagreement(words, tuned)
    assert said is not None
    assert said.startswith("model.vectors: 'tuned' needs a file of word vectors, and prepare.vectors is null;")
    assert PROBLEM.disagreement(words.model_copy(update={"vectors": "v.txt"}), tuned) is None
    with pytest.raises(DataError, match=r"^prepare\.vectors: .*absent\.txt: not there; expected a file of lines"):
        CASE.run(tmp_path, level="word", vectors=str(tmp_path / "absent.txt"))
