"""The scaler against NumPy, in one chunk and in many."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from unroll.features import scaling


def sample(rows: int = 997, features: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    values = rng.normal([0, 50, -1e4, 1e-3], [1, 10, 3, 1e-4], size=(rows, features)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:130, 1] = np.nan  # whole chunks without a value
    values[7, 0], values[8, 0] = np.inf, -np.inf  # no number either
    return values


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 14])
def test_mean_and_deviation_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(scaling, "CHUNK", chunk)
    values = sample()
    scaler = scaling.fit(values, slice(100, 900))
    known = np.where(np.isfinite(values[100:900]), values[100:900], np.nan).astype(np.float64)
    np.testing.assert_allclose(scaler["mean"], np.nanmean(known, axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaler["deviation"], np.nanstd(known, axis=0), rtol=1e-9)


def test_scaled_values_are_those_of_sklearn() -> None:
    values = sample()
    values[~np.isfinite(values)] = np.nan
    theirs = StandardScaler().fit(values[:500].astype(np.float64)).transform(values.astype(np.float64))
    ours = scaling.apply(values, scaling.fit(values, slice(0, 500)))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=2e-3)  # the third column keeps four digits of its noise in float32
    np.testing.assert_allclose(ours[:, [0, 1, 3]], theirs[:, [0, 1, 3]], atol=1e-5)


def test_rows_outside_do_not_enter() -> None:
    values = sample()
    changed = values.copy()
    changed[:100], changed[900:] = 1e6, -1e6
    assert scaling.fit(values, slice(100, 900)) == scaling.fit(changed, slice(100, 900))


@pytest.mark.parametrize("chunk", [1000, 1 << 14])
@pytest.mark.parametrize("value", [0.0, 0.1, -273.15, 1e7])
def test_a_constant_column_becomes_zero(monkeypatch: pytest.MonkeyPatch, value: float, chunk: int) -> None:
    monkeypatch.setattr(scaling, "CHUNK", chunk)
    values = np.full((100_003, 1), value, dtype=np.float32)
    values[::5] = np.nan
    scaler = scaling.fit(values, slice(None))
    assert scaler["deviation"] == [1.0]
    assert scaler["mean"] == pytest.approx([float(np.float32(value))], rel=1e-12)
    np.testing.assert_allclose(scaling.apply(values[1:4], scaler), 0, atol=1e-7)


def test_a_column_without_a_value_is_left_as_it_is() -> None:
    values = np.full((50, 2), np.nan, dtype=np.float32)
    values[:, 1] = np.arange(50)
    scaler = scaling.fit(values, slice(None))
    assert (scaler["mean"][0], scaler["deviation"][0]) == (0.0, 1.0)
    assert np.isnan(scaling.apply(values, scaler)[:, 0]).all()


def test_input_is_not_changed() -> None:
    values = sample()
    before = values.copy()
    scaling.apply(values, scaling.fit(values, slice(None)))
    np.testing.assert_array_equal(values, before)
