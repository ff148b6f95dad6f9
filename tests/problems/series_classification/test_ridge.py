"""The ridge classifier against scikit-learn's, with more examples than features and with fewer."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV

from unroll.problems.series_classification import ridge

PENALTIES = tuple(np.logspace(-3, 3, 10).tolist())


def data(count: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([count, features, classes])
    labels = rng.integers(0, classes, count)
    centres = rng.normal(size=(classes, features))
    return 3 + rng.normal(scale=3, size=(count, features)) + centres[labels], labels


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize(("count", "features"), [(200, 30), (60, 60), (40, 150)])
def test_penalty_weights_and_answers_are_those_of_scikit_learn(count: int, features: int, classes: int) -> None:
    x, labels = data(count + 50, features, classes)
    names = np.array(list("gfedcba"))[labels]
    ours = ridge.fit(x[:count], names[:count], PENALTIES)
    theirs = RidgeClassifierCV(alphas=PENALTIES).fit(x[:count], names[:count])
    assert ours.penalty == theirs.alpha_
    assert ours.classes.tolist() == theirs.classes_.tolist()
    weights, constant = ours.weights_FC.T, ours.constant_C
    if classes == 2:  # theirs has one column, for the second class
        weights, constant = weights[1:], constant[1:]
    np.testing.assert_allclose(weights, theirs.coef_.reshape(weights.shape), atol=1e-7)
    np.testing.assert_allclose(constant, theirs.intercept_, atol=1e-7)
    np.testing.assert_array_equal(ours.predict(x[count:]), theirs.predict(x[count:]))


@pytest.mark.parametrize("features", [8, 40])
def test_the_penalty_is_that_of_the_least_error_of_examples_left_out_one_by_one(features: int) -> None:
    x, labels = data(25, features, 3)
    errors = []
    for penalty in (penalties := PENALTIES[::2]):
        model, total = RidgeClassifier(alpha=penalty), 0.0
        for row in range(25):
            rest = np.arange(25) != row
            scores = model.fit(x[rest], labels[rest]).decision_function(x[[row]])[0]
            total += float(((scores - np.where(np.arange(3) == labels[row], 1, -1)) ** 2).sum())
        errors.append(total)
    assert ridge.fit(x, labels, penalties).penalty == penalties[int(np.argmin(errors))]


def test_features_that_say_nothing_or_the_same_twice_do_no_harm() -> None:
    x, labels = data(60, 10, 3)
    more = np.concatenate([x, x, np.full((60, 5), 7.0)], axis=1)
    found = ridge.fit(more, labels, (1.0,))
    assert np.isfinite(found.weights_FC).all()
    np.testing.assert_allclose(found.weights_FC[:10], found.weights_FC[10:20], atol=1e-9)
    assert not found.weights_FC[20:].any()
