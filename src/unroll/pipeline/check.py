"""What ``params.yaml`` may hold: as JSON Schema for editors, and as one check of the whole file."""

from pathlib import Path
from typing import Any

from unroll import datasets, problems
from unroll.core.config import Config, GateConfig, TrainConfig
from unroll.core.errors import ConfigError
from unroll.core.params import Params
from unroll.stages.common.task import Task

_SOURCE = "sample (made by Unroll), lab (the public files, downloaded) or a folder that holds the same files"


def check(root: Path) -> Params:
    """Read all parameters of all tasks; raises ConfigError with one line for each faulty block."""
    params, faults = judge(root)
    if faults:
        raise ConfigError("\n".join(fault for of_task in faults.values() for fault in of_task))
    return params


def judge(root: Path) -> tuple[Params, dict[str, list[str]]]:
    """The parameters, and what is wrong with the blocks of each task that is not in order.

    Raises ConfigError for what is wrong with all: no YAML, unknown keys at the top, no source.
    """
    params = Params(root / "params.yaml")
    params.check_top_keys()
    params.source()
    return params, {name: faults for name in params.tasks() if (faults := faults_of(Task.open(root, name)))}


def faults_of(task: Task) -> list[str]:
    """What is wrong with the blocks of one task, one line for each faulty block; empty where all is well."""
    faults: list[str] = []
    for read in (
        lambda: task.params.check_task_keys(task.name),
        task.dataset,
        task.prepare_config,
        task.model_config,
        task.train_config,
        task.gate_config,
    ):
        try:
            read()
        except ConfigError as error:
            faults.append(str(error))
    faults = list(dict.fromkeys(faults))  # a block without a problem's name is faulty in several ways at once
    if not faults:
        faults += [f"{task.params.path}: tasks.{task.name}.{fault}" for fault in pair_faults(task)]
        faults += _gate_faults(task)
    if not faults and (gives := _given(task)) != (takes := task.problem().takes):
        dataset, problem = (task.params.value(task.name, key) for key in ("data.dataset", "prepare.problem"))
        faults.append(
            f"{task.params.path}: tasks.{task.name}: dataset {dataset!r} gives a table of {gives}; "
            f"problem {problem!r} takes a table of {takes}"
        )
    return faults


def pair_faults(task: Task) -> list[str]:
    """What the blocks prepare and model, each allowed by itself, say against each other: keys below the task.

    Or against a file that prepare names.
    """
    problem, prepare, model = task.problem(), task.prepare_config(), task.model_config()
    fault = problem.disagreement(prepare, model) or problem.preparation.file_fault(prepare, model, task.layout.root)
    return [fault] if fault else []


def _given(task: Task) -> str:
    """The kind of table that the task's dataset yields."""
    dataset, config = task.dataset()
    return dataset.gives(config)


def _gate_faults(task: Task) -> list[str]:
    """Names in the gate that the problem's metrics and baselines do not have."""
    gate, problem, key = task.gate_config(), task.problem(), f"{task.params.path}: tasks.{task.name}.gate"
    faults = []
    names = problem.scoring.metric_keys(task.prepare_config())
    if gate.metric not in names:
        faults.append(f"{key}.metric: {gate.metric!r} is not allowed; expected one of {', '.join(names)}")
    for name in gate.baselines:
        if name not in problem.scoring.baseline_names:
            known = ", ".join(problem.scoring.baseline_names)
            faults.append(f"{key}.baselines: {name!r} is not allowed; expected some of {known}")
    return faults


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``params.yaml``: keys, types, ranges, and which blocks belong to which name."""
    blocks: dict[str, Any] = {"train": _block(TrainConfig), "gate": _block(GateConfig)}
    for name in datasets.names():
        blocks[f"data.{name}"] = _block(datasets.load(name).Config, dataset=name)
    for name in problems.names():
        problem = problems.load(name)
        blocks[f"prepare.{name}"] = _block(problem.Prepare, problem=name)
        blocks[f"model.{name}"] = _block(problem.Model)
    nested = {name: kind for block in blocks.values() for name, kind in block.pop("$defs", {}).items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "params.yaml of Unroll",
        "type": "object",
        "properties": {
            "source": {"type": "string", "minLength": 1, "description": _SOURCE},
            "tasks": {"type": "object", "additionalProperties": {"$ref": "#/$defs/task"}},
        },
        "required": ["source", "tasks"],
        "additionalProperties": False,
        "$defs": {"task": _task_schema(), **blocks, **nested},
    }


def _task_schema() -> dict[str, Any]:
    by_dataset = [_when("data", "dataset", name, {"data": f"data.{name}"}) for name in datasets.names()]
    by_problem = [
        _when("prepare", "problem", name, {"prepare": f"prepare.{name}", "model": f"model.{name}"})
        for name in problems.names()
    ]
    return {
        "type": "object",
        "properties": {
            "data": {"type": "object", "properties": {"dataset": {"enum": datasets.names()}}, "required": ["dataset"]},
            "prepare": {
                "type": "object",
                "properties": {"problem": {"enum": problems.names()}},
                "required": ["problem"],
            },
            "model": {"type": "object"},
            "train": {"$ref": "#/$defs/train"},
            "gate": {"$ref": "#/$defs/gate"},
        },
        "required": ["data", "prepare", "model", "train", "gate"],
        "additionalProperties": False,
        "allOf": by_dataset + by_problem,
    }


def _when(block: str, key: str, name: str, then: dict[str, str]) -> dict[str, Any]:
    condition = {"properties": {block: {"properties": {key: {"const": name}}, "required": [key]}}, "required": [block]}
    return {
        "if": condition,
        "then": {"properties": {part: {"$ref": f"#/$defs/{target}"} for part, target in then.items()}},
    }


def _block(kind: type[Config], **names: str) -> dict[str, Any]:
    """The schema of one block; ``names`` fixes a key to a value."""
    schema = kind.model_json_schema()
    for key, value in names.items():
        schema["properties"][key] = {"const": value, "description": schema["properties"][key].get("description", "")}
    return schema
