"""What recurrent layers did at every step, for gradients by distance. Shapes: B batch, T time, F features, K width."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unroll.nn.cells import State, hidden
from unroll.nn.layers import Chain, Stack, map_state


@dataclass
class Run:
    """One sequence of steps: a call, or several that hand their state on. A chain for each layer."""

    lengths_B: Tensor | None
    layers: list[Chain]

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.layers[0].directions[0])


class Recording:
    """What a ``RecurrentEncoder`` did while it was recorded."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.runs: list[Run] = []
        self._given: State | None = None
        self._exact: State | None = None

    def run(self, x_BTF: Tensor, lengths_B: Tensor | None, state: State | None) -> tuple[Tensor, Any]:
        """What the layers give. A call with the state that the last one gave goes on with its run."""
        goes_on = state is not None and self._given is not None and hidden(state) is hidden(self._given)
        if goes_on:
            state = self._exact
        else:
            self.runs.append(Run(lengths_B, [Chain() for _ in self.stack.items]))
            state = map_state(Tensor.double, state)
        if lengths_B is None:  # with lengths the state that is handed on stands apart from what was made of it already
            lengths_B = torch.full((len(x_BTF),), x_BTF.shape[1])
        states_BTK, exact = self.stack(x_BTF.double(), lengths_B, state, self.runs[-1].layers)
        self._exact, self._given = exact, map_state(lambda part: part.to(x_BTF.dtype), exact)
        return states_BTK.to(x_BTF.dtype), self._given

    @property
    def longest(self) -> Run:
        """The run of most steps."""
        return max(self.runs, key=lambda run: run.steps)
