"""Validate: judge a task's raw table, and pass on the rows that may be learned from."""

from unroll.stages.common.entry import main
from unroll.stages.common.task import Task
from unroll.stages.validate import validate as validation


def validate(task: Task) -> None:
    """Write the accepted rows, the rejected ones with their reason, and the result; stop if a critical one fails."""
    dataset, config = task.dataset()
    validation.validate(dataset, config, task.layout)


if __name__ == "__main__":
    main(validate)
