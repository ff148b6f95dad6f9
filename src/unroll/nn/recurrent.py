"""A stack of recurrent layers over sequences of any length.

Shapes: B batch, T time, F features, H hidden units, L layers times directions, K what one layer gives: H, or 2H where
it reads in both directions, one beside the other.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unroll.core.config import Cell, RecurrentConfig
from unroll.nn.cells import CELLS, RecurrentCell, State, outputs, steps, turned

FORGET_BIAS = 1.0
"""Of an LSTM's forget gate at the start, unless the config says another: open, σ(1) = 0.73 (Jozefowicz et al. 2015)."""
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
    with the bias ``forget_bias``, 1 unless told (Jozefowicz et al. 2015).

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
        """States of the top layer at each step, its state after the last step, and the state of all layers.

        With ``lengths_B`` the steps beyond a sequence's length do not enter anything: padded equals unpadded. The
        state after the last step joins, when bidirectional, the forward state at the end and the backward one at the
        start.
        """
        if self._recording is not None:
            states_BTK, state = self._recording.run(x_BTF, lengths_B, state)
        else:
            states_BTK, state = _run(self.layers, x_BTF, lengths_B, state)
        hidden_LBH = state[0] if isinstance(state, tuple) else state
        last_BK = torch.cat([hidden_LBH[-2], hidden_LBH[-1]], dim=1) if self.bidirectional else hidden_LBH[-1]
        return _merged(states_BTK, self.summed), _merged(last_BK, self.summed), state

    def written_out(self) -> "Stack":
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
    def recording(self) -> "Iterator[Recording]":
        """Within the block every call keeps the states of all layers at all steps, and what made them.

        The fused layers do not show inner states: the block runs ``written_out`` instead, in double precision, which
        gives the same up to rounding. Gradients reach the inputs and the states, not the encoder's own weights.
        """
        self._recording = Recording(self.written_out().double())
        try:
            yield self._recording
        finally:
            self._recording = None


class CellLayer(nn.Module):
    """One layer of cells written out: one cell, or one for each direction."""

    def __init__(self, cells: Sequence[RecurrentCell]) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)

    def forward(
        self, x_BTF: Tensor, lengths_B: Tensor | None = None, state: State | None = None, chain: "Chain | None" = None
    ) -> tuple[Tensor, State]:
        """States (B, T, K) and the state after the last step (directions, B, H); ``chain`` takes those of each step."""
        sides, ends = [], []
        cells = cells_of(self)
        starts = _apart(torch.unbind, state, len(cells))
        for direction, (cell, start) in enumerate(zip(cells, starts, strict=True)):
            own_BTF = turned(x_BTF, lengths_B) if direction else x_BTF
            every = list(steps(cell, own_BTF, start, lengths_B))
            side_BTH = outputs(every, lengths_B)
            sides.append(turned(side_BTH, lengths_B) if direction else side_BTH)
            ends.append(every[-1])
            if chain is not None:
                chain.add(direction, every)
        return torch.cat(sides, dim=2), _together(torch.stack, ends)


class Stack(nn.Module):
    """Layers one by one, where torch's own stack does not serve: cells written out, or directions that are summed."""

    def __init__(self, items: Sequence[nn.Module], summed: bool, dropout: float) -> None:
        super().__init__()
        self.items = nn.ModuleList(items)
        self.summed, self.dropout = summed, nn.Dropout(dropout)

    def forward(
        self,
        x_BTF: Tensor,
        lengths_B: Tensor | None = None,
        state: State | None = None,
        chains: "Sequence[Chain] | None" = None,
    ) -> tuple[Tensor, State]:
        """States of the top layer (B, T, K) and the state of all layers (L, B, H)."""
        ends: list[State] = []
        states_BTK = x_BTF
        starts = _apart(lambda part: part.chunk(len(self.items)), state, len(self.items))
        for number, (layer, start) in enumerate(zip(self.items, starts, strict=True)):
            if number:
                x_BTF = self.dropout(_merged(states_BTK, self.summed))
            if isinstance(layer, CellLayer):
                states_BTK, end = layer(x_BTF, lengths_B, start, chains[number] if chains else None)
            else:
                states_BTK, end = _run(layer, x_BTF, lengths_B, start)
            ends.append(end)
        return states_BTK, _together(torch.cat, ends)


