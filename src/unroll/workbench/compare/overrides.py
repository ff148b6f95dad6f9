"""A task with other values: at keys, at keys of nested blocks, and with a block laid over its own. Only
``faults`` checks them.
"""

import copy
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from unroll import datasets
from unroll.core.config import Config, TrainConfig
from unroll.core.params import explain
from unroll.pipeline import check
from unroll.stages.common.task import Task
from unroll.workbench import compatible_keys

BLOCKS = ("data", "prepare", "model", "train")


def keys(task: Task) -> Iterator[str]:
    """Every dotted key below a task that a comparison may set, those of nested blocks, too."""
    for block, kind in {**kinds(task), "model": type(task.model_config())}.items():
        yield from _fields(kind, f"{block}.")


def kinds(task: Task) -> dict[str, type[Config]]:
    """What checks each block; the ``model`` block may hold another kind than the task's own."""
    dataset, problem = datasets.load(task.params.value(task.name, "data.dataset")), task.problem()
    return dict(zip(BLOCKS, (dataset.Config, problem.Prepare, problem.Model, TrainConfig), strict=True))


def _fields(kind: Any, prefix: str) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield prefix + name
        for inner in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, Config):
                yield from _fields(inner, f"{prefix}{name}.")


def changed(task: Task, values: Mapping[str, Any]) -> Task:
    """The task with other values at keys below it."""
    whole = {f"{block}.{key}": value for block, inner in by_block(task, values).items() for key, value in inner.items()}
    return _replaced(task, whole)


def _replaced(task: Task, values: Mapping[str, Any]) -> Task:
    params = task.params.replaced({f"tasks.{task.name}.{key}": value for key, value in values.items()})
    return Task(task.name, params, task.layout)


def by_block(task: Task, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By block, the keys right below it: one that holds a block of its own with all that this has, or has by default.

    So ``model.teacher_forcing.end`` becomes the key ``teacher_forcing`` of ``model``, with its start and schedule, too.
    """
    blocks: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        block, first, *inner = key.split(".")
        mapping, name = blocks.setdefault(block, {}), first
        for number, part in enumerate(inner):
            if not isinstance(mapping.get(name), dict):
                own = None if number else own_value(task, f"{block}.{first}")
                mapping[name] = copy.deepcopy(own) if isinstance(own, dict) else {}
            mapping, name = mapping[name], part
        mapping[name] = copy.deepcopy(value)
    return blocks


def own_value(task: Task, key: str) -> Any:
    """The value of a key as params.yaml has it, or else its default; None for what has neither."""
    block, *path = key.split(".")
    value: Any = task.params.raw(task.name, block)
    if path[0] not in value and (field := kinds(task)[block].field(path[0])) and not field.is_required():
        value = {path[0]: to_jsonable_python(field.get_default(call_default_factory=True))}
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def laid_over(task: Task, block: str, mapping: Mapping[str, Any]) -> Task:
    """The task whose ``block`` has the keys of ``mapping``, and its own as far as they go with these."""
    return _replaced(task, {block: fitted(task, block, mapping).block})


def fitted(task: Task, block: str, mapping: Mapping[str, Any]) -> compatible_keys.Fitted:
    """The same as a block, with the keys that were left out."""
    return compatible_keys.laid_over(kinds(task)[block], task.params.raw(task.name, block), mapping)


def faults(task: Task) -> list[str]:
    """What is wrong with the blocks of a task, each by itself, or with a pair of them, as ``--set`` would name it."""
    faults = []
    for block, kind in kinds(task).items():
        try:
            kind.model_validate(task.params.raw(task.name, block))
        except ValidationError as error:
            faults.append(explain(error.errors(), block, kind))
    return [f"--set {fault}" for fault in faults or check.pair_faults(task)]
