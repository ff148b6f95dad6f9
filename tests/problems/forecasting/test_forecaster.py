"""The networks of forecasting: persistence first, heads by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_pinball_loss

from problems.forecasting.test_least_squares import weights_by_hand
from unroll.core.config import Cell, RecurrentConfig
from unroll.problems.forecasting.network.distribution import ForecastDistribution, Shape, between
from unroll.problems.forecasting.network.forecaster import Forecaster, GaussianHead, Head, QuantileHead, ValueHead


def config(cell: Cell, hidden: int, layers: int = 1, dropout: float = 0.0) -> RecurrentConfig:
    return RecurrentConfig(cell=cell, hidden=hidden, layers=layers, dropout=dropout)


LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SPREAD = (0.5, 2.0)


def shape(inputs: int, series: int, target: int) -> Shape:
    return Shape(inputs, series, target, horizons=(1, 6), spread_H=SPREAD, levels=LEVELS)


def forecaster(given: Shape, config: RecurrentConfig, head: Head | None = None, **changed: Any) -> Forecaster:
    options = {"members": 1, "linear": (), "robust": None, "lag": 7, **changed}
    return Forecaster(given, config, head or ValueHead(LEVELS), **options)


def stirred(model: Forecaster) -> Forecaster:
    """The same with other weights everywhere: what starts at zero would hide faults."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def batch(x_BLF: torch.Tensor, y_BH: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"x_BLF": x_BLF, "y_BH": y_BH, "ahead_BAC": torch.zeros(len(x_BLF), 6, 0)}


def test_untrained_it_forecasts_persistence_at_every_horizon() -> None:
    model = forecaster(shape(4, 3, 2), config("lstm", 8, layers=2, dropout=0.5), members=2, linear=(3,))
    x_BLF = torch.randn(5, 7, 4)
    assert torch.equal(model(x_BLF), x_BLF[:, -1, 2, None].expand(5, 2))


def test_the_forecast_is_the_equation_of_its_docstring() -> None:
    model = stirred(forecaster(shape(4, 3, 1), config("gru", 4, dropout=0.3), members=3, linear=(2,))).double().eval()
    x_BLF = 3 * torch.randn(5, 7, 4, dtype=torch.float64)
    now = x_BLF[:, -1, 1].numpy()
    expected = []
    for member in model.members:
        seen = x_BLF.clone()
        seen[..., :3] = torch.from_numpy(np.arcsinh(x_BLF[..., :3].numpy()))
        state_BD = member.encoder(seen)[0][:, -1].detach().numpy()
        head = member.head
        out = (state_BD @ head.weight.detach().numpy().T + head.bias.detach().numpy()).astype(np.float32)
        out_BHO = out.astype(np.float64).reshape(5, 2, 2)
        linear = x_BLF[:, -2:].flatten(1).numpy() @ member.skip.weight.detach().numpy().T
        linear = (linear + member.skip.bias.detach().numpy()).astype(np.float32)
        change_BH = linear + out_BHO[..., 0] + out_BHO[..., 1] * now[:, None]
        expected.append(now[:, None] + np.array(SPREAD) * change_BH)
    np.testing.assert_allclose(model(x_BLF).detach().numpy(), np.mean(expected, axis=0), rtol=1e-5)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = forecaster(shape(3, 3, 0), config("lstm", 4, layers=2), QuantileHead((0.1, 0.5, 0.9), LEVELS), linear=(2,))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    given = batch(torch.randn(16, 7, 3), torch.randn(16, 2))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(2):  # the head starts at zero: what is below it learns from the second step on
        optimizer.zero_grad()
        (model.loss(given) / 16).backward()
        optimizer.step()
    assert all((p != before[name]).any() for name, p in model.named_parameters())


