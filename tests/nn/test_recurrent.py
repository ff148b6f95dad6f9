"""The recurrent layers against cells stepped by hand in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from unroll.core.config import Cell, RecurrentConfig
from unroll.nn.recurrent import RecurrentEncoder

CELLS: tuple[Cell, ...] = ("rnn", "lstm", "gru")
Weights = dict[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def step_rnn(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.tanh(w["ih"] @ x + w["b_ih"] + w["hh"] @ h + w["b_hh"]), c


def step_lstm(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i, f, g, o = np.split(w["ih"] @ x + w["b_ih"] + w["hh"] @ h + w["b_hh"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def step_gru(w: Weights, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x_r, x_z, x_n = np.split(w["ih"] @ x + w["b_ih"], 3)
    h_r, h_z, h_n = np.split(w["hh"] @ h + w["b_hh"], 3)
    z = sigmoid(x_z + h_z)
    return (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h, c


STEPS = {"rnn": step_rnn, "lstm": step_lstm, "gru": step_gru}


def weights(encoder: RecurrentEncoder, layer: int, reverse: bool) -> Weights:
    end = f"_l{layer}" + ("_reverse" if reverse else "")
    found = dict(encoder.layers.named_parameters())
    names = {"ih": "weight_ih", "hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
    return {short: found[long + end].detach().numpy() for short, long in names.items()}


def by_hand(encoder: RecurrentEncoder, cell: Cell, x_TF: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """States of the top layer (T, H or 2H), and the last state of every layer and direction."""
    layers, both, hidden = encoder.layers.num_layers, encoder.layers.bidirectional, encoder.layers.hidden_size
    inputs, ends = x_TF, []
    for layer in range(layers):
        sides = []
        for reverse in (False, True) if both else (False,):
            w, h, c = weights(encoder, layer, reverse), np.zeros(hidden), np.zeros(hidden)
            states = []
            for x in inputs[::-1] if reverse else inputs:
                h, c = STEPS[cell](w, x, h, c)
                states.append(h)
            ends.append(h)
            sides.append(np.array(states[::-1] if reverse else states))
        inputs = np.concatenate(sides, axis=1)
    return inputs, ends


def build(cell: Cell, layers: int = 1, both: bool = False, seed: int = 0) -> RecurrentEncoder:
    torch.manual_seed(seed)
    encoder = RecurrentEncoder(3, RecurrentConfig(cell=cell, hidden=5, layers=layers, dropout=0.0), both).double()
    with torch.no_grad():
        for parameter in encoder.parameters():  # no bias is zero: one in the wrong place would show
            parameter.add_(0.3 * torch.randn_like(parameter))
    return encoder


def require_close(ours: Tensor, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_states_are_those_of_a_cell_stepped_by_hand(cell: Cell, layers: int, both: bool) -> None:
    encoder = build(cell, layers, both)
    x_BTF = np.random.default_rng(1).normal(size=(4, 7, 3))
    states_BTH, last_BH, state = encoder(torch.from_numpy(x_BTF))
    assert states_BTH.shape == (4, 7, encoder.outputs)
    for b in range(4):
        states_TH, ends = by_hand(encoder, cell, x_BTF[b])
        require_close(states_BTH[b], states_TH)
        require_close(last_BH[b], np.concatenate(ends[-2:] if both else ends[-1:]))
        hidden = state[0] if cell == "lstm" else state
        require_close(hidden[:, b], np.array(ends))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padded_equals_unpadded(cell: Cell, both: bool) -> None:
    encoder = build(cell, 2, both)
    lengths = [3, 9, 1, 6, 6]
    sequences = [torch.randn(length, 3, dtype=torch.float64) for length in lengths]
    x_BTF = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=1e9)
    x_BTF = torch.cat([x_BTF, torch.full((5, 2, 3), -1e9, dtype=torch.float64)], dim=1)  # longer than any of them
    states_BTH, last_BH, state = encoder(x_BTF, torch.tensor(lengths))
    assert states_BTH.shape[:2] == (5, 11)
    for b, sequence in enumerate(sequences):
        alone_1TH, alone_1H, alone_state = encoder(sequence[None])
        torch.testing.assert_close(states_BTH[b, : lengths[b]], alone_1TH[0])
        torch.testing.assert_close(last_BH[b], alone_1H[0])
        assert not states_BTH[b, lengths[b] :].any()
        for part, alone in zip(parts(state), parts(alone_state), strict=True):
            torch.testing.assert_close(part[:, b], alone[:, 0])


def parts(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("cell", CELLS)
def test_stepped_with_carried_state_equals_unrolled(cell: Cell) -> None:
    encoder = build(cell, 2)
    x_BTF = torch.randn(3, 10, 3, dtype=torch.float64)
    states_BTH, last_BH, end = encoder(x_BTF)
    state, stepped = None, []
    for part in x_BTF.split([1, 4, 1, 3, 1], dim=1):
        states, last, state = encoder(part, state=state)
        stepped.append(states)
    torch.testing.assert_close(torch.cat(stepped, dim=1), states_BTH)
    torch.testing.assert_close(last, last_BH)
    for a, b in zip(parts(state), parts(end), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("cell", CELLS)
def test_lengths_and_a_carried_state_go_together(cell: Cell) -> None:
    encoder = build(cell)
    x_BTF = torch.randn(2, 6, 3, dtype=torch.float64)
    _, _, state = encoder(torch.randn(2, 4, 3, dtype=torch.float64))
    padded, _, _ = encoder(x_BTF, torch.tensor([6, 2]), state)
    whole, _, _ = encoder(x_BTF, None, state)
    torch.testing.assert_close(padded[0], whole[0])
    torch.testing.assert_close(padded[1, :2], whole[1, :2])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_matrices_start_orthogonal_and_biases_at_zero_but_the_forget_gates(cell: Cell, both: bool) -> None:
    torch.manual_seed(0)
    encoder = RecurrentEncoder(3, RecurrentConfig(cell=cell, hidden=6, layers=2, dropout=0.0), both)
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[cell]
    for layer in range(2):
        for reverse in (False, True) if both else (False,):
            w = weights(encoder, layer, reverse)
            for matrix in np.split(w["hh"], gates):
                np.testing.assert_allclose(matrix @ matrix.T, np.eye(6), atol=1e-5)
            bias = w["b_ih"] + w["b_hh"]
            expected = np.zeros(6 * gates)
            if cell == "lstm":
                expected[6:12] = 1.0
            np.testing.assert_array_equal(bias, expected)
            assert 0 < np.abs(w["ih"]).max() <= np.sqrt(6 / (w["ih"].shape[0] + w["ih"].shape[1]))


def test_dropout_acts_between_layers_while_training_alone() -> None:
    torch.manual_seed(0)
    x_BTF = torch.randn(2, 5, 3)
    one, two = (
        RecurrentEncoder(3, RecurrentConfig(cell="gru", hidden=8, layers=layers, dropout=0.5)) for layers in (1, 2)
    )
    assert torch.equal(one(x_BTF)[0], one(x_BTF)[0])
    assert not torch.equal(two(x_BTF)[0], two(x_BTF)[0])
    two.eval()
    assert torch.equal(two(x_BTF)[0], two(x_BTF)[0])
