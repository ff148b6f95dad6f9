"""The state-space model against statsmodels, against conditioning of one big Gaussian, and against systems simulated.

The letters are those of ``state_space.kalman``: n states, M observed, T steps, U inputs, N sequences.
"""

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.linalg import block_diag
from statsmodels.tsa.statespace.initialization import Initialization
from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother
from torch import Tensor

from unroll.core.errors import DataError
from unroll.problems.forecasting.network.affine import AffineForecaster, affine_of
from unroll.problems.forecasting.state_space import em as state_space
from unroll.problems.forecasting.state_space.em import anywhere, em, forecast, segments, simulate, smooth, stationary
from unroll.problems.forecasting.state_space.kalman import StateSpace
from unroll.problems.forecasting.state_space.window_start import DIFFUSE

STATES, SERIES, INPUTS, STEPS = 3, 2, 2, 40
EXACT: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-8}


def covariance(rng: np.random.Generator, size: int, steps: int | None = None) -> Tensor:
    shape = (size, size) if steps is None else (steps, size, size)
    root = rng.normal(size=shape)
    return torch.from_numpy(root @ np.swapaxes(root, -1, -2) / size + 0.1 * np.eye(size))


def random_model(
    seed: int, inputs: bool = False, steps: int | None = None, states: int = STATES, series: int = SERIES
) -> StateSpace:
    """A stable model; with ``steps`` each matrix changes with time."""
    rng = np.random.default_rng(seed)
    lead = () if steps is None else (steps,)
    A = rng.normal(size=(*lead, states, states))
    A *= 0.9 / np.abs(np.linalg.eigvals(A)).max(-1)[..., None, None]
    return StateSpace(
        A=torch.from_numpy(A),
        B=torch.from_numpy(rng.normal(size=(*lead, states, INPUTS))) if inputs else None,
        C=torch.from_numpy(rng.normal(size=(*lead, series, states))),
        D=torch.from_numpy(rng.normal(size=(*lead, series, INPUTS))) if inputs else None,
        Q=covariance(rng, states, steps),
        R=covariance(rng, series, steps),
        mean=torch.from_numpy(rng.normal(size=states)),
        cov=covariance(rng, states),
    )


def observations(seed: int, missing: bool, steps: int = STEPS, series: int = SERIES) -> Tensor:
    """Rows of noise; with ``missing`` some entries are NaN, and some whole rows."""
    rng = np.random.default_rng(100 + seed)
    y_TM = rng.normal(size=(steps, series)) * 2
    if missing:
        y_TM[rng.random((steps, series)) < 0.2] = np.nan
        y_TM[5:8] = np.nan
        y_TM[10, 0], y_TM[10, 1:] = np.nan, 1.0
    return torch.from_numpy(y_TM)


def theirs(model: StateSpace, y_TM: Tensor, u_TU: Tensor | None) -> Any:
    """The same model in statsmodels, smoothed; inputs become intercepts."""
    states, series = len(model.mean), y_TM.shape[1]
    other = KalmanSmoother(series, states, states)
    other.bind(np.ascontiguousarray(y_TM.numpy()))
    for name, matrix in (
        ("transition", model.A),
        ("design", model.C),
        ("state_cov", model.Q),
        ("obs_cov", model.R),
    ):
        array = matrix.numpy()
        other[name] = array if array.ndim == 2 else np.moveaxis(array, 0, -1)
    other["selection"] = np.eye(states)
    if u_TU is not None:
        assert model.B is not None
        assert model.D is not None
        other["state_intercept"] = (model.B @ u_TU[..., None])[..., 0].T.numpy()
        other["obs_intercept"] = (model.D @ u_TU[..., None])[..., 0].T.numpy()
    other.initialize_known(model.mean.numpy(), model.cov.numpy())
    other.tolerance = 0  # no short cut to the steady state
    return other.smooth()


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("inputs", [False, True])
@pytest.mark.parametrize("changing", [False, True])
def test_filter_and_smoother_are_those_of_statsmodels(changing: bool, inputs: bool, missing: bool) -> None:
    model = random_model(3, inputs, STEPS if changing else None)
    y_TM = observations(3, missing)
    u_TU = torch.from_numpy(np.random.default_rng(5).normal(size=(STEPS, INPUTS))) if inputs else None
    filtered = state_space.filter(model, y_TM, u_TU)
    smoothed = smooth(model, filtered)
    other = theirs(model, y_TM, u_TU)
    np.testing.assert_allclose(filtered.predicted_mean, other.predicted_state.T, **EXACT)
    np.testing.assert_allclose(filtered.predicted_cov, np.moveaxis(other.predicted_state_cov, -1, 0), **EXACT)
    np.testing.assert_allclose(filtered.mean, other.filtered_state.T, **EXACT)
    np.testing.assert_allclose(filtered.cov, np.moveaxis(other.filtered_state_cov, -1, 0), **EXACT)
    np.testing.assert_allclose(filtered.loglik, other.llf, **EXACT)
    np.testing.assert_allclose(smoothed.mean, other.smoothed_state.T, **EXACT)
    np.testing.assert_allclose(smoothed.cov, np.moveaxis(other.smoothed_state_cov, -1, 0), **EXACT)
    autocov = np.moveaxis(other.smoothed_state_autocov, -1, 0)[:-1]  # the last goes one step beyond the data
    np.testing.assert_allclose(smoothed.lag_one, autocov, **EXACT)
    seen = ~torch.isnan(y_TM)
    np.testing.assert_allclose(filtered.innovation[seen], other.forecasts_error.T[seen.numpy()], **EXACT)
    assert (filtered.innovation[~seen] == 0).all()


