"""params.yaml as JSON Schema, and its check as a whole."""

import copy
import gzip
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from projects import ROOT, change_params, read_yaml

from unroll import datasets, problems
from unroll.core.errors import ConfigError
from unroll.pipeline import check


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    found = check.json_schema()
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return tmp_path


def faults(validator: Draft202012Validator, changes: dict[str, Any], drop: str = "") -> list[str]:
    values = copy.deepcopy(read_yaml(ROOT / "params.yaml"))
    for key, value in changes.items():
        *parents, last = key.split(".")
        block = values
        for parent in parents:
            block = block[parent]
        block[last] = value
    if drop:
        *parents, last = drop.split(".")
        block = values
        for parent in parents:
            block = block[parent]
        del block[last]
    return [".".join(map(str, error.absolute_path)) for error in validator.iter_errors(values)]


def test_the_projects_own_parameters_fit_the_schema(validator: Draft202012Validator) -> None:
    assert faults(validator, {}) == []


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("tasks.tweets.train.epochs", 0, "tasks.tweets.train.epochs"),
        ("tasks.tweets.train.epochs", "8", "tasks.tweets.train.epochs"),
        ("tasks.tweets.train.schedule", "steps", "tasks.tweets.train.schedule"),
        ("tasks.tweets.train.epoch", 8, "tasks.tweets.train"),
        ("tasks.tweets.data.dataset", "twets", "tasks.tweets.data.dataset"),
        ("tasks.tweets.data.digits", 3, "tasks.tweets.data"),
        ("tasks.addition.data.digits", "three", "tasks.addition.data.digits"),
        ("tasks.addition.model.hidden", -1, "tasks.addition.model.hidden"),
        ("tasks.tweets.models", {}, "tasks.tweets"),
        ("sources", "lab", ""),
    ],
)
def test_the_schema_refuses_what_the_code_refuses(
    validator: Draft202012Validator, root: Path, key: str, value: object, place: str
) -> None:
    assert place in faults(validator, {key: value})
    change_params(root, {key: value})
    with pytest.raises(ConfigError):
        check.check(root)


def test_a_missing_key_is_a_fault(validator: Draft202012Validator) -> None:
    assert faults(validator, {}, drop="tasks.poetry.train.seed") == ["tasks.poetry.train"]
    assert faults(validator, {}, drop="tasks.poetry.gate") == ["tasks.poetry"]


def test_every_dataset_and_problem_has_its_block(validator: Draft202012Validator) -> None:
    blocks = set(validator.schema["$defs"])
    assert {f"data.{name}" for name in datasets.names()} <= blocks
    assert {f"{block}.{name}" for name in problems.names() for block in ("prepare", "model")} <= blocks


def test_check_reads_all_tasks(root: Path) -> None:
    assert check.check(root).tasks() == list(read_yaml(ROOT / "params.yaml")["tasks"])


def test_check_names_every_faulty_block_in_a_line_each(root: Path) -> None:
    change_params(root, {"tasks.poetry.train.epochs": 0, "tasks.addition.gate.direction": "up"})
    with pytest.raises(ConfigError) as raised:
        check.check(root)
    first, second = str(raised.value).splitlines()
    assert "tasks.poetry.train.epochs: 0 is not allowed" in first
    assert "tasks.addition.gate.direction: 'up' is not allowed" in second


def test_check_offers_the_nearest_name_and_key(root: Path) -> None:
    change_params(root, {"tasks.tweets.data.dataset": "tweet", "tasks.poetry.train.epoch": 3})
    with pytest.raises(ConfigError, match=r"data\.dataset: 'tweet' is not allowed") as raised:
        check.check(root)
    assert "tasks.poetry.train.epoch: unknown key (value 3); did you mean 'epochs'?" in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "tweets.model.vectors",
            "tuned",
            "tweets.model.vectors: 'tuned' needs a file of word vectors, and prepare.vec",
        ),
        (
            "poetry.prepare.level",
            "word",
            "poetry.model.direct_order: 5 with prepare.level word, whose groups have no s",
        ),
        ("addition.model.architecture", "one_to_many", "addition.model.architecture: 'one_to_many' needs sources that"),
        ("poetry.model.architecture", "window", "poetry.model: direct_order: 5 with architecture window, which has no"),
        ("tweets.model.merge", "sum", None),
        (
            "addition.model.merge",
            "sum",
            "addition.model: merge: 'sum' adds up two directions, and the network reads in",
        ),
        ("air_quality.model.merge", "sum", "air_quality.model: merge: 'sum' adds up two directions, and the network"),
    ],
)
def test_check_refuses_keys_that_would_have_no_effect(root: Path, key: str, value: str, said: str | None) -> None:
    change_params(root, {f"tasks.{key}": value})
    if said is None:
        check.check(root)
        return
    with pytest.raises(ConfigError) as raised:
        check.check(root)
    assert str(raised.value).startswith(f"{root / 'params.yaml'}: tasks.{said}")
    assert "\n" not in str(raised.value)


def test_check_refuses_a_dataset_whose_table_the_problem_does_not_take(root: Path) -> None:
    blocks = read_yaml(root / "params.yaml")["tasks"]
    change_params(root, {"tasks.poetry.data": blocks["tweets"]["data"]})
    with pytest.raises(
        ConfigError, match=r"tasks\.poetry: dataset 'tweets' gives a table of labelled text; problem"
    ) as raised:
        check.check(root)
    assert "takes a table of text" in str(raised.value)


@pytest.mark.parametrize("name", ["vectors.txt", "packed.txt.gz"])
def test_check_sees_that_a_file_of_vectors_is_not_as_wide_as_the_embedding(root: Path, name: str) -> None:
    """Of a large file no more than the beginning is read: what stands further on is no matter here."""
    raw = ("late 1 2 3\n" * 60 + "cut off").encode()
    (root / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    change_params(root, {"tasks.tweets.prepare.vectors": name, "tasks.tweets.model.vectors": "frozen"})
    embedding = read_yaml(root / "params.yaml")["tasks"]["tweets"]["model"]["embedding"]
    with pytest.raises(ConfigError) as raised:
        check.check(root)
    wanted = f"tasks.tweets.model.embedding: {embedding} is not allowed; expected 3, the width of prepare.vectors"
    assert str(raised.value) == f"{root / 'params.yaml'}: {wanted}"
    change_params(root, {"tasks.tweets.model.embedding": 3})
    check.check(root)
    change_params(root, {"tasks.tweets.model.embedding": embedding, "tasks.tweets.model.vectors": "learned"})
    check.check(root)  # the file is read and not used: nothing need fit


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "not there; expected a file of lines: a word and its numbers"),
        ("", "empty; expected lines: a word and its numbers"),
        ("late\n", "line 1: 'late': a word and 0 numbers; expected a word and its numbers"),
    ],
)
def test_check_sees_that_there_is_no_file_of_vectors(root: Path, content: str | None, told: str) -> None:
    if content is not None:
        (root / "vectors.txt").write_text(content, encoding="utf-8")
    change_params(root, {"tasks.tweets.prepare.vectors": "vectors.txt", "tasks.tweets.model.vectors": "tuned"})
    with pytest.raises(ConfigError) as raised:
        check.check(root)
    where = f"{root / 'params.yaml'}: tasks.tweets.prepare.vectors: {root / 'vectors.txt'}"
    assert str(raised.value) == f"{where}: {told}"