def test_the_linear_parts_start_from_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 6, 3))
    y = np.stack([x[:, -1, 0] + 0.3 * x[:, -2, 1] + 1.0, 0.5 * x[:, -1, 0]], axis=1) + 0.1 * rng.normal(size=(500, 2))
    model = forecaster(shape(3, 3, 0), config("gru", 4), members=3, linear=(2, 5))
    x_BLF, y_BH = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    model.begin(lambda: [batch(x_BLF[:200], y_BH[:200]), batch(x_BLF[200:], y_BH[200:])])
    for member, rows in zip(model.members, (2, 5, 2), strict=True):
        design = np.concatenate([x[:, -rows:].reshape(500, -1), np.ones((500, 1))], axis=1)
        coefficients = Ridge(alpha=1.0, fit_intercept=False).fit(design, (y - x[:, -1, :1]) / SPREAD).coef_
        expected = x[:, -1, :1] + np.array(SPREAD) * (design @ coefficients.T)
        found = member(x_BLF, torch.tensor(SPREAD))[0].detach().numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_linear_parts_may_start_from_weighted_rows_each_horizon_by_itself() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 6, 3))
    size = np.exp(0.8 * x[:, -1, :2])  # one horizon errs where the first series is high, the other one by the second
    y = np.stack([x[:, -1, 0] + 0.3 * x[:, -2, 1] + 1.0, 0.5 * x[:, -1, 0]], axis=1) + size * rng.normal(size=(800, 2))
    model = forecaster(shape(3, 2, 0), config("gru", 4), members=2, linear=(2, 5), weighted=True)
    x_BLF, y_BH = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    model.begin(lambda: [batch(x_BLF[:300], y_BH[:300]), batch(x_BLF[300:], y_BH[300:])])
    ones = np.ones((800, 1))
    change = (y - x[:, -1, :1]) / SPREAD
    for horizon in range(2):
        every = np.concatenate([x[:, -5:].reshape(800, -1), ones], axis=1)
        seen = np.concatenate([x[:, -1, :2], ones], axis=1)
        weights = weights_by_hand(every, change[:, horizon, None], seen)
        for member, rows in zip(model.members, (2, 5), strict=True):
            design = np.concatenate([x[:, -rows:].reshape(800, -1), ones], axis=1)
            ridge = Ridge(alpha=1.0, fit_intercept=False).fit(design, change[:, horizon], sample_weight=weights)
            found = np.append(member.skip.weight[horizon].detach(), member.skip.bias[horizon].detach())
            np.testing.assert_allclose(found, ridge.coef_, atol=1e-5, err_msg=f"horizon {horizon}, {rows} rows")
    plain = forecaster(shape(3, 2, 0), config("gru", 4), members=1, linear=(2,))
    plain.begin(lambda: [batch(x_BLF, y_BH)])
    apart = (plain.members[0].skip.weight - model.members[0].skip.weight).abs().max().item()
    assert apart > 0.02, f"weights move the coefficients by {apart}; expected them to matter"


@pytest.mark.parametrize("given", [(0.1, 0.5, 0.9), LEVELS, (0.01, 0.5, 0.6, 0.99)])
def test_quantiles_never_cross_and_cost_the_pinball_loss(given: tuple[float, ...]) -> None:
    head = QuantileHead(given, LEVELS)
    out_BHO, apart_BH = 3 * torch.randn(50, 2, head.outputs), torch.randn(50, 2)
    assert (head.quantiles(out_BHO).diff(dim=-1) >= 0).all()
    own = QuantileHead(given, given)
    guess = own.quantiles(out_BHO)
    loss = head.loss(out_BHO, apart_BH)
    for number, level in enumerate(given):
        loss = loss - own_pinball(apart_BH, guess[..., number], level)
    torch.testing.assert_close(loss, torch.zeros_like(loss), atol=1e-4, rtol=0)


def own_pinball(truth: torch.Tensor, guess: torch.Tensor, level: float) -> torch.Tensor:
    losses = [
        mean_pinball_loss([t], [g], alpha=level)
        for t, g in zip(truth.flatten().tolist(), guess.flatten().tolist(), strict=True)
    ]
    return torch.tensor(losses).view(truth.shape)


