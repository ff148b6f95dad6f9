"""Weighted least squares against sklearn, row by row and with the weights worked out by hand."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from unroll.problems.forecasting.network.least_squares import LARGE, LEAST, ROUNDS, Rows, ordinary, reweighted

RNG = np.random.default_rng(0)
SEEN = np.column_stack([RNG.uniform(-1, 1, 900), np.ones(900)])
DESIGN = np.column_stack([SEEN[:, 0], RNG.normal(size=(900, 2)), np.ones(900)])
TRUE = RNG.normal(size=(4, 2, 3))
SIZE = np.stack([1.02 + SEEN[:, 0], 1.02 - SEEN[:, 0]], axis=1)  # one group errs above, the other one below
TRUTH = np.einsum("ns,sgk->ngk", DESIGN, TRUE) + SIZE[..., None] * RNG.standard_t(3, size=(900, 2, 3)) * [1, 5, 0.1]


def rows(chunk: int = 250, truth: np.ndarray = TRUTH) -> Callable[[], Iterator[Rows]]:
    def passes() -> Iterator[Rows]:
        for low in range(0, len(DESIGN), chunk):
            yield Rows(*(torch.from_numpy(each[low : low + chunk]) for each in (DESIGN, truth, SEEN)))

    return passes


@pytest.mark.parametrize("first", [0, 2])
def test_ordinary_ones_are_those_of_sklearn(first: int) -> None:
    equations = ordinary(rows())
    for group in range(2):
        expected = Ridge(alpha=1.0, fit_intercept=False).fit(DESIGN[:, first:], TRUTH[:, group]).coef_.T
        np.testing.assert_allclose(equations.solve(first)[group], expected, rtol=1e-9)
    errors = TRUTH - np.einsum("ns,gsk->ngk", DESIGN, equations.solve())
    np.testing.assert_allclose(equations.deviation(), np.sqrt((errors**2).mean(axis=0)), rtol=1e-9)


def weights_by_hand(design: np.ndarray, truth: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Weights (N,) of rows that share them over all outcomes (N, K), by sklearn."""
    model = Ridge(alpha=1.0, fit_intercept=False).fit(design, truth)
    unit: np.ndarray | None = None
    for _ in range(ROUNDS):
        errors = truth - model.predict(design).reshape(truth.shape)
        if unit is None:
            unit = np.sqrt((errors**2).mean(axis=0))
            size = np.sqrt(((errors / unit) ** 2).mean(axis=1))
            line = Ridge(alpha=1.0, fit_intercept=False).fit(seen, size).predict(seen)
            expected = np.maximum(line, LEAST * size.mean())
        size = np.sqrt(((errors / unit) ** 2).mean(axis=1))
        weights = np.where(size <= LARGE * expected, 1, LARGE * expected / size) / expected**2
        model = Ridge(alpha=1.0, fit_intercept=False).fit(design, truth, sample_weight=weights)
    return np.asarray(weights)


def test_weights_are_those_of_the_docstring() -> None:
    found = reweighted(rows()).solve()
    for group in range(2):
        weights = weights_by_hand(DESIGN, TRUTH[:, group], SEEN)
        assert weights.max() > 50 * weights.min(), f"weights {weights.min()} to {weights.max()}: too alike"
        model = Ridge(alpha=1.0, fit_intercept=False).fit(DESIGN, TRUTH[:, group], sample_weight=weights)
        np.testing.assert_allclose(found[group], model.coef_.T, rtol=1e-6, err_msg=f"group {group}")


def test_they_come_nearer_to_the_truth_where_errors_differ_in_size() -> None:
    away = [(each(rows()).solve().numpy() - TRUE.transpose(1, 0, 2)) / [1, 5, 0.1] for each in (ordinary, reweighted)]
    plain, weighted = (float(np.sqrt((each**2).mean())) for each in away)
    assert weighted < 0.7 * plain, f"{weighted:.4f} with weights, {plain:.4f} without; expected them to be much nearer"


def test_chunks_make_no_difference() -> None:
    torch.testing.assert_close(reweighted(rows(7)).solve(), reweighted(rows(900)).solve(), rtol=1e-9, atol=1e-9)


def test_a_truth_without_errors_is_found() -> None:
    exact = np.repeat(DESIGN[:, :1, None], 2, axis=1)
    solved = reweighted(rows(truth=exact)).solve().numpy()
    np.testing.assert_allclose(solved[..., 0], [[1, 0, 0, 0]] * 2, atol=1e-2)
    still = reweighted(rows(truth=np.zeros((900, 2, 1)))).solve()
    assert not still.any(), f"a truth of zeros: {still}; expected no coefficient"
