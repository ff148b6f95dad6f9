"""How the weights of recurrent layers start, and the two keys for it."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from unroll.core.config import Cell, RecurrentConfig
from unroll.nn.recurrent import RecurrentEncoder

CELLS: tuple[Cell, ...] = get_args(Cell)
FUSED = [cell for cell in CELLS if cell != "rnn_sigmoid"]
HIDDEN = 6


def weights(cell: Cell, kind: str, **changed: Any) -> list[np.ndarray]:
    """All parameters of a kind, such as weight_hh, of two layers in both directions."""
    torch.manual_seed(3)
    config = RecurrentConfig(cell=cell, hidden=HIDDEN, layers=2, dropout=0.0, **changed)
    named = RecurrentEncoder(3, config, bidirectional=True).layers.named_parameters()
    return [value.detach().numpy() for name, value in named if name.rpartition(".")[2].startswith(kind)]


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_square_matrices_start_orthogonal(cell: Cell, layer_norm: bool) -> None:
    found = weights(cell, "weight_hh", layer_norm=layer_norm)
    assert len(found) == 4
    for gates_GH in found:
        for square_HH in np.split(gates_GH.astype(np.float64), len(gates_GH) // HIDDEN):
            np.testing.assert_allclose(square_HH.T @ square_HH, np.eye(HIDDEN), atol=1e-6)
            q_HH, r_HH = np.linalg.qr(square_HH)  # of an orthogonal matrix the triangle is a diagonal of ±1
            np.testing.assert_allclose(np.abs(r_HH), np.eye(HIDDEN), atol=1e-6)
            np.testing.assert_allclose(q_HH * np.diag(r_HH), square_HH, atol=1e-6)


@pytest.mark.parametrize("cell", FUSED)
def test_uniform_is_what_torch_draws(cell: Cell) -> None:
    bound = HIDDEN**-0.5
    for ours in weights(cell, "weight_hh", recurrent_init="uniform"):
        assert np.abs(ours).max() <= bound
        assert np.abs(ours).mean() == pytest.approx(bound / 2, rel=0.35)
        first = ours[:HIDDEN].astype(np.float64)
        assert not np.allclose(first.T @ first, np.eye(HIDDEN), atol=0.1)
    theirs = torch.nn.LSTM(3, HIDDEN).weight_hh_l0.detach().numpy()
    assert bound * 0.9 < np.abs(theirs).max() <= bound


@pytest.mark.parametrize("key", ["weight_ih", "bias_"])
def test_other_weights_do_not_know_of_recurrent_init_but_for_the_draw(key: str) -> None:
    for ours in weights("lstm", key, recurrent_init="uniform"):
        if key == "bias_":
            assert set(np.unique(ours)) <= {0.0, 1.0}
        else:  # Glorot & Bengio 2010
            assert np.abs(ours).max() <= np.sqrt(6 / sum(ours.shape))


@pytest.mark.parametrize(("given", "value"), [(None, 1.0), (1.0, 1.0), (-2.5, -2.5), (0.0, 0.0)])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_the_forget_gate_starts_as_told(given: float | None, value: float, layer_norm: bool) -> None:
    both = zip(
        weights("lstm", "bias_ih", forget_bias=given, layer_norm=layer_norm),
        weights("lstm", "bias_hh", forget_bias=given, layer_norm=layer_norm),
        strict=True,
    )
    for first, second in both:
        total = np.split(first + second, 4)  # input, forget, cell, output
        assert [np.unique(part).tolist() for part in total] == [[0.0], [value], [0.0], [0.0]]


def test_a_forget_gate_is_what_the_bias_says() -> None:
    """With nothing to read and no state but c, one step leaves σ(forget_bias) of c."""
    config = RecurrentConfig(cell="lstm", hidden=1, layers=1, dropout=0.0, forget_bias=2.0)
    encoder = RecurrentEncoder(1, config)
    _, _, (_, c) = encoder(torch.zeros(1, 1, 1), None, (torch.zeros(1, 1, 1), torch.full((1, 1, 1), 0.5)))
    assert c.item() == pytest.approx(0.5 / (1 + np.exp(-2.0)), rel=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_by_default_the_start_is_that_of_the_same_keys_written_out(cell: Cell) -> None:
    told: dict[str, Any] = {"recurrent_init": "orthogonal", **({"forget_bias": 1.0} if cell == "lstm" else {})}
    for kind in ("weight_ih", "weight_hh", "bias_"):
        for default, same in zip(weights(cell, kind), weights(cell, kind, **told), strict=True):
            assert default.tobytes() == same.tobytes()


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "lstm"])
def test_a_cell_without_a_forget_gate_has_no_bias_of_it(cell: Cell) -> None:
    said = f"forget_bias: 1.0 with cell {cell}, which has no forget gate; expected cell lstm, or no such key"
    with pytest.raises(ValidationError, match=said):
        RecurrentConfig(cell=cell, hidden=2, layers=1, dropout=0.0, forget_bias=1.0)
