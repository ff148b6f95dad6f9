"""Calendar codes against pandas."""

import numpy as np
import pandas as pd
import pytest

from unroll.problems.windows import calendar
from unroll.problems.windows.calendar import PERIODS, Feature

ALL: tuple[Feature, ...] = ("hour", "weekday", "month")


def times() -> pd.DatetimeIndex:
    rng = np.random.default_rng(0)
    random = rng.integers(-2_000_000_000, 5_000_000_000, 2000)  # 1906 to 2128: before 1970, too
    edges = ["1970-01-01", "1969-12-31T23:59:59", "2016-02-29T23:00", "2016-03-01", "2000-12-31T23:59:59", "2001-01-01"]
    return pd.DatetimeIndex(np.concatenate([random.astype("datetime64[s]"), np.array(edges, dtype="datetime64[s]")]))


@pytest.mark.parametrize("block", [17, 1 << 16])
def test_codes_are_those_of_pandas(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(calendar, "BLOCK", block)
    index = times()
    codes = calendar.codes(index.to_numpy().astype(np.int64), ALL)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, np.stack([index.hour, index.day_of_week, index.month - 1], axis=1))


def test_only_the_features_asked_for_in_the_order_asked_for() -> None:
    index = times()
    seconds = index.to_numpy().astype(np.int64)
    codes = calendar.codes(seconds, ("month", "hour"))
    np.testing.assert_array_equal(codes, np.stack([index.month - 1, index.hour], axis=1))
    assert calendar.codes(seconds, ()).shape == (len(index), 0)


def test_a_code_is_a_point_on_its_circle() -> None:
    codes = calendar.codes(times().to_numpy().astype(np.int64), ALL)
    points = calendar.expand(codes.reshape(2, -1, 3), ALL)
    assert points.dtype == np.float32
    assert points.shape == (2, codes.shape[0] // 2, calendar.width(ALL))
    turns = codes / np.array([24, 7, 12])
    expected = np.stack([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)], axis=2).reshape(2, -1, 6)
    np.testing.assert_allclose(points, expected, atol=1e-6)


@pytest.mark.parametrize("feature", ALL)
def test_the_last_code_is_as_near_to_the_first_as_the_second(feature: Feature) -> None:
    codes = np.arange(PERIODS[feature], dtype=np.uint8)[:, None]
    points = calendar.expand(codes, (feature,)).astype(np.float64)
    steps = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[1], rtol=1e-5)


def test_no_features_give_no_inputs() -> None:
    assert calendar.expand(np.zeros((3, 5, 0), dtype=np.uint8), ()).shape == (3, 5, 0)
