"""The network of a series classification task. Shapes: B batch, T time, H hidden, C classes."""

import torch
from torch import Tensor, nn

from unroll.config import Pooling, RecurrentConfig
from unroll.nn.recurrent import RecurrentEncoder, pool


class SeriesClassifier(nn.Module):
    """Recurrent layers over the values (and their differences), pooled over time, then a softmax layer's scores."""

    def __init__(
        self,
        classes: int,
        config: RecurrentConfig,
        bidirectional: bool,
        pooling: tuple[Pooling, ...],
        difference: bool,
    ) -> None:
        """With ``difference`` the change from one step to the next is a second input: it shows edges of short use."""
        super().__init__()
        self.difference, self.pooling = difference, pooling
        self.encoder = RecurrentEncoder(2 if difference else 1, config, bidirectional)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.encoder.outputs * len(pooling), classes)

    def forward(self, x_BT: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, C)."""
        x_BTF = x_BT[..., None]
        if self.difference:
            x_BTF = torch.cat([x_BTF, torch.diff(x_BTF, dim=1, prepend=x_BTF[:, :1])], dim=2)
        states_BTH, last_BH, _ = self.encoder(x_BTF)
        scores_BC: Tensor = self.head(self.dropout(pool(states_BTH, last_BH, None, self.pooling)))
        return scores_BC
