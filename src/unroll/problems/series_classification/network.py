"""The network of a series classification task.

Shapes: B batch, T time, F inputs of a step, G words of all series, H hidden, C classes, E experts.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from unroll.core.config import Pooling, RecurrentConfig
from unroll.nn.pooling import Pool
from unroll.nn.recurrent import RecurrentEncoder


class SeriesClassifier(nn.Module):
    """Two experts: recurrent layers over the values, and a linear layer over a bag of symbolic words.

    Each learns from its own loss: in a common one the network soon explains all of train, and the bag, whose words
    carry over better to new series, stops learning. Their log-probabilities are mixed (a logarithmic opinion pool,
    Hinton 2002) with a share that is chosen on validation.
    """

    recurrent_share: Tensor

    def __init__(
        self,
        classes: int,
        config: RecurrentConfig,
        bidirectional: bool,
        pooling: tuple[Pooling, ...],
        difference: bool,
        buckets: int,
        bag_dropout: float,
        bag_scale: float,
    ) -> None:
        """With ``difference`` the change from one step to the next is a second input: it shows edges of short use.

        With 0 ``buckets`` there is no bag. ``bag_dropout`` acts on single words; ``bag_scale`` is what the bag is
        multiplied with: how fast it learns beside the rest.
        """
        super().__init__()
        self.difference = difference
        self.encoder = RecurrentEncoder(2 if difference else 1, config, bidirectional)
        self.pool = Pool(pooling, self.encoder.outputs)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.pool.outputs, classes)
        self.bag = nn.Parameter(torch.zeros(buckets, classes)) if buckets else None
        self.bag_bias = nn.Parameter(torch.zeros(classes)) if buckets else None
        self.bag_dropout, self.bag_scale = bag_dropout, bag_scale
        self.register_buffer("recurrent_share", torch.tensor(0.5 if buckets else 1.0))

    def forward(
        self, x_BT: Tensor, words_G: Tensor, weights_G: Tensor, starts_B: Tensor, lengths_B: Tensor | None = None
    ) -> Tensor:
        """Log-probabilities (B, C), but for a constant.

        ``words_G`` holds the words of all series, series by series, with ``weights_G``; ``starts_B`` is where each
        series' begin. ``lengths_B`` are the steps of series that are not all T: what lies beyond enters nothing.
        """
        experts = self.experts(x_BT, words_G, weights_G, starts_B, lengths_B)
        return self.mix([scores_BC.float().log_softmax(dim=1) for scores_BC in experts])

    def mix(self, logp: list[Tensor]) -> Tensor:
        """The experts' log-probabilities, the recurrent one's first, weighted by their shares."""
        if len(logp) == 1:
            return logp[0]
        return self.recurrent_share * logp[0] + (1 - self.recurrent_share) * logp[1]

    def experts(
        self, x_BT: Tensor, words_G: Tensor, weights_G: Tensor, starts_B: Tensor, lengths_B: Tensor | None = None
    ) -> list[Tensor]:
        """Unnormalised log-probabilities (E, B, C) of the recurrent expert and, where there is one, of the bag."""
        scores_BC = self._recurrent(x_BT, lengths_B)
        if self.bag is None or self.bag_bias is None:
            return [scores_BC]
        weights_G = functional.dropout(weights_G * self.bag_scale, self.bag_dropout, self.training)
        bag_BC = functional.embedding_bag(words_G, self.bag, starts_B, mode="sum", per_sample_weights=weights_G)
        return [scores_BC, bag_BC + self.bag_bias]

    def _recurrent(self, x_BT: Tensor, lengths_B: Tensor | None) -> Tensor:
        inputs = [x_BT]
        if self.difference:
            inputs.append(torch.diff(x_BT, dim=1, prepend=x_BT[:, :1]))
        x_BTF = torch.stack(inputs, dim=2)
        states_BTH, last_BH, _ = self.encoder(x_BTF, lengths_B)
        scores_BC: Tensor = self.head(self.dropout(self.pool(states_BTH, last_BH, lengths_B)))
        return scores_BC
