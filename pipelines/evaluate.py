"""Evaluate: judge a task's trained network on the untouched test part, beside its baselines."""

from typing import TYPE_CHECKING

from unroll.stages.common.entry import main

if TYPE_CHECKING:
    from unroll.stages.common.task import Task


def evaluate(task: "Task") -> None:
    """Write the task's metrics, figures and model card into ``reports/<task>/``."""
    from unroll.stages.evaluate import evaluate as evaluation

    evaluation.evaluate(task)


if __name__ == "__main__":
    main(evaluate)