def joint(model: StateSpace, steps: int, u_TU: Tensor | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and covariance of (x_0 … x_T−1, y_0 … y_T−1), written out from the equations with whole matrices."""
    n, M = len(model.mean), model.C.shape[-2]
    cells = [model.at(t) for t in range(steps)]
    mean, X = [model.mean.numpy()], np.zeros((steps * n, steps * n))
    X[:n, :n] = model.cov
    for t in range(steps - 1):
        push = 0 if u_TU is None else cells[t].B.numpy() @ u_TU[t].numpy()  # type: ignore[union-attr]
        mean.append(cells[t].A.numpy() @ mean[-1] + push)
        here, then = slice(t * n, (t + 1) * n), slice((t + 1) * n, (t + 2) * n)
        X[then, : (t + 1) * n] = cells[t].A.numpy() @ X[here, : (t + 1) * n]
        X[: (t + 1) * n, then] = X[then, : (t + 1) * n].T
        X[then, then] = cells[t].A.numpy() @ X[here, here] @ cells[t].A.numpy().T + cells[t].Q.numpy()
    wide, noise = np.zeros((steps * M, steps * n)), np.zeros((steps * M, steps * M))
    shift = np.zeros(steps * M)
    for t in range(steps):
        rows = slice(t * M, (t + 1) * M)
        wide[rows, t * n : (t + 1) * n] = cells[t].C
        noise[rows, rows] = cells[t].R
        if u_TU is not None:
            shift[rows] = cells[t].D.numpy() @ u_TU[t].numpy()  # type: ignore[union-attr]
    x = np.concatenate(mean)
    whole = np.block([[X, X @ wide.T], [wide @ X, wide @ X @ wide.T + noise]])
    return np.concatenate([x, wide @ x + shift]), whole, shift


def conditioned(mean: np.ndarray, cov: np.ndarray, known: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
    gain = cov[:, known] @ np.linalg.inv(cov[np.ix_(known, known)])
    return mean + gain @ (values - mean[known]), cov - gain @ cov[known]


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("inputs", [False, True])
def test_everything_is_conditioning_of_one_gaussian(inputs: bool, changing: bool) -> None:
    steps, ahead, n, M = 5, 3, STATES, SERIES
    model = random_model(8, inputs, steps + ahead if changing else None)
    y_TM = observations(8, False, steps)
    y_TM[1, 0], y_TM[3] = torch.nan, torch.nan
    u_TU = torch.from_numpy(np.random.default_rng(2).normal(size=(steps + ahead, INPUTS))) if inputs else None
    mean, cov, _ = joint(model, steps + ahead, u_TU)
    flat = y_TM.numpy().ravel()
    known = (steps + ahead) * n + np.flatnonzero(~np.isnan(flat))
    after, spread = conditioned(mean, cov, known, flat[~np.isnan(flat)])
    filtered = state_space.filter(model, y_TM, None if u_TU is None else u_TU[:steps])
    smoothed = smooth(model, filtered)
    for t in range(steps):
        here = slice(t * n, (t + 1) * n)
        np.testing.assert_allclose(smoothed.mean[t], after[here], **EXACT)
        np.testing.assert_allclose(smoothed.cov[t], spread[here, here], **EXACT)
        if t + 1 < steps:
            np.testing.assert_allclose(smoothed.lag_one[t], spread[(t + 1) * n : (t + 2) * n, here], **EXACT)
    means, covs = forecast(model, filtered, ahead, None if u_TU is None else u_TU[steps:])
    for step in range(ahead):
        there = slice((steps + ahead) * n + (steps + step) * M, (steps + ahead) * n + (steps + step + 1) * M)
        np.testing.assert_allclose(means[step], after[there], **EXACT)
        np.testing.assert_allclose(covs[step], spread[there, there], **EXACT)
    off, inside = flat[~np.isnan(flat)] - mean[known], cov[np.ix_(known, known)]
    expected = -0.5 * (off @ np.linalg.solve(inside, off) + np.linalg.slogdet(2 * np.pi * inside)[1])
    np.testing.assert_allclose(filtered.loglik, expected, **EXACT)


def test_a_batch_is_its_sequences_one_by_one() -> None:
    model = random_model(1, inputs=True)
    y = torch.stack([observations(seed, True) for seed in range(6)]).reshape(2, 3, STEPS, SERIES)
    u = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, STEPS, INPUTS)))
    together = state_space.filter(model, y, u)
    back = smooth(model, together)
    means, _ = forecast(model, together, 4, u[:, :, :4])
    for i in range(2):
        for j in range(3):
            alone = state_space.filter(model, y[i, j], u[i, j])
            torch.testing.assert_close(together.mean[i, j], alone.mean)
            torch.testing.assert_close(together.gain[i, j], alone.gain)
            torch.testing.assert_close(together.loglik[i, j], alone.loglik)
            torch.testing.assert_close(back.cov[i, j], smooth(model, alone).cov)
            torch.testing.assert_close(means[i, j], forecast(model, alone, 4, u[i, j, :4])[0])


def test_a_state_without_noise_can_be_smoothed() -> None:
    """A constant of unknown size: its smoothed value is the mean of what was seen, shrunk to the prior."""
    one, nothing = torch.ones(1, 1), torch.zeros(1, 1)
    model = StateSpace(A=one, B=None, C=one, D=None, Q=nothing, R=2 * one, mean=torch.zeros(1), cov=3 * one)
    y_TM = observations(0, True, series=1)
    seen = y_TM[~torch.isnan(y_TM)]
    expected = (seen.sum() / 2) / (1 / 3 + len(seen) / 2)
    torch.testing.assert_close(smooth(model, state_space.filter(model, y_TM)).mean[:, 0], expected.expand(STEPS))
    certain = replace(model, cov=nothing, mean=torch.full((1,), 4.0))  # a singular covariance at every step
    torch.testing.assert_close(
        smooth(certain, state_space.filter(certain, y_TM)).mean, torch.full((STEPS, 1), 4.0, dtype=torch.float64)
    )


def test_covariances_stay_positive_where_the_observations_are_almost_exact() -> None:
    model = replace(random_model(2), R=1e-14 * torch.eye(SERIES), cov=1e6 * torch.eye(STATES))
    filtered = state_space.filter(model, observations(2, False, 200))
    for cov in (filtered.cov, filtered.predicted_cov, smooth(model, filtered).cov):
        assert torch.equal(cov, cov.mT)
        assert torch.linalg.eigvalsh(cov).min() > -1e-9


def test_the_likelihood_has_gradients() -> None:
    model, y_TM = random_model(4), observations(4, True, 12)

    def loglik(A: Tensor, C: Tensor) -> Tensor:
        changed = replace(model, A=A, C=C)
        filtered = state_space.filter(changed, y_TM)
        return filtered.loglik + smooth(changed, filtered).mean.sum()

    given = model.A.clone().requires_grad_(), model.C.clone().requires_grad_()
    assert torch.autograd.gradcheck(loglik, given)


def test_what_is_simulated_has_the_moments_of_the_model() -> None:
    model = stationary(random_model(6))
    _, y_TM = simulate(model, 20_000, torch.Generator().manual_seed(0))
    expected = model.C @ model.cov @ model.C.T + model.R
    torch.testing.assert_close(y_TM.T.cov(), expected, rtol=0.15, atol=0.15)
    lagged = y_TM[1:].T @ y_TM[:-1] / len(y_TM)
    torch.testing.assert_close(lagged, model.C @ model.A @ model.cov @ model.C.T, rtol=0.15, atol=0.15)
    _, again = simulate(model, 50, torch.Generator().manual_seed(0))
    torch.testing.assert_close(again, simulate(model, 50, torch.Generator().manual_seed(0))[1])


def test_the_stationary_start_stays() -> None:
    model = random_model(7, inputs=True)
    u_U = torch.tensor([1.0, -2.0], dtype=torch.float64)
    settled = stationary(model, u_U)
    mean, cov = state_space.predict(settled, settled.mean, settled.cov, u_U)
    torch.testing.assert_close(mean, settled.mean)
    torch.testing.assert_close(cov, settled.cov)
    with pytest.raises(DataError, match=r"largest eigenvalue 1\.8.*expected below 1"):
        stationary(replace(model, A=2 * model.A))


def test_a_stationary_start_of_many_states_needs_no_matrix_of_all_pairs() -> None:
    model = random_model(13, states=60)
    tracemalloc.start()
    settled = stationary(model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    _, cov = state_space.predict(settled, settled.mean, settled.cov)
    torch.testing.assert_close(cov, settled.cov)
    assert peak < 60**4, peak  # bytes; the matrix of all pairs alone has eight times as many


TREND = [[1.0, 1.0], [0.0, 1.0]]  # a level and its slope, one Jordan block
UNSETTLED: dict[str, tuple[list[list[list[float]]], int]] = {  # blocks on the diagonal, and states that settle
    "growth": ([[[1.02]]], 0),
    "trend": ([TREND], 0),
    "wave": ([[[0.6, 0.8], [-0.8, 0.6]]], 0),
    "noise and trend": ([[[0.7, 0.2], [-0.2, 0.5]], TREND], 2),
    "noise and growth": ([[[0.7]], [[1.05]]], 1),
}


@pytest.mark.parametrize("name", UNSETTLED)
def test_a_window_of_what_does_not_settle_starts_as_diffuse_as_in_statsmodels(name: str) -> None:
    """The exact diffuse start, and a stationary one of the states that settle; in other coordinates than theirs."""
    blocks, settled = UNSETTLED[name]
    rng, lag, ahead = np.random.default_rng(4), 9, 4
    A = block_diag(*blocks)
    states = len(A)
    Q = covariance(rng, states).numpy()
    Q[:settled, settled:], Q[settled:, :settled] = 0, 0
    C, turn = rng.normal(size=(1, states)), rng.normal(size=(states, states))
    y_T1 = rng.normal(size=(lag + ahead, 1)).cumsum(0)
    y_T1[[2, *range(lag, lag + ahead)]] = np.nan
    other = KalmanSmoother(1, states, states)
    other.bind(y_T1)
    other["transition"], other["design"], other["state_cov"], other["selection"] = A, C, Q, np.eye(states)
    other["obs_cov"] = np.array([[0.5]])
    start = Initialization(states)
    if settled:
        start.set((0, settled), "stationary")
    start.set((settled, states), "diffuse")
    other.initialize(start)
    theirs = other.filter()
    assert theirs.nobs_diffuse > 0
    model = StateSpace(
        A=torch.from_numpy(turn @ A @ np.linalg.inv(turn)),
        B=None,
        C=torch.from_numpy(C @ np.linalg.inv(turn)),
        D=None,
        Q=torch.from_numpy(turn @ Q @ turn.T),
        R=torch.tensor([[0.5]]),
        mean=torch.zeros(states),
        cov=torch.eye(states),
    )
    mine = state_space.filter(anywhere(model), torch.from_numpy(y_T1[:lag]))
    means, covs = forecast(model, mine, ahead)
    np.testing.assert_allclose(means[:, 0], theirs.forecasts[0, lag:], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(covs[:, 0, 0], theirs.forecasts_error_cov[0, 0, lag:], rtol=1e-4)


def test_a_start_anywhere_is_the_stationary_one_where_the_model_settles() -> None:
    model, u_U = random_model(7, inputs=True), torch.tensor([1.0, -2.0], dtype=torch.float64)
    found, expected = anywhere(model, u_U), stationary(model, u_U)
    assert torch.equal(found.cov, expected.cov)
    assert torch.equal(found.mean, expected.mean)


def test_inputs_push_the_states_that_settle_beside_one_that_does_not() -> None:
    """Half of the state settles at m = A m + B u; the walk beside it starts around 0, as wide as it may be."""
    A, B = torch.tensor([[0.5, 0.0], [0.0, 1.0]]), torch.tensor([[1.0], [1.0]])
    eye = torch.eye(2)
    model = StateSpace(A=A, B=B, C=eye, D=None, Q=eye, R=eye, mean=torch.zeros(2), cov=eye)
    found = anywhere(model, torch.tensor([3.0]))
    torch.testing.assert_close(found.mean, torch.tensor([6.0, 0.0], dtype=torch.float64))
    expected = torch.tensor([[4 / 3, 0.0], [0.0, DIFFUSE]], dtype=torch.float64)
    torch.testing.assert_close(found.cov, expected)


@pytest.mark.parametrize("inputs", [False, True])
def test_the_affine_map_is_what_statsmodels_forecasts(inputs: bool) -> None:
    model, lag, horizons = stationary(random_model(9, inputs)), 7, (1, 3, 6)
    found = affine_of(model, lag, horizons, 1)
    network = AffineForecaster(*found)
    rng = np.random.default_rng(6)
    for seed in range(5):
        y_LM = observations(seed, False, lag)
        u_RU = torch.from_numpy(rng.normal(size=(lag + max(horizons), INPUTS))) if inputs else None
        other = theirs(model, torch.cat([y_LM, torch.full((max(horizons), SERIES), torch.nan)]), u_RU)
        rows = [lag - 1 + horizon for horizon in horizons]
        mine = torch.einsum("lf,hlf->h", y_LM, found.weights_HLF) + found.bias_H
        if u_RU is not None:
            assert found.inputs_HRU is not None
            mine = mine + torch.einsum("ru,hru->h", u_RU, found.inputs_HRU)
        np.testing.assert_allclose(mine, other.forecasts[1, rows], **EXACT)
        np.testing.assert_allclose(found.deviation_H.square(), other.forecasts_error_cov[1, 1, rows], **EXACT)
        beside = torch.full((lag + max(horizons), 3), 9.0, dtype=torch.float64)  # what stands behind is not looked at
        wide_RU = beside if u_RU is None else torch.cat([u_RU, beside], 1)
        served = network(torch.cat([y_LM, wide_RU[:lag]], 1)[None].float(), wide_RU[None, lag:].float())
        np.testing.assert_allclose(served[0], other.forecasts[1, rows], rtol=1e-4, atol=1e-5)


def test_a_forecaster_is_saved_and_read_again(tmp_path: Path) -> None:
    sizes = ((2, 4, 3), (2,), (2,), (2, 9, 1))
    model = AffineForecaster(torch.randn(2, 4, 3), torch.randn(2), torch.rand(2), torch.randn(2, 9, 1))
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = AffineForecaster(*map(torch.zeros, sizes))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    x_BLF, ahead_BAU = torch.randn(5, 4, 4), torch.randn(5, 5, 1)
    assert torch.equal(other(x_BLF, ahead_BAU), model(x_BLF, ahead_BAU))
    assert torch.equal(other.deviation_H, model.deviation_H)
    assert not list(model.parameters())
    with pytest.raises(DataError, match="no inputs of the rows ahead; expected 1 for each of them"):
        model(x_BLF)
    assert set(AffineForecaster(*map(torch.zeros, sizes[:3])).state_dict()) == {"weights_HLF", "bias_H", "deviation_H"}


@pytest.mark.parametrize("inputs", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_em_never_lowers_the_likelihood(missing: bool, inputs: bool) -> None:
    y = torch.stack([observations(seed, missing, 25, 3) for seed in range(4)])
    y[2, 15:] = torch.nan  # a sequence that ends before the others
    u = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 25, INPUTS))) if inputs else None
    model, logliks = em(y, 2, 30, 0.0, 1, inputs=u)
    assert all(after >= before - 1e-9 * abs(before) for before, after in pairwise(logliks))
    assert logliks[-1] > logliks[0] + 1
    found = state_space.filter(model, y, u).loglik.sum()
    np.testing.assert_allclose(found, logliks[-1])


def test_each_matrix_learned_alone_raises_the_likelihood_and_leaves_the_others() -> None:
    start = random_model(11, inputs=True)
    y_TM, u_TU = observations(11, True), torch.from_numpy(np.random.default_rng(4).normal(size=(STEPS, INPUTS)))
    before = float(state_space.filter(start, y_TM, u_TU).loglik)
    for name in state_space.LEARNED:
        model, logliks = em(y_TM, STATES, 3, 0.0, 0, u_TU, learn=(name,), start=start)
        assert logliks[0] == pytest.approx(before)
        assert all(after > earlier for earlier, after in pairwise(logliks)), name
        for other in state_space.LEARNED:
            assert torch.equal(getattr(model, other), getattr(start, other)) == (other != name)


def test_em_goes_to_where_the_gradient_of_the_likelihood_is_zero() -> None:
    """With missing entries too: the M step is that of the likelihood, not of something near it."""
    learn = ("A", "C", "D", "R")
    truth, rng = replace(random_model(0, inputs=True, states=1), B=None), torch.Generator().manual_seed(1)
    u = torch.randn(6, 12, INPUTS, generator=rng, dtype=torch.float64)
    y = torch.stack([simulate(truth, 12, rng, each)[1] for each in u])
    y[torch.rand(y.shape, generator=rng) < 0.2] = torch.nan

    def gradient(model: StateSpace) -> float:
        given = {name: getattr(model, name).clone().requires_grad_() for name in learn}
        state_space.filter(replace(model, **given), y, u).loglik.sum().backward()
        return max(float(matrix.grad.abs().max()) for matrix in given.values())

    model, _ = em(y, 1, 120, 0.0, 0, u, learn=learn, start=truth)
    assert gradient(model) < 1e-2 * gradient(truth)
    assert gradient(model) < 0.1


def test_em_recovers_what_can_be_known_of_a_system() -> None:
    A = torch.tensor([[0.9, 0.2], [-0.2, 0.9]], dtype=torch.float64)  # a damped wave: 0.9 ± 0.2i
    truth = stationary(replace(random_model(12, states=2, series=3), A=A, Q=0.3 * torch.eye(2), R=0.3 * torch.eye(3)))
    _, y_TM = simulate(truth, 6000, torch.Generator().manual_seed(3))
    train, test = y_TM[:4000], y_TM[4000:]
    model, logliks = em(segments(train, [(0, 4000)], 50, 4000), 2, 25, 1e-7, 0)
    found = np.sort_complex(torch.linalg.eigvals(model.A).numpy())
    np.testing.assert_allclose(found, np.sort_complex(torch.linalg.eigvals(A).numpy()), atol=0.03)
    mine, best = (state_space.filter(stationary(each), test) for each in (model, truth))
    assert mine.innovation.square().mean() < 1.01 * best.innovation.square().mean()
    np.testing.assert_allclose(mine.loglik, best.loglik, rtol=0.005)
    assert logliks[-1] > logliks[0]


def test_em_finds_what_inputs_do_as_statsmodels_does() -> None:
    """A regression with errors that remember, of which statsmodels maximises the likelihood by its gradient."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    rng = np.random.default_rng(2)
    angle_T, error_T = 2 * np.pi * np.arange(800) / 24, np.zeros(800)
    for t in range(1, 800):
        error_T[t] = 0.8 * error_T[t - 1] + rng.normal()
    u_TU = np.stack([np.sin(angle_T), np.cos(angle_T)], 1)
    y_T = u_TU @ [3.0, -2.0] + error_T
    found = SARIMAX(y_T, exog=u_TU, order=(1, 0, 0)).fit(disp=False)
    y_NTM, u_NTU = (segments(torch.from_numpy(each), [(0, 800)], 100, 800) for each in (y_T[:, None], u_TU))
    model, logliks = em(y_NTM, 1, 100, 1e-7, 0, u_NTU, learn=set(state_space.LEARNED) - {"B"})
    assert model.D is not None
    np.testing.assert_allclose(model.D[0], found.params[:2], atol=0.05)
    np.testing.assert_allclose(model.A[0, 0], found.params[2], atol=0.05)
    assert logliks[-1] > logliks[0]


def test_inputs_that_do_not_vary_are_no_obstacle() -> None:
    """Points on a circle of months, of rows of one month: of directions that no row has, nothing is learned."""
    y_TM = observations(3, True) + 4
    u_TU = torch.tensor([0.5, 0.75, 0.0], dtype=torch.float64).expand(STEPS, 3)
    model, logliks = em(y_TM, 1, 10, 0.0, 0, u_TU)
    assert all(after >= before - 1e-9 * abs(before) for before, after in pairwise(logliks))
    assert model.D is not None
    assert (model.D @ u_TU[0]).abs().min() > 0.1
    np.testing.assert_allclose(model.D @ torch.tensor([0.75, -0.5, 0.0], dtype=torch.float64), 0, atol=1e-9)
    np.testing.assert_allclose(model.D[:, 2], 0, atol=1e-9)


def test_the_same_seed_gives_the_same_model() -> None:
    y_TM = observations(0, True)
    one, two, other = (em(y_TM, 2, 5, 0.0, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one.A, two.A)
    assert not torch.equal(one.A, other.A)


def test_more_states_than_series_and_an_empty_series_can_be_learned() -> None:
    y_TM = torch.cat([observations(0, False, 80, 1), torch.zeros(80, 1, dtype=torch.float64)], 1)
    y_TM[:, 1] += 1e-3 * torch.randn(80, generator=torch.Generator().manual_seed(0))
    model, logliks = em(y_TM, 5, 5, 0.0, 0)
    assert np.isfinite(logliks).all()
    assert all(torch.isfinite(getattr(model, name)).all() for name in ("A", "C", "Q", "R", "mean", "cov"))


def test_segments_hold_the_last_rows_of_the_runs() -> None:
    values_TF = torch.arange(40, dtype=torch.float32)[:, None].repeat(1, 2)
    found = segments(values_TF, [[0, 10], [20, 33]], 5, 100)
    rows = [piece[~torch.isnan(piece[:, 0]), 0].int().tolist() for piece in found]
    assert rows == [[*range(5)], [*range(5, 10)], [20, 21, 22], [*range(23, 28)], [*range(28, 33)]]
    few = segments(values_TF, np.array([[0, 10], [20, 33]]).tolist(), 5, 15)
    assert [int((~torch.isnan(piece[:, 0])).sum()) for piece in few] == [2, 3, 5, 5]
    assert few[0, 0, 0] == 8
    with pytest.raises(DataError, match="no run of rows"):
        segments(values_TF, [], 5, 10)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"C": torch.zeros(2, 4)}, r"C: shape \(2, 4\); expected \(2, 3\)"),
        ({"Q": torch.zeros(2, 2)}, r"Q: shape \(2, 2\); expected \(3, 3\)"),
        ({"mean": torch.zeros(2)}, r"mean: shape \(2,\); expected \(3,\)"),
        ({"cov": torch.zeros(4, 3, 3)}, r"cov: shape \(4, 3, 3\)"),
    ],
)
def test_matrices_that_do_not_fit_are_named(wrong: dict[str, Tensor], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(random_model(0), **wrong)  # type: ignore[arg-type]


def test_what_is_missing_is_named() -> None:
    model, y_TM = random_model(0, inputs=True), observations(0, False)
    with pytest.raises(DataError, match=r"inputs none; expected \(…, 40, 2\)"):
        state_space.filter(model, y_TM)
    with pytest.raises(DataError, match=r"observations \(40, 1\); expected \(…, steps, 2\)"):
        state_space.filter(model, y_TM[:, :1])
    short = random_model(0, steps=30)
    with pytest.raises(DataError, match="A: 30 steps; step 31 is asked for"):
        state_space.filter(short, y_TM)
    plain = random_model(0)
    with pytest.raises(DataError, match="not positive; expected R > 0"):
        state_space.filter(replace(plain, R=-100 * torch.eye(2)), y_TM)
    with pytest.raises(DataError, match="'E' cannot be learned; expected some of A, B"):
        em(y_TM, 3, 1, 0.0, 0, learn=("E",), start=plain)
    with pytest.raises(DataError, match="change with time"):
        em(y_TM, 3, 1, 0.0, 0, start=short)
    with pytest.raises(DataError, match="sequences of 3 rows; expected at least 7"):
        em(y_TM[:3], 4, 1, 0.0, 0)
