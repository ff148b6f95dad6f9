"""The linear-Gaussian state-space model: filtered, smoothed, forecast and simulated (``state_space`` learns it).

    x_{t+1} = A_t x_t + B_t u_t + w_t,   w_t ~ N(0, Q_t)        the state, which nobody sees
    y_t     = C_t x_t + D_t u_t + v_t,   v_t ~ N(0, R_t)        what is observed
    x_0 ~ N(mean, cov)

Equations after Kalman (1960), Rauch, Tung & Striebel (1965), Shumway & Stoffer (1982) and Durbin & Koopman (2012).
It is a recurrent network whose state is a Gaussian: ``predict`` and ``update`` are its cell.

Shapes: … any leading batch, T steps, n states, M observed series, U inputs. Covariances are (…, n, n) or (…, M, M).
Everything is differentiable, and float64: a covariance loses its digits quickly in float32.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from unroll.core.errors import DataError


@dataclass(frozen=True)
class StateSpace:
    """The matrices of the model; each but ``mean`` and ``cov`` is constant (n, m) or one a step (T, n, m).

    ``A`` (n, n), ``C`` (M, n), ``Q`` (n, n), ``R`` (M, M), ``mean`` (n,), ``cov`` (n, n); ``B`` (n, U) and ``D`` (M, U)
    are None where the inputs do not enter. Raises DataError where the shapes do not fit.

    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> walk = StateSpace(A=one, B=None, C=one, D=None, Q=one, R=one, mean=one[0], cov=one)
    >>> filter(walk, torch.tensor([[0.0], [1.0], [float("nan")]])).mean[:, 0]
    tensor([0.5000, 0.8000, 0.8000], dtype=torch.float64)
    """

    A: Tensor
    B: Tensor | None
    C: Tensor
    D: Tensor | None
    Q: Tensor
    R: Tensor
    mean: Tensor
    cov: Tensor

    def __post_init__(self) -> None:
        states, observed = self.A.shape[-1], self.C.shape[-2]
        inputs = next((matrix.shape[-1] for matrix in (self.B, self.D) if matrix is not None), 0)
        expected = {
            "A": (states, states),
            "B": (states, inputs),
            "C": (observed, states),
            "D": (observed, inputs),
            "Q": (states, states),
            "R": (observed, observed),
            "cov": (states, states),
        }
        for name, shape in expected.items():
            matrix = getattr(self, name)
            if matrix is not None and (tuple(matrix.shape[-2:]) != shape or matrix.ndim > (2 if name == "cov" else 3)):
                raise DataError(
                    f"state space, {name}: shape {tuple(matrix.shape)}; expected {shape} or (steps, *{shape})"
                )
        if tuple(self.mean.shape) != (states,):
            raise DataError(f"state space, mean: shape {tuple(self.mean.shape)}; expected {(states,)}")
        for each in fields(self):
            if getattr(self, each.name) is not None:
                object.__setattr__(self, each.name, getattr(self, each.name).double())

    def at(self, t: int) -> "StateSpace":
        """The model of step ``t`` alone: all matrices constant."""
        if self.constant:
            return self
        now: dict[str, Any] = {each.name: _at(each.name, getattr(self, each.name), t) for each in fields(self)}
        return replace(self, **now)

    @property
    def constant(self) -> bool:
        """Whether no matrix changes with time."""
        return all(m is None or m.ndim == 2 for m in (self.A, self.B, self.C, self.D, self.Q, self.R))


@dataclass(frozen=True)
class Filtered:
    """What is known of each state from the observations up to then.

    ``predicted_mean`` (…, T + 1, n) and ``predicted_cov`` (…, T + 1, n, n) are before y_t is seen – the last entry is
    one step beyond the data –, ``mean`` and ``cov`` after it. ``innovation`` (…, T, M) is y_t minus its prediction,
    0 where y_t is missing; ``innovation_cov`` is its covariance (of a missing entry: 1, with covariances 0) and
    ``gain`` (…, T, n, M) the weight it gets. ``loglik`` (…) is the log-likelihood of what was observed.
    """

    predicted_mean: Tensor
    predicted_cov: Tensor
    mean: Tensor
    cov: Tensor
    innovation: Tensor
    innovation_cov: Tensor
    gain: Tensor
    loglik: Tensor


@dataclass(frozen=True)
class Smoothed:
    """What is known of each state from all observations: ``mean`` (…, T, n), ``cov`` (…, T, n, n).

    ``lag_one`` (…, T − 1, n, n) is the covariance of x_{t+1} with x_t.
    """

    mean: Tensor
    cov: Tensor
    lag_one: Tensor


@dataclass(frozen=True)
class Update:
    """One step of the filter: the state after an observation, and what the observation said."""

    mean: Tensor
    cov: Tensor
    innovation: Tensor
    innovation_cov: Tensor
    gain: Tensor


def predict(model: StateSpace, mean: Tensor, cov: Tensor, u: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The state one step later: A m + B u and A P A' + Q; ``model`` has constant matrices (``StateSpace.at``)."""
    return _affine(model.A, mean, model.B, u), _symmetric(model.A @ cov @ model.A.mT + model.Q)


