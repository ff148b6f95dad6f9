"""Missing values filled in: beside pandas, never across a split or a gap, and masks that look at no later row."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from unroll.problems.windows import filling


@pytest.fixture
def holes() -> np.ndarray:
    rng = np.random.default_rng(0)
    values_TF = rng.normal(size=(500, 3))
    values_TF[rng.random(values_TF.shape) < 0.3] = np.nan
    return values_TF


@pytest.mark.parametrize("most", [1, 2, 5])
def test_lines_are_those_of_pandas_in_stretches_that_are_short_enough(holes: np.ndarray, most: int) -> None:
    filled = holes.copy()
    missing = filling.fill(filled, filling.breaks(np.ones(len(holes), dtype=bool)), "interpolate", most)
    np.testing.assert_array_equal(missing, np.isnan(holes))
    for column in range(3):
        own = pd.Series(holes[:, column])
        run = own.isna().groupby(own.notna().cumsum()).transform("sum")
        expected = own.interpolate(limit_area="inside").where(own.notna() | (run <= most))
        np.testing.assert_allclose(filled[:, column], expected, atol=1e-12)


@pytest.mark.parametrize("most", [1, 3])
def test_masked_values_are_those_that_pandas_carries_on(holes: np.ndarray, most: int) -> None:
    filled = holes.copy()
    filling.fill(filled, filling.breaks(np.ones(len(holes), dtype=bool)), "mask", most)
    np.testing.assert_array_equal(filled, pd.DataFrame(holes).ffill(limit=most).to_numpy())


@pytest.mark.parametrize("how", ["interpolate", "mask"])
def test_nothing_is_filled_from_another_stretch(how: filling.How, holes: np.ndarray) -> None:
    joined = np.ones(len(holes), dtype=bool)
    joined[[120, 300]] = False
    breaks_T = filling.breaks(joined, [0, 200, 400])
    whole = holes.copy()
    filling.fill(whole, breaks_T, how, 3)
    bounds = [0, 120, 200, 300, 400, 500]
    for low, high in pairwise(bounds):
        alone = holes[low:high].copy()
        filling.fill(alone, filling.breaks(np.ones(len(alone), dtype=bool)), how, 3)
        np.testing.assert_array_equal(whole[low:high], alone)


def test_a_mask_knows_nothing_of_later_rows(holes: np.ndarray) -> None:
    breaks_T = filling.breaks(np.ones(len(holes), dtype=bool))
    filled, cut = holes.copy(), holes[:250].copy()
    filling.fill(filled, breaks_T, "mask", 10)
    filling.fill(cut, breaks_T[:250], "mask", 10)
    np.testing.assert_array_equal(filled[:250], cut)


def test_only_short_gaps_of_whole_steps_are_bridged() -> None:
    seconds = np.array([0, 60, 240, 300, 330, 390, 1000])
    assert filling.bridge(seconds, 60, 2).tolist() == [0, 60, 120, 180, 240, 300, 330, 390, 1000]
    assert filling.bridge(seconds, 60, 1).tolist() == seconds.tolist()
