"""Calibrated bands: they cover what they promise, by simulation and by counting."""

import numpy as np
import pytest

from unroll.problems.forecasting import bands


@pytest.mark.parametrize("level", [0.5, 0.75, 0.9, 0.975])
@pytest.mark.parametrize("count", [1, 7, 40, 999])
def test_the_quantile_covers_a_new_value(level: float, count: int) -> None:
    """Over all places where a new score may fall among N others, its rank is uniform: count them."""
    scores = np.random.default_rng(count).permutation(np.arange(count) + 0.5)
    bound = bands.quantile(scores, level)
    covered = np.mean(np.arange(count + 1) <= bound)  # a new score between two others, or beyond them
    assert covered >= min(level, count / (count + 1)) - 1e-12
    assert covered <= level + 1 / (count + 1) + 1e-12


@pytest.mark.parametrize("band", bands.BANDS)
def test_stretched_edges_leave_the_tails_asked_for(band: int) -> None:
    rng = np.random.default_rng(1)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        scale, median = rng.uniform(0.5, 5, count), rng.normal(size=count)
        truth = median + scale * (rng.exponential(size=count) - np.log(2))
        return truth, median, median - 0.3 * scale, median + 0.9 * scale

    truth, median, low, high = draw(40_000)
    down, up = (bands.stretch(truth, median, edge, band) for edge in (low, high))
    truth, median, low, high = draw(40_000)
    tail = (1 - band / 100) / 2
    assert np.mean(truth < median + down * (low - median)) == pytest.approx(tail, abs=0.008)
    assert np.mean(truth > median + up * (high - median)) == pytest.approx(tail, abs=0.008)


def test_an_edge_never_crosses_the_median_and_needs_a_width() -> None:
    ones = np.ones(50)
    assert bands.stretch(-5 * ones, 0 * ones, ones, 50) == 0.0
    assert bands.stretch(ones, ones, ones, 80) == 1.0


def test_constant_edges_hold_each_other_and_cover() -> None:
    error = np.random.default_rng(2).exponential(size=30_000)
    low_K, high_K = bands.constant_edges(error)
    assert (np.diff(low_K) <= 0).all()
    assert (np.diff(high_K) >= 0).all()
    inside = (error[:, None] >= low_K) & (error[:, None] <= high_K)
    np.testing.assert_allclose(inside.mean(axis=0), np.array(bands.BANDS) / 100, atol=0.001)


def test_bands_that_few_windows_do_not_tell_stay_apart() -> None:
    """Six days of hours: the 80 % and the 95 % band would both end at the largest error."""
    rng = np.random.default_rng(1)
    truth_N, z_K = rng.normal(size=150), np.array([0.67, 1.28, 1.96])
    edge_NK = z_K * rng.uniform(0.99, 1.01, size=(150, 1))
    own_K = np.array([bands.stretch(truth_N, 0 * truth_N, edge_NK[:, k], b, 24) for k, b in enumerate((50, 80, 95))])
    assert own_K[1] * 1.28 == pytest.approx(own_K[2] * 1.96)
    found_K = bands.stretches(truth_N, 0 * truth_N, edge_NK, 24)
    np.testing.assert_allclose(found_K, [own_K[0], own_K[1], own_K[1]])
    assert (np.diff(found_K * z_K) > 0.3).all()


def test_bands_that_enough_windows_tell_are_each_their_own() -> None:
    rng = np.random.default_rng(2)
    truth_N, z_K = rng.standard_t(3, size=4000), np.array([0.67, 1.28, 1.96])
    edge_NK = np.tile(z_K, (4000, 1))
    found_K = bands.stretches(truth_N, 0 * truth_N, edge_NK, 24, 0.5)
    own = [bands.stretch(truth_N, 0 * truth_N, edge_NK[:, k], b, 24, 0.5) for k, b in enumerate(bands.BANDS)]
    assert found_K.tolist() == own
    calm_K = bands.stretches(0.1 * truth_N, 0 * truth_N, edge_NK, 24, 0.0)
    assert (calm_K < 1).all()
