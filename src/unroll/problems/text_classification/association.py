"""Which class a word is a sign of. Shapes: V words, C classes."""

import numpy as np

SURE = 2.0
"""Standard errors above 0 from which a word is taken for a sign."""


def log_odds(counts_VC: np.ndarray) -> np.ndarray:
    """How much likelier each word is in each class than in all others, in standard errors (V, C).

    The difference of log-odds with half a word added to every count, divided by the root of its variance (Monroe et
    al. 2008, equations 15, 19 and 22).

    >>> log_odds(np.array([[90, 10], [10, 90]])).round(1).tolist()
    [[13.2, -13.2], [-13.2, 13.2]]
    """
    inside_VC = counts_VC + 0.5
    outside_VC = counts_VC.sum(axis=1, keepdims=True) - counts_VC + 0.5
    difference_VC = _logit(inside_VC) - _logit(outside_VC)
    scores: np.ndarray = difference_VC / np.sqrt(1 / inside_VC + 1 / outside_VC)
    return scores


def signs(counts_VC: np.ndarray) -> np.ndarray:
    """The class that each word is the surest sign of, -1 where it is none's (V,)."""
    scores_VC = log_odds(counts_VC)
    best_V: np.ndarray = np.where(scores_VC.max(axis=1) > SURE, scores_VC.argmax(axis=1), -1)
    return best_V


def _logit(counts_VC: np.ndarray) -> np.ndarray:
    """Log-odds of each word among all words of its column."""
    odds: np.ndarray = np.log(counts_VC / np.maximum(counts_VC.sum(axis=0) - counts_VC, 1e-12))
    return odds
