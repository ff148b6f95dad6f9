"""A ridge classifier whose penalty is chosen on train, one example left out at a time.

Shapes: N examples, F features, C classes, R directions (the smaller of N and F).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ridge:
    """Fitted weights; ``classes`` are the labels in the order of the columns."""

    classes: np.ndarray
    penalty: float
    weights_FC: np.ndarray
    constant_C: np.ndarray

    def predict(self, x_NF: np.ndarray) -> np.ndarray:
        """The label of the largest score of each example (N,)."""
        scores_NC = x_NF @ self.weights_FC.astype(x_NF.dtype) + self.constant_C
        labels_N: np.ndarray = self.classes[scores_NC.argmax(axis=1)]
        return labels_N


def fit(x_NF: np.ndarray, labels_N: np.ndarray, penalties: Sequence[float]) -> Ridge:
    """Least squares on 1 for an example's class and −1 for the others, with a penalty on the weights' squares.

    The penalty is the one with the least squared error where each example is left out once, from the diagonal of the
    hat matrix (Golub, Heath & Wahba 1979; Hastie et al. 2009, equation 7.64). The result is that of scikit-learn's
    RidgeClassifierCV, which takes a singular value decomposition: the eigenvectors of the smaller of XᵀX and XXᵀ are
    many times faster. Several classes are needed.
    """
    classes, labels_N = np.unique(labels_N, return_inverse=True)
    y_NC = np.where(labels_N[:, None] == np.arange(len(classes)), 1.0, -1.0)
    mean_F, mean_C = x_NF.mean(axis=0, dtype=np.float64), y_NC.mean(axis=0)
    x_NF, y_NC = x_NF - mean_F, y_NC - mean_C
    is_tall = len(x_NF) >= x_NF.shape[1]
    spectrum_R, vectors = np.linalg.eigh(x_NF.T @ x_NF if is_tall else x_NF @ x_NF.T)
    spectrum_R = np.maximum(spectrum_R, 0.0)  # none is negative but for rounding
    turned_NR = x_NF @ vectors if is_tall else vectors * np.sqrt(spectrum_R)
    along_RC, squares_NR = turned_NR.T @ y_NC, turned_NR**2
    errors = []
    for penalty in penalties:
        left_NC = y_NC - turned_NR @ (along_RC / (spectrum_R + penalty)[:, None])
        leverage_N = 1 / len(y_NC) + squares_NR @ (1 / (spectrum_R + penalty))
        errors.append(float(np.mean((left_NC / np.maximum(1 - leverage_N, 1e-12)[:, None]) ** 2)))
    penalty = penalties[int(np.argmin(errors))]
    if is_tall:
        weights_FC = vectors @ (along_RC / (spectrum_R + penalty)[:, None])
    else:
        weights_FC = x_NF.T @ (vectors @ ((vectors.T @ y_NC) / (spectrum_R + penalty)[:, None]))
    return Ridge(classes, penalty, weights_FC, mean_C - mean_F @ weights_FC)
