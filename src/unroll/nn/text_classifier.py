"""The network of a text classification task. Shapes: B batch, T tokens, G n-grams of all texts, H hidden, C classes."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from unroll.config import Pooling, RecurrentConfig
from unroll.nn.pooling import Pool
from unroll.nn.recurrent import RecurrentEncoder

PADDING = 0
"""The token that fills up the shorter texts of a batch."""


class TextClassifier(nn.Module):
    """Wide and deep (Cheng et al. 2016): a linear layer over a bag of hashed n-grams beside a recurrent network.

    The two add up before the softmax. The bag's weights start at zero: it starts silent.
    """

    def __init__(
        self,
        tokens: int,
        classes: int,
        embedding: int,
        config: RecurrentConfig,
        bidirectional: bool,
        pooling: tuple[Pooling, ...],
        buckets: int,
        bag_dropout: float,
        bag_scale: float,
        vectors: Literal["learned", "tuned", "frozen"] = "learned",
    ) -> None:
        """``tokens`` counts the padding, too. With 0 ``buckets`` there is no bag.

        The config's dropout acts on embeddings, between layers and before the softmax,
        ``bag_dropout`` on single n-grams.
        ``bag_scale`` is what the bag is multiplied with: how fast it learns beside the rest.
        ``vectors``: learned from a random start, or given to ``begin_with`` and tuned by training or frozen.
        """
        super().__init__()
        self.embedding = nn.Embedding(tokens, embedding, padding_idx=PADDING)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.vectors = vectors
        self.embedding.weight.requires_grad_(vectors != "frozen")
        self.encoder = RecurrentEncoder(embedding, config, bidirectional)
        self.pool = Pool(pooling, self.encoder.outputs)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.pool.outputs, classes)
        self.bag = nn.Parameter(torch.zeros(buckets, classes)) if buckets else None
        self.bag_dropout, self.bag_scale = bag_dropout, bag_scale

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor, grams_G: Tensor, starts_B: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, C).

        ``grams_G`` holds the buckets of all n-grams, text by text, and ``starts_B`` where each text's begin.
        """
        x_BTE = self.dropout(self.embedding(tokens_BT))
        states_BTH, last_BH, _ = self.encoder(x_BTE, lengths_B)
        scores_BC: Tensor = self.head(self.dropout(self.pool(states_BTH, last_BH, lengths_B)))
        return scores_BC if self.bag is None else scores_BC + self._bag_scores(self.bag, grams_G, starts_B)

    def begin_with(self, vectors_VE: Tensor) -> None:
        """Give every token but the padding its vector."""
        with torch.no_grad():
            self.embedding.weight[PADDING + 1 :] = vectors_VE

    def _bag_scores(self, bag: Tensor, grams_G: Tensor, starts_B: Tensor) -> Tensor:
        """Sums over each text's n-grams, divided by the root of their number."""
        counts_B = torch.diff(starts_B, append=starts_B.new_tensor([len(grams_G)]))
        weights_G = torch.repeat_interleave(counts_B.to(bag.dtype).rsqrt(), counts_B) * self.bag_scale
        weights_G = functional.dropout(weights_G, self.bag_dropout, self.training)
        return functional.embedding_bag(grams_G, bag, starts_B, mode="sum", per_sample_weights=weights_G)
