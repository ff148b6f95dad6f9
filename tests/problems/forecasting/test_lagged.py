"""Forecasts without a network, against loops and least squares."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from statsmodels.tsa.vector_ar.var_model import VAR

from unroll.core.errors import DataError
from unroll.problems.forecasting.lagged import (
    Autoregression,
    GradientBoosting,
    LaggedProducts,
    OneStep,
    VectorAutoregression,
    persistence,
    product,
    seasonal_naive,
)


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
    monkeypatch.setattr("unroll.problems.forecasting.lagged.CHUNK", 64)
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


def coupled(rows: int, seed: int = 0) -> np.ndarray:
    """A VAR(2) of three series, the second with a mean of its own."""
    rng = np.random.default_rng(seed)
    one = np.array([[0.5, 0.2, 0.0], [0.0, 0.4, 0.1], [0.1, 0.0, 0.3]])
    two = np.array([[0.2, 0.0, 0.1], [0.1, 0.2, 0.0], [0.0, 0.1, 0.2]])
    values = np.zeros((rows + 100, 3))
    for t in range(2, len(values)):
        values[t] = [0.0, 2.0, 0.0] + one @ values[t - 1] + two @ values[t - 2] + rng.normal(size=3)
    return values[100:]


@pytest.mark.parametrize("horizon", [1, 2, 24])
def test_a_vector_autoregression_is_that_of_statsmodels_iterated(horizon: int) -> None:
    values_TF = coupled(900)
    lag = 6
    model = VectorAutoregression(values_TF, 1, np.arange(lag - 1, 899), lag)
    chosen = VAR(values_TF).select_order(lag)
    assert model.order == chosen.aic == 2
    other = VAR(values_TF[lag - model.order :]).fit(model.order)  # the rows that have all lags before them
    last_N = np.array([10, 400, 899])
    expected = [other.forecast(values_TF[last - 1 : last + 1], horizon)[-1, 1] for last in last_N]
    np.testing.assert_allclose(model.forecast(values_TF, last_N, horizon), expected, rtol=1e-8)


@pytest.mark.parametrize("kind", ["aic", "bic"])
def test_criteria_of_all_orders_are_those_of_statsmodels(kind: str) -> None:
    values_TF = coupled(300)
    products = LaggedProducts(values_TF, np.arange(7, 299), 8)
    theirs = VAR(values_TF).select_order(8).ics[kind][1:]
    np.testing.assert_allclose([products.criterion(p, kind) for p in products.orders()], theirs, rtol=1e-7)  # type: ignore[arg-type]


def test_products_of_many_chunks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values_TF, last_N = coupled(300).astype(np.float32), np.arange(5, 299)
    whole, forecast = LaggedProducts(values_TF, last_N, 4), VectorAutoregression(values_TF, 0, last_N, 4)
    expected = forecast.forecast(values_TF, last_N, 3)
    monkeypatch.setattr("unroll.problems.forecasting.lagged.FEW", 7)
    parts = LaggedProducts(values_TF, last_N, 4)
    np.testing.assert_allclose(parts.gram, whole.gram, rtol=1e-12)
    np.testing.assert_allclose(parts.moment, whole.moment, rtol=1e-9)
    np.testing.assert_allclose(forecast.forecast(values_TF, last_N, 3), expected, rtol=1e-12)


def test_one_step_iterated_by_hand() -> None:
    rng = np.random.default_rng(0)
    model = OneStep(rng.normal(size=(3, 2, 2)) * 0.3, rng.normal(size=2), np.diag([1.0, 2.0]))
    window_LF = rng.normal(size=(5, 2))
    rows = list(window_LF)
    for _ in range(7):
        step = sum((model.coefficients_PFF[i] @ rows[-1 - i] for i in range(3)), model.intercept_F)
        rows.append(step)
    weights_HLF, bias_H, _ = model.ahead(1, 5, [7, 1, 4])
    found = product(weights_HLF, bias_H, window_LF, np.array([4]))[0]
    np.testing.assert_allclose(found, [rows[4 + h][1] for h in (7, 1, 4)], rtol=1e-12)
    with pytest.raises(DataError, match="order 3: needs windows of 3 rows; the window has 2"):
        model.ahead(1, 2, [1])


def test_the_deviation_of_iterated_forecasts_is_that_of_their_errors() -> None:
    model = OneStep(np.array([[[0.7, 0.2], [0.1, 0.5]]]), np.zeros(2), np.array([[1.0, 0.5], [0.5, 2.0]]))
    noise = np.random.default_rng(1).multivariate_normal(np.zeros(2), model.noise_FF, size=(40_000, 4))
    error = np.zeros((40_000, 2))
    for step in range(4):
        error = error @ model.coefficients_PFF[0].T + noise[:, step]
    np.testing.assert_allclose(model.ahead(0, 1, [4])[2], error[:, 0].std(), rtol=0.02)


def test_a_vector_autoregression_of_too_few_rows_is_refused() -> None:
    with pytest.raises(DataError, match="order 1: 4 rows with 2 rows before them; expected more than 4"):
        VectorAutoregression(coupled(20), 0, np.arange(4), 2)


def boosted(
    values_TF: np.ndarray, last_N: np.ndarray, horizons: tuple[int, ...], lag: int = 8
) -> tuple[GradientBoosting, np.ndarray]:
    calendar_TC = np.stack([np.arange(len(values_TF)) % 24, np.arange(len(values_TF)) // 24 % 7], axis=1)
    calendar_TC = calendar_TC.astype(np.uint8)
    return GradientBoosting(values_TF, calendar_TC, 1, last_N, lag, horizons), calendar_TC


def test_gradient_boosting_is_that_of_sklearn_on_windows_made_one_by_one() -> None:
    values_TF, last_N = coupled(600).astype(np.float32), np.arange(7, 500)
    model, calendar_TC = boosted(values_TF, last_N, (1, 5))
    x = [[*values_TF[last - 5 : last + 1][::-1].ravel(), *calendar_TC[last + 5]] for last in range(7, 595)]
    change = values_TF[last_N + 5, 1] - values_TF[last_N, 1]
    settings = {"learning_rate": 0.03, "max_iter": 250, "min_samples_leaf": 100, "l2_regularization": 1.0}
    other = HistGradientBoostingRegressor(**settings, early_stopping=False).fit(x[:493], change)
    later_N = np.arange(500, 595)
    expected = values_TF[later_N, 1] + other.predict(x[493:])
    np.testing.assert_allclose(model.forecast(values_TF, later_N, 5), expected, rtol=1e-5)


def test_gradient_boosting_learns_what_a_line_cannot() -> None:
    rng = np.random.default_rng(0)
    hours = np.arange(3000)
    daily = np.where(hours % 24 < 8, 3.0, -1.0)
    values_TF = (np.stack([rng.normal(size=3000), daily], axis=1) + 0.1 * rng.normal(size=(3000, 2))).astype(np.float32)
    model, _ = boosted(values_TF, np.arange(7, 2000), (3,))
    later_N = np.arange(2010, 2990)
    error = model.forecast(values_TF, later_N, 3) - values_TF[later_N + 3, 1]
    assert np.sqrt((error**2).mean()) < 0.15


def test_gradient_boosting_sees_train_alone_and_is_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    values_TF = coupled(500).astype(np.float32)
    changed = values_TF.copy()
    changed[305:] = np.nan
    last_N, ask_N = np.arange(7, 300), np.arange(10, 290)
    one, two = (boosted(table, last_N, (1, 5))[0].forecast(values_TF, ask_N, 5) for table in (values_TF, changed))
    np.testing.assert_array_equal(one, two)
    monkeypatch.setattr("unroll.problems.forecasting.lagged.CHUNK", 33)
    np.testing.assert_array_equal(boosted(values_TF, last_N, (5,))[0].forecast(values_TF, ask_N, 5), one)


def test_gradient_boosting_learns_an_even_choice_of_many_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    values_TF, seen = coupled(500).astype(np.float32), []
    monkeypatch.setattr("unroll.problems.forecasting.lagged.MOST_BOOSTED", 50)
    monkeypatch.setattr(GradientBoosting, "_fit", lambda self, values, last, horizon: seen.append(last))
    boosted(values_TF, np.arange(7, 490), (1,))
    assert len(seen[0]) == 50
    assert (seen[0][0], seen[0][-1]) == (7, 489)
    assert set(np.diff(seen[0])) <= {9, 10}


def test_gradient_boosting_of_a_short_window_uses_what_there_is() -> None:
    values_TF = coupled(300).astype(np.float32)
    model, _ = boosted(values_TF, np.arange(1, 250), (1,), lag=2)
    assert model.models[1].n_features_in_ == 2 * 3 + 2
