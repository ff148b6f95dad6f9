"""A network of one step that forecasts by sampling paths: all series ahead, fed back, with the calendar known.

Shapes: B batch, L lag, F inputs, V series among them, C calendar inputs, D hidden, A rows ahead, P paths, H horizons,
Q quantiles, K bands, M members.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from unroll.core.config import RecurrentConfig
from unroll.nn.cells import State
from unroll.nn.recurrent import RecurrentEncoder
from unroll.problems.forecasting.network.distribution import Cone, ForecastDistribution, ForecastModel, Shape, stretched

SEED = 20120101
"""Of the noise of the paths. One draw serves every window, so that no forecast depends on the windows beside it."""
SHOWN = 8
"""Paths that a picture shows."""
LEAST = 1e-3
"""Deviation of a step's distribution at least."""


class OneStep(nn.Module):
    """The distribution of all series one step after each row of a window: the last row, a change, and a deviation.

    Series are independent given the past, as in DeepAR (Salinas et al. 2020).
    """

    def __init__(self, shape: Shape, config: RecurrentConfig) -> None:
        super().__init__()
        self.series = shape.series
        self.encoder = RecurrentEncoder(shape.inputs, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, 3 * shape.series)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x_BLF: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """Means (B, L, V) and deviations (B, L, V) of the rows after each, and the state.

        mean = (1 + a) · x + b: what is learned of a is how fast a series falls back, however high it stands.
        """
        values_BLV = x_BLF[..., : self.series]
        seen = torch.cat([values_BLV.asinh(), x_BLF[..., self.series :]], dim=-1)
        states_BLD, _, state = self.encoder(seen, None, state)
        slope, change, width = self.head(self.dropout(states_BLD)).float().chunk(3, dim=-1)
        return values_BLV * (1 + slope) + change, functional.softplus(width - 1.0) + LEAST, state


