"""The network of a rise-or-fall task. Shapes: B batch, L lag, F inputs, D hidden."""

import torch
from torch import Tensor, nn

from unroll.core.config import RecurrentConfig
from unroll.nn.recurrent import RecurrentEncoder


class DirectionNetwork(nn.Module):
    """The log-odds of a rise: a recurrent network's last state, and a linear map of the window's last rows.

    p = σ(linear(last rows) + head(h_L)), one sigmoid unit (logistic regression, Cox 1958, on learned features beside
    the rows themselves), learned by binary cross-entropy. Both parts start at zero, at even odds.
    """

    def __init__(self, inputs: int, series: int, config: RecurrentConfig, linear: int) -> None:
        """``inputs`` columns a row, of which the first ``series`` are values; ``linear`` last rows go in directly."""
        super().__init__()
        self.series, self.linear = series, linear
        self.encoder = RecurrentEncoder(inputs, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, 1)
        self.skip = nn.Linear(linear * inputs, 1, bias=False) if linear else None
        for parameter in [*self.head.parameters(), *(self.skip.parameters() if self.skip is not None else ())]:
            nn.init.zeros_(parameter)

    def forward(self, x_BLF: Tensor) -> Tensor:
        """Log-odds (B,)."""
        seen_BLF = torch.cat([x_BLF[..., : self.series].asinh(), x_BLF[..., self.series :]], dim=-1)
        _, last_BD, _ = self.encoder(seen_BLF)
        odds_B1: Tensor = self.head(self.dropout(last_BD))
        if self.skip is not None:
            odds_B1 = odds_B1 + self.skip(seen_BLF[:, -self.linear :].flatten(1))
        return odds_B1[:, 0]
