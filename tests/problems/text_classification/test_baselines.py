"""Baselines of texts."""

import numpy as np

from unroll.problems.common.classification import majority
from unroll.problems.text_classification.baselines import tfidf_logistic_regression

WORDS = ["gate", "flight", "crew", "bag", "seat", "the", "a", "my", "to", "at", "and", "was", "is"]


def make(rng: np.random.Generator, count: int) -> tuple[list[str], np.ndarray]:
    """Texts whose class is told by one word, misspelt now and then: words alone do not suffice."""
    labels = rng.integers(0, 3, count)
    signs = ["terrible", "question", "wonderful"]
    texts = []
    for label in labels:
        sign = list(signs[label])
        sign[int(rng.integers(3, 8))] = str(rng.choice(list("xyz")))
        texts.append(" ".join([*rng.choice(WORDS, 5), "".join(sign)]))
    return texts, labels


def test_majority_is_the_most_frequent_class_and_the_first_of_equals() -> None:
    assert majority(np.array([2, 1, 2]), 3).tolist() == [2, 2, 2]
    assert majority(np.array([4, 1, 4, 1]), 2).tolist() == [1, 1]


def test_tfidf_reads_words_by_their_characters() -> None:
    rng = np.random.default_rng(0)
    (train, train_labels), (texts, labels) = make(rng, 300), make(rng, 200)
    guess = tfidf_logistic_regression(train, train_labels, texts)
    assert (guess == labels).mean() > 0.97
    assert np.array_equal(guess, tfidf_logistic_regression(train, train_labels, texts))


def test_tfidf_hears_the_order_of_two_words() -> None:
    train = ["not good but bad", "not bad but good"] * 40
    guess = tfidf_logistic_regression(train, np.array([0, 1] * 40), ["not good", "but good"])
    assert guess.tolist() == [0, 1]


def test_tfidf_hears_marks_and_emoticons() -> None:
    train = ["on my way :)", "on my way :(", "on my way !!"] * 40
    guess = tfidf_logistic_regression(train, np.array([0, 1, 2] * 40), ["way :)", "way :(", "way !!"])
    assert guess.tolist() == [0, 1, 2]


def test_tfidf_with_one_class_or_few_texts() -> None:
    assert tfidf_logistic_regression(["a b", "c d"], np.array([1, 1]), ["x", "a", ""]).tolist() == [1, 1, 1]
    assert tfidf_logistic_regression(["good trip", "bad trip"], np.array([0, 1]), ["good", "bad"]).tolist() == [0, 1]
