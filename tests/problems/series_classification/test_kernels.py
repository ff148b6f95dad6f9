"""Fixed convolution kernels against a convolution written out, and on shapes that stand anywhere."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from unroll.problems.series_classification import kernels
from unroll.problems.series_classification.baselines import nearest_neighbour

ALL = 84


def weights(number: int) -> np.ndarray:
    found = np.full(9, -1.0)
    found[list(kernels.KERNELS[number])] = 2
    return found


def convolve(series: np.ndarray, number: int, dilation: int) -> np.ndarray:
    """By ``np.convolve``, the kernel with zeros between its taps, turned round as a correlation wants it."""
    wide = np.zeros(8 * dilation + 1)
    wide[::dilation] = weights(number)
    reach = 4 * dilation
    return np.convolve(np.pad(series.astype(np.float64), reach), wide[::-1], mode="valid")


def anywhere(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with one short burst at a random place: up then down, or down then up, or up and down twice."""
    rng = np.random.default_rng(seed)
    shapes = np.repeat([[1, 1, -1, -1], [-1, -1, 1, 1], [1, -1, 1, -1]], 3, axis=1) * 2.0
    labels = rng.integers(0, 3, count)
    values = rng.normal(scale=0.7, size=(count, 160))
    for row, place in enumerate(rng.integers(0, 160 - 12, count)):
        values[row, place : place + 12] += shapes[labels[row]]
    return values.astype(np.float32), labels


def test_there_are_84_kernels_that_add_up_to_nothing() -> None:
    found = np.array([weights(number) for number in range(len(kernels.KERNELS))])
    assert found.shape == (ALL, 9)
    assert len(np.unique(found, axis=0)) == ALL
    assert (found.sum(axis=1) == 0).all()


@pytest.mark.parametrize(("steps", "dilation"), [(9, 1), (30, 1), (30, 3), (41, 5)])
def test_convolutions_are_those_of_numpy(steps: int, dilation: int) -> None:
    values = np.random.default_rng(0).normal(size=(4, steps)).astype(np.float32)
    for number, found in enumerate(kernels.convolutions(values, dilation)):
        expected = [convolve(series, number, dilation) for series in values]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert number == ALL - 1


def test_features_are_shares_of_steps_above_a_bias_counted_one_by_one() -> None:
    rng = np.random.default_rng(1)
    train, values = (rng.normal(size=(count, 40)).astype(np.float32) for count in (7, 3))
    transform = kernels.fit(train, seed=3, features=700)
    found, column = kernels.apply(transform, values), 0
    for place, (dilation, biases) in enumerate(zip(transform.dilations, transform.biases, strict=True)):
        for number in range(ALL):
            inner = slice(4 * dilation, -4 * dilation) if (place + number) % 2 else slice(None)
            for bias in biases[number]:
                answers = [convolve(series, number, dilation)[inner] for series in values]
                shares = [sum(answer > bias) / len(answer) for answer in answers]
                np.testing.assert_allclose(found[:, column], shares, atol=1e-6)
                column += 1
    assert column == transform.features == found.shape[1] == 672


def test_biases_are_quantiles_of_what_train_series_answer() -> None:
    train = np.random.default_rng(2).normal(size=(1, 30)).astype(np.float32)  # each kernel draws the only one
    transform = kernels.fit(train, seed=0, features=500)
    shares = iter(np.arange(1, 10_000) * (1 + 5**0.5) / 2 % 1)
    for dilation, biases in zip(transform.dilations, transform.biases, strict=True):
        for number in range(ALL):
            expected = [np.quantile(convolve(train[0], number, dilation), next(shares)) for _ in biases[number]]
            np.testing.assert_allclose(biases[number], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "features", "reach"), [(96, 4000, 11), (9, 4000, 1), (1000, 84 * 5, 124), (20, 1, 1)]
)
def test_dilations_fit_into_a_series_and_no_feature_is_lost(steps: int, features: int, reach: int) -> None:
    transform = kernels.fit(np.zeros((2, steps), dtype=np.float32), 0, features)
    assert transform.features == max(features // ALL, 1) * ALL
    assert transform.dilations[0] == 1
    assert list(transform.dilations) == sorted(set(transform.dilations))
    assert transform.dilations[-1] == reach
    assert 8 * reach + 1 <= steps


def test_chunks_do_not_change_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).normal(size=(50, 30)).astype(np.float32)
    transform = kernels.fit(values, 0, 300)
    whole = kernels.apply(transform, values)
    monkeypatch.setattr(kernels, "CHUNK", 30 * 16 * 7)
    np.testing.assert_array_equal(kernels.apply(transform, values), whole)


def test_the_classifier_is_that_of_scikit_learn() -> None:
    train, labels = anywhere(120, seed=0)
    values, _ = anywhere(80, seed=1)
    transform = kernels.fit(train, 5, 500)
    theirs = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=kernels.PENALTIES))
    theirs.fit(kernels.apply(transform, train).astype(np.float64), labels)
    expected = theirs.predict(kernels.apply(transform, values).astype(np.float64))
    assert (kernels.random_kernels(train, labels, values, 5, 500) == expected).mean() > 0.97


def test_a_shape_is_found_wherever_it_stands() -> None:
    train, labels = anywhere(60, seed=0)
    values, truth = anywhere(200, seed=1)
    found = kernels.random_kernels(train, labels, values, seed=0)
    assert (found == truth).mean() > 0.95
    assert (nearest_neighbour(train, labels, values) == truth).mean() < 0.6


def test_the_same_seed_gives_the_same_answers() -> None:
    train, labels = anywhere(60, seed=0)
    values, _ = anywhere(100, seed=1)
    first, again = (kernels.fit(train, 1, 500) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(first.biases, again.biases, strict=True))
    np.testing.assert_array_equal(*(kernels.random_kernels(train, labels, values, 1, 500) for _ in range(2)))
    assert not np.array_equal(first.biases[0], kernels.fit(train, 2, 500).biases[0])


@pytest.mark.parametrize("steps", [1, 5, 8, 9, 12])
def test_series_shorter_than_a_kernel_are_classified(steps: int) -> None:
    labels = np.arange(40) % 2
    values = np.random.default_rng(0).normal(size=(40, steps)).astype(np.float32) + 4 * labels[:, None]
    found = kernels.random_kernels(values, labels, values, 0, 500)
    assert (found == labels).mean() > 0.9


def test_one_class_few_series_and_series_that_never_change() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 20)).astype(np.float32)
    assert kernels.random_kernels(values[:1], np.array([3]), values, 0).tolist() == [3] * 5
    assert kernels.random_kernels(values[:2], np.array([1, 4]), values[:2], 0).tolist() == [1, 4]
    constant = np.full((6, 20), 2.0, dtype=np.float32)
    found = kernels.random_kernels(constant, np.array([0, 0, 0, 0, 1, 1]), constant, 0, 200)
    assert found.tolist() == [0] * 6
    assert len(kernels.random_kernels(values, np.arange(5), values[:0], 0, 200)) == 0