def test_the_gaussian_head_is_that_of_scipy() -> None:
    head = GaussianHead(LEVELS)
    out_BHO, apart_BH = torch.randn(7, 2, 1), torch.randn(7, 2)
    deviation = np.log1p(np.exp(out_BHO[..., 0].double().numpy())) + 1e-3
    expected = -stats.norm(0, deviation).logpdf(apart_BH.numpy()) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(head.loss(out_BHO, apart_BH).numpy(), expected, rtol=1e-4)
    quantiles = stats.norm(0, deviation[..., None]).ppf(np.array(LEVELS))
    np.testing.assert_allclose(head.quantiles(out_BHO).numpy(), quantiles, rtol=1e-4, atol=1e-6)


def test_levels_between_are_those_of_a_normal_distribution() -> None:
    normal = stats.norm(3, 2)
    given, wanted = (0.1, 0.5, 0.8), (0.025, 0.1, 0.3, 0.5, 0.7, 0.8, 0.99)
    found = torch.tensor(normal.ppf(given)).float() @ between(given, wanted)
    np.testing.assert_allclose(found.numpy(), normal.ppf(wanted), rtol=1e-5)


def test_bands_stretch_from_the_median_and_hold_each_other() -> None:
    model = forecaster(shape(3, 3, 0), config("gru", 4))
    quantiles = torch.tensor([-2.0, -1.0, 0.5, 1.0, 4.0]).expand(1, 2, 5)
    distribution = ForecastDistribution(torch.zeros(1, 2), quantiles)
    assert model.bands(distribution)[0, 0].tolist() == [[-1.0, -2.0], [1.0, 4.0]]
    model.stretch_H2K[0] = torch.tensor([[2.0, 1.0], [1.0, 0.0]])  # the wide band's high edge falls to the median
    assert model.bands(distribution)[0, 0].tolist() == [[-2.5, -2.5], [1.0, 1.0]]


def test_the_expert_moves_forecast_and_quantiles_by_its_share() -> None:
    given, x_BLF = shape(4, 3, 1), torch.randn(5, 7, 4)
    alone = stirred(forecaster(given, config("gru", 4), GaussianHead(LEVELS), members=2))
    both = forecaster(given, config("gru", 4), GaussianHead(LEVELS), members=2, share=0.25)
    both.load_state_dict(alone.state_dict(), strict=False)
    assert both.expert is not None
    weights_HLF, bias_H = torch.randn(2, 7, 3), torch.randn(2)
    both.expert.load_state_dict({"weights_HLF": weights_HLF, "bias_H": bias_H, "deviation_H": torch.ones(2)})
    expert_BH = np.einsum("blf,hlf->bh", x_BLF[..., :3].numpy(), weights_HLF.numpy()) + bias_H.numpy()
    ahead_BAC = torch.zeros(5, 6, 0)
    plain, moved = (model.eval().distribution(x_BLF, ahead_BAC) for model in (alone, both))
    mean_BH = plain.mean_BH.detach().numpy()
    np.testing.assert_allclose(moved.mean_BH.detach(), 0.75 * mean_BH + 0.25 * expert_BH, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(both(x_BLF).detach(), moved.mean_BH.detach(), rtol=1e-5)
    apart = (moved.quantiles_BHQ - plain.quantiles_BHQ).detach()
    np.testing.assert_allclose(apart, np.repeat((0.25 * (expert_BH - mean_BH))[..., None], 5, axis=2), atol=1e-4)


def test_a_robust_loss_goes_on_straight() -> None:
    given = batch(torch.zeros(2, 7, 3), torch.tensor([[0.25, 2.0], [5.0, 40.0]]))
    model = forecaster(shape(3, 3, 0), config("gru", 4), robust=2.0)
    in_spreads = np.array([0.5, 1.0, 10.0, 20.0])
    expected = np.where(in_spreads <= 2, in_spreads**2, 4 * in_spreads - 4).sum()
    assert model.loss(given).item() == pytest.approx(expected)
