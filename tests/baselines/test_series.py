"""Forecasts without a network, against loops and least squares."""

import numpy as np
import pytest

from unroll.baselines.series import Autoregression, persistence, seasonal_naive


def test_persistence_is_the_last_value() -> None:
    target_T = np.array([5.0, 7.0, np.nan, 1.0])
    np.testing.assert_array_equal(persistence(target_T, np.array([3, 0, 1])), [1.0, 5.0, 7.0])


@pytest.mark.parametrize(("horizon", "season"), [(1, 24), (3, 24), (24, 24), (30, 24), (1, 1), (5, 7)])
def test_seasonal_naive_is_a_search_for_the_time(horizon: int, season: int) -> None:
    rng = np.random.default_rng(horizon)
    rows = np.sort(rng.choice(np.arange(400), 300, replace=False))  # with gaps
    seconds_T = 1_000 + 3600 * rows
    target_T = rng.normal(size=300)
    target_T[rng.random(300) < 0.1] = np.nan
    last_N = rng.permutation(np.arange(20, 300))
    found = seasonal_naive(target_T, seconds_T, last_N, horizon, season, 3600)
    by_time = dict(zip(seconds_T.tolist(), target_T.tolist(), strict=True))
    for last, forecast in zip(last_N, found, strict=True):
        wanted = int(seconds_T[last]) + (horizon - season) * 3600
        value = by_time.get(wanted, np.nan) if wanted <= seconds_T[last] else np.nan  # never one yet to come
        expected = target_T[last] if np.isnan(value) else value
        np.testing.assert_equal(forecast, expected)


@pytest.mark.parametrize(("lag", "horizon"), [(1, 1), (6, 1), (6, 5), (24, 3)])
def test_autoregression_is_least_squares(lag: int, horizon: int) -> None:
    rng = np.random.default_rng(lag)
    target_T = np.cumsum(rng.normal(size=600)) * 0.1 + 40 + np.sin(np.arange(600) / 4)
    last_N = rng.choice(np.arange(lag - 1, 600 - horizon), 400, replace=False)
    design = np.array([[*target_T[last - lag + 1 : last + 1][::-1], 1.0] for last in last_N])
    coefficients, *_ = np.linalg.lstsq(design, target_T[last_N + horizon], rcond=None)
    model = Autoregression(target_T, last_N, lag, horizon)
    np.testing.assert_allclose(model.coefficients, coefficients, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.forecast(target_T, last_N), design @ coefficients, rtol=1e-7)


def test_autoregression_finds_the_process_that_made_the_series() -> None:
    rng = np.random.default_rng(0)
    target_T = np.zeros(20_000)
    for t in range(2, len(target_T)):
        target_T[t] = 0.6 * target_T[t - 1] + 0.3 * target_T[t - 2] + 1.0 + 0.1 * rng.normal()
    model = Autoregression(target_T, np.arange(100, 19_000), lag=2, horizon=1)
    one, two, constant = model.coefficients
    np.testing.assert_allclose([one, two], [0.6, 0.3], atol=0.03)
    assert constant / (1 - one - two) == pytest.approx(10.0, rel=0.01)  # the mean of the process


def test_autoregression_of_windows_in_many_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    target_T = rng.normal(size=500)
    last_N = np.arange(10, 490)
    whole = Autoregression(target_T, last_N, 4, 2).coefficients
    monkeypatch.setattr("unroll.baselines.series.CHUNK", 64)
    np.testing.assert_allclose(Autoregression(target_T, last_N, 4, 2).coefficients, whole, rtol=1e-9)
    model = Autoregression(target_T, last_N, 4, 2)
    design = np.array([[*target_T[last - 3 : last + 1][::-1], 1.0] for last in last_N])
    np.testing.assert_allclose(model.forecast(target_T, last_N), design @ model.coefficients, rtol=1e-9)


def test_a_constant_series_is_forecast_as_itself() -> None:
    target_T = np.full(100, 7.5)
    forecast = Autoregression(target_T, np.arange(5, 90), 3, 1).forecast(target_T, np.arange(5, 90))
    np.testing.assert_allclose(forecast, 7.5, rtol=1e-9)


def test_values_outside_the_windows_do_not_enter() -> None:
    rng = np.random.default_rng(0)
    target_T = rng.normal(size=200)
    changed = target_T.copy()
    changed[101:] = np.nan
    last_N = np.arange(5, 100)
    np.testing.assert_array_equal(
        Autoregression(target_T, last_N, 3, 1).coefficients, Autoregression(changed, last_N, 3, 1).coefficients
    )