@dataclass
class Chain:
    """The states of one layer in the order in which they were made: a list for each direction.

    A state is (h,), or (h, c) of an LSTM; each (B, H).
    """

    directions: dict[int, list[tuple[Tensor, ...]]] = field(default_factory=dict)

    def add(self, direction: int, every: Sequence[State]) -> None:
        """The states of some more steps."""
        self.directions.setdefault(direction, []).extend(s if isinstance(s, tuple) else (s,) for s in every)


@dataclass
class Run:
    """One sequence of steps: a call, or several that hand their state on. A chain for each layer."""

    lengths_B: Tensor | None
    layers: list[Chain]

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.layers[0].directions[0])


class Recording:
    """What a ``RecurrentEncoder`` did while it was recorded."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.runs: list[Run] = []
        self._given: State | None = None
        self._exact: State | None = None

    def run(self, x_BTF: Tensor, lengths_B: Tensor | None, state: State | None) -> tuple[Tensor, Any]:
        """What the layers give. A call with the state that the last one gave goes on with its run."""
        goes_on = state is not None and self._given is not None and _hidden(state) is _hidden(self._given)
        if goes_on:
            state = self._exact
        else:
            self.runs.append(Run(lengths_B, [Chain() for _ in self.stack.items]))
            state = _each(Tensor.double, state)
        if lengths_B is None:  # with lengths the state that is handed on stands apart from what was made of it already
            lengths_B = torch.full((len(x_BTF),), x_BTF.shape[1])
        states_BTK, exact = self.stack(x_BTF.double(), lengths_B, state, self.runs[-1].layers)
        self._exact, self._given = exact, _each(lambda part: part.to(x_BTF.dtype), exact)
        return states_BTK.to(x_BTF.dtype), self._given

    @property
    def longest(self) -> Run:
        """The run of most steps."""
        return max(self.runs, key=lambda run: run.steps)


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


def _run(layers: nn.Module, x_BTF: Tensor, lengths_B: Tensor | None, state: State | None) -> tuple[Tensor, State]:
    """States (B, T, K) of the top layer, 0 in the padding, and the state of all layers (L, B, H)."""
    if not isinstance(layers, nn.RNNBase):
        written: tuple[Tensor, State] = layers(x_BTF, lengths_B, state)
        return written
    if lengths_B is None:
        states_BTK, state = layers(x_BTF, state)
        return states_BTK, state
    packed = pack_padded_sequence(x_BTF, lengths_B.cpu(), batch_first=True, enforce_sorted=False)
    packed, state = layers(packed, state)
    states_BTK, _ = pad_packed_sequence(packed, batch_first=True, total_length=x_BTF.shape[1])
    return states_BTK, state


def _merged(states: Tensor, summed: bool) -> Tensor:
    """Both directions as one: side by side, as they come, or their sum."""
    if not summed:
        return states
    ahead, back = states.chunk(2, dim=-1)
    return ahead + back


def _hidden(state: State) -> Tensor:
    return state[0] if isinstance(state, tuple) else state


def _each(change: Callable[[Tensor], Tensor], state: State | None) -> State | None:
    """A state with its one or two parts changed; None stays None."""
    return (
        (change(state[0]), change(state[1])) if isinstance(state, tuple) else None if state is None else change(state)
    )


def _apart(split: Callable[[Tensor], Sequence[Tensor]], state: State | None, count: int) -> Sequence[State | None]:
    """One state as several, part by part; the opposite of ``_together``."""
    if isinstance(state, tuple):
        return list(zip(split(state[0]), split(state[1]), strict=True))
    return [None] * count if state is None else split(state)


def _together(join: Callable[[list[Tensor]], Tensor], states: Sequence[State]) -> State:
    """Several states as one, part by part."""
    pairs = [state for state in states if isinstance(state, tuple)]
    if pairs:
        return join([h for h, _ in pairs]), join([c for _, c in pairs])
    return join([_hidden(state) for state in states])


def cells_of(layer: nn.Module) -> list[RecurrentCell]:
    """The cells of a layer written out: forward and, if there is one, backward."""
    return [cell for part in layer.children() for cell in part.children() if isinstance(cell, RecurrentCell)]


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
