"""What may be compared: values as YAML has them, every combination, and every fault told before anything runs."""

from pathlib import Path

import pytest
from comparison_parts import write_project
from projects import change_params

from unroll.comparison.grid import Sweep, keys, parse, plan
from unroll.errors import ConfigError
from unroll.tasks import Task


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("grid"))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("model.cell=rnn,lstm", ("rnn", "lstm")),
        ("model.pooling=[mean,max],[last]", (["mean", "max"], ["last"])),
        ("train.learning_rate=1e-3,0.1", (0.001, 0.1)),
        ("train.patience=null,3", (None, 3)),
        ("model.bidirectional=true,false", (True, False)),
        ("data.source=on,'a,b'", ("on", "a,b")),  # YAML 1.2: on is a word
        (" model.hidden = 8 ", (8,)),
    ],
)
def test_values_are_those_of_a_yaml_list(text: str, values: tuple[object, ...]) -> None:
    assert parse(text) == Sweep(text.partition("=")[0].strip(), values)


def test_the_grid_is_every_combination_with_seeds_from_the_tasks_own(root: Path) -> None:
    grid = plan(root, "addition", ["model.cell=rnn,gru", "model.hidden=4,8,16", "train.epochs=1"], seeds=3)
    assert [tuple(point.values.values()) for point in grid.points] == [
        (cell, hidden, 1) for cell in ("rnn", "gru") for hidden in (4, 8, 16)
    ]
    assert grid.seeds == (5, 6, 7)
    assert grid.points[1].label == "rnn · hidden 8"
    assert grid.points[1].name == "model.cell=rnn model.hidden=8"
    assert (grid.title, grid.fixed) == ("model.cell × model.hidden", "train.epochs=1")
    task = grid.at(grid.points[4], seed=7)
    assert task.model_config().model_dump()["hidden"] == 8
    assert (task.train_config().epochs, task.train_config().seed) == (1, 7)
    assert grid.task.train_config().seed == 5  # the task itself is as it was
    assert Task.open(root, "addition").model_config().model_dump()["hidden"] == 16


def test_keys_that_depend_on_each_other_are_set_together(root: Path) -> None:
    given = "model={architecture: plain},{architecture: attention, attention: dot}"
    grid = plan(root, "addition", [given, "model.hidden=4,8"], seeds=1)
    found = [grid.at(point).model_config().model_dump() for point in grid.points]
    assert [(one["architecture"], one["attention"], one["hidden"]) for one in found] == [
        ("plain", None, 4), ("plain", None, 8), ("attention", "dot", 4), ("attention", "dot", 8),
    ]  # fmt: skip
    assert grid.points[2].label == "attention, dot · hidden 4"


def test_another_kind_of_model_takes_the_blocks_place(root: Path) -> None:
    grid = plan(root, "air_quality", ["model={},{kind: ar, order: null, criterion: bic}"], seeds=1)
    assert [point.label for point in grid.points] == ["as in params.yaml", "ar, order null, bic"]
    network, classical = (grid.at(point).model_config().model_dump() for point in grid.points)
    assert network == Task.open(root, "air_quality").model_config().model_dump()
    assert (classical["kind"], classical["criterion"], "hidden" in classical) == ("ar", "bic", False)


def test_seeds_alone_are_a_comparison(root: Path) -> None:
    grid = plan(root, "addition", [], seeds=2)
    assert [point.label for point in grid.points] == ["as in params.yaml"]
    assert grid.folder == "seeds"


def test_folder_names_are_short_and_safe(root: Path) -> None:
    assert plan(root, "addition", ["model.cell=rnn,gru"], 1).folder == "model.cell=rnn,gru"
    names = {plan(root, "tweets", [f"model.pooling=[mean,{last}],[last]"], 1).folder for last in ("max", "last")}
    assert names == {"model.pooling=-mean,max-,-last-", "model.pooling=-mean,last-,-last-"}
    rates = [",".join(f"0.{digit}{n:03}" for n in range(1, 30)) for digit in (1, 2)]
    long = [plan(root, "addition", [f"train.learning_rate={rate}"], 1).folder for rate in rates]
    assert all(len(name) == 80 for name in long)
    assert long[0] != long[1]


