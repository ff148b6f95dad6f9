"""One vector a sequence out of the states at all its steps. Shapes: B batch, T time, H width of a state."""

import torch
from torch import Tensor, nn

from unroll.core.config import Pooling
from unroll.nn.padding import inside


class Pool(nn.Module):
    """Several kinds of pooling side by side; steps beyond a sequence's length enter none of them.

    ``last`` the state after the last step, ``mean`` and ``max`` over the steps, ``attention`` a learned mean.

    >>> pool = Pool(("last", "max"), 4)
    >>> pool.outputs, pool(torch.zeros(2, 7, 4), torch.zeros(2, 4)).shape
    (8, torch.Size([2, 8]))
    """

    def __init__(self, kinds: tuple[Pooling, ...], width: int) -> None:
        """``width`` of a state; ``outputs`` is that of what comes out."""
        super().__init__()
        self.kinds, self.outputs = kinds, width * len(kinds)
        self.attention = AttentionPool(width) if "attention" in kinds else None

    def forward(self, states_BTH: Tensor, last_BH: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """The pooled states (B, ``outputs``) of sequences of ``lengths_B`` steps, by default all T."""
        inside_BT = inside(states_BTH, lengths_B)
        outside_BT1 = ~inside_BT[..., None]
        parts: list[Tensor] = []
        for kind in self.kinds:
            if kind == "last":
                parts.append(last_BH)
            elif kind == "mean":
                parts.append(states_BTH.masked_fill(outside_BT1, 0.0).sum(1) / inside_BT.sum(1)[:, None])
            elif kind == "max":
                parts.append(states_BTH.masked_fill(outside_BT1, float("-inf")).amax(1))
            elif self.attention is not None:
                parts.append(self.attention(states_BTH, lengths_B))
        return torch.cat(parts, dim=1)


class AttentionPool(nn.Module):
    """A mean of states weighed by how well each answers a learned query: additive attention of a text to itself.

    u_t = tanh(W h_t + b), α = softmax over t of u_t · q, Σ_t α_t h_t: Bahdanau et al. (2015) as in Yang et al. (2016),
    equations 5 to 7. The query starts at zero, so that training starts from the plain mean.
    """

    def __init__(self, width: int) -> None:
        """``width`` of a state, of the vectors u and of the query."""
        super().__init__()
        self.key = nn.Linear(width, width)
        self.query = nn.Parameter(torch.zeros(width))

    def forward(self, states_BTH: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """The weighed mean (B, H)."""
        weights_BT = self.weights(states_BTH, lengths_B)
        inside_BT1 = inside(states_BTH, lengths_B)[..., None]
        return torch.einsum("bt,bth->bh", weights_BT, states_BTH.masked_fill(~inside_BT1, 0.0))

    def weights(self, states_BTH: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """How much each step counts (B, T): they sum to 1 a sequence, and are 0 beyond its length."""
        inside_BT = inside(states_BTH, lengths_B)
        u_BTH = torch.tanh(self.key(states_BTH.masked_fill(~inside_BT[..., None], 0.0)))
        scores_BT = (u_BTH @ self.query.to(u_BTH.dtype)).masked_fill(~inside_BT, float("-inf"))
        return scores_BT.softmax(1)
