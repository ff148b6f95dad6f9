"""Words as signs of classes, against the log-odds counted one by one and against statsmodels."""

import math

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import Table2x2

from unroll.problems.text_classification import association

COUNTS = np.array([[40, 3, 5], [4, 30, 2], [7, 9, 8], [0, 0, 20], [1, 0, 0]])


def test_differences_and_errors_word_by_word() -> None:
    found = association.log_odds(COUNTS)
    half = COUNTS + 0.5
    for word in range(5):
        for kind in range(3):
            others = COUNTS.sum(axis=1) - COUNTS[:, kind] + 0.5
            inside = half[word, kind] / (half[:, kind].sum() - half[word, kind])
            outside = others[word] / (others.sum() - others[word])
            error = math.sqrt(1 / half[word, kind] + 1 / others[word])
            assert found[word, kind] == pytest.approx((math.log(inside) - math.log(outside)) / error)


def test_for_rare_words_among_many_it_is_the_z_of_an_odds_ratio() -> None:
    counts = np.array([[60, 20], [100_000, 90_000]])
    theirs = Table2x2([[60.5, 20.5], [100_000.5, 90_000.5]])
    assert association.log_odds(counts)[0, 0] == pytest.approx(theirs.log_oddsratio / theirs.log_oddsratio_se, rel=1e-3)


def test_signs_are_sure_or_none() -> None:
    assert association.signs(COUNTS).tolist() == [0, 1, -1, 2, -1]
    assert association.signs(np.array([[5, 0]])).tolist() == [-1]  # the only word there is: no odds