def update(model: StateSpace, mean: Tensor, cov: Tensor, y: Tensor, u: Tensor | None = None) -> Update:
    """The state after ``y`` (…, M) has been seen; entries that are NaN are missing and say nothing.

    innovation e = y − C m − D u, S = C P C' + R, gain K = P C' S⁻¹; then m + K e, and P in the form of Joseph (Bucy &
    Joseph 1968), (I − K C) P (I − K C)' + K R K', which stays symmetric and positive whatever the rounding. A missing
    entry has its row of C set to 0 and its own variance to 1 (Shumway & Stoffer 1982): the same as leaving it out.
    """
    seen = ~torch.isnan(y)
    C = model.C * seen[..., None]
    R = _seen_noise(model.R, seen)
    expected = _affine(model.C, mean, model.D, u)
    innovation = torch.where(seen, y, 0.0) - expected * seen
    S = _symmetric(C @ cov @ C.mT + R)
    gain = torch.cholesky_solve(C @ cov, _cholesky(S)).mT
    kept = torch.eye(mean.shape[-1], dtype=mean.dtype, device=mean.device) - gain @ C
    after = _symmetric(kept @ cov @ kept.mT + gain @ R @ gain.mT)
    return Update(mean + _times(gain, innovation), after, innovation, S, gain)


def log_likelihood(innovation_TM: Tensor, innovation_cov: Tensor, y_TM: Tensor) -> Tensor:
    """Log-likelihood (…) of what was observed, from its innovations, which are independent (Schweppe 1965).

    What is missing has an innovation of 0 and a variance of 1, and adds nothing.
    """
    factor = _cholesky(innovation_cov)
    whitened = torch.linalg.solve_triangular(factor, innovation_TM[..., None], upper=False)[..., 0]
    log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum((-2, -1))
    seen = (~torch.isnan(y_TM)).double().sum((-2, -1))
    return -0.5 * (whitened.square().sum((-2, -1)) + log_det + seen * math.log(2 * math.pi))


def filter(model: StateSpace, y_TM: Tensor, u_TU: Tensor | None = None) -> Filtered:  # noqa: A001 - its name everywhere
    """Kalman's filter over (…, T, M) observations, NaN where missing, and their inputs.

    The prior N(mean, cov) is that of the first row's state. Raises DataError where the shapes do not fit, or where a
    matrix that changes with time has fewer steps than the observations.
    """
    y_TM, u_TU = _checked(model, y_TM, u_TU)
    batch, steps = y_TM.shape[:-2], y_TM.shape[-2]
    mean = model.mean.expand(*batch, -1)
    cov = model.cov.expand(*batch, -1, -1)
    means, covs, updates = [mean], [cov], []
    for t in range(steps):
        now, u = model.at(t), None if u_TU is None else u_TU[..., t, :]
        seen = update(now, mean, cov, y_TM[..., t, :], u)
        mean, cov = predict(now, seen.mean, seen.cov, u)
        updates.append(seen)
        means.append(mean)
        covs.append(cov)
    innovation = torch.stack([each.innovation for each in updates], -2)
    innovation_cov = torch.stack([each.innovation_cov for each in updates], -3)
    return Filtered(
        predicted_mean=torch.stack(means, -2),
        predicted_cov=torch.stack(covs, -3),
        mean=torch.stack([each.mean for each in updates], -2),
        cov=torch.stack([each.cov for each in updates], -3),
        innovation=innovation,
        innovation_cov=innovation_cov,
        gain=torch.stack([each.gain for each in updates], -3),
        loglik=log_likelihood(innovation, innovation_cov, y_TM),
    )


def smooth(model: StateSpace, filtered: Filtered) -> Smoothed:
    """The smoother of Rauch, Tung & Striebel (1965): back from the last step, with J_t = P_t A_t' (P_{t+1|t})⁻¹.

    m̂_t = m_t + J_t (m̂_{t+1} − m_{t+1|t}), P̂_t = P_t + J_t (P̂_{t+1} − P_{t+1|t}) J_t', and the covariance of x_{t+1}
    with x_t is P̂_{t+1} J_t'.
    """
    steps = filtered.mean.shape[-2]
    A = model.A[: steps - 1] if model.A.ndim == 3 else model.A
    ahead_mean, ahead_cov = filtered.predicted_mean[..., 1:steps, :], filtered.predicted_cov[..., 1:steps, :, :]
    J = filtered.cov[..., : steps - 1, :, :] @ A.mT @ _inverse(ahead_cov)
    mean, cov = filtered.mean[..., -1, :], filtered.cov[..., -1, :, :]
    means, covs = [mean], [cov]
    for t in range(steps - 2, -1, -1):
        back = J[..., t, :, :]
        mean = filtered.mean[..., t, :] + _times(back, mean - ahead_mean[..., t, :])
        cov = _symmetric(filtered.cov[..., t, :, :] + back @ (cov - ahead_cov[..., t, :, :]) @ back.mT)
        means.append(mean)
        covs.append(cov)
    all_covs = torch.stack(covs[::-1], -3)
    return Smoothed(torch.stack(means[::-1], -2), all_covs, all_covs[..., 1:, :, :] @ J.mT)


