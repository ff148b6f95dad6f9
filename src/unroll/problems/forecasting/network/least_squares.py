"""Least squares by normal equations, one pass over the data at a time; with weights where errors differ in size.

Shapes: N rows, S coefficients, G groups of outcomes, K outcomes of a group, Z what predicts the size of errors.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

ROUNDS = 2
"""Times that weights are drawn from the last solution."""
LARGE = 2.0
"""Expected sizes beyond which an error counts linearly: 1.6 deviations, were it normal, at which Huber's estimate is
nearly as efficient as least squares."""
LEAST = 0.25
"""Share of the mean size that is expected at least: a straight line may pass zero."""


class Rows(NamedTuple):
    """Some rows: what is known (N, S), what is to be told (N, G, K), what errors grow with (N, Z). Float64."""

    design_NS: Tensor
    truth_NGK: Tensor
    seen_NZ: Tensor


Pass = Callable[[], Iterable[Rows]]
"""Gives all rows, chunk by chunk, each time that it is called."""


class Equations(NamedTuple):
    """Sums of products over all rows, a weight for each row and group in them."""

    gram_GSS: Tensor
    moment_GSK: Tensor
    square_GK: Tensor
    rows: int

    def solve(self, first: int = 0) -> Tensor:
        """Coefficients (G, S − first, K) of the columns from ``first`` on alone: a corner of the same equations."""
        return torch.linalg.solve(self.gram_GSS[:, first:, first:], self.moment_GSK[:, first:])

    def deviation(self) -> Tensor:
        """Root mean squared error (G, K) where every row counts alike; 1 where there is no error."""
        solved_GSK = self.solve()
        explained_GK = (self.moment_GSK * solved_GSK + solved_GSK.square()).sum(1)  # the square is the ridge's part
        found_GK = ((self.square_GK - explained_GK) / self.rows).clamp(min=0).sqrt()
        return torch.where(found_GK > 0, found_GK, 1.0)


def ordinary(rows: Pass) -> Equations:
    """Equations in which every row counts alike.

    Like those with weights they have a ridge of 1, which decides where columns are constant or alike.
    """
    return _sums(rows, lambda chunk: torch.ones(chunk.truth_NGK.shape[:2], dtype=torch.float64))


def reweighted(rows: Pass) -> Equations:
    """Equations in which a row counts the less, the larger an error is expected there.

    Feasible generalised least squares: the size of an error, over a group's outcomes in units of their deviations, is
    regressed on ``seen`` (Glejser 1969), and rows count by the inverse square of what is expected, which is best where
    errors differ in size (Aitken 1935). An error of more than ``LARGE`` times the expected one counts linearly (Huber
    1964), by reweighting (Holland & Welsch 1977).

    >>> x = torch.linspace(0, 1, 1000, dtype=torch.float64)
    >>> design, truth = torch.stack([x, torch.ones_like(x)], dim=1), 3 * x + 0.01 * torch.cos(1000 * x)
    >>> truth[-20:] += 5  # a short stretch that is far off
    >>> chunks = lambda: [Rows(design, truth[:, None, None], design)]
    >>> [round(each(chunks).solve()[0, 0, 0].item(), 2) for each in (ordinary, reweighted)]
    [3.54, 3.02]
    """
    equations = ordinary(rows)
    unit_GK = equations.deviation()
    told_ZG, least_G = _expected(rows, equations.solve(), unit_GK)
    for _ in range(ROUNDS):
        solved_GSK = equations.solve()

        def weights(chunk: Rows, solved_GSK: Tensor = solved_GSK) -> Tensor:
            expected_NG = torch.maximum(chunk.seen_NZ @ told_ZG, least_G)
            return (LARGE * expected_NG / _size(chunk, solved_GSK, unit_GK)).clamp(max=1) / expected_NG.square()

        equations = _sums(rows, weights)
    return equations


def _sums(rows: Pass, weights: Callable[[Rows], Tensor]) -> Equations:
    gram, moment, square, count = torch.zeros(()), torch.zeros(()), torch.zeros(()), 0
    for chunk in rows():
        (_, truth, _), (grams, moments) = chunk, _products(chunk, weights(chunk))
        gram, moment, square = gram + grams, moment + moments, square + truth.square().sum(0)
        count += len(truth)
    return Equations(gram + torch.eye(gram.shape[-1], dtype=torch.float64), moment, square, count)


def _products(chunk: Rows, weights_NG: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of weighted products (G, S, S) of what is known, and (G, S, K) with what is to be predicted."""
    grams, moments = [], []
    for group, weight_N in enumerate(weights_NG.unbind(1)):
        counted_SN = (chunk.design_NS * weight_N[:, None]).T
        grams.append(counted_SN @ chunk.design_NS)
        moments.append(counted_SN @ chunk.truth_NGK[:, group])
    return torch.stack(grams), torch.stack(moments)


def _expected(rows: Pass, solved_GSK: Tensor, unit_GK: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients (Z, G) that tell an error's size from ``seen``, and the least size (G,)."""
    gram, moment, total, count = torch.zeros(()), torch.zeros(()), torch.zeros(()), 0
    for chunk in rows():
        (_, _, seen), sizes = chunk, _size(chunk, solved_GSK, unit_GK)
        gram, moment = gram + seen.T @ seen, moment + seen.T @ sizes
        total, count = total + sizes.sum(0), count + len(sizes)
    ridge = torch.eye(len(gram), dtype=torch.float64)
    return torch.linalg.solve(gram + ridge, moment), (LEAST * total / count).clamp(min=1e-6)


def _size(chunk: Rows, solved_GSK: Tensor, unit_GK: Tensor) -> Tensor:
    """How large the errors of a group's outcomes are together (N, G), in units of their deviations; never quite 0."""
    error_NGK = chunk.truth_NGK - torch.einsum("ns,gsk->ngk", chunk.design_NS, solved_GSK)
    return (error_NGK / unit_GK).square().mean(-1).sqrt().clamp(min=1e-12)
