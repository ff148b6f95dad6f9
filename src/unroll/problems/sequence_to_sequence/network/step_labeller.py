"""A label for every step of a sequence.

Shapes: B batch, S source steps, T target steps, C width of a state, I symbols of the source, V of the answer.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from unroll.core.config import RecurrentConfig
from unroll.nn import decoding
from unroll.nn.decoding import Step
from unroll.nn.recurrent import RecurrentEncoder
from unroll.problems.sequence_to_sequence.network.encoder_decoder import END, SequenceNetwork


class StepLabeller(SequenceNetwork):
    """Many to many of equal length: the state at each step of the source tells the answer's symbol at that step.

    P(y_t | x) = softmax(W h_t + b), learned by cross-entropy (Bridle 1990). One direction sees what stands before a
    step, both see the whole source (Schuster & Paliwal 1997). A source that is given from its end
    (``reversed_source``) is read so, and its labels are put back into the answer's order. An answer ends where its
    source does: the end after it is certain, and never among the labels.

    >>> config = RecurrentConfig(cell="gru", hidden=4, layers=1, dropout=0.0)
    >>> network = StepLabeller(2, 3, config, bidirectional=True, reversed_source=False)
    >>> network(torch.tensor([[1, 0], [1, -1]]), torch.tensor([2, 1]), steps=3).shape
    torch.Size([2, 3, 3])
    """

    says_end: ClassVar[bool] = False

    def __init__(
        self, sources: int, targets: int, config: RecurrentConfig, bidirectional: bool, reversed_source: bool
    ) -> None:
        """``sources`` and ``targets`` count the symbols that go in and come out, the end among the latter."""
        super().__init__()
        self.sources, self.reversed_source = sources, reversed_source
        self.encoder = RecurrentEncoder(sources, config, bidirectional)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.encoder.outputs, targets - 1)

    def forward(self, source_BS: Tensor, lengths_B: Tensor, steps: int) -> Tensor:
        """Unnormalised log-probabilities (B, T, V) at the first ``steps`` steps: labels, and the end after the last."""
        input_BSI = one_hot(source_BS + 1, self.sources + 1)[..., 1:].to(self.head.weight.dtype)
        # Only a backward direction meets the padding at the end before it meets the source.
        states_BSC, _, _ = self.encoder(input_BSI, lengths_B if self.encoder.bidirectional else None)
        place_T = torch.arange(steps, device=lengths_B.device)
        step_BT = lengths_B[:, None] - 1 - place_T if self.reversed_source else place_T.expand(len(lengths_B), -1)
        chosen_BTC = states_BSC.gather(
            1, step_BT.clamp(0, states_BSC.shape[1] - 1)[:, :, None].expand(-1, -1, states_BSC.shape[2])
        )
        scores_BTV = pad(self.head(self.dropout(chosen_BTC)), (1, 0), value=-torch.inf)
        end_V = torch.full_like(scores_BTV[0, 0], -torch.inf)
        end_V[END] = 0.0
        return torch.where((place_T < lengths_B[:, None])[:, :, None], scores_BTV, end_V)

    def scores(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor:
        """As many steps as the target has; its symbols are not read."""
        scores_BTV: Tensor = self(source_BS, lengths_B, target_BT.shape[1])
        return scores_BTV

    def begin(self, source_BS: Tensor, lengths_B: Tensor, steps: int) -> tuple[Step, decoding.State]:
        """All steps are known at once."""
        return decoding.independent(self(source_BS, lengths_B, steps))
