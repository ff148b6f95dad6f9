"""The network of a series classification task. Shapes: B batch, T time, H hidden, C classes."""

import torch
from torch import Tensor, nn

from unroll.nn.recurrent import Cell, Pooling, RecurrentEncoder, pool


class SeriesClassifier(nn.Module):
    """Recurrent layers over the values (and their differences), pooled over time, then a softmax layer's scores."""

    def __init__(
        self,
        cell: Cell,
        hidden: int,
        layers: int,
        bidirectional: bool,
        dropout: float,
        pooling: tuple[Pooling, ...],
        difference: bool,
        classes: int,
    ) -> None:
        """With ``difference`` the change from one step to the next is a second input: it shows edges of short use."""
        super().__init__()
        self.difference, self.pooling = difference, pooling
        self.encoder = RecurrentEncoder(cell, 2 if difference else 1, hidden, layers, bidirectional, dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.outputs * len(pooling), classes)

    def forward(self, x_BT: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, C)."""
        x_BTF = x_BT[..., None]
        if self.difference:
            x_BTF = torch.cat([x_BTF, torch.diff(x_BTF, dim=1, prepend=x_BTF[:, :1])], dim=2)
        states_BTH, last_BH, _ = self.encoder(x_BTF)
        scores_BC: Tensor = self.head(self.dropout(pool(states_BTH, last_BH, None, self.pooling)))
        return scores_BC
