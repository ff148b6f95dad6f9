"""A task's model for the commands that answer with it, and the tasks whose models have a capability."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll import problems
from unroll.core.errors import ConfigError
from unroll.core.params import Params
from unroll.model.predictor import Predictor

if TYPE_CHECKING:
    from unroll.problems.common.base import Problem
    from unroll.stages.common.task import Task


def load(task: "Task", folder: Path) -> Predictor:
    """The model in ``folder``; raises ConfigError for a model of another problem than the task's."""
    predictor = Predictor.load(folder)
    expected, seen = task.params.value(task.name, "prepare.problem"), predictor.trained.config["problem"]
    if seen != expected:
        raise ConfigError(
            f"{folder}: a model of problem {seen!r}; expected one of {expected!r}, the problem of {task.name}"
        )
    return predictor


def tasks_with(params: Params, capability: "Callable[[Problem[Any, Any]], object | None]") -> list[str]:
    """The tasks whose problem has a capability."""
    known = problems.names()
    named = {name: params.value(name, "prepare.problem") for name in params.tasks()}
    having = {name for name in {*named.values()} & {*known} if capability(problems.load(name)) is not None}
    return [task for task, name in named.items() if name in having]
