"""Sampled paths against what they must come to: moments of a known process, densities of scipy, one path by hand."""

import numpy as np
import pytest
import torch
from scipy import stats

from unroll.core.config import RecurrentConfig
from unroll.problems.forecasting.network.distribution import Shape
from unroll.problems.forecasting.network.trajectories import LEAST, Trajectories

LEVELS = (0.1, 0.5, 0.9)
CONFIG = RecurrentConfig(cell="gru", hidden=4, layers=1, dropout=0.0)


def sampler(student: bool = False, members: int = 1, trajectories: int = 4000, calendar: int = 0) -> Trajectories:
    torch.manual_seed(0)
    shape = Shape(2 + calendar, 2, 1, horizons=(1, 3), spread_H=(1.0, 1.0), levels=LEVELS)
    return Trajectories(shape, CONFIG, student, members, trajectories).eval()


def stirred(model: Trajectories) -> Trajectories:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def ahead(batch: int, calendar: int = 0) -> torch.Tensor:
    return torch.randn(batch, 3, calendar)


def test_untrained_it_is_a_random_walk() -> None:
    """The head starts at zero: mean x, deviation d a step, so √h · d after h steps."""
    model = sampler(trajectories=20_000)
    x_BLF = torch.randn(2, 5, 2)
    paths_BPA = model.paths(x_BLF, ahead(2))
    d = float(np.log1p(np.exp(-1.0))) + LEAST
    for step in range(3):
        deviation = d * np.sqrt(step + 1)
        for number in range(2):
            found = paths_BPA[number, :, step].numpy()
            assert found.mean() == pytest.approx(x_BLF[number, -1, 1].item(), abs=4 * deviation / np.sqrt(20_000))
            assert found.std() == pytest.approx(deviation, rel=0.03)
    distribution = model.distribution(x_BLF, ahead(2))
    for column, horizon in enumerate((1, 3)):
        expected = x_BLF[:, -1, 1, None].numpy() + d * np.sqrt(horizon) * stats.norm.ppf(LEVELS)
        np.testing.assert_allclose(distribution.quantiles_BHQ[:, column].numpy(), expected, atol=0.03)


def test_a_path_is_the_network_fed_with_its_own_draws() -> None:
    """Each path again, from the whole sequence at once instead of step by step."""
    model = stirred(sampler(trajectories=3, calendar=2))
    x_BLF, ahead_BAC = torch.randn(2, 5, 4), ahead(2, 2)
    noise_PAF = model._noise(3, 3)
    paths_BPA = model.paths(x_BLF, ahead_BAC)
    member = model.members[0]
    for window in range(2):
        for path in range(3):
            rows = x_BLF[window]
            for step in range(3):
                mean, deviation, _ = member(rows[None])
                values = (mean[0, -1] + deviation[0, -1] * noise_PAF[path, step]).detach()
                assert values[1].item() == pytest.approx(paths_BPA[window, path, step].item(), abs=1e-4)
                rows = torch.cat([rows, torch.cat([values, ahead_BAC[window, step]])[None]])


@pytest.mark.parametrize("student", [False, True])
def test_the_loss_is_scipys_likelihood_of_every_next_row(student: bool) -> None:
    model = stirred(sampler(student))
    x_BLF, next_BV = torch.randn(3, 5, 2), torch.randn(3, 2)
    mean, deviation, _ = model.members[0](x_BLF)
    truth = torch.cat([x_BLF[:, 1:], next_BV[:, None]], dim=1).numpy()
    freedom = model.freedom()
    density = stats.norm if freedom is None else stats.t(freedom.detach().double().numpy())
    z = (truth - mean.detach().numpy()) / deviation.detach().numpy()
    expected = (np.log(deviation.detach().numpy()) - density.logpdf(z)).mean(axis=(1, 2)).sum()
    found = model.loss({"x_BLF": x_BLF, "next_BV": next_BV}).item()
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("student", [False, True])
def test_the_noise_has_its_distribution_and_is_the_same_each_time(student: bool) -> None:
    model = sampler(student)
    noise = model._noise(3000, 3)
    assert torch.equal(noise, model._noise(3000, 3))
    freedom = model.freedom()
    name = stats.norm.cdf if freedom is None else stats.t(float(freedom[0].detach())).cdf
    assert stats.kstest(noise[..., 0].flatten().numpy(), name).pvalue > 0.01


def test_no_forecast_depends_on_the_windows_beside_it() -> None:
    model = stirred(sampler(members=2, trajectories=10, calendar=1))
    x_BLF, ahead_BAC = torch.randn(6, 5, 3), ahead(6, 1)
    whole = model.distribution(x_BLF, ahead_BAC)
    for row in range(6):
        alone = model.distribution(x_BLF[row : row + 1], ahead_BAC[row : row + 1])
        torch.testing.assert_close(alone.quantiles_BHQ[0], whole.quantiles_BHQ[row], rtol=1e-4, atol=1e-5)


def test_the_cone_is_calibrated_at_every_step() -> None:
    model = sampler(trajectories=50)
    x_1LF, ahead_1AC = torch.randn(1, 5, 2), ahead(1)
    model.stretch_H2K[0], model.stretch_H2K[1] = 1.0, 3.0
    cone, plain = model.cone(x_1LF, ahead_1AC), model.distribution(x_1LF, ahead_1AC)
    assert cone.steps == (1, 2, 3)
    assert cone.paths_PA.shape == (8, 3)
    np.testing.assert_allclose(cone.edges_A2K[[0, 2]].numpy(), model.bands(plain)[0].numpy(), rtol=1e-4, atol=1e-5)
    raw, median = model.paths(x_1LF, ahead_1AC)[0, :, 1].quantile(0.9).item(), cone.median_A[1].item()
    assert cone.edges_A2K[1, 1, 0].item() == pytest.approx(median + 2 * (raw - median), rel=1e-4)
