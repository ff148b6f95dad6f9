"""Rise or fall without a network: by counting, and against sklearn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from unroll.problems.rise_or_fall.baselines import LagRegression, LastMove, majority

RNG = np.random.default_rng(0)
TARGET = RNG.normal(size=400).cumsum()
ENDS = np.arange(5, 390)
RISES = (TARGET[ENDS + 2] > TARGET[ENDS]).astype(np.int64)


@pytest.mark.parametrize(("rises", "side"), [([1, 1, 0], 1), ([0, 1, 0, 1], 0), ([0], 0)])
def test_the_majority_is_the_larger_side_and_its_share(rises: list[int], side: int) -> None:
    probability, guess = majority(np.array(rises), 3)
    assert guess.tolist() == [side] * 3
    assert probability.tolist() == pytest.approx([np.mean(rises)] * 3)


def test_the_last_move_is_as_likely_to_go_on_as_it_was_in_train() -> None:
    probability, guess = LastMove(TARGET, ENDS, RISES).guess(TARGET, ENDS)
    counts = {0: [1, 2], 1: [1, 2]}
    for end, rise in zip(ENDS, RISES, strict=True):
        moved = int(TARGET[end] > TARGET[end - 1])
        counts[moved][0] += rise
        counts[moved][1] += 1
    for end, chance, said in zip(ENDS, probability, guess, strict=True):
        moved = int(TARGET[end] > TARGET[end - 1])
        assert said == moved
        assert chance == pytest.approx(counts[moved][0] / counts[moved][1])


def test_the_regression_is_sklearns() -> None:
    circle = RNG.normal(size=(400, 2))
    probability, guess = LagRegression(TARGET, circle, ENDS, RISES, 4).guess(TARGET, circle, ENDS)
    design = np.array([[*TARGET[end - 3 : end + 1][::-1], *circle[end]] for end in ENDS])
    expected = LogisticRegression(max_iter=1000).fit(design, RISES).predict_proba(design)[:, 1]
    np.testing.assert_allclose(probability, expected, atol=1e-6)
    assert (guess == (expected > 0.5)).all()


def test_one_class_alone_is_certain() -> None:
    circle = np.zeros((400, 0))
    probability, guess = LagRegression(TARGET, circle, ENDS, np.zeros_like(ENDS), 4).guess(TARGET, circle, ENDS)
    assert set(probability) == {0.0}
    assert set(guess) == {0}
