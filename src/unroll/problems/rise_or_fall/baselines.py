"""Whether a series rises, without a network: probabilities and guesses. Shapes: N windows, T rows, L lags."""

import numpy as np

MOST = 200_000
"""Windows that the regression learns from at most, evenly from all of train."""


def majority(rises_N: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The share of rises in train as the probability, and the larger side as the guess."""
    share = float(rises_N.mean())
    return np.full(count, share), np.full(count, int(share > 0.5))


class LastMove:
    """The last move goes on; its probability is how often it did so in train, after a rise and after none."""

    def __init__(self, target_T: np.ndarray, last_N: np.ndarray, rises_N: np.ndarray) -> None:
        moved_N = self._rose(target_T, last_N)
        # One of each is added (Laplace), so that no probability is 0 or 1.
        self.share = [float((rises_N[moved_N == side].sum() + 1) / ((moved_N == side).sum() + 2)) for side in (0, 1)]

    def guess(self, target_T: np.ndarray, last_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability of a rise, and whether the last move was one."""
        moved_N = self._rose(target_T, last_N)
        return np.array(self.share)[moved_N], moved_N

    def _rose(self, target_T: np.ndarray, last_N: np.ndarray) -> np.ndarray:
        before_N = target_T[np.maximum(last_N - 1, 0)]
        return (target_T[last_N] > before_N).astype(np.int64)


class LagRegression:
    """Logistic regression on the target's lags and the calendar's circles, with a light ridge (Cox 1958)."""

    def __init__(self, values_T: np.ndarray, circle_TC: np.ndarray, last_N: np.ndarray, rises: np.ndarray, lag: int):
        from sklearn.linear_model import LogisticRegression

        self.lag = lag
        chosen = np.linspace(0, len(last_N) - 1, min(len(last_N), MOST)).astype(np.int64)
        if len(np.unique(rises[chosen])) < 2:
            self.model, self.only = None, float(rises[chosen][0])
        else:
            self.model = LogisticRegression(max_iter=1000)
            self.model.fit(self._design(values_T, circle_TC, last_N[chosen]), rises[chosen])

    def guess(self, values_T: np.ndarray, circle_TC: np.ndarray, last_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability of a rise, and whether it is above one half."""
        if self.model is None:
            probability_N = np.full(len(last_N), self.only)
        else:
            probability_N = self.model.predict_proba(self._design(values_T, circle_TC, last_N))[:, 1]
        return probability_N, (probability_N > 0.5).astype(np.int64)

    def _design(self, values_T: np.ndarray, circle_TC: np.ndarray, last_N: np.ndarray) -> np.ndarray:
        lags = values_T[last_N[:, None] - np.arange(self.lag)].astype(np.float64)
        return np.concatenate([lags, circle_TC[last_N]], axis=1)
