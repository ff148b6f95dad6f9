"""A stack of recurrent layers over sequences of any length.

Shapes: B batch, T time, F features, H hidden units, L layers times directions, K what one layer gives: H, or 2H where
it reads in both directions, one beside the other.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from unroll.core.config import Cell, RecurrentConfig
from unroll.nn.cells import CELLS, State, hidden
from unroll.nn.layers import CellLayer, Stack, cells_of, merge_directions, run
from unroll.nn.step_recording import Recording

FORGET_BIAS = 1.0
"""Of an LSTM's forget gate at the start by default: open, σ(1) = 0.73 (Jozefowicz et al. 2015)."""
_FUSED: dict[Cell, Callable[..., nn.RNNBase]] = {
    "rnn": nn.RNN,
    "rnn_relu": lambda *args, **options: nn.RNN(*args, nonlinearity="relu", **options),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


class RecurrentEncoder(nn.Module):
    """Layers of Elman's RNN, LSTM (Hochreiter & Schmidhuber 1997; Gers et al. 2000) or GRU (Cho et al. 2014).

    Torch's fused layers wherever they have what the config asks for, else the cells of ``nn.cells`` step by step:
    ``rnn_sigmoid`` and ``layer_norm``. Both directions: Schuster & Paliwal 1997. Dropout between layers, not from step
    to step: Zaremba et al. 2014. Matrices of the input start as Glorot & Bengio 2010, recurrent ones orthogonal
    (Saxe et al. 2014) or, with ``recurrent_init: uniform``, as torch draws them; the LSTM's forget gate starts open
    with the bias ``forget_bias``, 1 by default (Jozefowicz et al. 2015).

    >>> config = RecurrentConfig(cell="gru", hidden=5, layers=1, dropout=0.0)
    >>> encoder = RecurrentEncoder(3, config, bidirectional=True)
    >>> states, last, _ = encoder(torch.zeros(2, 7, 3))
    >>> states.shape, last.shape
    (torch.Size([2, 7, 10]), torch.Size([2, 10]))
    """

    def __init__(self, inputs: int, config: RecurrentConfig, bidirectional: bool = False) -> None:
        """``inputs`` features a step; the config's dropout acts between layers."""
        super().__init__()
        self.inputs, self.config, self.bidirectional = inputs, config, bidirectional
        self.summed = bidirectional and config.merge == "sum"
        self.outputs = config.hidden * (2 if bidirectional and not self.summed else 1)
        self.layers = _layers(inputs, config, bidirectional)
        self._recording: Recording | None = None
        _initialise(self.layers, config)

    def forward(
        self, x_BTF: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """The top layer's states (B, T, ``outputs``), its last one (B, ``outputs``), and that of all layers (L, B, H).

        With ``lengths_B`` the steps beyond a sequence's length do not enter anything: padded equals unpadded. The
        state after the last step joins, when bidirectional, the forward state at the end and the backward one at the
        start.
        """
        if self._recording is not None:
            states_BTK, state = self._recording.run(x_BTF, lengths_B, state)
        else:
            states_BTK, state = run(self.layers, x_BTF, lengths_B, state)
        hidden_LBH = hidden(state)
        last_BK = torch.cat([hidden_LBH[-2], hidden_LBH[-1]], dim=1) if self.bidirectional else hidden_LBH[-1]
        return merge_directions(states_BTK, self.summed), merge_directions(last_BK, self.summed), state

    def written_out(self) -> Stack:
        """The same layers as cells written out, with a copy of the weights."""
        with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
            stack = _stack(self.inputs, self.config, self.bidirectional, None).to(next(self.parameters()))
        for number, written in enumerate(stack.items):
            source, layer = (self.layers.items[number], 0) if isinstance(self.layers, Stack) else (self.layers, number)
            for direction, cell in enumerate(cells_of(written)):
                kind = cells_of(source)[direction] if isinstance(source, CellLayer) else source
                cell.copy_from(kind, layer, reverse=direction == 1)
        return stack.train(self.training)

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        """Within the block every call keeps the states of all layers at all steps, and what made them.

        The fused layers do not show inner states: the block runs ``written_out`` instead, in double precision, which
        gives the same up to rounding. Gradients reach the inputs and the states, not the encoder's own weights.
        """
        self._recording = Recording(self.written_out().double())
        try:
            yield self._recording
        finally:
            self._recording = None


def _layers(inputs: int, config: RecurrentConfig, bidirectional: bool) -> nn.Module:
    """The fastest layers that do what the config asks for."""
    fused = None if config.layer_norm else _FUSED.get(config.cell)
    if fused is None or (bidirectional and config.merge == "sum" and config.layers > 1):
        return _stack(inputs, config, bidirectional, fused)
    return fused(
        inputs,
        config.hidden,
        num_layers=config.layers,
        batch_first=True,
        bidirectional=bidirectional,
        dropout=config.dropout if config.layers > 1 else 0.0,
    )


def _stack(inputs: int, config: RecurrentConfig, bidirectional: bool, fused: Callable[..., nn.RNNBase] | None) -> Stack:
    """Single layers, each fused or, with None, written out."""
    summed, sides = bidirectional and config.merge == "sum", 2 if bidirectional else 1
    layers: list[nn.Module] = []
    for width in [inputs] + [config.hidden * (1 if summed else sides)] * (config.layers - 1):
        if fused:
            layers.append(fused(width, config.hidden, batch_first=True, bidirectional=bidirectional))
        else:
            kind = CELLS[config.cell]
            layers.append(CellLayer([kind(width, config.hidden, layer_norm=config.layer_norm) for _ in range(sides)]))
    return Stack(layers, summed, config.dropout)


def _initialise(layers: nn.Module, config: RecurrentConfig) -> None:
    """The start of the weights; matrices of the input as Glorot & Bengio (2010), equation 16."""
    hidden, bound = config.hidden, config.hidden**-0.5
    for path, parameter in layers.named_parameters():
        name = path.rpartition(".")[2]
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(parameter)
        elif name.startswith("weight_hh") and config.recurrent_init == "uniform":
            nn.init.uniform_(parameter, -bound, bound)
        elif name.startswith("weight_hh"):
            for gate in torch.split(parameter.data, hidden):  # one square matrix a gate
                nn.init.orthogonal_(gate)
        elif name.startswith("bias_"):
            nn.init.zeros_(parameter)
            if config.cell == "lstm" and name.startswith("bias_ih"):
                forget = FORGET_BIAS if config.forget_bias is None else config.forget_bias
                parameter.data[hidden : 2 * hidden] = forget  # torch's order of gates: input, forget, cell, output
