"""What every forecasting model says of a window, whatever it is: a mean and quantiles for each horizon.

Shapes: B batch, L lag, F inputs, A rows ahead, C calendar inputs, H horizons, Q quantiles, K bands, P paths,
R rows of inputs known in advance, U of them a row.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.problems.forecasting.network.affine import AffineForecaster


class Shape(NamedTuple):
    """What a forecast is of.

    ``spread_H`` is how far the target moves within each horizon, in scaled units. ``levels`` are those of the quantiles
    that every forecast has: the low edges of K bands, widest first, the median, and the high edges.
    """

    inputs: int
    series: int
    target: int
    horizons: tuple[int, ...]
    spread_H: tuple[float, ...]
    levels: tuple[float, ...]

    @property
    def bands(self) -> int:
        """K: how many bands the quantiles are the edges of."""
        return len(self.levels) // 2


class ForecastDistribution(NamedTuple):
    """Forecasts in scaled units: the mean (B, H), and the quantiles at the shape's levels (B, H, Q)."""

    mean_BH: Tensor
    quantiles_BHQ: Tensor


class Cone(NamedTuple):
    """One window's forecasts step by step, calibrated: ``steps`` ahead, median (A,), edges (A, 2, K), paths (P, A)."""

    steps: tuple[int, ...]
    median_A: Tensor
    edges_A2K: Tensor
    paths_PA: Tensor


class ForecastModel(nn.Module):
    """A model of forecasts with bands. ``stretch_H2K`` widens or narrows each tail of each band around the median."""

    spread_H: Tensor
    stretch_H2K: Tensor
    least_stretch = 0.0
    """What calibration may narrow the bands to; 1 where their widths were learned from train."""
    answers_bands = True
    """Whether an answer holds the bands beside the value."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.expert: AffineForecaster | None = None  # solved before training, with a share in the forecasts
        self.weighted = False  # how the expert is solved
        self.register_buffer("spread_H", torch.tensor(shape.spread_H), persistent=False)
        self.register_buffer("stretch_H2K", torch.ones(len(shape.horizons), 2, shape.bands))

    @abstractmethod
    def distribution(self, x_BLF: Tensor, ahead_BAC: Tensor) -> ForecastDistribution:
        """The forecasts from windows and the calendar of the rows ahead; its quantiles are not calibrated."""

    @abstractmethod
    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What training minimises, summed over the batch's windows."""

    def cone(self, x_1LF: Tensor, ahead_1AC: Tensor) -> Cone:
        """The forecasts of one window at each horizon; a model that samples paths has every step and some paths."""
        distribution = self.distribution(x_1LF, ahead_1AC)
        median_H = distribution.quantiles_BHQ[0, :, self.shape.bands]
        return Cone(self.shape.horizons, median_H, self.bands(distribution)[0], median_H.new_zeros(0, len(median_H)))

    def begin(self, batches: Callable[[], Iterable[Mapping[str, Tensor]]]) -> None:
        """Put into the untrained model what passes over train give without gradients; nothing by default."""

    def bands(self, distribution: ForecastDistribution) -> Tensor:
        """Low and high edges (B, H, 2, K) of the bands, narrowest first; a wide band holds every narrower one."""
        return stretched(distribution.quantiles_BHQ, self.stretch_H2K)


class LinearForecast(ForecastModel):
    """A classical model, solved without gradients: an affine map of the window, errors of a normal distribution."""

    def __init__(self, shape: Shape, affine: AffineForecaster) -> None:
        super().__init__(shape)
        self.affine = affine

    @classmethod
    def blank(cls, shape: Shape, lag: int, known: int = 0) -> "LinearForecast":
        """The same with zeros, to be filled from a file; ``known`` inputs are known in advance, and are looked at."""
        horizons = len(shape.horizons)
        weights_HLF = torch.zeros(horizons, lag, shape.series)
        inputs_HRU = torch.zeros(horizons, lag + max(shape.horizons), known) if known else None
        return cls(shape, AffineForecaster(weights_HLF, torch.zeros(horizons), torch.ones(horizons), inputs_HRU))

    def distribution(self, x_BLF: Tensor, ahead_BAC: Tensor) -> ForecastDistribution:
        """The window's affine map and normal quantiles around it."""
        mean_BH = self.affine(x_BLF, ahead_BAC)
        return ForecastDistribution(mean_BH, normal_quantiles(mean_BH, self.affine.deviation_H, self.shape.levels))

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Squared errors in units of each horizon's spread."""
        error_BH = self.affine(batch["x_BLF"], batch["ahead_BAC"]) - batch["y_BH"]
        return (error_BH / self.spread_H).square().sum()


def stretched(quantiles: Tensor, stretch: Tensor) -> Tensor:
    """Edges (…, 2, K) from quantiles (…, Q) whose distance from the median is multiplied, each tail by itself."""
    bands = stretch.shape[-1]
    median = quantiles[..., bands, None, None]
    edges = torch.stack([quantiles[..., :bands].flip(-1), quantiles[..., bands + 1 :]], dim=-2)
    low, high = (median + stretch * (edges - median)).unbind(-2)
    return torch.stack([low.cummin(-1).values, high.cummax(-1).values], dim=-2)


def normal_quantiles(mean_BH: Tensor, deviation: Tensor, levels: Sequence[float]) -> Tensor:
    """Quantiles (B, H, Q) of normal distributions.

    ``deviation`` is one for each horizon (H) or each forecast (B, H).
    """
    z_Q = torch.tensor(_z(levels), dtype=mean_BH.dtype, device=mean_BH.device)
    return mean_BH[..., None] + deviation[..., None] * z_Q


def between(given: Sequence[float], levels: Sequence[float]) -> Tensor:
    """A matrix from quantiles at the levels ``given`` to those at ``levels``.

    Levels between two given ones are interpolated, and those outside extrapolated, on the scale of the normal
    distribution: a normal distribution comes out exactly.
    """
    known, weights = _z(given), torch.zeros(len(given), len(levels))
    for column, z in enumerate(_z(levels)):
        right = min(max(sum(one < z - 1e-9 for one in known), 1), len(known) - 1)
        share = (z - known[right - 1]) / (known[right] - known[right - 1])
        weights[right - 1, column], weights[right, column] = 1 - share, share
    return weights


def _z(levels: Sequence[float]) -> list[float]:
    return [NormalDist().inv_cdf(level) for level in levels]
