"""A linear-Gaussian state-space model learned from data by EM, and what it comes to when it serves.

Shapes: N sequences, T steps, n states, M observed series, U inputs; L rows of a window, H horizons. ``kalman`` has the
model itself and its notation; its names can be had from here, too.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from unroll.errors import DataError
from unroll.nn.kalman import (
    Filtered,
    Smoothed,
    StateSpace,
    filter,  # noqa: A004 - its name everywhere
    forecast,
    log_likelihood,
    predict,
    simulate,
    smooth,
    update,
)
from unroll.nn.window_start import anywhere, stationary

__all__ = [
    "AffineForecaster",
    "Filtered",
    "Smoothed",
    "StateSpace",
    "affine_of",
    "anywhere",
    "em",
    "filter",
    "forecast",
    "log_likelihood",
    "predict",
    "segments",
    "simulate",
    "smooth",
    "stationary",
    "update",
]
LEARNED = ("A", "B", "C", "D", "Q", "R", "mean", "cov")


class AffineForecaster(nn.Module):
    """Forecasts as one matrix product: whatever a linear model with Gaussian errors says of a finite window.

    Nothing here is learned by gradients: the numbers are buffers, so that the model is saved and served as a network
    is. Shapes: B batch, L rows, F series, H horizons.

    >>> walk = AffineForecaster(torch.tensor([[[0.0], [1.0]]]), torch.zeros(1), torch.ones(1))
    >>> walk(torch.tensor([[[3.0], [5.0]]]))
    tensor([[5.]])
    """

    weights_HLF: Tensor
    bias_H: Tensor
    deviation_H: Tensor

    def __init__(self, weights_HLF: Tensor, bias_H: Tensor, deviation_H: Tensor) -> None:
        """``deviation_H`` is the standard deviation of the forecasts' errors, as the model has it."""
        super().__init__()
        for name, given in (("weights_HLF", weights_HLF), ("bias_H", bias_H), ("deviation_H", deviation_H)):
            self.register_buffer(name, given.float().contiguous())

    def forward(self, x_BLF: Tensor) -> Tensor:
        """Forecasts (B, H) from the first F columns of the window's rows; columns after them are not looked at."""
        series = self.weights_HLF.shape[2]
        window = x_BLF[..., :series].flatten(1).to(self.weights_HLF.dtype)
        return window @ self.weights_HLF.flatten(1).T + self.bias_H


def segments(values_TF: Tensor, runs: Sequence[Sequence[int]], length: int, most: int) -> Tensor:
    """The last ``most`` rows of the runs [start, stop) as sequences (N, ``length``, F), NaN where a run ends before.

    Cutting long runs costs one transition a cut, and lets EM filter all sequences at once.
    """
    pieces, left = [], most
    for start, stop in sorted((int(a), int(b)) for a, b in runs)[::-1]:
        first = max(start, stop - left)
        for high in range(stop, first, -length):
            piece = values_TF[max(first, high - length) : high].double()
            gap = torch.full((length - len(piece), piece.shape[1]), float("nan"), dtype=torch.float64)
            pieces.append(torch.cat([piece, gap]))
        left -= stop - start
        if left <= 0:
            break
    if not pieces:
        raise DataError("state space: no run of rows to learn from; expected at least one")
    return torch.stack(pieces[::-1])


