"""Parameters: what is refused, and that the one line names the key path, the value and what is allowed."""

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, model_validator
from pydantic import ValidationError as PydanticError

from unroll.core.config import Config, GateConfig, PositiveInt, Share, TrainConfig
from unroll.core.errors import ConfigError
from unroll.core.params import Params


class Inner(Config):
    depth: PositiveInt


class Block(Config):
    rate: float = Field(gt=0)
    share: Share
    steps: PositiveInt
    kind: Literal["plain", "fancy"]
    names: tuple[str, ...] = Field(strict=False)
    note: str | None = None
    inner: Inner = Inner(depth=1)


GOOD: dict[str, Any] = {"rate": 0.5, "share": 0.25, "steps": 3, "kind": "plain", "names": ["a", "b"]}
TRAIN = """
    seed: 1
    threads: 1
    device: auto
    precision: float32
    epochs: 10
    batch_size: 500
    optimizer: adam
    learning_rate: 1e-3
    momentum: 0.9
    weight_decay: 0.0
    schedule: one_cycle
    clip_norm: null
    patience: null
"""


def params(tmp_path: Path, text: str) -> Params:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return Params(path)


def block(tmp_path: Path, **changed: Any) -> Block:
    """``Block`` read from YAML, with keys changed; a key set to ``...`` is left out."""
    values = {**GOOD, **changed}
    lines = [f"      {key}: {value}" for key, value in values.items() if value is not ...]
    text = "source: sample\ntasks:\n  air:\n    data:\n" + "\n".join(lines).replace("'", "") + "\n"
    return params(tmp_path, text).block("air", "data", Block)


