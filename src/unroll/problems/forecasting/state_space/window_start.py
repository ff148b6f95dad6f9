"""Where the state may be when a window begins, out of the middle of a series: the prior of a filter that starts there.

Shapes: n states, U inputs.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unroll.core.errors import DataError
from unroll.problems.forecasting.state_space.kalman import StateSpace

SETTLES = 0.999
"""Size of an eigenvalue from which a direction counts as one that does not settle: it halves in 700 rows or more, so
that no window tells it from a random walk, and its stationary variance rests on a digit of A that is a guess."""
DIFFUSE = 1e7
"""Variance of a direction that does not settle, in units of the largest that the model knows. Much more costs digits:
a filter in float64 has 16 of them between this and the noise."""


def stationary(model: StateSpace, u_U: Tensor | None = None) -> StateSpace:
    """The same model, started from where it settles: P = A P A' + Q and m = A m + B u, of a constant input u.

    It is what the state is like long after its beginning, before anything was seen (Hamilton 1994, section 13.2).
    Raises DataError where the model does not settle: an eigenvalue of A outside the unit circle, or upon it.
    """
    radius = float(torch.linalg.eigvals(model.A).abs().amax())
    if radius >= 1:
        raise DataError(f"state space, A: largest eigenvalue {radius:.6f}; expected below 1 for a stationary start")
    eye = torch.eye(len(model.A), dtype=model.A.dtype)
    cov = torch.from_numpy(_lyapunov(model.A.numpy(), model.Q.numpy()))
    return replace(model, mean=torch.linalg.solve(eye - model.A, _push(model, u_U)), cov=cov)


def anywhere(model: StateSpace, u_U: Tensor | None = None) -> StateSpace:
    """The same model, started without knowing when: where it settles, and anywhere in directions that do not.

    A change of coordinates x = V z parts A into a block that settles and one that does not (a trend, a random walk, a
    wave that does not fade). The first starts as ``stationary`` says, the second with mean 0 and a variance so large
    that the window's first rows say all of it (diffuse start: Durbin & Koopman 2012, chapter 5). A model that settles
    gives what ``stationary`` gives.

    >>> one, none = torch.ones(1, 1), torch.zeros(1)
    >>> walk = StateSpace(A=one, B=None, C=one, D=None, Q=one, R=one, mean=none, cov=one)
    >>> anywhere(walk).cov
    tensor([[10000000.]], dtype=torch.float64)
    """
    from scipy.linalg import schur, solve_sylvester

    A, Q = model.A.numpy(), model.Q.numpy()
    if float(np.abs(np.linalg.eigvals(A)).max()) < SETTLES:
        return stationary(model, u_U)
    # A = V T V' with what settles first, and so T = [T1 T12; 0 T2]; V [I S; 0 I] makes T12 vanish as well.
    T, V, settled = schur(A, output="real", sort=_settles)
    here, rest = slice(settled), slice(settled, None)
    if settled:
        V[:, rest] += V[:, here] @ solve_sylvester(T[here, here], -T[rest, rest], -T[here, rest])
    back = np.linalg.inv(V)
    size = len(A)
    mean, cov = np.zeros(size), DIFFUSE * _largest(model) * np.eye(size)
    if settled:
        cov[here, here] = _lyapunov(T[here, here], (back @ Q @ back.T)[here, here])
        mean[here] = np.linalg.solve(np.eye(settled) - T[here, here], (back @ _push(model, u_U).numpy())[here])
    cov = V @ cov @ V.T
    return replace(model, mean=torch.from_numpy(V @ mean), cov=torch.from_numpy((cov + cov.T) / 2))


def _settles(real: float, imaginary: float) -> bool:
    """Of an eigenvalue, as ``scipy.linalg.schur`` asks."""
    return float(np.hypot(real, imaginary)) < SETTLES


def _largest(model: StateSpace) -> float:
    """The largest variance that the model knows: of its own start, around 0, or of the noise of a step."""
    around = model.cov + torch.outer(model.mean, model.mean)
    return max(float(around.diagonal().max()), float(model.Q.diagonal().max()), 1e-12)


def _push(model: StateSpace, u_U: Tensor | None) -> Tensor:
    return torch.zeros_like(model.mean) if model.B is None or u_U is None else model.B @ u_U.double()


def _lyapunov(A: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """P = A P A' + Q; scipy works on matrices of A's own size where that has 10 rows or more."""
    from scipy.linalg import solve_discrete_lyapunov

    P: np.ndarray = solve_discrete_lyapunov(A, Q)
    return (P + P.T) / 2
