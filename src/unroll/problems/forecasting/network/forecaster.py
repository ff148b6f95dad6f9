"""The network of a forecasting task that answers every horizon at once.

Shapes: B batch, L lag, F inputs, A rows ahead, C calendar inputs, D hidden, H horizons, O outputs of a head,
Q quantiles, S rows times inputs.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from unroll.core.config import RecurrentConfig
from unroll.nn.recurrent import RecurrentEncoder
from unroll.problems.forecasting.network.distribution import (
    ForecastDistribution,
    ForecastModel,
    LinearForecast,
    Shape,
    between,
    normal_quantiles,
)
from unroll.problems.forecasting.network.least_squares import Rows, ordinary, reweighted


class Head(nn.Module):
    """What the outputs beside the value mean. All of them are in units of the horizon's spread, from the value on."""

    outputs: int

    @abstractmethod
    def loss(self, out_BHO: Tensor, apart_BH: Tensor) -> Tensor:
        """Loss (B, H) of the truth, which lies ``apart_BH`` from the value."""

    @abstractmethod
    def quantiles(self, out_BHO: Tensor) -> Tensor:
        """Quantiles (B, H, Q) at the shape's levels, from the value on."""


class ValueHead(Head):
    """Nothing beside the value: bands are as wide as the target moves, until calibration tells how wide they are."""

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__()
        self.outputs, self.levels = 0, tuple(levels)

    def loss(self, out_BHO: Tensor, apart_BH: Tensor) -> Tensor:  # noqa: ARG002
        """None of its own."""
        return torch.zeros_like(apart_BH)

    def quantiles(self, out_BHO: Tensor) -> Tensor:
        """Those of a normal distribution with the spread as its deviation."""
        zero_BH = out_BHO.new_zeros(out_BHO.shape[:-1])
        return normal_quantiles(zero_BH, zero_BH + 1, self.levels)


class GaussianHead(Head):
    """The deviation of a normal distribution around the value (Nix & Weigend 1994).

    The value is learned from its squared error alone: through the likelihood it would learn least where the error is
    expected to be large.
    """

    def __init__(self, levels: Sequence[float]) -> None:
        super().__init__()
        self.outputs, self.levels = 1, tuple(levels)

    def loss(self, out_BHO: Tensor, apart_BH: Tensor) -> Tensor:
        """Negative log-likelihood, without its constant."""
        deviation_BH = self._deviation(out_BHO)
        return deviation_BH.log() + 0.5 * (apart_BH / deviation_BH).square()

    def quantiles(self, out_BHO: Tensor) -> Tensor:
        """Those of the normal distribution."""
        deviation_BH = self._deviation(out_BHO)
        return normal_quantiles(torch.zeros_like(deviation_BH), deviation_BH, self.levels)

    def _deviation(self, out_BHO: Tensor) -> Tensor:
        return functional.softplus(out_BHO[..., 0]) + 1e-3


class QuantileHead(Head):
    """Quantiles by the pinball loss (Koenker & Bassett 1978), steps up and down from the median, so that none cross."""

    given_Q: Tensor
    to_levels: Tensor

    def __init__(self, given: Sequence[float], levels: Sequence[float]) -> None:
        super().__init__()
        self.outputs, self.middle = len(given), list(given).index(0.5)
        self.register_buffer("given_Q", torch.tensor(given), persistent=False)
        self.register_buffer("to_levels", between(given, levels), persistent=False)

    def loss(self, out_BHO: Tensor, apart_BH: Tensor) -> Tensor:
        """Pinball loss, summed over the quantiles."""
        below_BHQ = apart_BH[..., None] - self._given(out_BHO)
        return torch.maximum(self.given_Q * below_BHQ, (self.given_Q - 1) * below_BHQ).sum(-1)

    def quantiles(self, out_BHO: Tensor) -> Tensor:
        """The quantiles learned, or between them; sorted, where extrapolation let them cross."""
        return (self._given(out_BHO) @ self.to_levels).sort(-1).values

    def _given(self, out_BHO: Tensor) -> Tensor:
        median_BH1 = out_BHO[..., self.middle : self.middle + 1]
        steps_BHO = functional.softplus(out_BHO)
        down = steps_BHO[..., : self.middle].flip(-1).cumsum(-1).flip(-1)
        up = steps_BHO[..., self.middle + 1 :].cumsum(-1)
        return torch.cat([median_BH1 - down, median_BH1, median_BH1 + up], dim=-1)


class Member(nn.Module):
    """A recurrent network with the outputs of a head, and beside it a linear map of the window's last rows.

    y = x_last + spread · (linear(last rows) + b(h_L) + a(h_L) · x_last): the linear part is the autoregressive
    component of LSTNet (Lai et al. 2018); a coefficient that depends on the state (Chen & Tsay 1993) lets the forecast
    fall back from any height, where the bounded state alone could not. All start at zero, so that training starts from
    persistence, or from what least squares put into the linear part. The recurrent part sees asinh of the values: an
    outlier drives no gate to its end.
    """

    def __init__(self, shape: Shape, config: RecurrentConfig, outputs: int, linear: int) -> None:
        super().__init__()
        self.series, self.target, self.horizons, self.linear = shape.series, shape.target, len(shape.horizons), linear
        self.encoder = RecurrentEncoder(shape.inputs, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, self.horizons * (2 + outputs))
        self.skip = nn.Linear(linear * shape.inputs, self.horizons) if linear else None
        for layer in (self.head, self.skip):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x_BLF: Tensor, spread_H: Tensor) -> tuple[Tensor, Tensor]:
        """The value (B, H), scaled as the inputs are, and the head's outputs (B, H, O)."""
        seen_BLF = torch.cat([x_BLF[..., : self.series].asinh(), x_BLF[..., self.series :]], dim=-1)
        _, last_BD, _ = self.encoder(seen_BLF)
        out = self.head(self.dropout(last_BD)).float().view(len(x_BLF), self.horizons, -1)
        now_B1 = x_BLF[:, -1, self.target, None]
        change_BH = out[..., 0] + out[..., 1] * now_B1
        if self.skip is not None:
            change_BH = change_BH + self.skip(self.rows(x_BLF)).float()
        return now_B1 + spread_H * change_BH, out[..., 2:]

    def rows(self, x_BLF: Tensor) -> Tensor:
        """What the linear part sees (B, S)."""
        return x_BLF[:, -self.linear :].flatten(1)