def refusal(tmp_path: Path, **changed: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        block(tmp_path, **changed)
    message = str(caught.value)
    assert "\n" not in message
    prefix = f"{tmp_path / 'params.yaml'}: tasks.air.data."
    assert message.startswith(prefix)
    return message.removeprefix(prefix)


def test_a_good_block_is_read_with_its_types(tmp_path: Path) -> None:
    read = block(tmp_path, inner="{depth: 2}")
    assert read == Block(rate=0.5, share=0.25, steps=3, kind="plain", names=("a", "b"), note=None, inner=Inner(depth=2))


@pytest.mark.parametrize("spelling", ["1e-3", "1E-3", "1.0e-3", "0.001"])
def test_a_number_in_any_spelling_is_a_float(tmp_path: Path, spelling: str) -> None:
    assert block(tmp_path, rate=spelling).rate == 0.001


def test_a_whole_number_may_stand_for_a_float(tmp_path: Path) -> None:
    assert block(tmp_path, rate=2).rate == 2.0


def test_unknown_key_names_the_nearest_and_all_good_ones(tmp_path: Path) -> None:
    message = refusal(tmp_path, stps=4)
    assert message == (
        "stps: unknown key (value 4); did you mean 'steps'?; allowed: rate, share, steps, kind, names, note, inner"
    )


def test_unknown_key_of_an_inner_block_names_those_of_the_inner_block(tmp_path: Path) -> None:
    message = refusal(tmp_path, inner="{depth: 2, dept: 3}")
    assert message.startswith("inner.dept: unknown key (value 3); did you mean 'depth'?; allowed: depth")


def test_missing_key(tmp_path: Path) -> None:
    assert refusal(tmp_path, steps=...) == "steps: missing; every tuned value must be given"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rate": "fast"}, "rate: 'fast' is not allowed; input should be a valid number"),
        ({"rate": '"0.1"'}, "rate: '0.1' is not allowed; input should be a valid number"),
        ({"rate": 0}, "rate: 0 is not allowed; input should be greater than 0"),
        ({"rate": ".nan"}, "rate: nan is not allowed; input should be "),
        ({"rate": ".inf"}, "rate: inf is not allowed; input should be a finite number"),
        ({"rate": "null"}, "rate: None is not allowed; input should be a valid number"),
        ({"share": 1.5}, "share: 1.5 is not allowed; input should be less than or equal to 1"),
        ({"share": -0.5}, "share: -0.5 is not allowed; input should be greater than or equal to 0"),
        ({"steps": 0}, "steps: 0 is not allowed; input should be greater than 0"),
        ({"steps": 2.0}, "steps: 2.0 is not allowed; input should be a valid integer"),
        ({"steps": "true"}, "steps: True is not allowed; input should be a valid integer"),
        ({"kind": "fancier"}, "kind: 'fancier' is not allowed; input should be 'plain' or 'fancy'"),
        ({"names": "a"}, "names: 'a' is not allowed; input should be a valid tuple"),
        ({"names": "[a, 3]"}, "names.1: 3 is not allowed; input should be a valid string"),
        ({"note": 2}, "note: 2 is not allowed; input should be a valid string"),
        ({"inner": "{depth: 0}"}, "inner.depth: 0 is not allowed; input should be greater than 0"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    assert refusal(tmp_path, **changed).startswith(message)


def test_all_faults_of_a_block_are_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, steps=0, share=2)
    assert "share: 2 is not allowed" in message
    assert "tasks.air.data.steps: 0 is not allowed" in message


def test_a_name_or_several_names_is_one_fault_not_one_for_each_way_to_write_it(tmp_path: Path) -> None:
    from unroll.problems.forecasting import ForecastingPrepare

    text = "tasks:\n  air:\n    prepare:\n      problem: forecasting\n      variables: 3\n"
    with pytest.raises(ConfigError) as caught:
        params(tmp_path, text).block("air", "prepare", ForecastingPrepare)
    (fault,) = [part for part in str(caught.value).split("; ") if "tasks.air.prepare.variables" in part]
    assert "tasks.air.prepare.variables: 3 is not allowed" in fault


def test_a_rule_over_several_keys_speaks_for_itself(tmp_path: Path) -> None:
    class Ordered(Inner):
        width: PositiveInt

        @model_validator(mode="after")
        def _deeper_than_wide(self) -> "Ordered":
            if self.depth <= self.width:
                raise ValueError(f"depth {self.depth} must be above width {self.width}")
            return self

    read = params(tmp_path, "tasks: {air: {model: {depth: 1, width: 2}}}\n")
    with pytest.raises(ConfigError) as caught:
        read.block("air", "model", Ordered)
    assert str(caught.value) == f"{tmp_path / 'params.yaml'}: tasks.air.model: depth 1 must be above width 2"


def test_blocks_do_not_change() -> None:
    frozen = Block(**{**GOOD, "names": ("a",)})
    with pytest.raises(PydanticError, match="frozen"):
        frozen.rate = 1.0  # type: ignore[misc]


def test_the_train_block_is_read(tmp_path: Path) -> None:
    read = params(tmp_path, "source: sample\ntasks:\n  air:\n    train:" + TRAIN.replace("\n    ", "\n      "))
    config = read.block("air", "train", TrainConfig)
    assert (config.learning_rate, config.clip_norm, config.patience) == (0.001, None, None)


@pytest.mark.parametrize("key", ["learning_rate: -1", "momentum: 1.0", "clip_norm: 0", "patience: 0", "device: gpu"])
def test_the_train_block_checks_ranges(tmp_path: Path, key: str) -> None:
    name = key.split(":")[0]
    lines = [line for line in TRAIN.splitlines() if line.split(":")[0].strip() != name] + [f"    {key}"]
    text = "source: sample\ntasks:\n  air:\n    train:" + "\n      ".join(line.strip() for line in lines)
    with pytest.raises(ConfigError, match=rf"tasks\.air\.train\.{name}: .* is not allowed; input should be"):
        params(tmp_path, text).block("air", "train", TrainConfig)


def test_the_gate_names_its_keys(tmp_path: Path) -> None:
    text = "tasks:\n  air:\n    gate: {metric: r2, direction: up, threshold: 0.5, baselines: []}\n"
    with pytest.raises(ConfigError, match=r"tasks\.air\.gate\.direction: 'up' is not allowed; .*'higher' or 'lower'"):
        params(tmp_path, text).block("air", "gate", GateConfig)
    text = text.replace("up", "higher")
    gate = params(tmp_path, text).block("air", "gate", GateConfig)
    assert (gate.margin, gate.confidence) == (0.0, 0.95)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("margin: -0.1", r"gate\.margin: -0\.1 is not allowed; input should be greater than or equal to 0"),
        ("confidence: 0.999", r"gate\.confidence: 0\.999 is not allowed; input should be less than or equal to 0\.99"),
        ("confidence: 95", r"gate\.confidence: 95 is not allowed"),
        ("margins: 0", r"gate\.margins: unknown key \(value 0\); did you mean 'margin'\?"),
    ],
)
def test_what_a_champion_must_be_beaten_by_is_bounded(tmp_path: Path, given: str, message: str) -> None:
    text = f"tasks:\n  air:\n    gate: {{metric: r2, direction: higher, threshold: 0.5, baselines: [], {given}}}\n"
    with pytest.raises(ConfigError, match=message):
        params(tmp_path, text).block("air", "gate", GateConfig)


