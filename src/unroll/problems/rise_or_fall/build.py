"""What the network of a rise-or-fall task is and learns from. Shapes: B batch, L lag, F inputs, N windows."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.problems.common.base import Batch, Meta, Prepared, Split
from unroll.problems.common.learning import Learning, Loss
from unroll.problems.rise_or_fall.config import RiseOrFallModel
from unroll.problems.rise_or_fall.prepare import rises
from unroll.problems.windows import arrays

if TYPE_CHECKING:
    from torch import Tensor, nn

FEW = 512
"""Windows that are answered at a time."""


class DirectionLearning(Learning[RiseOrFallModel]):
    """Many to one, one sigmoid unit: the probability that the target rises within the horizon."""

    def model(self, config: RiseOrFallModel, meta: Meta) -> "nn.Module":
        """A recurrent network with one sigmoid unit."""
        from unroll.problems.rise_or_fall.network import DirectionNetwork

        return DirectionNetwork(arrays.width(meta), len(meta["columns"]), config, min(config.linear, meta["lag"]))

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Windows in random order."""
        order = rng.permutation(prepared.meta["examples"]["train"])
        for low in range(0, len(order), batch_size):
            yield _batch(prepared, "train", order[low : low + batch_size])

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Windows in the order of time."""
        return batches(prepared, split, batch_size)

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Binary cross-entropy."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        odds_B = model(batch["x_BLF"]).float()
        return Loss(binary_cross_entropy_with_logits(odds_B, batch["y_B"], reduction="sum"), len(odds_B))


def batches(prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
    """Windows in the order of time."""
    count = prepared.meta["examples"][split]
    for low in range(0, count, batch_size):
        yield _batch(prepared, split, np.arange(low, min(low + batch_size, count)))


def _batch(prepared: Prepared, split: Split, index_B: np.ndarray) -> Batch:
    import torch

    last_B = arrays.last_rows(prepared, split, index_B)
    return {
        "x_BLF": torch.from_numpy(arrays.inputs(prepared, last_B)),
        "y_B": torch.from_numpy(rises(prepared, last_B).astype(np.float32)),
    }


def chances(model: "nn.Module", windows: "Iterable[Tensor]") -> np.ndarray:
    """Probabilities of a rise (N,) in float64."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [model(x_BLF.to(device)).double().sigmoid().cpu().numpy() for x_BLF in windows]
    return np.concatenate(parts)
