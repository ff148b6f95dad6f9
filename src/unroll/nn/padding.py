"""Sequences of different lengths side by side. Shapes: B batch, T time, F width of a step."""

import torch
from torch import Tensor


def inside(x_BTF: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Which steps (B, T) are the sequence's own and not padding: all of them where no lengths are given.

    >>> inside(torch.zeros(2, 3, 1), torch.tensor([3, 1])).tolist()
    [[True, True, True], [True, False, False]]
    """
    batch, steps = x_BTF.shape[:2]
    if lengths_B is None:
        return torch.ones(batch, steps, dtype=torch.bool, device=x_BTF.device)
    return torch.arange(steps, device=x_BTF.device) < lengths_B.to(x_BTF.device)[:, None]


def reverse(x_BTF: Tensor, lengths_B: Tensor | None = None) -> Tensor:
    """Each sequence from its own last step to its first, (B, T, F); padding stays at the end."""
    if lengths_B is None:
        return x_BTF.flip(1)
    at_T = torch.arange(x_BTF.shape[1], device=x_BTF.device)
    back_BT = lengths_B.to(x_BTF.device)[:, None] - 1 - at_T
    return x_BTF.gather(1, torch.where(back_BT >= 0, back_BT, at_T)[..., None].expand_as(x_BTF))