class Forecaster(ForecastModel):
    """Members that start from other weights and learn each from its own loss; the forecast is their average.

    A deep ensemble (Lakshminarayanan et al. 2017): what single networks make of noise falls out of the mean. Quantiles
    are averaged level by level (Vincent 1912). A linear expert may have a share in the forecast and move the quantiles
    with it: where forecasts err differently, their combination errs less than most of them (Bates & Granger 1969).
    """

    def __init__(
        self,
        shape: Shape,
        config: RecurrentConfig,
        head: Head,
        members: int,
        linear: Sequence[int],
        robust: float | None,
        lag: int,
        share: float = 0.0,
        weighted: bool = False,
    ) -> None:
        """``linear`` last rows go linearly to the output, too; of several numbers the members take one in turn.

        Errors beyond ``robust`` spreads count linearly. ``share`` is the expert's, which sees ``lag`` rows.
        ``weighted`` is how least squares counts the windows that linear parts start from, see ``begin``.
        """
        super().__init__(shape)
        self.robust, self.share, self.weighted = robust, share, weighted
        if share:
            self.expert = LinearForecast.blank(shape, lag).affine
        self.least_stretch, self.answers_bands = (1.0, True) if head.outputs else (0.0, False)
        self.head = head
        self.members = nn.ModuleList(
            Member(shape, config, head.outputs, linear[number % len(linear)] if linear else 0)
            for number in range(members)
        )

    def forward(self, x_BLF: Tensor) -> Tensor:
        """The forecasts (B, H), scaled as the inputs are."""
        value_BH = torch.stack([member(x_BLF, self.spread_H)[0] for member in self.members]).mean(0)
        return value_BH + self._moved(x_BLF, value_BH)

    def distribution(self, x_BLF: Tensor, ahead_BAC: Tensor) -> ForecastDistribution:  # noqa: ARG002
        """Means and quantiles of the members, averaged."""
        values, quantiles = [], []
        for member in self.members:
            value_BH, out_BHO = member(x_BLF, self.spread_H)
            values.append(value_BH)
            quantiles.append(value_BH[..., None] + self.spread_H[:, None] * self.head.quantiles(out_BHO))
        value_BH, quantiles_BHQ = torch.stack(values).mean(0), torch.stack(quantiles).mean(0)
        moved_BH = self._moved(x_BLF, value_BH)
        return ForecastDistribution(value_BH + moved_BH, quantiles_BHQ + moved_BH[..., None])

    def _moved(self, x_BLF: Tensor, value_BH: Tensor) -> Tensor:
        """How far the expert moves the members' mean (B, H)."""
        if self.expert is None:
            return torch.zeros_like(value_BH)
        expert_BH: Tensor = self.expert(x_BLF)
        return self.share * (expert_BH - value_BH)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The members' mean of: squared error, and the head's loss from there on, in units of the spread."""
        losses = []
        for member in self.members:
            value_BH, out_BHO = member(batch["x_BLF"], self.spread_H)
            apart_BH = (batch["y_BH"] - value_BH) / self.spread_H
            losses.append((self._error(apart_BH) + self.head.loss(out_BHO, apart_BH.detach())).sum())
        return torch.stack(losses).mean()

    def _error(self, apart_BH: Tensor) -> Tensor:
        """The square, which goes on as a straight line beyond ``robust`` (Huber 1964)."""
        if self.robust is None:
            return apart_BH.square()
        return 2 * functional.huber_loss(apart_BH, torch.zeros_like(apart_BH), reduction="none", delta=self.robust)

    def begin(self, batches: Callable[[], Iterable[Mapping[str, Tensor]]]) -> None:
        """Start every member's linear part from least squares.

        Where ``weighted``, each horizon by itself, and a window counts the less, the larger the error that is expected
        from its last row.
        """
        members = [member for member in self.members if isinstance(member, Member) and member.skip is not None]
        if not members:
            return
        widest = max(members, key=lambda member: member.linear)

        def rows(batch: Mapping[str, Tensor]) -> Rows:
            x_BLF = batch["x_BLF"]
            one_B1 = x_BLF.new_ones(len(x_BLF), 1)
            change_BH = (batch["y_BH"] - x_BLF[:, -1, self.shape.target, None]).double() / self.spread_H
            return Rows(
                torch.cat([widest.rows(x_BLF), one_B1], dim=1).double(),
                change_BH[..., None] if self.weighted else change_BH[:, None],
                torch.cat([x_BLF[:, -1, : self.shape.series], one_B1], dim=1).double(),
            )

        equations = (reweighted if self.weighted else ordinary)(lambda: map(rows, batches()))
        for member in members:
            if member.skip is not None:  # the last rows stand last: fewer of them are a corner of the equations
                solved = equations.solve(self.shape.inputs * (widest.linear - member.linear))
                weights = solved.movedim(1, 2).flatten(0, 1).float()
                member.skip.weight.data.copy_(weights[:, :-1])
                member.skip.bias.data.copy_(weights[:, -1])
