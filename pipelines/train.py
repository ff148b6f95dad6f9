"""Train: fit the task's network on its prepared arrays."""

from unroll.stage import main
from unroll.tasks import Task


def train(task: Task) -> None:
    """Write ``models/<task>/``: weights, configuration and history."""
    from unroll import trainer

    trainer.train(task)


if __name__ == "__main__":
    main(train)
