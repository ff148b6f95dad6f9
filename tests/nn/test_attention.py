"""Attention against loops in NumPy, and what masks must do."""

import numpy as np
import pytest
import torch

from unroll.nn.attention import AdditiveAttention, Attention, DotAttention

B, S, T, C, H = 3, 5, 2, 4, 6


def build(kind: str) -> Attention:
    torch.manual_seed(0)
    attention: Attention = AdditiveAttention(H, C, 7) if kind == "additive" else DotAttention(H, C)
    return attention.double()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    queries, states = (torch.randn(B, n, w, generator=generator, dtype=torch.float64) for n, w in ((T, H), (S, C)))
    return queries, states, torch.arange(S) < torch.tensor([5, 1, 3])[:, None]


@pytest.mark.parametrize("kind", ["additive", "dot"])
def test_weights_are_those_of_loops(kind: str) -> None:
    attention, (queries, states, inside) = build(kind), inputs()
    found = attention(queries, attention.keys(states), inside).detach().numpy()
    w = {name: p.detach().numpy() for name, p in attention.named_parameters()}
    for b in range(B):
        for t in range(T):
            scores = []
            for s in range(int(inside[b].sum())):
                q, h = queries[b, t].numpy(), states[b, s].numpy()
                if kind == "additive":
                    hidden = np.tanh(w["query.weight"] @ q + w["key.weight"] @ h + w["key.bias"])
                    scores.append(w["judge.weight"][0] @ hidden)
                else:
                    scores.append(q @ (w["key.weight"] @ h) / np.sqrt(H))
            chances = np.exp(scores) / np.exp(scores).sum()
            np.testing.assert_allclose(found[b, t], [*chances, *[0.0] * (S - len(chances))], rtol=1e-12)


@pytest.mark.parametrize("kind", ["additive", "dot"])
def test_weights_add_up_to_one_and_padding_has_none(kind: str) -> None:
    attention, (queries, states, inside) = build(kind), inputs()
    weights = attention(queries, attention.keys(states), inside)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, T, dtype=torch.float64))
    assert (weights.masked_select(~inside[:, None].expand_as(weights)) == 0).all()
    assert (weights.masked_select(inside[:, None].expand_as(weights)) > 0).all()
    rubbish = states.masked_fill(~inside[..., None], 1e6)
    assert torch.equal(attention(queries, attention.keys(rubbish), inside), weights)


def test_equal_widths_need_no_matrix() -> None:
    attention = DotAttention(C, C)
    assert not list(attention.parameters())
    states, inside = torch.eye(C)[None], torch.ones(1, C, dtype=torch.bool)
    weights = attention(10 * states, attention.keys(states), inside)
    assert weights[0].argmax(-1).tolist() == [0, 1, 2, 3]