def em(
    y: Tensor,
    states: int,
    iterations: int,
    tolerance: float,
    seed: int,
    inputs: Tensor | None = None,
    learn: Collection[str] = LEARNED,
    start: StateSpace | None = None,
) -> tuple[StateSpace, list[float]]:
    """Learn a model with ``states`` states by expectation and maximisation (Shumway & Stoffer 1982).

    ``y`` is (T, M), or (N, T, M) for N sequences with one prior; NaN is missing. ``inputs`` (T, U) or (N, T, U). Only
    the matrices named in ``learn`` change; the others stay as in ``start``, which by default comes from ``subspace``.
    Stops after ``iterations``, or once the log-likelihood gains less than ``tolerance`` of itself. Returns the model
    and the log-likelihood of the start and after each iteration, which never falls; the last is the model's own.
    The model is unique only up to an invertible change of the state's coordinates.
    """
    y_NTM = y.double() if y.ndim == 3 else y.double()[None]
    u_NTU = None if inputs is None else inputs.double().expand(len(y_NTM), -1, -1)
    model = start or subspace(y_NTM, states, seed, 0 if u_NTU is None else u_NTU.shape[-1])
    _learnable(model, learn, states)
    filtered = filter(model, y_NTM, u_NTU)
    logliks = [float(filtered.loglik.sum())]
    for _ in range(iterations):
        model = _maximised(model, y_NTM, u_NTU, smooth(model, filtered), learn)
        filtered = filter(model, y_NTM, u_NTU)
        logliks.append(float(filtered.loglik.sum()))
        if logliks[-1] - logliks[-2] < tolerance * abs(logliks[-2]):
            break
    return model, logliks