def forecast(
    model: StateSpace, filtered: Filtered, steps: int, u_future: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Means (…, steps, M) and covariances of the observations after the last filtered row.

    ``u_future`` (…, steps, U) are the inputs of those rows. Matrices that change with time must reach so far.
    """
    first = filtered.mean.shape[-2]
    if u_future is None and (model.B is not None or model.D is not None):
        raise DataError(f"state space: no inputs for the {steps} steps forecast; expected (…, steps, inputs)")
    mean, cov = filtered.predicted_mean[..., -1, :], filtered.predicted_cov[..., -1, :, :]
    means, covs = [], []
    for step in range(steps):
        now, u = model.at(first + step), None if u_future is None else u_future[..., step, :].double()
        means.append(_affine(now.C, mean, now.D, u))
        covs.append(_symmetric(now.C @ cov @ now.C.mT + now.R))
        mean, cov = predict(now, mean, cov, u)
    return torch.stack(means, -2), torch.stack(covs, -3)


def simulate(model: StateSpace, steps: int, rng: torch.Generator, u_TU: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """States (T, n) and observations (T, M) drawn from the model."""
    Q_root, R_root = _root(model.Q), _root(model.R)
    x = model.mean + _draw(_root(model.cov), 0, rng)
    states, observed = [], []
    for t in range(steps):
        now, u = model.at(t), None if u_TU is None else u_TU[t].double()
        states.append(x)
        observed.append(_affine(now.C, x, now.D, u) + _draw(R_root, t, rng))
        x = _affine(now.A, x, now.B, u) + _draw(Q_root, t, rng)
    return torch.stack(states), torch.stack(observed)


def _at(name: str, matrix: Tensor | None, t: int) -> Tensor | None:
    if matrix is None or matrix.ndim < 3:
        return matrix
    if t >= len(matrix):
        raise DataError(f"state space, {name}: {len(matrix)} steps; step {t + 1} is asked for")
    return matrix[t]


def _affine(matrix: Tensor, x: Tensor, other: Tensor | None, u: Tensor | None) -> Tensor:
    """``matrix`` x + ``other`` u, without the second term where there is none."""
    first = _times(matrix, x)
    return first if other is None or u is None else first + _times(other, u)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.mT) / 2


def _seen_noise(R: Tensor, seen: Tensor) -> Tensor:
    """R without the rows and columns of what is missing, and 1 on their diagonal."""
    both = seen[..., :, None] & seen[..., None, :]
    return torch.where(both, R, torch.diag_embed((~seen).to(R.dtype)))


def _cholesky(S: Tensor) -> Tensor:
    factor, failed = torch.linalg.cholesky_ex(S)
    if failed.any():
        raise DataError("state space: an innovation's covariance C P C' + R is not positive; expected R > 0")
    return factor


def _inverse(cov: Tensor) -> Tensor:
    """Inverse of covariances; Moore and Penrose's where one is singular (a state without noise)."""
    factor, failed = torch.linalg.cholesky_ex(cov)
    return torch.linalg.pinv(cov, hermitian=True) if failed.any() else torch.cholesky_inverse(factor)


def _root(cov: Tensor) -> Tensor:
    """A matrix whose product with its transpose is ``cov``, which may be singular."""
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp_min(0).sqrt()[..., None, :]


def _draw(root: Tensor, t: int, rng: torch.Generator) -> Tensor:
    """One draw from the Gaussian whose covariance, at step ``t``, has this root."""
    return (root if root.ndim == 2 else root[t]) @ torch.randn(root.shape[-1], generator=rng, dtype=root.dtype)


def _checked(model: StateSpace, y_TM: Tensor, u_TU: Tensor | None) -> tuple[Tensor, Tensor | None]:
    if y_TM.shape[-1] != model.C.shape[-2] or not y_TM.shape[-2]:
        raise DataError(f"state space: observations {tuple(y_TM.shape)}; expected (…, steps, {model.C.shape[-2]})")
    inputs = next((matrix.shape[-1] for matrix in (model.B, model.D) if matrix is not None), None)
    if inputs is not None and (u_TU is None or tuple(u_TU.shape[-2:]) != (y_TM.shape[-2], inputs)):
        there = "none" if u_TU is None else str(tuple(u_TU.shape))
        raise DataError(f"state space: inputs {there}; expected (…, {y_TM.shape[-2]}, {inputs})")
    return y_TM.double(), None if u_TU is None else u_TU.double()
