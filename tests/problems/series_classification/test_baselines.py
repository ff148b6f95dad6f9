"""Classifiers without a network, against sklearn."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier

from unroll.problems.common.classification import majority
from unroll.problems.series_classification.baselines import nearest_neighbour


def test_majority_is_that_of_sklearn() -> None:
    labels = np.random.default_rng(0).choice(5, 200, p=[0.1, 0.2, 0.4, 0.2, 0.1])
    theirs = DummyClassifier(strategy="most_frequent").fit(np.zeros((200, 1)), labels)
    np.testing.assert_array_equal(majority(labels, 7), theirs.predict(np.zeros((7, 1))))


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("chunk", [1, 64, 512])
def test_the_nearest_neighbour_is_that_of_sklearn(chunk: int, offset: float) -> None:
    rng = np.random.default_rng(0)
    train = (rng.normal(size=(300, 20)) + offset).astype(np.float32)
    labels = rng.integers(0, 6, 300)
    values = (rng.normal(size=(150, 20)) + offset).astype(np.float32)
    theirs = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(train.astype(np.float64), labels)
    expected = theirs.predict(values.astype(np.float64))
    np.testing.assert_array_equal(nearest_neighbour(train, labels, values, chunk), expected)


def test_a_series_that_stands_in_train_is_its_own_neighbour() -> None:
    rng = np.random.default_rng(1)
    train = rng.normal(size=(500, 96)).astype(np.float32)
    labels = np.arange(500)
    np.testing.assert_array_equal(nearest_neighbour(train, labels, train), labels)


def test_of_equals_the_first() -> None:
    rng = np.random.default_rng(2)
    once = rng.normal(size=(40, 96)).astype(np.float32)
    train = np.concatenate([once, once, once[::-1]])
    labels = np.arange(120)
    np.testing.assert_array_equal(nearest_neighbour(train, labels, once), np.arange(40))
