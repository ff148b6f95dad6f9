"""Pooling over time against NumPy; padding that never matters."""

import numpy as np
import pytest
import torch
from torch import Tensor

from unroll.core.config import Pooling
from unroll.nn.pooling import AttentionPool, Pool

ALL: tuple[Pooling, ...] = ("mean", "last", "attention", "max")


def states(lengths: list[int], filler: float, width: int = 4) -> tuple[Tensor, Tensor]:
    """States below 0, so that no padding is their maximum by chance, and last states."""
    rng = np.random.default_rng(0)
    states_BTH, last_BH = rng.normal(size=(len(lengths), 5, width)) - 3, rng.normal(size=(len(lengths), width))
    for b, end in enumerate(lengths):
        states_BTH[b, end:] = filler
    return torch.from_numpy(states_BTH), torch.from_numpy(last_BH)


def build(kinds: tuple[Pooling, ...] = ALL, width: int = 4) -> Pool:
    rng = torch.Generator().manual_seed(0)
    pool = Pool(kinds, width).double()
    for parameter in pool.parameters():
        parameter.data = torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
    return pool


def attention_by_hand(pool: AttentionPool, h_TH: np.ndarray) -> np.ndarray:
    W, b, q = (p.detach().numpy() for p in (pool.key.weight, pool.key.bias, pool.query))
    scores = np.array([np.tanh(W @ h + b) @ q for h in h_TH])
    weights = np.exp(scores - scores.max())
    return (weights / weights.sum()) @ h_TH


@pytest.mark.parametrize("filler", [0.0, 1e6, float("nan"), float("inf")])
@pytest.mark.parametrize("lengths", [None, [5, 1, 3]])
def test_every_kind_is_that_of_numpy(lengths: list[int] | None, filler: float) -> None:
    ends = lengths or [5, 5, 5]
    states_BTH, last_BH = states(ends, filler)
    pool = build()
    assert pool.attention is not None
    own = [states_BTH[b, :end].numpy() for b, end in enumerate(ends)]
    expected = np.concatenate(
        [
            np.stack([h.mean(axis=0) for h in own]),
            last_BH,
            np.stack([attention_by_hand(pool.attention, h) for h in own]),
            np.stack([h.max(axis=0) for h in own]),
        ],
        axis=1,
    )
    pooled = pool(states_BTH, last_BH, None if lengths is None else torch.tensor(lengths))
    assert pooled.shape == (3, pool.outputs)
    np.testing.assert_allclose(pooled.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_no_gradient_flows_into_padding_nor_out_of_it() -> None:
    gradients = []
    for filler in (0.0, float("nan")):
        states_BTH, last_BH = states([5, 1, 3], filler)
        pool = build()
        pool(states_BTH.requires_grad_(), last_BH, torch.tensor([5, 1, 3])).square().sum().backward()
        assert states_BTH.grad is not None
        assert not states_BTH.grad[1, 1:].any()
        gradients.append([states_BTH.grad, *(p.grad for p in pool.parameters())])
    for a, b in zip(*gradients, strict=True):
        assert torch.equal(a, b)


def test_attention_starts_as_the_mean_and_its_weights_sum_to_one() -> None:
    states_BTH, last_BH = states([5, 2, 3], 1e6)
    lengths_B = torch.tensor([5, 2, 3])
    fresh = Pool(("mean", "attention"), 4).double()
    mean_BH, attended_BH = fresh(states_BTH, last_BH, lengths_B).chunk(2, dim=1)
    torch.testing.assert_close(mean_BH, attended_BH)
    pool = build()
    assert pool.attention is not None
    weights_BT = pool.attention.weights(states_BTH, lengths_B)
    torch.testing.assert_close(weights_BT.sum(1), torch.ones(3, dtype=torch.float64))
    assert not weights_BT[1, 2:].any()


def test_attention_learns_to_look_at_the_marked_step() -> None:
    rng = torch.Generator().manual_seed(0)
    x_BTH = torch.randn(256, 6, 4, generator=rng)
    x_BTH[..., 3] = 0.0
    marked_B = torch.randint(6, (256,), generator=rng)
    x_BTH[torch.arange(256), marked_B, 3] = 3.0
    target_BH = x_BTH[torch.arange(256), marked_B]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pool = AttentionPool(4)
    optimizer = torch.optim.Adam(pool.parameters(), 0.05)
    losses = []
    for _ in range(150):
        loss = (pool(x_BTH) - target_BH).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
    assert float((pool.weights(x_BTH).argmax(1) == marked_B).float().mean()) > 0.99


def test_without_attention_there_is_nothing_to_learn() -> None:
    assert not list(Pool(("last", "mean", "max"), 4).parameters())
