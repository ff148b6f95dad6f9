"""What the network of a series classification task is and learns from.

Shapes: B batch, N series, T steps, C classes, E experts, S shares.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.problems.common.base import Batch, Meta, Prepared, Split
from unroll.problems.common.learning import Learning, Loss
from unroll.problems.series_classification import prepare, symbolic_words
from unroll.problems.series_classification.config import SeriesClassificationModel

if TYPE_CHECKING:
    from torch import Tensor, nn

SHARES = np.linspace(0, 1, 21)
"""Of the recurrent expert beside the bag of words, to choose from."""
INPUTS = ("x_BT", "words_G", "weights_G", "starts_B", "lengths_B")
"""The parts of a batch that the network reads, the last only where series are of several lengths."""


class SeriesLearning(Learning[SeriesClassificationModel]):
    """Recurrent layers and a bag of words, each with a loss of its own."""

    def model(self, config: SeriesClassificationModel, meta: Meta) -> "nn.Module":
        """Recurrent layers, pooled over time."""
        from unroll.problems.series_classification.network import SeriesClassifier

        return SeriesClassifier(
            len(meta["classes"]),
            config,
            config.bidirectional,
            config.pooling,
            config.difference,
            symbolic_words.buckets(meta["words"]),
            config.bag_dropout,
            config.bag_scale,
        )

    def finish(self, model: Any, prepared: Prepared) -> None:
        """Mix the experts in the share with which validation finds its classes most probable."""
        truth_N = np.asarray(prepared.arrays["labels"][prepared.arrays["validation"]])
        parts = [_experts(model, batch) for batch in batches(prepared, "validation", 512)]
        logp_END = np.concatenate(parts, axis=1)
        if len(logp_END) == 2:
            losses_S = [_log_loss(share * logp_END[0] + (1 - share) * logp_END[1], truth_N) for share in SHARES]
            model.recurrent_share.fill_(float(SHARES[np.argmin(losses_S)]))

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Series in random order."""
        return _batches(prepared, rng.permutation(prepared.arrays["train"]), batch_size)

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Series in the source's order."""
        return batches(prepared, split, batch_size)

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Cross-entropy: the mean of the experts', each of which learns by itself."""
        import torch
        from torch.nn.functional import cross_entropy

        experts_EBC = torch.stack(model.experts(*_inputs(batch))).float()  # type: ignore[operator]
        label_EB = batch["y_B"].expand(len(experts_EBC), -1)
        total = cross_entropy(experts_EBC.flatten(0, 1), label_EB.flatten(), reduction="sum")
        return Loss(total / len(experts_EBC), len(batch["y_B"]))


def batches(prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
    """Series in the source's order."""
    return _batches(prepared, prepared.arrays[split], batch_size)


def _batches(prepared: Prepared, index: np.ndarray, batch_size: int) -> Iterator[Batch]:
    import torch

    values, labels = prepared.arrays["values"], prepared.arrays["labels"]
    for low in range(0, len(index), batch_size):
        rows = index[low : low + batch_size]
        inputs = series(values[rows], prepare.steps(prepared, rows), prepared.meta)
        yield {**inputs, "y_B": torch.from_numpy(labels[rows].astype(np.int64))}


def series(values_BT: np.ndarray, lengths_B: np.ndarray, meta: Meta) -> Batch:
    """What the network reads of scaled series: their values and their bags of words, made here and never stored.

    Where series are of several lengths, these, too.
    """
    import torch

    own_B = lengths_B if "shortest" in meta else None
    words_G, weights_G, starts_B = symbolic_words.bags(values_BT, meta["words"], own_B)
    arrays = {"x_BT": values_BT, "words_G": words_G, "weights_G": weights_G, "starts_B": starts_B}
    if own_B is not None:
        arrays["lengths_B"] = own_B
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _inputs(batch: Batch) -> "list[Tensor]":
    return [batch[name] for name in INPUTS if name in batch]


def _experts(model: "nn.Module", batch: Batch) -> np.ndarray:
    """Log-probabilities of each expert (E, B, C)."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        scores_EBC = torch.stack(model.experts(*(part.to(device) for part in _inputs(batch))))  # type: ignore[operator]
    logp_EBC: np.ndarray = scores_EBC.cpu().double().log_softmax(dim=2).numpy()
    return logp_EBC


def _log_loss(scores_NC: np.ndarray, truth_N: np.ndarray) -> float:
    """Of unnormalised log-probabilities."""
    top_N1 = scores_NC.max(axis=1, keepdims=True)
    logp_NC = scores_NC - top_N1 - np.log(np.exp(scores_NC - top_N1).sum(axis=1, keepdims=True))
    return float(-logp_NC[np.arange(len(truth_N)), truth_N].mean())
