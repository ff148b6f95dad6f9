"""Recurrent layers of cells written out, and layers one by one where torch's own stack does not serve.

Shapes: B batch, T time, F features, H hidden units, L layers times directions, K what one layer gives: H, or 2H where
it reads in both directions, one beside the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unroll.nn.cells import RecurrentCell, State, hidden, outputs, steps
from unroll.nn.padding import reverse


@dataclass
class Chain:
    """The states of one layer in the order in which they were made: a list for each direction.

    A state is (h,), or (h, c) of an LSTM; each (B, H).
    """

    directions: dict[int, list[tuple[Tensor, ...]]] = field(default_factory=dict)

    def add(self, direction: int, states: Sequence[State]) -> None:
        """The states of some more steps."""
        self.directions.setdefault(direction, []).extend(s if isinstance(s, tuple) else (s,) for s in states)


class CellLayer(nn.Module):
    """One layer of cells written out: one cell, or one for each direction."""

    def __init__(self, cells: Sequence[RecurrentCell]) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)

    def forward(
        self, x_BTF: Tensor, lengths_B: Tensor | None = None, state: State | None = None, chain: Chain | None = None
    ) -> tuple[Tensor, State]:
        """States (B, T, K) and the state after the last step (L, B, H); ``chain`` takes those of each step."""
        sides, ends = [], []
        cells = cells_of(self)
        starts = split_state(torch.unbind, state, len(cells))
        for direction, (cell, start) in enumerate(zip(cells, starts, strict=True)):
            states = list(steps(cell, reverse(x_BTF, lengths_B) if direction else x_BTF, start, lengths_B))
            side_BTH = outputs(states, lengths_B)
            sides.append(reverse(side_BTH, lengths_B) if direction else side_BTH)
            ends.append(states[-1])
            if chain is not None:
                chain.add(direction, states)
        return torch.cat(sides, dim=2), join_states(torch.stack, ends)


class Stack(nn.Module):
    """Layers one by one: cells written out, or fused ones whose directions are summed in between."""

    def __init__(self, items: Sequence[nn.Module], summed: bool, dropout: float) -> None:
        super().__init__()
        self.items = nn.ModuleList(items)
        self.summed, self.dropout = summed, nn.Dropout(dropout)

    def forward(
        self,
        x_BTF: Tensor,
        lengths_B: Tensor | None = None,
        state: State | None = None,
        chains: Sequence[Chain] | None = None,
    ) -> tuple[Tensor, State]:
        """States of the top layer (B, T, K) and the state of all layers (L, B, H)."""
        below, ends = x_BTF, []
        starts = split_state(lambda part: part.chunk(len(self.items)), state, len(self.items))
        for number, (layer, start) in enumerate(zip(self.items, starts, strict=True)):
            if number:
                below = self.dropout(merge_directions(below, self.summed))
            if isinstance(layer, CellLayer):
                below, end = layer(below, lengths_B, start, chains[number] if chains else None)
            else:
                below, end = run(layer, below, lengths_B, start)
            ends.append(end)
        return below, join_states(torch.cat, ends)


def run(layers: nn.Module, x_BTF: Tensor, lengths_B: Tensor | None, state: State | None) -> tuple[Tensor, State]:
    """States (B, T, K) of the top layer, 0 in the padding, and the state of all layers (L, B, H)."""
    if not isinstance(layers, nn.RNNBase):
        written: tuple[Tensor, State] = layers(x_BTF, lengths_B, state)
        return written
    if lengths_B is None:
        states_BTK, state = layers(x_BTF, state)
        return states_BTK, state
    packed = pack_padded_sequence(x_BTF, lengths_B.cpu(), batch_first=True, enforce_sorted=False)
    packed, state = layers(packed, state)
    states_BTK, _ = pad_packed_sequence(packed, batch_first=True, total_length=x_BTF.shape[1])
    return states_BTK, state


def merge_directions(states: Tensor, summed: bool) -> Tensor:
    """Both directions as one: side by side, as they come, or their sum."""
    if not summed:
        return states
    ahead, back = states.chunk(2, dim=-1)
    return ahead + back


def map_state(change: Callable[[Tensor], Tensor], state: State | None) -> State | None:
    """A state with its one or two parts changed; None stays None."""
    if isinstance(state, tuple):
        return change(state[0]), change(state[1])
    return None if state is None else change(state)


def split_state(split: Callable[[Tensor], Sequence[Tensor]], state: State | None, count: int) -> Sequence[State | None]:
    """One state as several, part by part; the opposite of ``join_states``."""
    if isinstance(state, tuple):
        return list(zip(split(state[0]), split(state[1]), strict=True))
    return [None] * count if state is None else split(state)


def join_states(join: Callable[[list[Tensor]], Tensor], states: Sequence[State]) -> State:
    """Several states as one, part by part."""
    pairs = [state for state in states if isinstance(state, tuple)]
    if pairs:
        return join([h for h, _ in pairs]), join([c for _, c in pairs])
    return join([hidden(state) for state in states])


def cells_of(layer: nn.Module) -> list[RecurrentCell]:
    """The cells of a layer written out: forward and, if there is one, backward."""
    return [cell for part in layer.children() for cell in part.children() if isinstance(cell, RecurrentCell)]
