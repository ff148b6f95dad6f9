"""Gradients by distance: against finite differences, and where theory tells the rate."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from unroll.core.config import Cell, RecurrentConfig
from unroll.nn.layers import cells_of
from unroll.nn.padding import reverse
from unroll.nn.recurrent import RecurrentEncoder
from unroll.workbench.gradients.flow import Flow, flows, half_life

CELLS: tuple[Cell, ...] = get_args(Cell)
T, F, H = 5, 2, 3


def build(cell: Cell, layers: int = 2, both: bool = False, hidden: int = H, **options: Any) -> RecurrentEncoder:
    config = RecurrentConfig(cell=cell, hidden=hidden, layers=layers, dropout=0.0, **options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = RecurrentEncoder(F, config, both).double()
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return encoder


def randn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_name(found: list[Flow]) -> dict[tuple[int, int, str], np.ndarray]:
    return {(flow.layer, flow.direction, flow.part): flow.norm_D for flow in found}


def top_after(encoder: RecurrentEncoder, x_TF: Tensor, at: tuple[int, int, str], push_H: Tensor) -> Tensor:
    """The top layer's last h of one sequence, stepped cell by cell, with one state pushed as soon as it is made."""
    cells = [cells_of(layer)[0] for layer in encoder.written_out().items]
    states: list[Any] = [cell.start(x_TF[None]) for cell in cells]
    for t, x_F in enumerate(x_TF):
        below = x_F[None]
        for layer, cell in enumerate(cells):
            state = cell(below, states[layer])
            parts = dict(zip("hc", state if isinstance(state, tuple) else (state,), strict=False))
            if at[:2] == (layer, t):
                parts[at[2]] = parts[at[2]] + push_H
            states[layer] = (parts["h"], parts["c"]) if "c" in parts else parts["h"]
            below = parts["h"]
    return below[0]


@pytest.mark.parametrize("cell", CELLS)
def test_norms_are_those_of_finite_differences(cell: Cell) -> None:
    encoder, x_1TF, aim_H, step = build(cell), randn(1, T, F), randn(H, seed=2), 1e-5
    with encoder.recording() as recording:
        _, last_1H, _ = encoder(x_1TF)
        found = by_name(flows(recording.longest, (last_1H[0] * aim_H).sum(), seed=0))
    aim_H = aim_H / aim_H.norm()
    for (layer, _, part), norm_D in found.items():
        for distance in range(1 if part == "c" else 0, T):
            at = (layer, T - 1 - distance, part)
            slopes = []
            with torch.no_grad():
                for push_H in step * torch.eye(H, dtype=torch.float64):
                    ends = [float(top_after(encoder, x_1TF[0], at, sign * push_H) @ aim_H) for sign in (1, -1)]
                    slopes.append((ends[0] - ends[1]) / (2 * step))
            np.testing.assert_allclose(norm_D[distance], np.linalg.norm(slopes), rtol=1e-6, atol=1e-9)
    assert set(found) == {(layer, 0, part) for layer in (0, 1) for part in ("hc" if cell == "lstm" else "h")}
    assert found[1, 0, "h"][0] == pytest.approx(1)


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.0, 1.5])
def test_a_linear_recurrence_vanishes_or_explodes_at_its_spectral_radius(radius: float) -> None:
    """ReLU units that are all on are linear: with U = radius times a permutation, ‖U^k g‖ = radius^k."""
    encoder = build("rnn_relu", layers=1)
    with torch.no_grad():
        for name, parameter in encoder.layers.named_parameters():
            parameter.copy_(parameter.abs() if "weight_ih" in name else torch.zeros_like(parameter))
            if "weight_hh" in name:
                parameter.copy_(radius * torch.eye(H, dtype=torch.float64)[[1, 2, 0]])
    with encoder.recording() as recording:
        _, last_BH, _ = encoder(randn(4, 30, F).abs() + 0.1)
        (flow,) = flows(recording.longest, last_BH.square().sum(), seed=0)
    np.testing.assert_allclose(flow.norm_D, radius ** np.arange(30.0), rtol=1e-10)
    assert half_life(flow.norm_D) == (pytest.approx(np.log(0.5) / np.log(radius)) if radius != 1 else np.inf)
    assert flow.sequences_D.tolist() == [4] * 30


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_sequences_of_other_lengths_count_from_their_own_last_step(cell: Cell, both: bool) -> None:
    encoder, lengths = build(cell, both=both), [T, 2, 4]
    x_BTF, aim_K = randn(3, T, F), randn(encoder.outputs, seed=2)
    with encoder.recording() as recording:
        _, last_BK, _ = encoder(x_BTF, torch.tensor(lengths))
        together = flows(recording.longest, (last_BK @ aim_K).sum(), seed=0)
    alone = []
    for b, length in enumerate(lengths):
        with encoder.recording() as recording:
            _, last_1K, _ = encoder(x_BTF[b : b + 1, :length])
            alone.append(by_name(flows(recording.longest, (last_1K @ aim_K).sum(), seed=0)))
    for flow in together:
        own = [single[flow.layer, flow.direction, flow.part] for single in alone]
        for distance in range(T):
            there = [norm_D[distance] for norm_D in own if distance < len(norm_D)]
            np.testing.assert_allclose(flow.norm_D[distance], np.mean(there), rtol=1e-10)
            assert flow.sequences_D[distance] == len(there)


