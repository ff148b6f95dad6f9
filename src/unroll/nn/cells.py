"""Recurrent cells written out from their equations: what torch's fused layers compute, one step at a time.

Shapes: B batch, T time, F inputs of a step, H units, G rows of all gates (H for Elman's, 4H for LSTM, 3H for GRU),
X = F + H. Written for column vectors, as in the papers: W (G, F) multiplies the input x, U (G, H) the state h of the
step before. Names and order of the gates are torch's: ``weight_ih`` is W, ``weight_hh`` is U, ``bias_ih`` and
``bias_hh`` add up.

Every cell has two forms of the same linear map, chosen by ``stacked``. Two matrices: W x + U h. One matrix:
[W U] [x; h], where input and state stand on top of each other.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from unroll.core.config import Cell
from unroll.core.errors import ConfigError
from unroll.nn.padding import inside

State = Tensor | tuple[Tensor, Tensor]
"""The state h, or (h, c) of an LSTM."""


class RecurrentCell(nn.Module):
    """What the cells share: their parameters, under torch's names.

    ``biases`` is 2 as in torch, where the second one is redundant for all but the GRU, or 1 as in the textbooks.
    ``layer_norm`` normalises what the matrices give to mean 0 and variance 1 over the units before the bias is added,
    each with a gain of its own (Ba et al. 2016); the two products are then no longer one.
    """

    gates: ClassVar[int]

    def __init__(
        self, inputs: int, units: int, biases: Literal[1, 2] = 2, layer_norm: bool = False, stacked: bool = False
    ) -> None:
        """``inputs`` of a step; raises ConfigError for ``stacked`` with ``layer_norm``."""
        super().__init__()
        if stacked and layer_norm:
            raise ConfigError("cell: stacked with layer_norm; expected one of them: both products are normalised apart")
        rows = self.gates * units
        self.inputs, self.units, self.stacked = inputs, units, stacked
        self.weight_ih = nn.Parameter(torch.empty(rows, inputs))
        self.weight_hh = nn.Parameter(torch.empty(rows, units))
        self.bias_ih = nn.Parameter(torch.zeros(rows))
        self.bias_hh = nn.Parameter(torch.zeros(rows)) if biases == 2 else None
        for weight in (self.weight_ih, self.weight_hh):
            nn.init.uniform_(weight, -(units**-0.5), units**-0.5)
        self.norm_x: nn.Module = nn.Identity()
        self.norm_h: nn.Module = nn.Identity()

    @abstractmethod
    def forward(self, x_BF: Tensor, state: State) -> State:
        """The state after one more step."""

    @property
    def bias(self) -> Tensor:
        """b (G,): both of torch's together."""
        return self.bias_ih if self.bias_hh is None else self.bias_ih + self.bias_hh

    def start(self, x_BTF: Tensor) -> State:
        """The state before the first step, zeros (B, H)."""
        return x_BTF.new_zeros(len(x_BTF), self.units)

    def products(self, x_BF: Tensor, h_BH: Tensor, rows: slice = slice(None)) -> Tensor:
        """W x + U h for some rows of the matrices, each product normalised where the cell does that."""
        W_GF, U_GH = self.weight_ih[rows], self.weight_hh[rows]
        if self.stacked:
            WU_GX = torch.cat([W_GF, U_GH], dim=1)
            return torch.cat([x_BF, h_BH], dim=1) @ WU_GX.T
        normed_BG: Tensor = self.norm_x(x_BF @ W_GF.T) + self.norm_h(h_BH @ U_GH.T)
        return normed_BG

    def copy_from(self, source: nn.Module, layer: int = 0, reverse: bool = False) -> None:
        """Take the parameters of a cell of torch's or ours, or of one layer and direction of a fused stack.

        Raises ConfigError where their shapes do not fit, or where two biases of a GRU cannot become one.
        """
        if isinstance(source, RecurrentCell) and source.state_dict().keys() == self.state_dict().keys():
            self.load_state_dict(source.state_dict())
            return
        end = f"_l{layer}{'_reverse' if reverse else ''}" if isinstance(source, nn.RNNBase) else ""
        theirs = {name.removesuffix(end): value for name, value in source.named_parameters() if name.endswith(end)}
        own = {"weight_ih": self.weight_ih, "weight_hh": self.weight_hh, "bias_ih": self.bias_ih}
        for name, parameter in own.items():
            shape = tuple(theirs[name].shape) if name in theirs else "missing"
            if shape != tuple(parameter.shape):
                raise ConfigError(f"cell: {name}{end} is {shape}; expected {tuple(parameter.shape)}")
            parameter.data.copy_(theirs[name].data)
        second_G = theirs["bias_hh"].data if "bias_hh" in theirs else torch.zeros_like(self.bias_ih)
        if self.bias_hh is not None:
            self.bias_hh.data.copy_(second_G)
        else:
            self._add_second_bias(second_G)

    def _add_second_bias(self, bias_G: Tensor) -> None:
        self.bias_ih.data.add_(bias_G)


