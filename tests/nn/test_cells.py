"""The cells written out: against torch's fused layers, forward and backward, and against NumPy."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nn.unrolling import unroll
from unroll.core.config import Cell
from unroll.core.errors import ConfigError
from unroll.nn.cells import CELLS, GRUCell, LSTMCell, RecurrentCell, parameter_count
from unroll.nn.padding import reverse

ALL: tuple[Cell, ...] = get_args(Cell)
FUSED: dict[Cell, Callable[..., nn.RNNBase]] = {
    "rnn": nn.RNN,
    "rnn_relu": lambda *a, **o: nn.RNN(*a, nonlinearity="relu", **o),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
F, H, B, T = 3, 5, 4, 7


@pytest.fixture(autouse=True)
def _seeded() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(kind: Cell, **options: Any) -> RecurrentCell:
    """A cell in float64 in which no parameter is 0 or 1: one in the wrong place would show."""
    cell = CELLS[kind](F, H, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    return cell


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def begin(kind: Cell) -> Any:
    return (randn(B, H), randn(B, H)) if kind == "lstm" else randn(B, H)


def parts(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def layer_norm(a: np.ndarray, gain: np.ndarray, shift: np.ndarray | float = 0.0) -> np.ndarray:
    return (a - a.mean()) / np.sqrt(a.var() + 1e-5) * gain + shift


def step_by_hand(kind: Cell, w: dict[str, np.ndarray], x: np.ndarray, state: list[np.ndarray]) -> list[np.ndarray]:
    """One step of one sequence, gate by gate, from the papers' equations alone; ``w`` are the cell's parameters."""
    gates = {"lstm": 4, "gru": 3}.get(kind, 1)
    W, U = np.split(w["weight_ih"], gates), np.split(w["weight_hh"], gates)
    b, b2 = np.split(w["bias_ih"], gates), np.split(w.get("bias_hh", np.zeros(gates * H)), gates)
    h = state[0]
    normed = any(name.startswith("norm") for name in w)
    if gates == 1:
        a = W[0] @ x + U[0] @ h
        a = (layer_norm(a, w["norm.weight"]) if normed else a) + b[0] + b2[0]
        return [{"rnn": np.tanh, "rnn_relu": lambda a: np.maximum(a, 0), "rnn_sigmoid": sigmoid}[kind](a)]
    if kind == "lstm":
        wx, uh = (np.concatenate([m @ v for m in matrices]) for matrices, v in ((W, x), (U, h)))
        if normed:
            wx, uh = layer_norm(wx, w["norm_x.weight"]), layer_norm(uh, w["norm_h.weight"])
        i, f, g, o = (p + q + r + s for p, q, r, s in zip(np.split(wx, 4), np.split(uh, 4), b, b2, strict=True))
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        shown = layer_norm(c, w["norm_c.weight"], w["norm_c.bias"]) if normed else c
        return [sigmoid(o) * np.tanh(shown), c]
    wx, uh = (np.concatenate([m @ v for m in matrices[:2]]) for matrices, v in ((W, x), (U, h)))
    wx_n, uh_n = W[2] @ x, U[2] @ h
    if normed:
        wx, uh = layer_norm(wx, w["norm_x.weight"]), layer_norm(uh, w["norm_h.weight"])
        wx_n, uh_n = layer_norm(wx_n, w["norm_xn.weight"]), layer_norm(uh_n, w["norm_hn.weight"])
    r = sigmoid(wx[:H] + uh[:H] + b[0] + b2[0])
    z = sigmoid(wx[H:] + uh[H:] + b[1] + b2[1])
    n = np.tanh(wx_n + b[2] + r * (uh_n + b2[2]))
    return [(1 - z) * n + z * h]


@pytest.mark.parametrize("options", [{}, {"biases": 1}, {"layer_norm": True}, {"stacked": True}])
@pytest.mark.parametrize("kind", ALL)
def test_states_are_those_of_the_equations_in_numpy(kind: Cell, options: dict[str, Any]) -> None:
    cell, x_BTF, start = build(kind, **options), randn(B, T, F), begin(kind)
    states_BTH, end = unroll(cell, x_BTF, start)
    w = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    for b in range(B):
        state = [part[b].numpy() for part in parts(start)]
        for t in range(T):
            state = step_by_hand(kind, w, x_BTF[b, t].numpy(), state)
            np.testing.assert_allclose(states_BTH[b, t].detach(), state[0], rtol=1e-10, atol=1e-12)
        for part, expected in zip(parts(end), state, strict=True):
            np.testing.assert_allclose(part[b].detach(), expected, rtol=1e-10, atol=1e-12)


def run_fused(fused: nn.RNNBase, x_BTF: Tensor, start: list[Tensor]) -> list[Tensor]:
    states, end = fused(x_BTF, tuple(start) if len(start) == 2 else start[0])
    return [states, *parts(end)]


def run_cells(rows: list[list[RecurrentCell]], x_BTF: Tensor, start: list[Tensor]) -> list[Tensor]:
    """Layers of one or two directions; states and the state of all layers, as torch orders them."""
    ends: list[tuple[Tensor, ...]] = []
    for row in rows:
        outs = []
        for side, cell in enumerate(row):
            own = tuple(part[len(ends)] for part in start)
            states, end = unroll(cell, x_BTF.flip(1) if side else x_BTF, own if len(own) == 2 else own[0])
            outs.append(states.flip(1) if side else states)
            ends.append(parts(end))
        x_BTF = torch.cat(outs, dim=2)
    return [x_BTF, *(torch.stack(part) for part in zip(*ends, strict=True))]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", FUSED)
def test_equal_to_torchs_fused_layers_forward_and_backward(kind: Cell, layers: int, both: bool) -> None:
    fused, sides = FUSED[kind](F, H, layers, bidirectional=both, batch_first=True).double(), 1 + both
    rows = [[CELLS[kind](sides * H if layer else F, H).double() for _ in range(sides)] for layer in range(layers)]
    pairs = []
    for layer, side in np.ndindex(layers, sides):
        cell, end = rows[layer][side], f"_l{layer}{'_reverse' if side else ''}"
        cell.copy_from(fused, layer, reverse=side == 1)
        pairs += [(parameter, getattr(fused, name + end)) for name, parameter in cell.named_parameters()]
    x_BTF, start = randn(B, T, F), [randn(layers * sides, B, H) for _ in range(2 if kind == "lstm" else 1)]
    ours, theirs = ([value.clone().requires_grad_() for value in (x_BTF, *start)] for _ in range(2))
    mine, expected = run_cells(rows, ours[0], ours[1:]), run_fused(fused, theirs[0], theirs[1:])
    weights = [randn(*part.shape) for part in mine]
    for out in (mine, expected):
        torch.stack([(weight * part).sum() for weight, part in zip(weights, out, strict=True)]).sum().backward()
    close = {"rtol": 1e-10, "atol": 1e-12}
    for a, b in zip(mine, expected, strict=True):
        torch.testing.assert_close(a, b, **close)
    for a, b in [*zip(ours, theirs, strict=True), *pairs]:
        assert a.grad.abs().max() > 0
        torch.testing.assert_close(a.grad, b.grad, **close)


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("rnn", nn.RNNCell),
        ("lstm", nn.LSTMCell),
        ("gru", nn.GRUCell),
    ],
)
def test_one_step_is_that_of_torchs_cell(kind: Cell, theirs: Any) -> None:
    cell, their_cell, x_BF, state = build(kind), theirs(F, H).double(), randn(B, F), begin(kind)
    cell.copy_from(their_cell)
    for mine, expected in zip(parts(cell(x_BF, state)), parts(their_cell(x_BF, state)), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("stacked", [False, True])
def test_two_matrices_and_one_are_the_same_map(stacked: bool) -> None:
    cell, x_BF, h_BH = build("gru", stacked=stacked), randn(B, F), randn(B, H)
    W_GF, U_GH = cell.weight_ih.detach().numpy(), cell.weight_hh.detach().numpy()
    by_hand = np.stack([W_GF @ x + U_GH @ h for x, h in zip(x_BF.numpy(), h_BH.numpy(), strict=True)])
    np.testing.assert_allclose(cell.products(x_BF, h_BH).detach(), by_hand, rtol=1e-12)


@pytest.mark.parametrize("kind", ALL)
def test_stacked_form_equals_two_matrices_forward_and_backward(kind: Cell) -> None:
    two, one = build(kind), build(kind, stacked=True)
    one.copy_from(two)
    x_BTF, start = randn(B, T, F), begin(kind)
    states = [unroll(cell, x_BTF, start)[0] for cell in (two, one)]
    torch.testing.assert_close(states[0], states[1], rtol=1e-12, atol=1e-14)
    for out in states:
        out.square().sum().backward()
    for a, b in zip(two.parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("p", [1, 6])
@pytest.mark.parametrize("biases", [1, 2])
def test_number_of_parameters(kind: Cell, p: int, biases: Literal[1, 2]) -> None:
    q = 5
    gates = {"lstm": 4, "gru": 3}.get(kind, 1)
    counted = sum(parameter.numel() for parameter in CELLS[kind](p, q, biases).parameters())
    assert counted == parameter_count(kind, p, q, biases) == gates * q * (p + q + biases)
    if biases == 2 and kind in FUSED:
        assert counted == sum(parameter.numel() for parameter in FUSED[kind](p, q).parameters())


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("normed", [False, True])
def test_stepped_equals_unrolled(kind: Cell, normed: bool) -> None:
    cell, x_BTF = build(kind, layer_norm=normed), randn(B, T, F)
    states_BTH, end = unroll(cell, x_BTF)
    state, stepped = None, []
    for part in x_BTF.split([1, 4, 2], dim=1):
        states, state = unroll(cell, part, state)
        stepped.append(states)
    assert torch.equal(torch.cat(stepped, dim=1), states_BTH)
    assert all(torch.equal(a, b) for a, b in zip(parts(state), parts(end), strict=True))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("filler", [0.0, 1e30, float("nan")])
def test_padding_enters_neither_states_nor_gradients(kind: Cell, filler: float) -> None:
    cell, lengths = build(kind), [7, 1, 4, 6]
    clean, dirty = randn(B, T, F), torch.full((B, T, F), filler, dtype=torch.float64)
    for b, length in enumerate(lengths):
        dirty[b, :length] = clean[b, :length]
    outcomes = []
    for x_BTF in (clean.clone().requires_grad_(), dirty.requires_grad_()):
        cell.zero_grad()
        states_BTH, end = unroll(cell, x_BTF, None, torch.tensor(lengths))
        (states_BTH.sum() + parts(end)[-1].square().sum()).backward()
        outcomes.append([states_BTH, *parts(end), x_BTF.grad, *(p.grad.clone() for p in cell.parameters())])
    for a, b in zip(*outcomes, strict=True):
        assert torch.equal(a, b)
    for b, length in enumerate(lengths):
        alone_1TH, alone_end = unroll(cell, clean[b : b + 1, :length])
        torch.testing.assert_close(outcomes[1][0][b, :length], alone_1TH[0], rtol=1e-12, atol=1e-14)
        assert not outcomes[1][0][b, length:].any()
        for part, alone in zip(outcomes[1][1:], parts(alone_end), strict=False):
            torch.testing.assert_close(part[b], alone[0], rtol=1e-12, atol=1e-14)


def test_reverse_turns_each_sequence_within_its_length() -> None:
    x_BTF = torch.arange(8.0).view(2, 4, 1)
    assert reverse(x_BTF, torch.tensor([3, 1]))[..., 0].tolist() == [[2, 1, 0, 3], [4, 5, 6, 7]]
    assert reverse(x_BTF)[..., 0].tolist() == [[3, 2, 1, 0], [7, 6, 5, 4]]


@pytest.mark.parametrize("kind", ["rnn", "rnn_relu", "lstm"])
def test_two_biases_become_one(kind: Cell) -> None:
    two, one, x_BTF = build(kind), build(kind, biases=1), randn(B, T, F)
    one.copy_from(two)
    torch.testing.assert_close(unroll(one, x_BTF)[0], unroll(two, x_BTF)[0], rtol=1e-12, atol=1e-14)


def test_a_grus_two_biases_become_one_only_where_the_inner_is_zero() -> None:
    two, one = build("gru"), build("gru", biases=1)
    with pytest.raises(ConfigError, match="bias_hh of the new state is not 0; expected a GRU with biases=2"):
        one.copy_from(two)
    assert two.bias_hh is not None
    two.bias_hh.data[2 * H :] = 0
    one.copy_from(two)
    x_BTF = randn(B, T, F)
    torch.testing.assert_close(unroll(one, x_BTF)[0], unroll(two, x_BTF)[0], rtol=1e-12, atol=1e-14)


def test_faulty_options_and_sources_are_told() -> None:
    with pytest.raises(ConfigError, match="stacked with layer_norm"):
        LSTMCell(F, H, layer_norm=True, stacked=True)
    with pytest.raises(ConfigError, match=r"weight_ih_l0 is \(20, 3\); expected \(15, 3\)"):
        GRUCell(F, H).copy_from(nn.LSTM(F, H))
    with pytest.raises(ConfigError, match=r"weight_ih_l0_reverse is missing; expected \(15, 3\)"):
        GRUCell(F, H).copy_from(nn.GRU(F, H), reverse=True)
