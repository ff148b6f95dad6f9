"""Register: publish a task's run, register its model, and let the gate decide whether it may be used."""

import sys
from typing import TYPE_CHECKING

from unroll.stages.common.entry import main

if TYPE_CHECKING:
    from unroll.stages.common.task import Task


def register(task: "Task") -> None:
    """Bring MLflow up to date with the task's files, and say what the gate decided."""
    from unroll.registry.register import publish

    verdict = publish(task)
    state = "champion" if verdict.outcome.in_use else "refused, kept as challenger"
    sys.stderr.write(f"register {task.name}: version {verdict.version} is {state}: {verdict.reason}\n")


if __name__ == "__main__":
    main(register)
