"""How far back a gradient reaches: its norm at the states before the last step that the loss depends on.

Shapes: B batch, T steps, H units, D distances. Step T-1-k is at distance k.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unroll.nn.step_recording import Run

PARTS = ("h", "c")
"""The names of a state's parts: every cell has h, an LSTM c, too."""


@dataclass(frozen=True)
class Flow:
    """What is left of a gradient in one part of one layer's state, by distance.

    ``norm_D`` is a mean over the sequences that are long enough, of which there are ``sequences_D``. What arrives at
    the top layer's h at distance 0 is 1. That of c starts at distance 1.
    """

    layer: int
    direction: int
    part: str
    norm_D: np.ndarray
    sequences_D: np.ndarray


def flows(run: Run, loss: Tensor, seed: int) -> list[Flow]:
    """The flows of a run's layers, directions and parts, backwards from where the loss takes hold of the top layer.

    For each sequence the last step is found at which the loss has a gradient by the top layer's h, and that gradient,
    scaled to length 1, is sent back through time from this step alone: what the loss has to do with earlier steps
    directly stays out, else it would hide what the recurrence lets through. Where the loss has no gradient at all, as
    in front of an output layer that starts at zero, a random direction drawn from ``seed`` stands for it.
    """
    made: list[Flow] = []
    for direction in run.layers[-1].directions:
        top = torch.stack([state[0] for state in run.layers[-1].directions[direction]])
        last_B, aim_BH = _aim(run, loss, direction, seed)
        sent = (top[last_B, torch.arange(len(last_B))] * aim_BH).sum()
        for layer, chain in enumerate(run.layers):
            every = chain.directions[direction]
            for number, name in enumerate(PARTS[: len(every[0])]):
                grads = torch.autograd.grad(sent, [s[number] for s in every], retain_graph=True, allow_unused=True)
                norm_D, count_D = _by_distance(torch.stack(_filled(grads, aim_BH)).norm(dim=2), last_B)
                if name != "h":
                    norm_D[0] = np.nan  # the gradient is let in at h; c, as it is handed on, comes in a step before
                made.append(Flow(layer, direction, name, norm_D, count_D))
    return made


def half_life(norm_D: np.ndarray) -> float:
    """Steps in which a norm halves, by least squares on its logarithm.

    Infinite where it stays, below 0 where it grows, NaN where there is too little.

    >>> round(half_life(0.5 ** np.arange(6.0)), 6), round(half_life(2 ** np.arange(6.0)), 6)
    (1.0, -1.0)
    """
    known = np.flatnonzero(norm_D > 0)
    if len(known) < 2:
        return float("nan")
    slope = float(np.polyfit(known, np.log2(norm_D[known]), 1)[0])
    return float("inf") if abs(slope) < 1e-9 else -1 / slope


def _aim(run: Run, loss: Tensor, direction: int, seed: int) -> tuple[Tensor, Tensor]:
    """The step (B,) at which each sequence's gradient is let in, and its direction (B, H), of length 1."""
    states = [state[0] for state in run.layers[-1].directions[direction]]
    grads = torch.autograd.grad(loss, states, retain_graph=True, allow_unused=True)
    grads_TBH = torch.stack(_filled(grads, states[0]))
    steps, batch, _ = grads_TBH.shape
    at_T1 = torch.arange(steps)[:, None]
    lengths_B = torch.full((batch,), steps) if run.lengths_B is None else run.lengths_B.cpu()
    reached_TB = (grads_TBH.norm(dim=2) > 0) & (at_T1 < lengths_B)
    reached_B = reached_TB.any(0)
    last_B = torch.where(reached_B, torch.where(reached_TB, at_T1, 0).amax(0), lengths_B - 1)
    random_BH = torch.randn(grads_TBH.shape[1:], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    aim_BH = torch.where(reached_B[:, None], grads_TBH[last_B, torch.arange(batch)], random_BH)
    return last_B, aim_BH / aim_BH.norm(dim=1, keepdim=True)


def _filled(grads: tuple[Tensor | None, ...], like: Tensor) -> list[Tensor]:
    """Zeros where a state has nothing to do with the loss."""
    return [torch.zeros_like(like) if grad is None else grad for grad in grads]


def _by_distance(norm_TB: Tensor, last_B: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean norms (D,) and how many sequences are in each."""
    step_DB = last_B - torch.arange(int(last_B.max()) + 1)[:, None]
    there_DB = step_DB >= 0
    norm_DB = torch.where(there_DB, norm_TB.gather(0, step_DB.clamp_min(0)), 0.0)
    count_D = there_DB.sum(1)
    return (norm_DB.sum(1) / count_D).numpy(), count_D.numpy()
