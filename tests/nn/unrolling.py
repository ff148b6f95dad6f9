"""A cell over a whole sequence, for the tests of single cells."""

from torch import Tensor

from unroll.nn.cells import RecurrentCell, State, outputs, steps


def unroll(
    cell: RecurrentCell, x_BTF: Tensor, state: State | None = None, lengths_B: Tensor | None = None
) -> tuple[Tensor, State]:
    """The states h at all steps (B, T, H), 0 in the padding, and the state after each sequence's last step."""
    states = list(steps(cell, x_BTF, state, lengths_B))
    return outputs(states, lengths_B), states[-1]