class ElmanCell(RecurrentCell):
    """A simple recurrent network (Elman 1990): h_t = f(W x_t + U h_{t-1} + b) with f = tanh.

    With layer normalisation h_t = f(LN(W x_t + U h_{t-1}) + b), equation 4 of Ba et al. (2016).
    """

    gates = 1
    activation: Callable[[Tensor], Tensor] = staticmethod(torch.tanh)

    def __init__(
        self, inputs: int, units: int, biases: Literal[1, 2] = 2, layer_norm: bool = False, stacked: bool = False
    ) -> None:
        super().__init__(inputs, units, biases, layer_norm, stacked)
        self.norm = _norm(units, layer_norm)

    def forward(self, x_BF: Tensor, state: State) -> Tensor:
        """h_t (B, H)."""
        return self.activation(self.norm(self.products(x_BF, hidden(state))) + self.bias)


class ReluCell(ElmanCell):
    """Elman's with f(a) = max(0, a), which is either linear or off: what goes through it does not saturate."""

    activation = staticmethod(torch.relu)


class SigmoidCell(ElmanCell):
    """Elman's with f(a) = 1 / (1 + exp(-a)), as in 1990: its slope is at most 1/4, so that gradients vanish fast."""

    activation = staticmethod(torch.sigmoid)


