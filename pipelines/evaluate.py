"""Evaluate: judge a task's trained network on the untouched test part, beside its baselines."""

from unroll.stage import main
from unroll.tasks import Task


def evaluate(task: Task) -> None:
    """Write the task's metrics, figures and model card into ``reports/<task>/``."""
    from unroll import evaluation

    evaluation.evaluate(task)


if __name__ == "__main__":
    main(evaluate)
