"""What clipping does: the first steps of training with and without it, from the same weights on the same batches."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from unroll.core.config import TrainConfig
from unroll.problems.common.base import Batch, Prepared, Problem
from unroll.stages.train.loop import detach
from unroll.stages.train.optimizer import make_optimizer, step_of


@dataclass(frozen=True)
class Step:
    """One step of training: the mean loss of its batch, and the L2 norm of the whole gradient before clipping."""

    step: int
    loss: float
    norm: float


def first_steps(
    network: nn.Module,
    problem: Problem[Any, Any],
    prepared: Prepared,
    config: TrainConfig,
    steps: int,
    clip_norm: float | None,
) -> list[Step]:
    """The first ``steps`` steps of a copy of ``network`` at the config's full learning rate.

    They end early where loss or gradient is no longer a number, which is then the last step's.
    """
    network, cpu = copy.deepcopy(network).train(), torch.device("cpu")
    optimizer = make_optimizer(network, config, cpu)
    done: list[Step] = []
    state: Any = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # of dropout
        for number, (begins, batch) in enumerate(_batches(problem, prepared, config, steps), start=1):
            scored = problem.learning.loss(network, batch, None if begins else state)
            state = detach(scored.state)
            loss = scored.total / scored.count
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(network.parameters(), math.inf if clip_norm is None else clip_norm)
            done.append(Step(number, loss.item(), norm.item()))
            if not (math.isfinite(done[-1].loss) and math.isfinite(done[-1].norm)):
                break
            step_of(optimizer)
    return done


def _batches(
    problem: Problem[Any, Any], prepared: Prepared, config: TrainConfig, steps: int
) -> Iterator[tuple[bool, Batch]]:
    """As many batches as asked for, over as many epochs as that takes, and whether an epoch begins with each."""
    left, epoch = steps, 0
    while left:
        epoch += 1
        drawn = 0
        rng = np.random.default_rng([config.seed, epoch])
        for drawn, batch in enumerate(problem.learning.train_batches(prepared, config.batch_size, rng), start=1):
            yield drawn == 1, batch
            left -= 1
            if not left:
                return
        if not drawn:
            return