def test_reads_are_recorded_and_nothing_else(tmp_path: Path) -> None:
    read = params(
        tmp_path,
        "source: sample\ntasks:\n  air:\n    data: {dataset: x}\n    gate: {depth: 1}\n    model: {depth: 2}\n",
    )
    assert read.tasks() == ["air"]
    assert read.reads == set()
    read.value("air", "data.dataset")
    read.block("air", "model", Inner)
    read.check_top_keys()
    read.check_task_keys("air")
    assert read.reads == {"tasks.air.data.dataset", "tasks.air.model"}
    read.source()
    assert read.reads == {"tasks.air.data.dataset", "tasks.air.model", "source"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: sample\nsoruce: lab\ntasks: {}\n", "soruce: unknown key; did you mean 'source'?"),
        ("tasks:\n  air: {modle: {}}\n", "tasks.air.modle: unknown key; did you mean 'model'?"),
        ("tasks:\n  air: {data: {}, 7: 8}\n", "tasks.air.7: unknown key; allowed: data, prepare, model, train, gate"),
    ],
)
def test_keys_that_nothing_reads_are_refused(tmp_path: Path, text: str, message: str) -> None:
    read = params(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        check_keys(read)
    assert message in str(caught.value)


def test_the_blocks_of_params_yaml_are_known() -> None:
    check_keys(Params(Path(__file__).parents[2] / "params.yaml"))


def check_keys(read: Params) -> None:
    read.check_top_keys()
    for task in read.tasks():
        read.check_task_keys(task)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected the keys source and tasks"),
        ("# nothing but this\n", "empty; expected the keys source and tasks"),
        ("- a\n- b\n", "list at the top; expected the keys source and tasks"),
        ("source: [a\ntasks: 3\n", "no valid YAML: "),
        ("source: a\nsource: b\n", "no valid YAML: "),
        ("source: \x00\n", "no valid YAML: "),
    ],
)
def test_a_file_that_holds_no_parameters(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        params(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'params.yaml'}: {message}")
    assert "\n" not in str(caught.value)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes("source: Größe\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"no valid YAML: .*utf-8"):
        Params(tmp_path / "params.yaml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params.yaml: No such file or directory; expected the project's parameters"):
        Params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: {air: {}}\n", "source: missing"),
        ("source: 3\n", "source: 3 is not allowed; expected sample, lab or a folder"),
        ("source: ''\n", "source: '' is not allowed; expected sample, lab or a folder"),
    ],
)
def test_the_source_is_a_text(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        params(tmp_path, text).source()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: sample\n", "tasks: missing"),
        ("tasks: 3\n", "tasks: 3 is not allowed; expected a mapping"),
        ("tasks:\n", "tasks: None is not allowed; expected a mapping"),
        ("taks: {}\n", "tasks: missing; did you mean 'taks'?"),
        ("tasks: {3: {}}\n", "tasks: 3 is not a name; expected letters, digits, _ and -"),
        ("tasks: {a.b: {}}\n", "tasks: 'a.b' is not a name; expected letters, digits, _ and -"),
        ("tasks: {../up: {}}\n", "tasks: '../up' is not a name; expected letters, digits, _ and -"),
    ],
)
def test_the_tasks_are_a_mapping_of_names(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        params(tmp_path, text).tasks()
    assert str(caught.value) == f"{tmp_path / 'params.yaml'}: {message}"


def test_a_block_that_is_missing_or_no_mapping(tmp_path: Path) -> None:
    read = params(tmp_path, "tasks:\n  air:\n    data: 3\n    modle: {depth: 1}\n")
    with pytest.raises(ConfigError, match=r"tasks\.air\.model: missing; did you mean 'modle'\?"):
        read.block("air", "model", Inner)
    with pytest.raises(ConfigError, match=r"tasks\.air\.data: 3 is not allowed; "):
        read.block("air", "data", Inner)
    with pytest.raises(ConfigError, match=r"tasks\.air\.data: 3 is not allowed; expected a mapping"):
        read.value("air", "data.dataset")
