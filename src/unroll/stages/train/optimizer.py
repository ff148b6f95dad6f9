"""Optimisers and their learning rates: those of torch, without the compiler that they import.

Each method of ``torch.optim.Optimizer`` imports ``torch._dynamo``, only to tell it that it must not compile that
method: some seconds, and a hundred megabytes, for what is never used here.
"""

import inspect
import math

import torch
from torch import nn

from unroll.core.config import TrainConfig


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """The rate at ``step`` of ``steps``.

    ``cosine``: from the full rate down to 0 (Loshchilov & Hutter 2017). ``one_cycle``: from 1/25 up to the full rate
    over the first 30 %, then down to 1/250,000 of it, both along a cosine (Smith & Topin 2018).
    """
    peak = config.learning_rate
    if config.schedule == "constant":
        return peak
    if config.schedule == "cosine":
        return _cosine(peak, 0.0, step / max(steps - 1, 1))
    top = 0.3 * steps - 1
    if step <= top:
        return _cosine(peak / 25, peak, step / top)
    return _cosine(peak, peak / 25e4, (step - top) / (steps - 1 - top) if steps - 1 > top else 1.0)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def make_optimizer(model: nn.Module, config: TrainConfig, device: torch.device) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD with momentum, over all parameters that learn."""
    _leave_compiler_out()
    parameters = [p for p in model.parameters() if p.requires_grad]
    fused = device.type in ("cpu", "cuda")
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=config.momentum, weight_decay=decay, fused=fused)
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, rate, betas=(config.momentum, 0.999), weight_decay=decay, fused=fused)


def step_of(optimizer: torch.optim.Optimizer) -> None:
    """``optimizer.step()``, once ``make_optimizer`` has made it."""
    with torch.no_grad():
        inspect.unwrap(type(optimizer).step)(optimizer)


def _leave_compiler_out() -> None:
    """Mark the methods as what the compiler leaves alone, which is what torch does when it has imported it."""
    for method in vars(torch.optim.Optimizer).values():
        inner = getattr(method, "__wrapped__", None)
        if inner is not None and not hasattr(inner, "__dynamo_disable"):
            setattr(inner, "__dynamo_disable", inner)
