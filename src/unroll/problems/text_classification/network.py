"""The network of a text classification task.

Shapes: B batch, T tokens, G n-grams of all texts, V words, E width of a word vector, H hidden, C classes, M members.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from unroll.core.config import Pooling, RecurrentConfig, Vectors
from unroll.nn.pooling import Pool
from unroll.nn.recurrent import RecurrentEncoder

PADDING = 0
"""The token that fills up the shorter texts of a batch."""


class TextClassifier(nn.Module):
    """Wide and deep (Cheng et al. 2016): a linear layer over a bag of hashed n-grams beside a recurrent network.

    The two add up before the softmax, which is learned by cross-entropy (Bridle 1990). The bag's weights start at zero:
    it starts silent. Several such members, each from another random start and with its own loss, are mixed by the mean
    of their log-probabilities (a logarithmic opinion pool, Hinton 2002; ensembles of networks: Hansen & Salamon 1990).
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
        vectors: Vectors = "learned",
        members: int = 1,
    ) -> None:
        """``tokens`` counts the padding, too. With 0 ``buckets`` there is no bag.

        The config's dropout acts on embeddings, between layers and before the softmax,
        ``bag_dropout`` on single n-grams.
        ``bag_scale`` is what the bag is multiplied with: how fast it learns beside the rest.
        ``vectors``: learned from a random start, or given to ``begin_with`` and tuned by training or frozen.
        The members' word vectors stand side by side in one table, M times ``embedding`` wide, and so do their bags.
        """
        super().__init__()
        self.count, self.classes = members, classes
        self.embedding = nn.Embedding(tokens, members * embedding, padding_idx=PADDING)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.vectors = vectors
        self.embedding.weight.requires_grad_(vectors != "frozen")
        self.dropout = nn.Dropout(config.dropout)
        self.members = nn.ModuleList(Member(embedding, classes, config, bidirectional, pooling) for _ in range(members))
        self.bag = nn.Parameter(torch.zeros(buckets, members * classes)) if buckets else None
        self.bag_dropout, self.bag_scale = bag_dropout, bag_scale

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor, grams_G: Tensor, starts_B: Tensor) -> Tensor:
        """Log-probabilities (B, C), but for a constant.

        ``grams_G`` holds the buckets of all n-grams, text by text, and ``starts_B`` where each text's begin.
        """
        scores_MBC = self.each(tokens_BT, lengths_B, grams_G, starts_B)
        return scores_MBC[0] if self.count == 1 else scores_MBC.float().log_softmax(dim=2).mean(0)

    def each(self, tokens_BT: Tensor, lengths_B: Tensor, grams_G: Tensor, starts_B: Tensor) -> Tensor:
        """Unnormalised log-probabilities of each member (M, B, C)."""
        own_MBTE = self.dropout(self.embedding(tokens_BT)).chunk(self.count, dim=2)
        scores_MBC = torch.stack([member(x, lengths_B) for member, x in zip(self.members, own_MBTE, strict=True)])
        if self.bag is None:
            return scores_MBC
        return scores_MBC + self._bag_scores(self.bag, grams_G, starts_B)

    def begin_with(self, vectors_VE: Tensor) -> None:
        """Give every token but the padding its vector, the same for each member."""
        with torch.no_grad():
            self.embedding.weight[PADDING + 1 :] = vectors_VE.repeat(1, self.count)

    def _bag_scores(self, bag: Tensor, grams_G: Tensor, starts_B: Tensor) -> Tensor:
        """Sums over each text's n-grams, divided by the root of their number (M, B, C)."""
        counts_B = torch.diff(starts_B, append=starts_B.new_tensor([len(grams_G)]))
        weights_G = torch.repeat_interleave(counts_B.to(bag.dtype).rsqrt(), counts_B) * self.bag_scale
        weights_G = functional.dropout(weights_G, self.bag_dropout, self.training)
        sums = functional.embedding_bag(grams_G, bag, starts_B, mode="sum", per_sample_weights=weights_G)
        return sums.view(-1, self.count, self.classes).transpose(0, 1)


class Member(nn.Module):
    """Recurrent layers over a text's word vectors, pooled over its tokens."""

    def __init__(
        self, embedding: int, classes: int, config: RecurrentConfig, bidirectional: bool, pooling: tuple[Pooling, ...]
    ) -> None:
        super().__init__()
        self.encoder = RecurrentEncoder(embedding, config, bidirectional)
        self.pool = Pool(pooling, self.encoder.outputs)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.pool.outputs, classes)

    def forward(self, x_BTE: Tensor, lengths_B: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, C)."""
        states_BTH, last_BH, _ = self.encoder(x_BTE, lengths_B)
        scores_BC: Tensor = self.head(self.dropout(self.pool(states_BTH, last_BH, lengths_B)))
        return scores_BC