def subspace(y_NTM: Tensor, states: int, seed: int, inputs: int = 0) -> StateSpace:
    """A start for EM: states are what the past says of the future (Van Overschee & De Moor 1996, much simplified).

    The next rows are regressed on the rows before, the principal components of the fit are the states, and two more
    regressions give A and C. Missing values count as 0. A little noise from ``seed`` keeps a direction that is empty
    here from being empty for ever: EM does not leave an exact 0.
    """
    steps, observed = y_NTM.shape[1:]
    blocks = max(2, -(-states // observed) + 1)
    if steps < 2 * blocks + 1:
        raise DataError(
            f"state space: sequences of {steps} rows; expected at least {2 * blocks + 1} for {states} states"
        )
    rows_NWK = torch.nan_to_num(y_NTM).unfold(1, 2 * blocks, 1).transpose(2, 3).flatten(2)
    past, future = rows_NWK[..., : blocks * observed], rows_NWK[..., blocks * observed :]
    seen = past.flatten(0, 1)
    fit = past @ _least_squares(seen, future.flatten(0, 1))
    *_, axes = torch.linalg.svd(fit.flatten(0, 1), full_matrices=False)
    x = fit @ axes[:states].T
    x = x / x.flatten(0, 1).std(0).clamp_min(1e-6)
    rng = torch.Generator().manual_seed(seed)
    jitter = 1e-2 * torch.randn(states + observed, states, generator=rng, dtype=torch.float64)
    now, then, y = x[:, :-1].flatten(0, 1), x[:, 1:].flatten(0, 1), future[..., :observed].flatten(0, 1)
    A = _least_squares(now, then).T
    A = A / max(1.0, float(torch.linalg.eigvals(A).abs().amax()) / 0.99)
    C = _least_squares(x.flatten(0, 1), y).T
    Q, R = (then - now @ A.T).T.cov(), (y - x.flatten(0, 1) @ C.T).T.cov()
    none = torch.zeros(states, inputs, dtype=torch.float64), torch.zeros(observed, inputs, dtype=torch.float64)
    return StateSpace(
        A=A + jitter[:states],
        B=none[0] if inputs else None,
        C=C + jitter[states:],
        D=none[1] if inputs else None,
        Q=_positive(Q, states),
        R=_positive(R, observed),
        mean=torch.zeros(states, dtype=torch.float64),
        cov=torch.eye(states, dtype=torch.float64),
    )


def affine_of(
    model: StateSpace, lag: int, horizons: Sequence[int], target: int, u_U: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """What filtering a window and forecasting come to: weights (H, L, M), bias (H,) and deviation of the error (H,).

    The filter's gains do not depend on the observations (Kalman 1960), so a forecast is an affine map of the window:
    its value at a window of zeros and its slopes there say all of it. The window starts from the model's own prior;
    give ``anywhere(model)`` for a window out of the middle of a series. ``u_U`` is the constant input, if there is
    any.
    """
    last, rows = max(horizons), torch.as_tensor(horizons) - 1
    u_TU = None if u_U is None else u_U.expand(lag + last, -1)

    def ahead(y_LM: Tensor) -> tuple[Tensor, Tensor]:
        known = filter(model, y_LM, None if u_TU is None else u_TU[:lag])
        means, covs = forecast(model, known, last, None if u_TU is None else u_TU[lag:])
        return means[rows, target], covs[rows, target, target]

    nothing = torch.zeros(lag, model.C.shape[-2], dtype=torch.float64)
    bias_H, variance_H = ahead(nothing)
    jacobian: Callable[..., Tensor] = torch.autograd.functional.jacobian
    weights_HLF = jacobian(lambda y_LM: ahead(y_LM)[0], nothing)
    return weights_HLF.detach(), bias_H.detach(), variance_H.detach().sqrt()


@dataclass(frozen=True)
class _Moments:
    """Expected sums of products over all steps: of a left side with itself, with the right side, and of that."""

    left: Tensor
    cross: Tensor
    right: Tensor
    count: Tensor

    def coefficients(self, old: Tensor, learned: Tensor) -> Tensor:
        """Least squares for the columns that are ``learned``; the others stay as they are in ``old``."""
        if not learned.any():
            return old
        rest = self.cross[:, learned] - old[:, ~learned] @ self.right[~learned][:, learned]
        new = old.clone()
        new[:, learned] = torch.linalg.solve(self.right[learned][:, learned], rest, left=False)
        return new

    def residual(self, weights: Tensor) -> Tensor:
        """Covariance of what ``weights`` leave unexplained."""
        explained = self.cross @ weights.T
        left = self.left - explained - explained.T + weights @ self.right @ weights.T
        return (left + left.T) / 2 / self.count


def _maximised(
    model: StateSpace, y_NTM: Tensor, u_NTU: Tensor | None, known: Smoothed, learn: Collection[str]
) -> StateSpace:
    """The M step: two regressions with their residuals, and the moments of the first state."""
    states = len(model.A)
    transition, emission = _transition_moments(y_NTM, u_NTU, known), _emission_moments(model, y_NTM, u_NTU, known)
    AB = transition.coefficients(*_joined(model.A, model.B, "A" in learn, "B" in learn, u_NTU))
    CD = emission.coefficients(*_joined(model.C, model.D, "C" in learn, "D" in learn, u_NTU))
    mean = known.mean[:, 0].mean(0) if "mean" in learn else model.mean
    off = known.mean[:, 0] - mean
    new: dict[str, Any] = {
        "A": AB[:, :states],
        "B": None if model.B is None else AB[:, states:],
        "C": CD[:, :states],
        "D": None if model.D is None else CD[:, states:],
        "Q": transition.residual(AB),
        "R": emission.residual(CD),
        "mean": mean,
        "cov": known.cov[:, 0].mean(0) + off.T @ off / len(off),
    }
    return replace(model, **{name: value for name, value in new.items() if name in learn})


def _transition_moments(y_NTM: Tensor, u_NTU: Tensor | None, known: Smoothed) -> _Moments:
    """x_{t+1} on (x_t, u_t). Steps after a sequence's last observation, which say nothing, are left out."""
    ahead = (~torch.isnan(y_NTM)).any(2).flip(1).cumsum(1).flip(1)[:, 1:] > 0
    z, covariance = _regressors(known.mean[:, :-1], known.cov[:, :-1], u_NTU)
    after = known.mean[:, 1:]
    lag_one = nn.functional.pad(known.lag_one, (0, z.shape[-1] - after.shape[-1]))
    return _Moments(
        _sum(known.cov[:, 1:], after, after, ahead),
        _sum(lag_one, after, z, ahead),
        _sum(covariance, z, z, ahead),
        ahead.sum(),
    )


def _emission_moments(model: StateSpace, y_NTM: Tensor, u_NTU: Tensor | None, known: Smoothed) -> _Moments:
    """y_t on (x_t, u_t), over the rows where something was observed.

    What is missing of such a row is expected from the rest: with G = R_{·o} R_{oo}⁻¹ for the observed entries o, and
    K = I − G, y = K (C x + D u) + G y_o + ε, ε ~ N(0, K R).
    """
    seen = ~torch.isnan(y_NTM)
    both = seen[..., :, None] & seen[..., None, :]
    inside = torch.where(both, model.R, torch.diag_embed((~seen).double()))
    G = torch.linalg.solve(inside, torch.where(seen[..., None, :], model.R, 0.0), left=False)
    G = torch.where(seen[..., None, :], G, 0.0)
    K = torch.eye(y_NTM.shape[-1], dtype=torch.float64) - G
    z, covariance = _regressors(known.mean, known.cov, u_NTU)
    C = model.C if u_NTU is None else torch.cat([model.C, _or_zeros(model.D, len(model.C), u_NTU)], 1)
    y = (K @ (z @ C.T)[..., None] + G @ torch.nan_to_num(y_NTM)[..., None])[..., 0]
    cross = K @ C @ covariance
    some = seen.any(2)
    return _Moments(
        _sum(cross @ (K @ C).mT + K @ model.R, y, y, some),
        _sum(cross, y, z, some),
        _sum(covariance, z, z, some),
        some.sum(),
    )


def _regressors(mean: Tensor, cov: Tensor, u_NTU: Tensor | None) -> tuple[Tensor, Tensor]:
    """(x, u) side by side, and their covariance, in which u is certain."""
    if u_NTU is None:
        return mean, cov
    width = u_NTU.shape[-1]
    return torch.cat([mean, u_NTU[:, : mean.shape[1]]], 2), nn.functional.pad(cov, (0, width, 0, width))


def _sum(covariance: Tensor, left: Tensor, right: Tensor, which: Tensor) -> Tensor:
    """Σ E[left right'] over the steps that count."""
    weight = which.double()
    return torch.einsum("nt,ntij->ij", weight, covariance) + torch.einsum("nt,nti,ntj->ij", weight, left, right)


def _joined(
    first: Tensor, second: Tensor | None, learn_first: bool, learn_second: bool, u_NTU: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Both matrices side by side, and which of the columns are learned."""
    flags = torch.full((first.shape[1],), learn_first)
    if u_NTU is None:
        return first, flags
    joined = torch.cat([first, _or_zeros(second, len(first), u_NTU)], 1)
    return joined, torch.cat([flags, torch.full((u_NTU.shape[-1],), learn_second and second is not None)])


def _or_zeros(matrix: Tensor | None, rows: int, u_NTU: Tensor) -> Tensor:
    return torch.zeros(rows, u_NTU.shape[-1], dtype=torch.float64) if matrix is None else matrix


def _least_squares(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Ridge regression with so small a penalty that it only keeps the equations solvable."""
    gram = inputs.T @ inputs
    ridge = 1e-6 * gram.diagonal().mean().clamp_min(1e-12) * torch.eye(len(gram), dtype=gram.dtype)
    return torch.linalg.solve(gram + ridge, inputs.T @ outputs)


def _positive(cov: Tensor, size: int) -> Tensor:
    """A covariance with a floor, so that the start is not certain of anything."""
    cov = cov.reshape(size, size)
    floor = 1e-3 * cov.diagonal().mean().clamp_min(1e-6)
    return (cov + cov.T) / 2 + floor * torch.eye(size, dtype=cov.dtype)


def _learnable(model: StateSpace, learn: Collection[str], states: int) -> None:
    unknown = sorted(set(learn) - set(LEARNED))
    if unknown:
        raise DataError(f"state space: matrix {unknown[0]!r} cannot be learned; expected some of {', '.join(LEARNED)}")
    if not model.constant:
        raise DataError("state space: the start has matrices that change with time; EM learns constant ones")
    if len(model.A) != states:
        raise DataError(f"state space: the start has {len(model.A)} states; expected {states}")