class Trajectories(ForecastModel):
    """Autoregressive sampling: each path draws the next row, is fed back with it, and draws on (Salinas et al. 2020).

    Mean and quantiles are those of the paths. With ``members`` each network carries its share of the paths, so that
    their disagreement widens the cone.
    """

    def __init__(self, shape: Shape, config: RecurrentConfig, student: bool, members: int, trajectories: int) -> None:
        super().__init__(shape)
        self.members = nn.ModuleList(OneStep(shape, config) for _ in range(members))
        self.trajectories = max(trajectories, members)
        # Of V series: the name stands in the files of saved models.
        self.tail_F = nn.Parameter(torch.full((shape.series,), 2.0)) if student else None

    def freedom(self) -> Tensor | None:
        """Degrees of freedom (V,) of Student's distribution, above 2 so that it has a variance; None for a normal."""
        return None if self.tail_F is None else 2.0 + functional.softplus(self.tail_F)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Negative log-likelihood of all rows after the window's first, mean over its rows, series and members."""
        x_BLF = batch["x_BLF"]
        truth_BLV = torch.cat([x_BLF[:, 1:, : self.shape.series], batch["next_BV"][:, None]], dim=1)
        freedom_V = self.freedom()
        losses = []
        for member in self.members:
            mean_BLV, deviation_BLV, _ = member(x_BLF)
            losses.append(_surprise((truth_BLV - mean_BLV) / deviation_BLV, freedom_V) + deviation_BLV.log())
        return torch.stack(losses).mean(dim=(0, 2, 3)).sum()

    def distribution(self, x_BLF: Tensor, ahead_BAC: Tensor) -> ForecastDistribution:
        """Mean and quantiles of the paths at each horizon."""
        steps = torch.tensor(self.shape.horizons, device=x_BLF.device) - 1
        paths_BPH = self.paths(x_BLF, ahead_BAC[:, : max(self.shape.horizons)])[:, :, steps]
        return ForecastDistribution(paths_BPH.mean(1), self._quantiles(paths_BPH))

    def cone(self, x_1LF: Tensor, ahead_1AC: Tensor) -> Cone:
        """Every step; the calibration of a step is that of the horizons around it, interpolated."""
        paths_BPA = self.paths(x_1LF, ahead_1AC)
        quantiles_AQ = self._quantiles(paths_BPA)[0]
        steps, horizons = paths_BPA.shape[2], list(self.shape.horizons)
        stretch_A2K = torch.stack([self._stretch_at(step, horizons) for step in range(1, steps + 1)])
        edges_A2K = stretched(quantiles_AQ, stretch_A2K)
        return Cone(tuple(range(1, steps + 1)), quantiles_AQ[:, self.shape.bands], edges_A2K, paths_BPA[0, :SHOWN])

    @torch.no_grad()
    def paths(self, x_BLF: Tensor, ahead_BAC: Tensor) -> Tensor:
        """Sampled paths (B, ``trajectories``, A) of the target, the same noise for every window."""
        members, steps = len(self.members), ahead_BAC.shape[1]
        share = -(-self.trajectories // members)
        noise_MPAV = self._noise(members * share, steps).to(x_BLF).view(members, share, steps, -1)
        return torch.cat([self._run(m, x_BLF, ahead_BAC, n) for m, n in zip(self.members, noise_MPAV, strict=True)], 1)

    def _run(self, member: nn.Module, x_BLF: Tensor, ahead_BAC: Tensor, noise_PAV: Tensor) -> Tensor:
        """The paths (B, P, A) of one member."""
        paths, batch = len(noise_PAV), len(x_BLF)
        mean_BLV, deviation_BLV, state = member(x_BLF)
        mean, deviation = (each[:, -1].repeat_interleave(paths, 0) for each in (mean_BLV, deviation_BLV))
        state = _repeated(state, paths)
        drawn = []
        for step in range(ahead_BAC.shape[1]):
            values = mean + deviation * noise_PAV[:, step].repeat(batch, 1)
            drawn.append(values[:, self.shape.target])
            if step + 1 < ahead_BAC.shape[1]:
                row = torch.cat([values, ahead_BAC[:, step].repeat_interleave(paths, 0)], dim=1)[:, None]
                mean, deviation, state = member(row, state)
                mean, deviation = mean[:, 0], deviation[:, 0]
        return torch.stack(drawn, dim=1).view(batch, paths, -1)

    def _noise(self, paths: int, steps: int) -> Tensor:
        """Draws (P, A, V) of a distribution of spread 1, by Box and Muller; of Student's by Bailey (1994)."""
        rng = torch.Generator().manual_seed(SEED)
        u, v = torch.rand(2, paths, steps, self.shape.series, generator=rng, dtype=torch.float64).clamp_min(1e-12)
        freedom_V = self.freedom()
        if freedom_V is None:
            radius = (-2 * u.log()).sqrt()
        else:
            nu_V = freedom_V.detach().double().cpu()
            radius = (nu_V * (u ** (-2 / nu_V) - 1)).sqrt()
        return (radius * (2 * math.pi * v).cos()).float()

    def _quantiles(self, paths_BPA: Tensor) -> Tensor:
        levels = torch.tensor(self.shape.levels, dtype=paths_BPA.dtype, device=paths_BPA.device)
        return paths_BPA.quantile(levels, dim=1).permute(1, 2, 0)

    def _stretch_at(self, step: int, horizons: list[int]) -> Tensor:
        right = next((index for index, horizon in enumerate(horizons) if horizon >= step), len(horizons) - 1)
        left = max(right - 1, 0) if horizons[right] > step else right
        gap = horizons[right] - horizons[left]
        share = (step - horizons[left]) / gap if gap else 1.0
        return (1 - share) * self.stretch_H2K[left] + share * self.stretch_H2K[right]


def _surprise(z_BLV: Tensor, freedom_V: Tensor | None) -> Tensor:
    """Negative log-density of a standard normal, or of Student's distribution."""
    if freedom_V is None:
        return 0.5 * (z_BLV.square() + math.log(2 * math.pi))
    half = 0.5 * (freedom_V + 1)
    constant = torch.lgamma(half) - torch.lgamma(0.5 * freedom_V) - 0.5 * (freedom_V * math.pi).log()
    return half * torch.log1p(z_BLV.square() / freedom_V) - constant


def _repeated(state: State, times: int) -> State:
    """The state of each window for each of its paths; the batch is the second dimension."""
    if isinstance(state, tuple):
        return tuple(part.repeat_interleave(times, 1) for part in state)  # type: ignore[return-value]
    return state.repeat_interleave(times, 1)
