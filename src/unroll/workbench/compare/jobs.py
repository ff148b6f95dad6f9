"""What is done in a worker: train and judge one network, or judge the baselines."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.stages.common.task import Task

if TYPE_CHECKING:
    from unroll.core.scores import Scores
    from unroll.problems.common.base import Prepared, Problem, Split
    from unroll.stages.train.loop import Epoch

SPLITS: "tuple[Split, ...]" = ("validation", "test")
ByMetric = Mapping[str, float]


@dataclass(frozen=True)
class Trained:
    """What one training came to. ``seconds`` are those of the training part of its epochs alone."""

    epochs: Mapping[int, ByMetric]
    best_epoch: int
    scores: Mapping[str, ByMetric]
    """By split: every metric of the problem."""
    parameters: int
    seconds: float
    device: str
    target: str
    started_ms: int
    ended_ms: int


@dataclass(frozen=True)
class Training:
    """One network to train, as ``stages.train.train`` does it, without leaving any file."""

    point: int
    seed: int
    task: Task
    prepared: Path

    def run(self, report: "Callable[[tuple[int, float]], None]") -> Trained:
        """Train, then judge the weights kept; ``report`` gets each epoch's number and validation loss as it ends."""
        import torch

        from unroll.problems.common.base import Prepared
        from unroll.stages.train import train
        from unroll.stages.train.loop import choose_device

        started_ms = _now_ms()
        problem, config = self.task.problem(), self.task.train_config()
        prepared = Prepared.load(self.prepared)
        torch.set_num_threads(config.threads)
        solved = problem.learning.solve(self.task.model_config(), prepared)
        network = solved or train.build(problem, self.task.model_config(), prepared, config)
        epochs: dict[int, ByMetric] = {}
        times: list[float] = []

        def on_epoch(epoch: "Epoch", seconds: float, units: int) -> None:  # noqa: ARG001
            epochs[epoch.epoch] = train.record(epoch, problem.scoring.headline)
            times.append(seconds)
            report((epoch.epoch, epoch.validation_loss))

        if solved:
            history = train.judge_solved(network, problem, prepared, config, on_epoch)
        else:
            history = train.fit_network(network, problem, prepared, config, on_epoch)
        problem.learning.finish(network, prepared)
        network.cpu().eval()  # judged where ``evaluate`` judges
        with torch.inference_mode():
            scores: dict[str, ByMetric] = {
                split: _metrics(problem, problem.scoring.score(network, prepared, split, config.batch_size), prepared)
                for split in SPLITS
            }
        return Trained(
            epochs=epochs,
            best_epoch=history.best.epoch,
            scores=scores,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            seconds=sum(times),
            device=choose_device(config.device).type,
            target=str(prepared.meta.get("target", "")),
            started_ms=started_ms,
            ended_ms=_now_ms(),
        )


@dataclass(frozen=True)
class Baselines:
    """The baselines of one set of prepared data, on those splits."""

    task: Task
    prepared: Path
    splits: "tuple[Split, ...]"

    def run(self, report: Callable[[Any], None]) -> Mapping[str, Mapping[str, ByMetric]]:  # noqa: ARG002
        """By name and split: every metric."""
        from unroll.problems.common.base import Prepared

        problem, prepared = self.task.problem(), Prepared.load(self.prepared)
        by_name: dict[str, dict[str, ByMetric]] = {}
        for split in self.splits:
            for name, scores in problem.scoring.baselines(prepared, split).items():
                by_name.setdefault(name, {})[split] = _metrics(problem, scores, prepared)
        return by_name


def _metrics(problem: "Problem[Any, Any]", scores: "Scores", prepared: "Prepared") -> dict[str, float]:
    import numpy as np

    sums = scores.sums()
    with np.errstate(divide="ignore", invalid="ignore"):
        return {name: float(value) for name, value in problem.scoring.metrics(sums, prepared.meta).items()}


def _now_ms() -> int:
    return int(time.time() * 1000)
