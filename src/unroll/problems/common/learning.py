"""The network and what it learns from: batches and a loss."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

import numpy as np

from unroll.problems.common.base import Batch, M, Meta, Prepared, Split

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, slots=True)
class Loss:
    """A sum over the units scored and their number: padding never enters a denominator.

    ``state`` is carried into the next batch (truncated backpropagation through time), or None.
    """

    total: "torch.Tensor"
    count: int
    state: Any = None


class Learning(ABC, Generic[M]):
    """How a network is built and trained."""

    @abstractmethod
    def model(self, config: M, meta: Meta) -> "nn.Module":
        """The untrained network; the caller has seeded torch."""

    def solve(self, config: M, prepared: Prepared) -> "nn.Module | None":  # noqa: ARG002
        """The finished model where it is computed without gradients; None for a network that must be trained."""
        return None

    def begin(self, model: "nn.Module", prepared: Prepared) -> None:
        """Put into the untrained network what is computed from train without gradients; nothing by default."""

    def progress(self, model: "nn.Module", share: float) -> None:
        """Tell the network, before each step, what share of the training is over (0 to 1); nothing by default."""

    def finish(self, model: "nn.Module", prepared: Prepared) -> None:
        """Fit on validation what needs the trained model, such as a calibration; nothing by default."""

    @abstractmethod
    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterable[Batch]:
        """One epoch of the train split in an order drawn from ``rng``."""

    @abstractmethod
    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterable[Batch]:
        """A split in its own order, once."""

    @abstractmethod
    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:
        """The loss of one batch, to be divided by its count."""
