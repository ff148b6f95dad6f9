"""A stack of recurrent layers over sequences of any length.

Shapes: B batch, T time, F features, H hidden units (2H when bidirectional).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unroll.config import Cell, Pooling, RecurrentConfig

State = Tensor | tuple[Tensor, Tensor]

_LAYERS: dict[Cell, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentEncoder(nn.Module):
    """Elman RNN, LSTM (Hochreiter & Schmidhuber 1997; Gers et al. 2000) or GRU (Cho et al. 2014).

    Recurrent matrices start orthogonal (Saxe et al. 2014), the LSTM's forget gate starts open with a bias of 1
    (Jozefowicz et al. 2015).

    >>> config = RecurrentConfig(cell="gru", hidden=5, layers=1, dropout=0.0)
    >>> encoder = RecurrentEncoder(3, config, bidirectional=True)
    >>> states, last, _ = encoder(torch.zeros(2, 7, 3))
    >>> states.shape, last.shape
    (torch.Size([2, 7, 10]), torch.Size([2, 10]))
    """

    def __init__(self, inputs: int, config: RecurrentConfig, bidirectional: bool = False) -> None:
        """``inputs`` features a step; the config's dropout acts between layers."""
        super().__init__()
        self.layers = _LAYERS[config.cell](
            inputs,
            config.hidden,
            num_layers=config.layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.outputs = config.hidden * (2 if bidirectional else 1)
        _initialise(self.layers, config.cell)

    def forward(
        self, x_BTF: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """States of the top layer at each step, its state after the last step, and the state of all layers.

        With ``lengths_B`` the steps beyond a sequence's length do not enter anything: padded equals unpadded. The
        state after the last step joins, when bidirectional, the forward state at the end and the backward one at the
        start.
        """
        if lengths_B is None:
            states_BTH, state = self.layers(x_BTF, state)
        else:
            packed = pack_padded_sequence(x_BTF, lengths_B.cpu(), batch_first=True, enforce_sorted=False)
            packed, state = self.layers(packed, state)
            states_BTH, _ = pad_packed_sequence(packed, batch_first=True, total_length=x_BTF.shape[1])
        hidden_LBH = state[0] if isinstance(state, tuple) else state
        last_BH = torch.cat([hidden_LBH[-2], hidden_LBH[-1]], dim=1) if self.layers.bidirectional else hidden_LBH[-1]
        return states_BTH, last_BH, state


def pool(states_BTH: Tensor, last_BH: Tensor, lengths_B: Tensor | None, kinds: tuple[Pooling, ...]) -> Tensor:
    """One vector a sequence: the kinds asked for, side by side; padding enters neither mean nor maximum."""
    steps = states_BTH.shape[1]
    if lengths_B is None:
        lengths_B = torch.full((len(states_BTH),), steps, device=states_BTH.device)
    inside_BT1 = (torch.arange(steps, device=states_BTH.device) < lengths_B.to(states_BTH.device)[:, None])[..., None]
    parts = {
        "last": lambda: last_BH,
        "mean": lambda: states_BTH.masked_fill(~inside_BT1, 0.0).sum(1) / inside_BT1.sum(1),
        "max": lambda: states_BTH.masked_fill(~inside_BT1, float("-inf")).amax(1),
    }
    return torch.cat([parts[kind]() for kind in kinds], dim=1)


def _initialise(layers: nn.RNNBase, cell: Cell) -> None:
    hidden = layers.hidden_size
    for name, parameter in layers.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(parameter)
        elif name.startswith("weight_hh"):
            for gate in torch.split(parameter.data, hidden):  # one square matrix a gate
                nn.init.orthogonal_(gate)
        else:
            nn.init.zeros_(parameter)
            if cell == "lstm" and name.startswith("bias_ih"):
                parameter.data[hidden : 2 * hidden] = 1.0  # torch's order of gates: input, forget, cell, output
