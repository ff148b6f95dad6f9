"""Validate: judge a task's raw table, and pass on the rows that may be learned from."""

from unroll import validation
from unroll.stage import main
from unroll.tasks import Task


def validate(task: Task) -> None:
    """Write the accepted rows, the rejected ones with their reason, and the result; stop if a critical one fails."""
    dataset, config = task.dataset()
    validation.validate(dataset, config, task.layout)


if __name__ == "__main__":
    main(validate)
