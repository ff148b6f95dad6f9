"""Classifiers of texts without a network. Shapes: N texts, M train texts."""

from collections.abc import Sequence

import numpy as np

from unroll.features import tokenization
from unroll.problems.common import classification

INVERSE_PENALTY = 3.0
"""Of the logistic regression: the best of 1, 3 and 10 on the validation part of the lab's tweets."""


def tfidf_logistic_regression(
    train_texts: Sequence[str], train_labels_M: np.ndarray, texts: Sequence[str]
) -> np.ndarray:
    """Class of each clean text by logistic regression on TF-IDF of words (1–2) and characters in words (2–5).

    Words are ``features.tokenization.tokens``: !, ? and emoticons are among them. Term frequencies are logarithmic
    (Salton & Buckley 1988). What stands in one train text only is left out, unless nothing else is there.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    if len(np.unique(train_labels_M)) < 2:  # nothing to tell apart
        return classification.majority(train_labels_M, len(texts))
    least = 2 if len(train_texts) >= 100 else 1
    words = TfidfVectorizer(
        tokenizer=tokenization.tokens, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True, min_df=least
    )
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=least)
    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
    pipeline = make_pipeline(make_union(words, characters), regression)
    guess: np.ndarray = pipeline.fit(train_texts, train_labels_M).predict(texts)
    return guess