def test_every_key_of_every_block_may_be_set(root: Path) -> None:
    known = list(keys(Task.open(root, "addition")))
    assert {"data.count", "prepare.reverse_source", "model.cell", "train.clip_norm"} <= set(known)
    assert not any(key.startswith("gate") for key in known)


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        ("adition", ["model.cell=rnn,gru"], r"params\.yaml: tasks\.adition: no such task; expected one of"),
        ("addition", ["model.cel=rnn,gru"], r"^--set model\.cel: unknown key; did you mean 'model\.cell'\?; allowed: "),
        ("addition", ["cell=rnn,gru"], r"^--set cell: unknown key; did you mean 'model\.cell'\?; allowed: data\.…"),
        ("addition", ["train.hidden=1,2"], r"^--set train\.hidden: unknown key; did you mean 'model\.hidden'\?"),
        ("addition", ["model.cell=rnn,foo"], r"^--set model\.cell: 'foo' is not allowed; input should be 'rnn'"),
        ("addition", ["model.hidden=8,many"], r"^--set model\.hidden: 'many' is not allowed; input should be a"),
        ("addition", ["model.hidden=8,-1,0"], r"hidden: -1 is not allowed; .*; --set model\.hidden: 0 is not allowed"),
        ("addition", ["model.hidden=8,8.5"], r"^--set model\.hidden: 8\.5 is not allowed"),
        ("addition", ["model.cell="], r"^--set 'model\.cell=': no values; expected KEY=V1,V2"),
        ("addition", ["model.cell"], r"^--set 'model\.cell': no values; expected KEY=V1,V2"),
        ("addition", ["model.cell=rnn,,gru"], r"^--set model\.cell: 'rnn,,gru' is no list of values"),
        ("addition", ["model.cell=rnn,"], r"^--set model\.cell: 'rnn,' is no list of values"),
        ("addition", ["model.cell=rnn],[gru"], r"^--set model\.cell: 'rnn\],\[gru' is no list of values"),
        ("addition", ["model.cell=rnn,rnn"], r"^--set model\.cell: rnn is given twice; expected each value once"),
        ("addition", ["model.cell=rnn,gru", "model.cell=lstm"], r"^--set model\.cell: given twice; expected each"),
        ("addition", ["train.seed=1,2"], r"^--set train\.seed: cannot be compared: .* --seeds"),
        ("addition", ["prepare.problem=a,b"], r"^--set prepare\.problem: cannot be compared"),
        ("addition", ["gate.threshold=0.1,0.2"], r"^--set gate\.threshold: unknown key"),
        ("addition", ["model.cell=rnn"], r"^nothing to compare: expected --set KEY=V1,V2 with two values or more"),
        ("addition", [], r"^nothing to compare"),
        ("addition", ["model=lstm,gru"], r"^--set model: lstm is not allowed; expected mappings such as model=\{\},"),
        ("addition", ["model={hiden: 3},{}"], r"^--set model\.hiden: unknown key \(value 3\); did you mean 'hidden'\?"),
        ("addition", ["train={seed: 3},{}"], r"^--set train\.seed: cannot be compared: .* --seeds"),
    ],
)  # fmt: skip
def test_faults_are_told_before_anything_runs(root: Path, task: str, given: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan(root, task, given, seeds=1)


def test_a_value_that_only_some_combinations_refuse_is_told(root: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^--set prepare: validation_from 2012-03-25 must be before test_from 2012-03"
    ):
        plan(root, "air_quality", ["prepare.validation_from=2012-03-01,2012-03-25"], seeds=1)


def test_a_fault_of_the_file_names_the_file(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    change_params(root, {"tasks.addition.train.optimizer": "adan", "tasks.tweets.train.optimizer": "another's matter"})
    with pytest.raises(ConfigError, match=r"params\.yaml: tasks\.addition\.train\.optimizer: 'adan' is not allowed"):
        plan(root, "addition", ["model.cell=rnn,gru"], seeds=1)
