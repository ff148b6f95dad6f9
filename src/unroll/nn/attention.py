"""Attention over the states of a source: which of them matter to the step that is made now.

Shapes: B batch, S source steps, T target steps, C width of a source's state, H width of a query, A width of a key.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Attention(nn.Module, ABC):
    """Weights over the source's steps for each query, from scores that subclasses give."""

    @abstractmethod
    def keys(self, states_BSC: Tensor) -> Tensor:
        """What queries are held against, (B, S, A): made once for a source, used at every step."""

    @abstractmethod
    def scores(self, queries_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """How well each query fits each step of the source, (B, T, S)."""

    def forward(self, queries_BTH: Tensor, keys_BSA: Tensor, inside_BS: Tensor) -> Tensor:
        """Weights (B, T, S) that are 0 where ``inside_BS`` is False, on padding, and add up to 1 over the rest."""
        scores_BTS = self.scores(queries_BTH, keys_BSA)
        return scores_BTS.masked_fill(~inside_BS[:, None], -torch.inf).softmax(-1)


class AdditiveAttention(Attention):
    """A small network judges each pair: v tanh(W query + U state) (Bahdanau et al. 2015, appendix A.1.2).

    >>> attention = AdditiveAttention(queries=4, states=6, width=4)
    >>> keys = attention.keys(torch.ones(1, 3, 6))
    >>> attention(torch.ones(1, 2, 4), keys, torch.tensor([[True, True, False]])).tolist()
    [[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]]
    """

    def __init__(self, queries: int, states: int, width: int) -> None:
        """``queries`` and ``states`` are widths of what goes in, ``width`` is the small network's."""
        super().__init__()
        self.query = nn.Linear(queries, width, bias=False)
        self.key = nn.Linear(states, width)
        self.judge = nn.Linear(width, 1, bias=False)

    def keys(self, states_BSC: Tensor) -> Tensor:
        """U state, and the bias."""
        keys_BSA: Tensor = self.key(states_BSC)
        return keys_BSA

    def scores(self, queries_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """One number (B, T, S) for each pair; the tanh of all pairs are held at once."""
        pairs_BTSA = (self.query(queries_BTH)[:, :, None] + keys_BSA[:, None]).tanh()
        scores_BTS: Tensor = self.judge(pairs_BTSA)[..., 0]
        return scores_BTS


class DotAttention(Attention):
    """Query times key over the root of their width (Luong et al. 2015, scaled as Vaswani et al. 2017).

    A key is the source's state itself, or where the widths differ W state: Luong's ``dot`` and ``general``.
    """

    def __init__(self, queries: int, states: int) -> None:
        """``queries`` and ``states`` are widths of what goes in."""
        super().__init__()
        self.scale = 1 / math.sqrt(queries)
        self.key: nn.Module = nn.Identity() if queries == states else nn.Linear(states, queries, bias=False)

    def keys(self, states_BSC: Tensor) -> Tensor:
        """The states, as wide as a query."""
        keys_BSH: Tensor = self.key(states_BSC)
        return keys_BSH

    def scores(self, queries_BTH: Tensor, keys_BSA: Tensor) -> Tensor:
        """All dot products of a source at once."""
        return torch.matmul(queries_BTH, keys_BSA.transpose(1, 2)) * self.scale
