"""What may be compared: values as YAML has them, every combination, and every fault told before anything runs."""

import io
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from comparison_parts import write_project
from projects import ROOT, change_params
from rich.console import Console

from unroll.core import params
from unroll.core.errors import ConfigError
from unroll.core.params import Params
from unroll.stages.common.task import Task
from unroll.workbench import compare
from unroll.workbench.compare import overrides
from unroll.workbench.compare.grid import REFUSED, Sweep, parse, plan
from unroll.workbench.new.blocks import flow


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
    assert grid.folder == "seeds=2"
    assert plan(root, "addition", [], seeds=3).folder == "seeds=3"  # beside the others, not over them


def test_folder_names_are_short_and_safe(root: Path) -> None:
    assert plan(root, "addition", ["model.cell=rnn,gru"], 1).folder == "model.cell=rnn,gru+seeds=1"
    names = {plan(root, "tweets", [f"model.pooling=[mean,{last}],[last]"], 1).folder for last in ("max", "last")}
    assert names == {f"model.pooling=-mean,{last}-,-last-+seeds=1" for last in ("max", "last")}
    rates = [",".join(f"0.{digit}{n:03}" for n in range(1, 30)) for digit in (1, 2)]
    long = [plan(root, "addition", [f"train.learning_rate={rate}"], 1).folder for rate in rates]
    assert all(len(name) == 80 for name in long)
    assert long[0] != long[1]


TASKS = Params(ROOT / "params.yaml").tasks()
NEEDS_OTHERS = {
    "model.merge": "adds up two directions, and the network reads in one; expected no such key",
    "model.vectors": "needs a file of word vectors, and prepare.vectors is null; expected a file there",
    "model.architecture": "needs sources that are one symbol or one vector each; expected prepare.source_unit: whole",
    "prepare.source_unit": "reverse_source must be false where source_unit is numbers",
    "prepare.level": "expected model.direct_order: 0, or prepare.level: character",
    "prepare.grouped": "grouped must be false where split is source",
}
"""Keys some of whose values no block form of their own can help, and what is said then."""


def others(task: Task, key: str) -> list[Any]:
    """Values that a key may have beside its own: every one of a choice, the other truth value, a number near by."""
    block, *path = key.split(".")
    kind: Any = {**overrides.kinds(task), "model": type(task.model_config())}[block]
    for part in path[:-1]:
        annotation = kind.model_fields[part].annotation
        kind = next(one for one in (annotation, *get_args(annotation)) if isinstance(one, type))
    field, own = kind.model_fields[path[-1]], overrides.own_value(task, key)
    parts = [field.annotation, *get_args(field.annotation)]
    choices = [value for part in parts if get_origin(part) is Literal for value in get_args(part)]
    if isinstance(own, bool):
        choices.append(not own)
    elif isinstance(own, int | float) and not isinstance(own, bool):
        choices.append(own / 2 if isinstance(own, float) else own + 1)
    return [value for value in ([[each] for each in choices] if isinstance(own, list) else choices) if value != own]


