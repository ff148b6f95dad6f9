"""What a linear model with Gaussian errors says of a finite window: one affine map, solved without gradients.

Shapes: B batch, L rows of a window, I inputs of a row, F series among them, A rows ahead with C
inputs, R = L + A, U inputs known in advance, M observed series, H horizons.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.core.errors import DataError
from unroll.problems.forecasting.state_space.kalman import StateSpace, filter, forecast  # noqa: A004 - its name everywhere


class AffineMap(NamedTuple):
    """Weights of the window, a constant, the deviation of the errors, and weights of inputs, where there are any."""

    weights_HLF: Tensor
    bias_H: Tensor
    deviation_H: Tensor
    inputs_HRU: Tensor | None = None


class AffineForecaster(nn.Module):
    """Forecasts as one matrix product: whatever a linear model with Gaussian errors says of a finite window.

    Nothing here is learned by gradients: the numbers are buffers, so that the model is saved and served as a network
    is.

    >>> walk = AffineForecaster(torch.tensor([[[0.0], [1.0]]]), torch.zeros(1), torch.ones(1))
    >>> walk(torch.tensor([[[3.0], [5.0]]]))
    tensor([[5.]])
    """

    weights_HLF: Tensor
    bias_H: Tensor
    deviation_H: Tensor
    inputs_HRU: Tensor | None

    def __init__(
        self, weights_HLF: Tensor, bias_H: Tensor, deviation_H: Tensor, inputs_HRU: Tensor | None = None
    ) -> None:
        """``deviation_H`` is the standard deviation of the forecasts' errors, as the model has it."""
        super().__init__()
        given = {"weights_HLF": weights_HLF, "bias_H": bias_H, "deviation_H": deviation_H, "inputs_HRU": inputs_HRU}
        for name, numbers in given.items():
            self.register_buffer(name, None if numbers is None else numbers.float().contiguous())

    def forward(self, x_BLI: Tensor, ahead_BAC: Tensor | None = None) -> Tensor:
        """Forecasts (B, H) from the first F inputs of the window's rows, and from what is known in advance.

        That are the U columns after them and the first U of ``ahead_BAC``, which has the rows that follow; others are
        not looked at.
        """
        series = self.weights_HLF.shape[2]
        window = x_BLI[..., :series].flatten(1).to(self.weights_HLF.dtype)
        forecast_BH = window @ self.weights_HLF.flatten(1).T + self.bias_H
        if self.inputs_HRU is None:
            return forecast_BH
        rows, inputs = self.inputs_HRU.shape[1:]
        if ahead_BAC is None:
            raise DataError(f"forecast: no inputs of the rows ahead; expected {inputs} for each of them")
        u_BRU = torch.cat([x_BLI[..., series : series + inputs], ahead_BAC[..., :inputs]], dim=1)[:, :rows]
        return forecast_BH + u_BRU.flatten(1).to(forecast_BH.dtype) @ self.inputs_HRU.flatten(1).T


def affine_of(model: StateSpace, lag: int, horizons: Sequence[int], target: int) -> AffineMap:
    """What filtering a window of ``lag`` rows and forecasting the series ``target`` come to.

    The filter's gains do not depend on the observations (Kalman 1960), so a forecast is an affine map of the window
    and of the inputs of its rows and of those up to the last horizon: its value at zeros and its slopes there say all
    of it. The window starts from the model's own prior; give ``anywhere(model)`` for a window out of the middle of a
    series.
    """
    last, rows = max(horizons), torch.as_tensor(horizons) - 1
    inputs = next((matrix.shape[-1] for matrix in (model.B, model.D) if matrix is not None), 0)

    def ahead(y_LM: Tensor, u_RU: Tensor) -> tuple[Tensor, Tensor]:
        known = filter(model, y_LM, u_RU[:lag] if inputs else None)
        means, covs = forecast(model, known, last, u_RU[lag:] if inputs else None)
        return means[rows, target], covs[rows, target, target]

    nothing = (
        torch.zeros(lag, model.C.shape[-2], dtype=torch.float64),
        torch.zeros(lag + last, inputs, dtype=torch.float64),
    )
    bias_H, variance_H = ahead(*nothing)
    jacobian: Callable[..., tuple[Tensor, Tensor]] = torch.autograd.functional.jacobian
    weights_HLF, inputs_HRU = jacobian(lambda y_LM, u_RU: ahead(y_LM, u_RU)[0], nothing)
    deviation_H = variance_H.detach().sqrt()
    return AffineMap(weights_HLF, bias_H.detach(), deviation_H, inputs_HRU if inputs else None)
