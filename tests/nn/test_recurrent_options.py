"""Every cell with every option of the recurrent layers: written out or fused, padded, carried, summed, trained."""

from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nn.unrolling import unroll
from unroll.core.config import Cell, RecurrentConfig
from unroll.nn.layers import CellLayer, Stack, cells_of
from unroll.nn.recurrent import RecurrentEncoder

CELLS: tuple[Cell, ...] = get_args(Cell)
MERGES: tuple[Literal["concatenate", "sum"], ...] = ("concatenate", "sum")
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def build(cell: Cell, both: bool = False, seed: int = 0, **options: Any) -> RecurrentEncoder:
    values = {"hidden": 5, "layers": 2, "dropout": 0.0, **options}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = RecurrentEncoder(3, RecurrentConfig(cell=cell, **values), both).double()
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return encoder


def randn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parts(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def test_fused_layers_serve_wherever_they_can() -> None:
    kinds = {"rnn": nn.RNN, "rnn_relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    for cell, kind in kinds.items():
        assert type(build(cell).layers) is kind
        assert type(build(cell, both=True).layers) is kind
        assert type(build(cell, both=True, layers=1, merge="sum").layers) is kind
        deep = build(cell, both=True, layers=3, merge="sum").layers
        assert isinstance(deep, Stack)
        assert [type(layer) for layer in deep.items] == [kind] * 3
        normed = build(cell, layer_norm=True).layers
        assert isinstance(normed, Stack)
        assert all(isinstance(layer, CellLayer) for layer in normed.items)
    assert build("rnn_relu").layers.nonlinearity == "relu"
    assert isinstance(build("rnn_sigmoid").layers, Stack)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padded_equals_unpadded_whatever_the_padding(cell: Cell, normed: bool, both: bool, merge: Any) -> None:
    encoder, lengths = build(cell, both, layer_norm=normed, merge=merge), [3, 9, 1, 6]
    clean, dirty = randn(4, 11, 3), torch.full((4, 11, 3), 1e9, dtype=torch.float64)
    for b, length in enumerate(lengths):
        dirty[b, :length] = clean[b, :length]
    states_BTK, last_BK, state = encoder(dirty, torch.tensor(lengths))
    for part, other in zip(encoder(clean, torch.tensor(lengths))[:2], (states_BTK, last_BK), strict=True):
        assert torch.equal(part, other)
    assert states_BTK.shape == (4, 11, encoder.outputs)
    assert last_BK.shape == (4, encoder.outputs)
    for b, length in enumerate(lengths):
        alone_1TK, alone_1K, alone_state = encoder(clean[b : b + 1, :length])
        torch.testing.assert_close(states_BTK[b, :length], alone_1TK[0], **CLOSE)
        torch.testing.assert_close(last_BK[b], alone_1K[0], **CLOSE)
        assert not states_BTK[b, length:].any()
        for part, alone in zip(parts(state), parts(alone_state), strict=True):
            torch.testing.assert_close(part[:, b], alone[:, 0], **CLOSE)


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_stepped_with_carried_state_equals_unrolled(cell: Cell, normed: bool) -> None:
    encoder, x_BTF = build(cell, layer_norm=normed), randn(3, 8, 3)
    states_BTK, _, end = encoder(x_BTF)
    state, stepped = None, []
    for part in x_BTF.split([1, 4, 3], dim=1):
        states, _, state = encoder(part, state=state)
        stepped.append(states)
    torch.testing.assert_close(torch.cat(stepped, dim=1), states_BTK, **CLOSE)
    for a, b in zip(parts(state), parts(end), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_state_is_laid_out_and_carried_as_torch_does(cell: Cell, both: bool) -> None:
    encoder, x_BTF = build(cell, both, merge="sum"), randn(3, 4, 3)
    _, _, end = encoder(x_BTF)
    sides = 2 if both else 1
    assert all(part.shape == (2 * sides, 3, 5) for part in parts(end))
    again, _, _ = encoder(x_BTF, None, end)
    stack = encoder.written_out()
    layer_BTF = x_BTF
    for number, layer in enumerate(stack.items):
        outs = []
        for side, one in enumerate(cells_of(layer)):
            own = tuple(part[number * sides + side] for part in parts(end))
            states, _ = unroll(one, layer_BTF.flip(1) if side else layer_BTF, own if len(own) == 2 else own[0])
            outs.append(states.flip(1) if side else states)
        layer_BTF = torch.stack(outs).sum(0)
    torch.testing.assert_close(again, layer_BTF, **CLOSE)


@pytest.mark.parametrize("cell", CELLS)
def test_summed_directions_are_the_sum_of_those_side_by_side(cell: Cell) -> None:
    beside, summed = (build(cell, True, layers=1, merge=merge) for merge in MERGES)
    x_BTF, lengths_B = randn(3, 6, 3), torch.tensor([6, 2, 4])
    ours, theirs = summed(x_BTF, lengths_B), beside(x_BTF, lengths_B)
    assert summed.outputs == 5
    assert beside.outputs == 10
    for a, b in zip(ours[:2], theirs[:2], strict=True):
        torch.testing.assert_close(a, b[..., :5] + b[..., 5:], **CLOSE)


def test_merge_is_nothing_where_there_is_one_direction() -> None:
    one, other = (build("gru", merge=merge) for merge in MERGES)
    assert torch.equal(one(randn(2, 4, 3))[0], other(randn(2, 4, 3))[0])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("cell", CELLS)
def test_written_out_equals_what_is_trained(cell: Cell, merge: Any, both: bool) -> None:
    encoder = build(cell, both, merge=merge)
    x_BTF, lengths_B = randn(3, 6, 3), torch.tensor([6, 1, 4])
    before = torch.random.get_rng_state()
    with encoder.recording() as recording:
        recorded = encoder(x_BTF, lengths_B)
    assert torch.equal(before, torch.random.get_rng_state())
    plain = encoder(x_BTF, lengths_B)
    for a, b in zip(recorded[:2], plain[:2], strict=True):
        torch.testing.assert_close(a, b, **CLOSE)
    for a, b in zip(parts(recorded[2]), parts(plain[2]), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)
    assert recording.longest.steps == 6
    assert len(recording.longest.layers) == 2


def test_recorded_states_are_those_of_each_layer_direction_and_step() -> None:
    encoder, x_BTF = build("lstm", True), randn(2, 4, 3)
    with encoder.recording() as recording:
        states_BTK, _, _ = encoder(x_BTF)
    top = recording.longest.layers[1].directions
    ahead_BTH = torch.stack([h for h, _ in top[0]], dim=1)
    back_BTH = torch.stack([h for h, _ in top[1]], dim=1).flip(1)
    assert torch.equal(torch.cat([ahead_BTH, back_BTH], dim=2), states_BTK)


def test_recorded_calls_that_hand_the_state_on_are_one_run() -> None:
    encoder = build("lstm").float()
    x_BTF = randn(2, 6, 3).float().requires_grad_()
    with encoder.recording() as recording:
        state = None
        for at in range(6):
            _, last_BK, state = encoder(x_BTF[:, at : at + 1], state=state)
        encoder(x_BTF[:, :2])
    assert [run.steps for run in recording.runs] == [6, 2]
    first = recording.runs[0].layers[0].directions[0][0][0]
    (through,) = torch.autograd.grad(last_BK.sum(), first)
    assert through.abs().max() > 0


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_written_layers_start_as_the_fused_ones_do(cell: Cell, normed: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = RecurrentConfig(cell=cell, hidden=6, layers=2, dropout=0.0, layer_norm=normed)
        encoder = RecurrentEncoder(3, config)
    for layer in encoder.written_out().items:
        for one in cells_of(layer):
            for matrix in one.weight_hh.detach().split(6):
                torch.testing.assert_close(matrix @ matrix.T, torch.eye(6), rtol=0, atol=1e-5)
            expected = torch.zeros(one.gates * 6)
            if cell == "lstm":
                expected[6:12] = 1.0
            assert torch.equal(one.bias, expected)
            gains = [value for name, value in one.named_parameters() if name.endswith("weight") and "norm" in name]
            assert bool(gains) == normed
            assert all(torch.equal(gain, torch.ones_like(gain)) for gain in gains)


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_acts_between_written_layers_while_training_alone(cell: Cell) -> None:
    x_BTF = randn(2, 5, 3)
    one, two = (build(cell, layers=layers, dropout=0.5, layer_norm=True) for layers in (1, 2))
    assert torch.equal(one(x_BTF)[0], one(x_BTF)[0])
    assert not torch.equal(two(x_BTF)[0], two(x_BTF)[0])
    two.eval()
    assert torch.equal(two(x_BTF)[0], two(x_BTF)[0])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_option_trains(cell: Cell, normed: bool, both: bool) -> None:
    """The sign of a sum over three steps; sigmoid units, whose slopes are small, do not reach further back so soon."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = RecurrentConfig(cell=cell, hidden=8, layers=2, dropout=0.0, layer_norm=normed, merge="sum")
        encoder = RecurrentEncoder(2, config, both)
        head = nn.Linear(8, 1)
        x_BTF = torch.randn(64, 3, 2)
    y_B = x_BTF[..., 0].sum(1).sign()
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], 0.02)
    losses = []
    for _ in range(40):
        loss = (head(encoder(x_BTF)[1])[:, 0] - y_B).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert np.isfinite(losses).all()