@pytest.mark.parametrize("name", TASKS)
def test_every_key_of_every_block_may_be_set(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key with its own value, a default's too, is the task itself; each other value runs or is answered."""
    monkeypatch.setattr(params, "_parse", cache(params._parse))  # the file stays as it is, and reading it takes long
    task = Task.open(root, name)
    known = [key for key in overrides.keys(task) if key not in REFUSED]
    assert {key.partition(".")[0] for key in known} == {"data", "prepare", "model", "train"}
    own = {key: flow(overrides.own_value(task, key)) for key in known}
    same = (grid := plan(root, name, [f"{key}={value}" for key, value in own.items()], seeds=2)).at(grid.points[0])
    for read in (Task.prepare_config, Task.model_config, Task.train_config):
        assert read(same) == read(task)
    assert same.dataset()[1] == task.dataset()[1]
    for key in known:
        values = others(task, key)
        try:
            grid = plan(root, name, [f"{key}={','.join([own[key], *map(flow, values)])}"], seeds=2)
        except ConfigError as error:
            require_answer(root, name, key, str(error), len(values) + 1)
        else:
            found = [overrides.own_value(grid.at(point), key) for point in grid.points]
            assert found == [overrides.own_value(task, key), *values], key


def require_answer(root: Path, name: str, key: str, said: str, points: int) -> None:
    """What is said of a value that does not go alone has a form to be typed that is planned, or why there is none."""
    assert "\n" not in said
    if form := re.search(r"; keys that go together are set together: --set '([^']+)'$", said):
        assert len(plan(root, name, [form[1]], seeds=1).points) == points, said
    else:
        assert NEEDS_OTHERS[key] in said, (key, said)


@pytest.mark.parametrize(
    ("task", "given", "form", "label"),
    [
        ("air_quality", "model.kind=recurrent,ar",
         "model={},{kind: ar, order: null, criterion: bic}", "ar, order null"),
        ("air_quality", "model.multi_step=direct,autoregressive",
         "model={},{multi_step: autoregressive, head: gaussian, trajectories: 100}", "autoregressive, gaussian"),
        ("air_quality", "model.head=value,gaussian", "model={head: value},{head: gaussian}", "gaussian"),
        ("addition", "model.architecture=plain,attention", "model={},{architecture: attention, attention: dot}",
         "attention, dot"),
        ("poetry", "model.architecture=carried,window", "model={},{architecture: window}", "window"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_go_alone_is_answered_with_the_block_that_does(
    root: Path, task: str, given: str, form: str, label: str
) -> None:
    with pytest.raises(ConfigError) as error:
        plan(root, task, [given, "train.epochs=1,2"], seeds=1)
    assert str(error.value).endswith(f"; keys that go together are set together: --set '{form}'")
    grid = plan(root, task, [form, "train.epochs=1,2"], seeds=1)
    assert len(grid.points) == 4
    assert grid.points[2].label.startswith(label)
    key, _, values = given.partition("=")
    assert [overrides.own_value(grid.at(grid.points[at]), key) for at in (0, 2)] == values.split(",")


def test_a_key_of_a_nested_block_that_is_not_there_begins_with_its_defaults(root: Path) -> None:
    grid = plan(root, "addition", ["model.teacher_forcing.end=0.0,0.5"], seeds=1)
    found = [grid.at(point).model_config().model_dump()["teacher_forcing"] for point in grid.points]
    assert found == [{"start": 1.0, "end": end, "schedule": "linear"} for end in (0.0, 0.5)]
    whole = "model.teacher_forcing={start: 0.9, end: 0.9, schedule: constant},{start: 0.5, end: 0.1, schedule: linear}"
    assert len(plan(root, "addition", [whole], seeds=1).points) == 2
    both = plan(root, "addition", ["model.teacher_forcing.end=0.5", "model.teacher_forcing.start=0.9,0.8"], seeds=1)
    assert [both.at(point).model_config().model_dump()["teacher_forcing"]["start"] for point in both.points] == [
        0.9,
        0.8,
    ]


def test_keys_of_the_task_that_do_not_go_with_a_block_are_left_out_and_told(root: Path) -> None:
    paths = "{multi_step: autoregressive, head: gaussian, trajectories: 50}"
    grid = plan(root, "air_quality", [f"model={{}},{paths}"], seeds=1)
    changed = grid.at(grid.points[1]).model_config().model_dump()
    assert (changed["trajectories"], changed["quantiles"], changed["linear"], changed["weighted"]) == (
        50,
        (),
        (),
        False,
    )
    own = Task.open(root, "air_quality").model_config().model_dump()
    assert {key for key in own if own[key] != changed[key]} == {
        "multi_step", "head", "trajectories", "quantiles", "linear", "expert", "weighted", "robust"
    }  # fmt: skip
    (told,) = grid.left_out
    assert told.startswith("model={multi_step: autoregressive,head: gaussian,trajectories: 50}: ")
    assert told.endswith(": without quantiles, linear, expert, weighted, robust, which do not go with it")
    assert plan(root, "air_quality", ["model={},{hidden: 4}"], seeds=1).left_out == []


def test_what_is_left_out_is_told_before_anything_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise ConfigError("stopped")

    monkeypatch.setattr(compare, "run", stop)
    monkeypatch.setenv("UNROLL_PROGRESS", "plain")
    progress = Console(file=io.StringIO(), width=300)
    with pytest.raises(ConfigError, match="stopped"):
        compare.main(root, "air_quality", ["model={},{head: value}"], 1, None, None, False, progress, Console())
    assert isinstance(progress.file, io.StringIO)
    said = "compare air_quality: model={head: value}: without quantiles, which do not go with it\n"
    assert progress.file.getvalue() == said


def test_keys_of_a_block_that_is_given_may_be_set_too(root: Path) -> None:
    grid = plan(root, "air_quality", ["model={kind: ar, order: null, criterion: bic}", "model.order=1,2"], seeds=1)
    assert [grid.at(point).model_config().model_dump()["order"] for point in grid.points] == [1, 2]


def test_blocks_that_do_not_go_together_are_told_before_anything_runs(root: Path) -> None:
    with pytest.raises(ConfigError) as error:
        plan(root, "tweets", ["model.vectors=learned,tuned"], seeds=1)
    assert str(error.value) == (
        "--set model.vectors: 'tuned' needs a file of word vectors, and prepare.vectors is null; "
        "expected a file there, or 'learned' here"
    )
    with pytest.raises(ConfigError, match=r"^--set model\.direct_order: 5 with prepare\.level word, whose groups have"):
        plan(root, "poetry", ["prepare.level=character,word"], seeds=1)
    assert len(plan(root, "poetry", ["prepare.level=character,word", "model.direct_order=0"], seeds=1).points) == 2


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
        ("addition", ["model.cell=rnn,,gru"], r"^--set model\.cell: 'rnn,,gru' is not a list"),
        ("addition", ["model.cell=rnn,"], r"^--set model\.cell: 'rnn,' is not a list"),
        ("addition", ["model.cell=rnn],[gru"], r"^--set model\.cell: 'rnn\],\[gru' is not a list"),
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
