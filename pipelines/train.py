"""Train: fit the task's network on its prepared arrays."""

from typing import TYPE_CHECKING

from unroll.stages.common.entry import main

if TYPE_CHECKING:
    from unroll.stages.common.task import Task


def train(task: "Task") -> None:
    """Write ``models/<task>/``: weights, configuration and history."""
    from unroll.stages.train import train as trainer

    trainer.train(task)


if __name__ == "__main__":
    main(train)
