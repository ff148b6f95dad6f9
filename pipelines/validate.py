"""Validate: judge a task's raw table, and pass on the rows that may be learned from."""

from typing import TYPE_CHECKING

from unroll.stages.common.entry import main

if TYPE_CHECKING:
    from unroll.stages.common.task import Task


def validate(task: "Task") -> None:
    """Write the accepted rows, the rejected ones with their reason, and the result; stop if a critical one fails."""
    from unroll.stages.validate import validate as validation

    dataset, config = task.dataset()
    validation.validate(dataset, config, task.layout)


if __name__ == "__main__":
    main(validate)
