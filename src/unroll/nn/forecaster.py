"""The network of a forecasting task. Shapes: B batch, L lag, F inputs, H hidden."""

from torch import Tensor, nn

from unroll.config import RecurrentConfig
from unroll.nn.recurrent import RecurrentEncoder


class Forecaster(nn.Module):
    """Persistence plus what a recurrent network makes of the window: y = x_last + head(h_L).

    The head starts at zero, so that training starts from persistence.
    """

    def __init__(self, inputs: int, target: int, config: RecurrentConfig) -> None:
        """``inputs`` columns a row; ``target`` is the one that is forecast."""
        super().__init__()
        self.encoder = RecurrentEncoder(inputs, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, 1)
        self.target = target
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x_BLF: Tensor) -> Tensor:
        """The forecast (B,), scaled as the inputs are."""
        _, last_BH, _ = self.encoder(x_BLF)
        change_B1: Tensor = self.head(self.dropout(last_BH))
        return x_BLF[:, -1, self.target] + change_B1[:, 0]
