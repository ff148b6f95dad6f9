"""The classical models against statsmodels' own forecasts of the same windows, and against processes simulated."""

import time
from typing import Any

import numpy as np
import pytest
from statsmodels.regression.linear_model import yule_walker
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.arima.model import ARIMA
from statsmodels.tsa.arima_process import arma2ma, arma_generate_sample
from statsmodels.tsa.stattools import pacf
from statsmodels.tsa.vector_ar.var_model import VAR

from unroll.core.errors import DataError
from unroll.problems.forecasting import classical
from unroll.problems.forecasting.classical import Affine, acf_pacf, fit

LAG, HORIZONS = 12, (1, 2, 6)


def arma(seed: int, rows: int, phi: list[float], theta: list[float]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = arma_generate_sample([1, *(-p for p in phi)], [1, *theta], rows, distrvs=rng.standard_normal, burnin=200)
    return made + 3.0


def coupled(seed: int, rows: int) -> np.ndarray:
    """A VAR(2) of three series."""
    rng = np.random.default_rng(seed)
    one = np.array([[0.5, 0.2, 0.0], [0.0, 0.4, 0.1], [0.1, 0.0, 0.3]])
    two = np.array([[0.2, 0.0, 0.1], [0.1, 0.2, 0.0], [0.0, 0.1, 0.2]])
    values = np.zeros((rows + 100, 3))
    for t in range(2, len(values)):
        values[t] = 1.0 + one @ values[t - 1] + two @ values[t - 2] + rng.normal(size=3) * [1.0, 0.5, 2.0]
    return values[100:]


def whole(values: np.ndarray) -> np.ndarray:
    return np.array([[0, len(values)]])


def fitted(kind: Any, values: np.ndarray, order: Any, criterion: Any = "aic", **more: Any) -> Affine:
    """A model of the second series (of the first where there is one), and on all rows where no runs are given."""
    table = values if values.ndim == 2 else values[:, None]
    runs = more.pop("runs", whole(values))
    return fit(kind, table, runs, min(1, table.shape[1] - 1), LAG, HORIZONS, order, criterion, **more)


@pytest.mark.parametrize("order", [1, 3, 12])
def test_an_autoregression_forecasts_as_that_of_statsmodels(order: int) -> None:
    values_T = arma(0, 800, [0.6, 0.2], [])
    found = fitted("ar", values_T, order, method="maximum_likelihood")
    other = AutoReg(values_T, order).fit()
    forecast = other.get_prediction(len(values_T), len(values_T) + 5)
    steps = np.array(HORIZONS) - 1
    np.testing.assert_allclose(
        found.forecast(values_T[:, None], np.array([799]))[0], forecast.predicted_mean[steps], rtol=1e-8
    )
    np.testing.assert_allclose(found.deviation_H, forecast.se_mean[steps], rtol=1e-8)
    assert found.order == (order,)
    assert not found.weights_HLF[:, : LAG - order].any()


@pytest.mark.parametrize("order", [1, 4])
def test_yule_walker_is_that_of_statsmodels(order: int) -> None:
    values_T = arma(1, 500, [0.7], [0.3])
    found = fitted("ar", values_T, order, method="yule_walker")
    rho, sigma = yule_walker(values_T - values_T.mean(), order, method="mle", result_object=True)[:2]
    psi = arma2ma(np.r_[1, -rho], [1], 6)
    np.testing.assert_allclose(found.weights_HLF[0, ::-1, 0][:order], rho, rtol=1e-9)
    np.testing.assert_allclose(found.bias_H[0], values_T.mean() * (1 - rho.sum()), rtol=1e-9)
    np.testing.assert_allclose(found.deviation_H, [sigma * np.sqrt((psi[:h] ** 2).sum()) for h in HORIZONS], rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_vector_autoregression_forecasts_as_that_of_statsmodels(order: int) -> None:
    values_TF = coupled(0, 600)
    found = fitted("var", values_TF, order)
    other = VAR(values_TF).fit(order)
    last_N = np.array([20, 300, 599])
    for last, forecast_H in zip(last_N, found.forecast(values_TF, last_N), strict=True):
        expected = other.forecast(values_TF[last - order + 1 : last + 1], 6)[:, 1]
        np.testing.assert_allclose(forecast_H, expected[np.array(HORIZONS) - 1], rtol=1e-8)
    steps, rows = np.array(HORIZONS) - 1, 600 - order
    theirs = other.forecast_cov(6)[steps, 1, 1] * (rows - 3 * order - 1) / rows  # they divide by degrees of freedom
    np.testing.assert_allclose(found.deviation_H**2, theirs, rtol=1e-8)


@pytest.mark.filterwarnings("ignore:Maximum Likelihood")
@pytest.mark.parametrize("order", [(1, 1), (2, 1), (0, 2), (2, 0), (3, 2)])
def test_an_arma_forecasts_as_that_of_statsmodels_filtering_the_same_window(order: tuple[int, int]) -> None:
    values_T = arma(2, 400, [0.5, 0.3], [0.4])
    found = fitted("arma", values_T, order)
    mean = values_T.mean()
    other = ARIMA(values_T - mean, order=(order[0], 0, order[1]), trend="n").fit()
    last_N = np.array([LAG - 1, 150, 399])
    for last, forecast_H in zip(last_N, found.forecast(values_T[:, None], last_N), strict=True):
        window = other.apply(values_T[last - LAG + 1 : last + 1] - mean).get_forecast(6)
        steps = np.array(HORIZONS) - 1
        np.testing.assert_allclose(forecast_H, window.predicted_mean[steps] + mean, rtol=1e-6)
        np.testing.assert_allclose(found.deviation_H, window.se_mean[steps], rtol=1e-6)
    phi, theta = np.split(other.params[:-1], [order[0]])
    psi = arma2ma(np.r_[1, -phi], np.r_[1, theta], 6)
    infinite = [np.sqrt(other.params[-1] * (psi[:h] ** 2).sum()) for h in HORIZONS]
    np.testing.assert_allclose(found.deviation_H, infinite, rtol=0.06)  # the whole past knows a little more
    assert (found.deviation_H >= np.array(infinite) * (1 - 1e-9)).all()


def pooled(values_TF: np.ndarray, runs: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    rows = [t for start, stop in runs for t in range(start + order, stop)]
    design = np.array([[1, *values_TF[t - order : t][::-1].ravel()] for t in rows])
    return np.linalg.lstsq(design, values_TF[rows], rcond=None)[0], design


def test_runs_are_pooled_and_nothing_reaches_across_a_gap() -> None:
    values_TF = coupled(3, 500)
    runs = np.array([[0, 40], [60, 200], [200, 350], [351, 480]])  # two of them have a gap in time between them only
    values_TF[40:60] = np.nan
    values_TF[350], values_TF[480:] = np.nan, 1e9
    found = fitted("var", values_TF, 2, runs=runs)
    solved, _ = pooled(values_TF, runs, 2)
    np.testing.assert_allclose(found.bias_H[0], solved[0, 1], rtol=1e-8)
    np.testing.assert_allclose(found.weights_HLF[0, -1], solved[1:4, 1], rtol=1e-8)
    np.testing.assert_allclose(found.weights_HLF[0, -2], solved[4:7, 1], rtol=1e-8)
    assert found.note == "conditional maximum likelihood on 451 rows of 4 runs"
    series_T = values_TF[:, 1]
    alone = fitted("ar", values_TF, 2, method="yule_walker", runs=runs)
    mean = np.concatenate([series_T[a:b] for a, b in runs]).mean()
    pieces = [series_T[a:b] - mean for a, b in runs]
    zero, one, two = (sum(float(p[k:] @ p[: len(p) - k]) for p in pieces) for k in (0, 1, 2))
    rho = np.linalg.solve([[zero, one], [one, zero]], [one, two])
    np.testing.assert_allclose(alone.weights_HLF[0, -2:, 1], rho[::-1], rtol=1e-9)
    noise = (zero - rho @ [one, two]) / sum(map(len, pieces))
    np.testing.assert_allclose(alone.deviation_H[0], np.sqrt(noise), rtol=1e-9)
    assert not alone.weights_HLF[:, :, [0, 2]].any()


def test_an_arma_sees_missing_rows_between_the_runs() -> None:
    values_T = arma(5, 900, [0.8], [0.3])
    runs = np.array([[0, 300], [320, 600], [600, 880]])
    broken = np.concatenate([values_T[:300], np.full(20, np.nan), values_T[320:600], np.full(12, np.nan)])
    broken = np.concatenate([broken, values_T[600:880]])
    mean = np.nanmean(broken)
    other = ARIMA(broken - mean, order=(1, 0, 1), trend="n").fit()
    found = fitted("arma", values_T, (1, 1), runs=runs)
    window = other.apply(values_T[100 - LAG + 1 : 101] - mean).forecast(6) + mean
    np.testing.assert_allclose(
        found.forecast(values_T[:, None], np.array([100]))[0], window[np.array(HORIZONS) - 1], rtol=1e-5
    )


@pytest.mark.parametrize("method", ["yule_walker", "maximum_likelihood"])
@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_the_order_of_an_autoregression_is_found(criterion: str, method: str) -> None:
    values_T = arma(6, 4000, [0.4, 0.0, 0.4], [])
    found = fitted("ar", values_T, None, criterion, method=method)
    assert found.order == (3,)
    assert found.name == f"AR(3) by {criterion.upper()}"


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_the_order_of_a_vector_autoregression_is_that_of_statsmodels(criterion: str) -> None:
    values_TF = coupled(7, 700)
    chosen = VAR(values_TF).select_order(LAG)
    found = fitted("var", values_TF, None, criterion)
    assert found.order == (chosen.selected_orders[criterion],)
    assert fitted("var", coupled(8, 6000), None, "bic").order == (2,)


def test_the_order_of_an_arma_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classical, "MOST_ARMA", 2)
    found = fitted("arma", arma(9, 1000, [0.8], [0.5]), None, "bic")
    assert found.order == (1, 1)
    assert found.name == "ARMA(1, 1) by BIC"
    assert "compared on the last 5,000 rows" in found.note


@pytest.mark.parametrize("method", ["yule_walker", "maximum_likelihood"])
def test_the_order_by_validation_is_the_best_there(method: str) -> None:
    values_T = arma(10, 1500, [0.5, 0.0, 0.0, 0.4], [])
    table, train, validation = values_T[:, None], np.array([[0, 1000]]), np.array([[1000, 1200], [1250, 1500]])
    last_N = np.concatenate([np.arange(1000 + LAG - 1, 1200 - 6), np.arange(1250 + LAG - 1, 1500 - 6)])
    truth_NH = values_T[last_N[:, None] + HORIZONS]

    def error(order: int) -> float:
        guess_NH = fitted("ar", values_T, order, runs=train, method=method).forecast(table, last_N)
        return float(((guess_NH - truth_NH) ** 2).mean(0).sum())

    found = fitted("ar", values_T, None, "validation", method=method, runs=train, validation_runs_V2=validation)
    assert error(found.order[0]) == pytest.approx(min(map(error, range(1, LAG + 1))), rel=1e-3)
    assert found.name == f"AR({found.order[0]}) by validation"
    with pytest.raises(DataError, match="no validation_runs_V2"):
        fitted("ar", values_T, None, "validation", method=method)
    with pytest.raises(DataError, match=r"no run holds 12 \+ 6 rows"):
        fitted("ar", values_T, None, "validation", method=method, validation_runs_V2=np.array([[0, 17]]))


def test_only_the_rows_of_the_runs_enter() -> None:
    values_TF = coupled(11, 600).astype(np.float32)
    changed = values_TF.copy()
    changed[400:] = np.nan
    for kind, order in (("ar", 3), ("var", 2), ("arma", (1, 1)), ("ar", None), ("var", None)):
        one, two = (fitted(kind, table, order, runs=np.array([[0, 400]])) for table in (values_TF, changed))
        np.testing.assert_array_equal(one.weights_HLF, two.weights_HLF)
        np.testing.assert_array_equal(one.deviation_H, two.deviation_H)


def test_the_deviation_is_that_of_the_errors() -> None:
    values_TF = coupled(12, 12_000)
    last_N = np.arange(8000, 11_990)
    for kind, order in (("ar", 4), ("var", 2), ("arma", (2, 1))):
        found = fitted(kind, values_TF, order, runs=np.array([[0, 6000]]))
        error_NH = found.forecast(values_TF, last_N) - values_TF[last_N[:, None] + HORIZONS, 1]
        np.testing.assert_allclose(error_NH.std(axis=0), found.deviation_H, rtol=0.06)


def test_a_million_rows_are_affordable(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 1_000_000
    values_TF = np.random.default_rng(0).standard_normal((rows, 2), dtype=np.float32)
    values_TF[1:] += 0.5 * values_TF[:-1]
    began = time.process_time()
    fit("ar", values_TF, whole(values_TF), 0, 6, (1, 6), None, "aic", "yule_walker")
    fit("var", values_TF, whole(values_TF), 0, 6, (1, 6), None, "aic")
    monkeypatch.setattr(classical, "MOST_ROWS", 2000)
    found = fit("arma", values_TF, whole(values_TF), 0, 6, (1, 6), (0, 1), "aic")
    assert found.note.startswith("exact maximum likelihood on the last 2,000 of 1,000,000 rows, 1 runs")
    assert time.process_time() - began < 30


def test_the_last_rows_of_the_runs_are_kept() -> None:
    runs = classical._Runs(np.zeros((100, 1)), np.array([[0, 10], [20, 30], [40, 50]]), 0, 3, (1,))
    np.testing.assert_array_equal(runs.last(14).runs_R2, [[26, 30], [40, 50]])
    np.testing.assert_array_equal(runs.last(10).runs_R2, [[40, 50]])
    np.testing.assert_array_equal(runs.last(99).runs_R2, runs.runs_R2)


@pytest.mark.parametrize("missing", [False, True])
def test_autocorrelations(missing: bool) -> None:
    values_T = arma(13, 700, [0.6], [])
    if missing:
        values_T[np.random.default_rng(0).random(700) < 0.1] = np.nan
    correlations, partials, bound = acf_pacf(values_T, 10)
    off_T = np.nan_to_num(values_T - np.nanmean(values_T))
    present_T = np.isfinite(values_T)
    expected = [off_T[k:] @ off_T[: 700 - k] / (off_T @ off_T) for k in range(11)]
    np.testing.assert_allclose(correlations, expected, rtol=1e-9, atol=1e-12)
    if not missing:
        np.testing.assert_allclose(partials, pacf(values_T, nlags=10, method="ldbiased"), rtol=1e-9)
    assert partials[1] == pytest.approx(correlations[1])
    assert bound == pytest.approx(1.96 / np.sqrt(present_T.sum()))
    with pytest.raises(DataError, match="5 values; expected more than the 10 lags"):
        acf_pacf(np.arange(5.0), 10)


def test_what_does_not_fit_is_named() -> None:
    values_TF = coupled(14, 100)
    for kind, order in (("ar", 13), ("ar", 0), ("var", (1, 1)), ("arma", 2), ("arma", (0, 0)), ("arma", (13, 1))):
        with pytest.raises(DataError, match=rf"{kind}: order .*; expected (p|\(p, q\)) with p from"):
            fitted(kind, values_TF, order)
    with pytest.raises(DataError, match="kind 'arima': unknown; expected one of ar, var, arma"):
        fitted("arima", values_TF, 1)
    with pytest.raises(DataError, match="expected at least one range"):
        fitted("ar", values_TF, 1, runs=np.empty((0, 2), dtype=int))
    with pytest.raises(DataError, match=r"order 2: 7 rows with 2 rows before them; expected more than 7"):
        fitted("var", values_TF, 2, runs=np.array([[0, 9]]))
    with pytest.raises(DataError, match="3 rows with 12 rows before them; expected more than 4"):
        fitted("var", values_TF, None, runs=np.array([[0, 15]]))
    with pytest.raises(DataError, match=r"AR\(3\): 4 rows; expected more than 4"):
        fitted("ar", values_TF, 3, method="yule_walker", runs=np.array([[0, 4]]))
    values_TF[50, 0] = np.nan
    fitted("ar", values_TF, 1)  # another series' missing value is no matter
    with pytest.raises(DataError, match="var: a missing value in rows 0 to 100"):
        fitted("var", values_TF, 1)


@pytest.mark.parametrize("kind", ["ar", "var", "arma"])
def test_a_constant_target_is_refused(kind: Any) -> None:
    with pytest.raises(DataError, match=r"the target is 2\.0 in all rows; expected a series that varies"):
        fitted(kind, np.full(100, 2.0), None)


def test_another_series_may_be_constant() -> None:
    values_TF = coupled(15, 400)
    both = fitted("var", np.column_stack([values_TF[:, :2], np.zeros(400)]), None)
    alone = fitted("var", values_TF[:, :2], both.order[0])
    assert both.order[0] == fitted("var", values_TF[:, :2], None).order[0]
    np.testing.assert_allclose(both.weights_HLF[:, :, :2], alone.weights_HLF, rtol=1e-6, atol=1e-9)
