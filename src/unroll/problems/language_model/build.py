"""What a language model is and learns from: streams or pieces of a text.

Shapes: B pieces of text side by side, T tokens, P of them that are predicted, V symbols.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import DataError
from unroll.problems.common import starting_vectors
from unroll.problems.common.base import Batch, Meta, Prepared, Split
from unroll.problems.common.capabilities import SymbolVectors
from unroll.problems.common.learning import Learning, Loss
from unroll.problems.language_model.config import LanguageModelModel
from unroll.problems.language_model.tokens import UNITS

if TYPE_CHECKING:
    from torch import nn

READ_AT_ONCE = 512
"""Tokens of a text that is read from end to end in one piece; the state is carried to the next."""


class LanguageLearning(Learning[LanguageModelModel]):
    """Many to many: the probability of every token, given all tokens before it, or those of a window."""

    def model(self, config: LanguageModelModel, meta: Meta) -> "nn.Module":
        """A recurrent network over vectors of tokens."""
        from unroll.problems.language_model.network import CarriedModel, DirectScores, WindowModel

        starting_vectors.require(config.vectors, config.embedding, meta)
        symbols = len(meta["symbols"]) + 1
        sizes = (symbols, config.embedding, config.embedding_dropout, config)
        if config.architecture == "window":  # neither key is None: the config saw to it
            return WindowModel(*sizes, config.window or 1, config.stride or 1, config.vectors)
        direct = None
        if config.direct_order and meta["level"] == "character":
            table = (config.direct_buckets or 1, config.direct_min_count or 1, config.direct_dropout or 0.0)
            direct = DirectScores(symbols, config.direct_order, *table)
        return CarriedModel(*sizes, direct, config.vectors)

    def begin(self, model: Any, prepared: Prepared) -> None:
        """Vectors of the file, and which groups of tokens are frequent enough in train to have scores of their own."""
        import torch

        from unroll.problems.language_model.network import CarriedModel

        if model.vectors != "learned":
            model.begin_with(torch.from_numpy(np.array(prepared.arrays["vectors"])))
        if isinstance(model, CarriedModel) and model.direct is not None:
            ids_N = prepared.arrays["ids"][slice(*prepared.meta["bounds"]["train"])]
            model.direct.leave_out_rare(torch.from_numpy(ids_N.astype(np.int64)))

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """``sequential``: the text cut into ``batch_size`` streams side by side, read on from batch to batch.

        ``random``: the text cut into pieces of ``bptt`` tokens, so many of them, in any order, in a batch; where they
        begin stands in ``starts_B``, and no state is carried from such a batch (Zhang et al. 2023, Dive into Deep
        Learning, on random sampling and sequential partitioning).
        Where streams and pieces begin is drawn anew each epoch, so that gradients are cut at other tokens.
        """
        meta, ids = prepared.meta, prepared.arrays["ids"]
        bptt, (low, high), random = meta["bptt"], meta["bounds"]["train"], meta["partition"] == "random"
        each = (high - low - bptt) // (bptt if random else batch_size)
        if each < 1:
            expected = f"one for each of train.batch_size {batch_size} streams"
            raise DataError(
                f"text: {high - low} {UNITS[meta['level']]} in train; expected more than prepare.bptt {bptt} "
                f"and {'as many again' if random else expected}"
            )
        start = low + int(rng.integers(bptt))
        if random:
            yield from _pieces(ids, rng.permutation(start + bptt * np.arange(each)), bptt, batch_size)
        else:
            yield from _streams(ids[start : start + each * batch_size + 1], bptt, batch_size)

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:  # noqa: ARG002
        """A split from end to end as one stream."""
        return batches(prepared, split)

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:
        """Cross-entropy over all tokens that the network predicts; the state is that after the last."""
        from torch.nn.functional import cross_entropy

        from unroll.problems.language_model.network import predicted

        scores_BPV, state = model(batch["x_BT"], state)
        y_BP = predicted(model, batch["y_BT"])
        total = cross_entropy(scores_BPV.float().flatten(0, 1), y_BP.flatten(), reduction="sum")
        return Loss(total, y_BP.numel(), None if "starts_B" in batch else state)


class TokenVectors(SymbolVectors):
    """Vectors of tokens."""

    def symbols(self, meta: Meta) -> list[str]:
        """Nothing for the unknown token, then the tokens, the most frequent of train first."""
        return ["", *meta["symbols"]]


def batches(prepared: Prepared, split: Split) -> Iterator[Batch]:
    """A split from end to end as one stream.

    Its first token is predicted from the one before it, which ends the split before; only the first of the whole
    text, which has none before it, is no question.
    """
    low, high = prepared.meta["bounds"][split]
    ids = prepared.arrays["ids"]
    for at in range(max(low, 1), high, READ_AT_ONCE):
        end = min(at + READ_AT_ONCE, high)
        yield _batch(ids[None, at - 1 : end - 1], ids[None, at:end])


def _streams(ids_N: np.ndarray, bptt: int, streams: int) -> Iterator[Batch]:
    """Equally long streams that lie one behind the other, a step of ``bptt`` tokens after the other."""
    x_BT, y_BT = ids_N[:-1].reshape(streams, -1), ids_N[1:].reshape(streams, -1)
    for at in range(0, x_BT.shape[1], bptt):
        yield _batch(x_BT[:, at : at + bptt], y_BT[:, at : at + bptt])


def _pieces(ids_N: np.ndarray, starts_N: np.ndarray, bptt: int, batch_size: int) -> Iterator[Batch]:
    """The pieces of ``bptt`` tokens that begin at ``starts_N``, in that order."""
    for at in range(0, len(starts_N), batch_size):
        starts_B = starts_N[at : at + batch_size]
        at_BT = starts_B[:, None] + np.arange(bptt)
        yield {**_batch(ids_N[at_BT], ids_N[at_BT + 1]), **_numbers(starts_B=starts_B)}


def _batch(x_BT: np.ndarray, y_BT: np.ndarray) -> Batch:
    """Tokens and those after each of them."""
    return _numbers(x_BT=x_BT, y_BT=y_BT)


def _numbers(**arrays: np.ndarray) -> Batch:
    import torch

    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in arrays.items()}
