"""What the network of a text classification task is and learns from.

Shapes: B batch, T tokens, G n-grams, C classes, M members.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.features import batching, tokenization
from unroll.features.strings import Flat
from unroll.problems.common import starting_vectors
from unroll.problems.common.base import Batch, Meta, Prepared, Split
from unroll.problems.common.capabilities import SymbolVectors
from unroll.problems.common.learning import Learning, Loss
from unroll.problems.text_classification import association, ngrams
from unroll.problems.text_classification.config import TextClassificationModel
from unroll.problems.text_classification.prepare import class_counts, flat

if TYPE_CHECKING:
    from torch import nn

INPUTS = ("tokens_BT", "lengths_B", "grams_G", "starts_B")
"""The parts of a batch that the network reads."""


class TextLearning(Learning[TextClassificationModel]):
    """Recurrent networks over words, each beside a bag of hashed n-grams."""

    def model(self, config: TextClassificationModel, meta: Meta) -> "nn.Module":
        """Recurrent networks, each beside a bag of hashed n-grams."""
        from unroll.problems.text_classification.network import TextClassifier

        starting_vectors.require(config.vectors, config.embedding, meta)
        return TextClassifier(
            len(meta["vocabulary"]) + 2,
            len(meta["classes"]),
            config.embedding,
            config,
            config.bidirectional,
            config.pooling,
            meta["hashed_buckets"],
            config.bag_dropout,
            config.bag_scale,
            config.vectors,
            config.members,
        )

    def begin(self, model: "nn.Module", prepared: Prepared) -> None:
        """Give the words the vectors that prepare found for them, unless they are to be learned from nothing."""
        import torch

        from unroll.problems.text_classification.network import TextClassifier

        if isinstance(model, TextClassifier) and model.vectors != "learned":
            model.begin_with(torch.from_numpy(np.array(prepared.arrays["vectors"])))

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Texts in random order, those of like length together."""
        index = np.asarray(prepared.arrays["train"])
        lengths_N = np.diff(prepared.arrays["tokens_offsets"])[index]
        for rows in batching.by_length(lengths_N, batch_size, rng):
            yield _batch(prepared, index[rows])

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Texts in the table's order."""
        return batches(prepared, split, batch_size)

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Cross-entropy: in training the mean of the members', each of which learns by itself, else of their mix."""
        from torch.nn.functional import cross_entropy

        parts = [batch[name] for name in INPUTS]
        scores_MBC = (model.each(*parts) if model.training else model(*parts)[None]).float()  # type: ignore[operator]
        label_MB = batch["y_B"].expand(len(scores_MBC), -1)
        total = cross_entropy(scores_MBC.flatten(0, 1), label_MB.flatten(), reduction="sum") / len(scores_MBC)
        return Loss(total, len(batch["y_B"]))


class WordVectors(SymbolVectors):
    """Vectors of words, and the class that each word is a sign of."""

    def symbols(self, meta: Meta) -> list[str]:
        """Nothing for padding and the unknown word, then the words, the most frequent of train first."""
        return ["", "", *meta["vocabulary"]]

    def groups(self, prepared: Prepared) -> list[str]:
        """The class of train that each word is the surest sign of, "" where it is none's."""
        names = prepared.meta["classes"]
        return [
            "",
            *("" if best < 0 else names[best] for best in association.signs(class_counts(prepared))),
        ]


def batches(prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
    """Texts in the table's order."""
    index = np.asarray(prepared.arrays[split])
    for low in range(0, len(index), batch_size):
        yield _batch(prepared, index[low : low + batch_size])


def _batch(prepared: Prepared, index: np.ndarray) -> Batch:
    import torch

    texts = inputs(prepared.meta, flat(prepared, "tokens"), flat(prepared, "clean"), index)
    return {**texts, "y_B": torch.from_numpy(prepared.arrays["labels"][index].astype(np.int64))}


def inputs(meta: Meta, tokens: Flat, clean: Flat, index: np.ndarray) -> Batch:
    """What the network reads of the texts ``index``: padded tokens, 0 for padding and 1 for unknown, and n-grams."""
    import torch

    ids_BT, lengths_B = tokens.padded(index)
    grams_G, starts_B = np.zeros(0, np.int64), np.zeros(len(index), np.int64)
    if meta["hashed_buckets"]:
        lengths = tuple(meta["character_ngrams"]), tuple(meta["word_ngrams"])
        grams_G, starts_B = ngrams.hashed(tokenization.unpack(clean, index), *lengths, meta["hashed_buckets"])
    arrays = {"tokens_BT": ids_BT + 1, "lengths_B": lengths_B, "grams_G": grams_G, "starts_B": starts_B}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