def test_the_last_step_is_the_last_one_that_the_loss_looks_at() -> None:
    """A network may pick states at the lengths itself, without telling the layers how long its sequences are."""
    encoder, x_BTF, lengths_B = build("gru"), randn(3, T, F), torch.tensor([T, 2, 4])
    found = []
    for given in (None, lengths_B):
        with encoder.recording() as recording:
            states_BTH, _, _ = encoder(x_BTF, given)
            loss = states_BTH[torch.arange(3), lengths_B - 1].sum()
            found.append(flows(recording.longest, loss, seed=0))
    for own, told in zip(*found, strict=True):
        np.testing.assert_allclose(own.norm_D, told.norm_D, rtol=1e-10)


def test_losses_at_earlier_steps_stay_out() -> None:
    encoder, x_BTF = build("gru", layers=1), randn(3, T, F)
    found = []
    for steps in (slice(None), slice(-1, None)):
        with encoder.recording() as recording:
            states_BTH, _, _ = encoder(x_BTF)
            found.append(flows(recording.longest, states_BTH[:, steps].square().sum(), seed=0)[0].norm_D)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


def test_the_backward_direction_counts_from_the_first_step() -> None:
    encoder, x_BTF = build("rnn", both=True, layers=1), randn(2, T, F)
    with encoder.recording() as recording:
        _, last_BK, _ = encoder(x_BTF)
        back = by_name(flows(recording.longest, last_BK[:, H:].sum(), seed=0))[0, 1, "h"]
    mirrored = RecurrentEncoder(F, RecurrentConfig(cell="rnn", hidden=H, layers=1, dropout=0.0)).double()
    mirrored.load_state_dict(
        {name[: -len("_reverse")]: value for name, value in encoder.state_dict().items() if name.endswith("_reverse")}
    )
    with mirrored.recording() as recording:
        _, last_BH, _ = mirrored(reverse(x_BTF))
        ahead = by_name(flows(recording.longest, last_BH.sum(), seed=0))[0, 0, "h"]
    np.testing.assert_allclose(back, ahead, rtol=1e-10)


def test_without_a_gradient_a_random_direction_is_sent() -> None:
    encoder, x_BTF = build("gru", layers=1), randn(3, T, F)
    found = []
    for seed in (0, 0, 1):
        with encoder.recording() as recording:
            _, last_BH, _ = encoder(x_BTF)
            found.append(flows(recording.longest, (0.0 * last_BH).sum(), seed)[0].norm_D)
    assert found[0][0] == pytest.approx(1)
    assert 0 < found[0][-1] < 1
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_half_life() -> None:
    assert half_life(0.5 ** (np.arange(9) / 3)) == pytest.approx(3)
    assert half_life(2 ** (np.arange(9) / 3)) == pytest.approx(-3)
    assert half_life(np.array([np.nan, 0.5, 0.25, 0.0])) == pytest.approx(1)
    assert np.isnan(half_life(np.array([1.0])))
    assert half_life(np.ones(4)) == np.inf