class LSTMCell(RecurrentCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    i_t = σ(W_i x_t + U_i h_{t-1} + b_i)        input gate: how much of the new enters
    f_t = σ(W_f x_t + U_f h_{t-1} + b_f)        forget gate: how much of the old stays
    g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)     the new
    o_t = σ(W_o x_t + U_o h_{t-1} + b_o)        output gate: how much is shown
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)

    From c_{t-1} to c_t a gradient is multiplied by f_t alone: open gates let it pass. W, U and b hold the rows of
    i, f, g and o below each other. With layer normalisation W x_t, U h_{t-1} and c_t within tanh are normalised, each
    by itself: equations 20 to 22 of Ba et al. (2016).
    """

    gates = 4

    def __init__(
        self, inputs: int, units: int, biases: Literal[1, 2] = 2, layer_norm: bool = False, stacked: bool = False
    ) -> None:
        super().__init__(inputs, units, biases, layer_norm, stacked)
        self.norm_x, self.norm_h = _norm(4 * units, layer_norm), _norm(4 * units, layer_norm)
        self.norm_c = nn.LayerNorm(units) if layer_norm else nn.Identity()

    def forward(self, x_BF: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """h_t (B, H) and c_t (B, H)."""
        h_BH, c_BH = state
        i_BH, f_BH, g_BH, o_BH = (self.products(x_BF, h_BH) + self.bias).chunk(4, dim=1)
        c_BH = torch.sigmoid(f_BH) * c_BH + torch.sigmoid(i_BH) * torch.tanh(g_BH)
        return torch.sigmoid(o_BH) * torch.tanh(self.norm_c(c_BH)), c_BH

    def start(self, x_BTF: Tensor) -> State:
        """h and c before the first step, zeros."""
        zero_BH = x_BTF.new_zeros(len(x_BTF), self.units)
        return zero_BH, zero_BH


class GRUCell(RecurrentCell):
    """Gated recurrent unit (Cho et al. 2014), in the variant of torch and cuDNN.

    r_t = σ(W_r x_t + U_r h_{t-1} + b_r)                           reset gate: how much of the old enters the new
    z_t = σ(W_z x_t + U_z h_{t-1} + b_z)                           update gate: how much of the old stays
    n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t-1} + b'_n))         the new
    h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}

    The original resets the state before the product, tanh(W_n x_t + U_n (r_t ⊙ h_{t-1}) + b_n), and has one bias; here
    the reset comes after it, so that all three products with h are one, and needs b'_n, the rows n of ``bias_hh``, to
    stand inside. With one bias b'_n is 0. W, U and b hold the rows of r, z and n below each other. The one matrix
    serves r and z; n needs its two products apart. With layer normalisation each product is normalised by itself, r
    and z together: equations 29 to 31 of Ba et al. (2016).
    """

    gates = 3

    def __init__(
        self, inputs: int, units: int, biases: Literal[1, 2] = 2, layer_norm: bool = False, stacked: bool = False
    ) -> None:
        super().__init__(inputs, units, biases, layer_norm, stacked)
        self.norm_x, self.norm_h = _norm(2 * units, layer_norm), _norm(2 * units, layer_norm)
        self.norm_xn, self.norm_hn = _norm(units, layer_norm), _norm(units, layer_norm)

    def forward(self, x_BF: Tensor, state: State) -> Tensor:
        """h_t (B, H)."""
        h_BH, rz, n = hidden(state), slice(2 * self.units), slice(2 * self.units, None)
        r_BH, z_BH = torch.sigmoid(self.products(x_BF, h_BH, rz) + self.bias[rz]).chunk(2, dim=1)
        old_BH = self.norm_hn(h_BH @ self.weight_hh[n].T)
        if self.bias_hh is not None:
            old_BH = old_BH + self.bias_hh[n]
        n_BH = torch.tanh(self.norm_xn(x_BF @ self.weight_ih[n].T) + self.bias_ih[n] + r_BH * old_BH)
        return (1 - z_BH) * n_BH + z_BH * h_BH

    def _add_second_bias(self, bias_G: Tensor) -> None:
        if bias_G[2 * self.units :].any():
            raise ConfigError("cell: bias_hh of the new state is not 0; expected a GRU with biases=2 to take it")
        super()._add_second_bias(bias_G)


CELLS: dict[Cell, type[RecurrentCell]] = {
    "rnn": ElmanCell,
    "rnn_relu": ReluCell,
    "rnn_sigmoid": SigmoidCell,
    "lstm": LSTMCell,
    "gru": GRUCell,
}


def parameter_count(cell: Cell, inputs: int, units: int, biases: Literal[1, 2] = 2) -> int:
    """The number of parameters of one layer in one direction, without layer normalisation.

    >>> parameter_count("lstm", 3, 5, biases=1) == 4 * 5 * (3 + 5 + 1)
    True
    """
    return CELLS[cell].gates * units * (inputs + units + biases)


def steps(
    cell: RecurrentCell, x_BTF: Tensor, state: State | None = None, lengths_B: Tensor | None = None
) -> Iterator[State]:
    """The state after each step; after its own last one a sequence's state stays, whatever stands in the padding."""
    state = cell.start(x_BTF) if state is None else state
    if lengths_B is None:
        for x_BF in x_BTF.unbind(1):
            state = cell(x_BF, state)
            yield state
        return
    inside_BT1 = inside(x_BTF, lengths_B)[..., None]
    x_BTF = x_BTF.masked_fill(~inside_BT1, 0.0)  # NaN in the padding would enter the gradient through ``where``
    for x_BF, inside_B1 in zip(x_BTF.unbind(1), inside_BT1.unbind(1), strict=True):
        new = cell(x_BF, state)
        if isinstance(new, tuple):
            state = torch.where(inside_B1, new[0], state[0]), torch.where(inside_B1, new[1], state[1])
        else:
            state = torch.where(inside_B1, new, hidden(state))
        yield state


def outputs(states: list[State], lengths_B: Tensor | None = None) -> Tensor:
    """The states h of single steps side by side (B, T, H), 0 in the padding."""
    states_BTH = torch.stack([hidden(state) for state in states], dim=1)
    return states_BTH if lengths_B is None else states_BTH * inside(states_BTH, lengths_B)[..., None]


def hidden(state: State) -> Tensor:
    """The part h of a state."""
    return state[0] if isinstance(state, tuple) else state


def _norm(width: int, layer_norm: bool) -> nn.Module:
    """Normalisation with a gain; the shift is the cell's own bias."""
    return nn.LayerNorm(width, bias=False) if layer_norm else nn.Identity()
