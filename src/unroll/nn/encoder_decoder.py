"""The network of a sequence-to-sequence task. Shapes: B batch, S source steps, T target steps, H hidden, V symbols."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from unroll.config import RecurrentConfig
from unroll.nn.recurrent import RecurrentEncoder


class EncoderDecoder(nn.Module):
    """An encoder's last state, repeated at every step of a decoder, with a softmax layer's scores at each step.

    The symbols of an answer are independent of each other given the source: no step sees what an earlier one said.
    Symbol numbers below 0 are padding: no input unit is on.

    >>> config = RecurrentConfig(cell="lstm", hidden=8, layers=1, dropout=0.0)
    >>> network = EncoderDecoder(12, 11, config)
    >>> network(torch.tensor([[1, 0, 2], [3, -1, -1]]), torch.tensor([3, 1]), steps=4).shape
    torch.Size([2, 4, 11])
    """

    def __init__(self, sources: int, targets: int, config: RecurrentConfig) -> None:
        """``sources`` and ``targets`` count the symbols that go in and come out."""
        super().__init__()
        self.sources = sources
        self.encoder = RecurrentEncoder(sources, config)
        self.decoder = RecurrentEncoder(config.hidden, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, targets)

    def forward(self, source_BS: Tensor, lengths_B: Tensor, steps: int) -> Tensor:
        """Unnormalised log-probabilities (B, T, V) of the symbols at the first ``steps`` steps of the answer."""
        return self.decode(self.encode(source_BS, lengths_B), steps)

    def encode(self, source_BS: Tensor, lengths_B: Tensor) -> Tensor:
        """The top layer's state (B, H) after each source's own last symbol.

        A state depends only on what stands before it, so padding at the end needs no packing (on a CPU packed
        sequences miss the fused kernels): the state is picked at the right step.
        """
        input_BSV = one_hot(source_BS + 1, self.sources + 1)[..., 1:].to(self.head.weight.dtype)
        states_BSH, _, _ = self.encoder(input_BSV)
        context_BH: Tensor = states_BSH[torch.arange(len(lengths_B), device=lengths_B.device), lengths_B - 1]
        return context_BH

    def decode(self, context_BH: Tensor, steps: int) -> Tensor:
        """Scores (B, T, V) of the answers to encoded sources."""
        context_BTH = self.dropout(context_BH)[:, None].expand(-1, steps, -1)
        states_BTH, _, _ = self.decoder(context_BTH)
        scores_BTV: Tensor = self.head(self.dropout(states_BTH))
        return scores_BTV
