"""A linear-Gaussian state-space model learned from data by EM (``affine`` has what it comes to when it serves).

Shapes: N sequences, T steps, n states, M observed series, F columns of a table, U inputs, W stretches of a sequence,
K values of one, S changes from step to step. ``kalman`` has the model itself and its notation.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from unroll.core.errors import DataError
from unroll.problems.forecasting.state_space.kalman import (
    Filtered,
    Smoothed,
    StateSpace,
    filter,  # noqa: A004
    forecast,
    log_likelihood,
    predict,
    simulate,
    smooth,
    update,
)
from unroll.problems.forecasting.state_space.window_start import anywhere, stationary

__all__ = [
    "Filtered",
    "Smoothed",
    "StateSpace",
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
SINGULAR = 1e-12
"""Share of the largest eigenvalue below which one of the sums of products counts as 0."""


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
    model = start or subspace(y_NTM, states, seed, u_NTU)
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


def subspace(y_NTM: Tensor, states: int, seed: int, u_NTU: Tensor | None = None) -> StateSpace:
    """A start for EM: states are what the past says of the future (Van Overschee & De Moor 1996, much simplified).

    The next rows are regressed on the rows before, the principal components of the fit are the states, and two more
    regressions give A and C. Missing values count as 0. Of inputs, D is what a regression says, and the states are
    those of what it leaves: a state that followed an input would have to be unlearned. A little noise from ``seed``
    keeps a direction that is empty here from being empty for ever: EM does not leave an exact 0.
    """
    steps, observed = y_NTM.shape[1:]
    blocks = max(2, -(-states // observed) + 1)
    if steps < 2 * blocks + 1:
        raise DataError(
            f"state space: sequences of {steps} rows; expected at least {2 * blocks + 1} for {states} states"
        )
    inputs = 0 if u_NTU is None else u_NTU.shape[-1]
    D = None if u_NTU is None else _direct(y_NTM, u_NTU)
    rest_NTM = y_NTM if u_NTU is None or D is None else y_NTM - u_NTU[:, :steps] @ D.T
    rows_NWK = torch.nan_to_num(rest_NTM).unfold(1, 2 * blocks, 1).transpose(2, 3).flatten(2)
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
    return StateSpace(
        A=A + jitter[:states],
        B=torch.zeros(states, inputs, dtype=torch.float64) if inputs else None,
        C=C + jitter[states:],
        D=D,
        Q=_positive(Q, states),
        R=_positive(R, observed),
        mean=torch.zeros(states, dtype=torch.float64),
        cov=torch.eye(states, dtype=torch.float64),
    )


def _direct(y_NTM: Tensor, u_NTU: Tensor) -> Tensor:
    """Regression (M, U) of each series on the inputs, of changes from row to row less their mean.

    Of values, an input that happens to rise where a series has a trend, or walks, would be taken for its cause.
    """
    y_SM, u_SU = y_NTM.diff(dim=1).flatten(0, 1), u_NTU[:, : y_NTM.shape[1]].diff(dim=1).flatten(0, 1)
    gains = []
    for y_S in y_SM.T:
        seen = ~y_S.isnan()
        u, y = u_SU[seen], y_S[seen, None]
        gains.append(_least_squares(u - u.mean(0), y - y.mean(0)).T)
    return torch.nan_to_num(torch.cat(gains))  # of a series that was never seen twice in a row nothing is known


@dataclass(frozen=True)
class _Moments:
    """Expected sums of products over all steps: of a left side with itself, with the right side, and of that."""

    left: Tensor
    cross: Tensor
    right: Tensor
    count: Tensor

    def coefficients(self, old: Tensor, learned: Tensor) -> Tensor:
        """Least squares for the columns that are ``learned``; the others stay as they are in ``old``.

        So does what no data tell: of two inputs that go together, as the points on a circle do where all rows are of
        one month, the difference.
        """
        if not learned.any():
            return old
        rest = self.cross[:, learned] - old @ self.right[:, learned]
        new = old.clone()
        new[:, learned] += rest @ torch.linalg.pinv(self.right[learned][:, learned], rtol=SINGULAR, hermitian=True)
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
