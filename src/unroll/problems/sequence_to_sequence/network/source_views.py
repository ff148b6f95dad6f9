"""What a decoder sees of the source while it writes: nothing but its first state, one vector, or what it attends to.

Shapes: B batch, S source steps, T target steps, V symbols of the answer, H hidden units, C width of the memory.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from unroll.nn.attention import Attention
from unroll.problems.sequence_to_sequence.network.source_encoders import Memory


class SourceView(nn.Module, ABC):
    """What of the source enters each decoder step and the output layer."""

    enters: int
    """Units that it adds to the decoder's input."""
    leaves: int
    """Units that the output layer reads."""

    def remember(self, memory: Memory) -> Memory:
        """The memory with what is worth computing once for a source."""
        return memory

    @abstractmethod
    def before(self, previous_BTV: Tensor, memory: Memory) -> Tensor:
        """The decoder's input at each step, from the symbols before it."""

    @abstractmethod
    def after(self, states_BTH: Tensor, previous_BTV: Tensor, memory: Memory) -> Tensor:
        """What the output layer reads at each step."""

    def weights(self, states_BTH: Tensor, memory: Memory) -> Tensor | None:  # noqa: ARG002
        """How much each step looks at each symbol of the source, (B, T, S); None where it has no choice."""
        return None


class FirstStateOnly(SourceView):
    """The decoder knows the source from its first state alone (Sutskever et al. 2014)."""

    enters = 0

    def __init__(self, hidden: int) -> None:
        """``hidden`` units of the decoder."""
        super().__init__()
        self.leaves = hidden

    def before(self, previous_BTV: Tensor, memory: Memory) -> Tensor:  # noqa: ARG002
        """The symbols before."""
        return previous_BTV

    def after(self, states_BTH: Tensor, previous_BTV: Tensor, memory: Memory) -> Tensor:  # noqa: ARG002
        """The decoder's states."""
        return states_BTH


class Peeking(SourceView):
    """The source's vector enters every step, and the output layer reads state, symbol before and vector.

    Equations 6 to 8 of Cho et al. 2014, without the maxout units between state and softmax.
    """

    def __init__(self, hidden: int, context: int, symbols: int) -> None:
        """Widths of the decoder's state, of the source's vector and of a symbol."""
        super().__init__()
        self.enters = context
        self.leaves = hidden + symbols + context

    def before(self, previous_BTV: Tensor, memory: Memory) -> Tensor:
        """The symbols before, and the vector beside each."""
        return torch.cat([previous_BTV, self._context(previous_BTV, memory)], dim=-1)

    def after(self, states_BTH: Tensor, previous_BTV: Tensor, memory: Memory) -> Tensor:
        """State, symbol before and vector."""
        return torch.cat([states_BTH, previous_BTV, self._context(previous_BTV, memory)], dim=-1)

    def _context(self, previous_BTV: Tensor, memory: Memory) -> Tensor:
        return memory["context_BC"][:, None].expand(-1, previous_BTV.shape[1], -1)


class Attended(SourceView):
    """The source's states, weighted anew at each step: tanh(W [weighted states; state]) (Luong et al. 2015, eq. 5).

    The weights come from the decoder's state after its step and enter no later one (Luong's order, for additive scores
    too; Bahdanau et al. 2015 take the state before it), so that a whole target still runs at once in training.
    """

    enters = 0

    def __init__(self, hidden: int, states: int, attention: Attention) -> None:
        """Widths of the decoder's and the source's states, and how they are held against each other."""
        super().__init__()
        self.attention = attention
        self.join = nn.Linear(states + hidden, hidden)
        self.leaves = hidden

    def remember(self, memory: Memory) -> Memory:
        """The memory with the attention's keys."""
        return {**memory, "keys_BSA": self.attention.keys(memory["states_BSC"])}

    def before(self, previous_BTV: Tensor, memory: Memory) -> Tensor:  # noqa: ARG002
        """The symbols before."""
        return previous_BTV

    def after(self, states_BTH: Tensor, previous_BTV: Tensor, memory: Memory) -> Tensor:  # noqa: ARG002
        """States joined with what they attend to."""
        seen_BTC = torch.matmul(self.weights(states_BTH, memory), memory["states_BSC"])
        joined_BTH: Tensor = self.join(torch.cat([seen_BTC, states_BTH], dim=-1)).tanh()
        return joined_BTH

    def weights(self, states_BTH: Tensor, memory: Memory) -> Tensor:
        """The attention's weights, (B, T, S)."""
        weights_BTS: Tensor = self.attention(states_BTH, memory["keys_BSA"], memory["inside_BS"])
        return weights_BTS
