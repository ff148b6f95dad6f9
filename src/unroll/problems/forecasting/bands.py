"""Bands that cover what they promise, calibrated on data that were not learned from. Shapes: N windows, K bands.

Split conformal prediction: the empirical quantile of errors outside of train, with the correction for finitely many,
covers a new value with at least the probability asked for if errors are exchangeable (Vovk et al. 2005). Each tail is
calibrated by itself, as in conformalised quantile regression (Romano, Patterson & Candès 2019, theorem 2). Errors of a
series change in size with season and level, so they are measured in units of the width that the model itself gives
each window, as in the scaled score of Kivaranovic, Johnson & Leeb (2020).
"""

import numpy as np

BANDS = (50, 80, 95)
"""Nominal coverage of the bands in percent, narrowest first."""
LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""The quantiles that are their edges, and the median."""


def quantile(scores_N: np.ndarray, level: float, alike: int = 1) -> float:
    """The ⌈(N + 1) · level⌉-th smallest score: what a new one stays below with at least that probability.

    Where ``alike`` neighbours tell no more than one, there are N / ``alike`` scores to be sure of the quantile by, and
    the correction for finitely many is as large as for so few.

    >>> quantile(np.arange(1.0, 100.0), 0.9), quantile(np.arange(1.0, 100.0), 0.9, alike=11)
    (90.0, 99.0)
    """
    rank = min(int(np.ceil((len(scores_N) + alike) * level - 1e-9)), len(scores_N))
    return float(np.sort(scores_N)[max(rank, 1) - 1])


def stretch(
    truth_N: np.ndarray, median_N: np.ndarray, edge_N: np.ndarray, band: int, alike: int = 1, least: float = 0.0
) -> float:
    """By how much one edge must move away from the median, as a factor, so that its tail is left at most (1 − band)/2.

    The factor is ``least`` at least, and never below 0: an edge does not cross the median. Where every edge stands on
    the median there is no width to measure in, and the factor stays 1.

    >>> rng = np.random.default_rng(0)
    >>> width, error = rng.uniform(1, 9, 20_000), rng.normal(size=20_000)
    >>> round(stretch(width * error, 0 * width, 0.5 * width, 80), 1)  # the 90 % quantile of a normal is 1.28 deviations
    2.6
    """
    apart_N = edge_N - median_N
    wide_N = np.abs(apart_N) > 0
    if not wide_N.any():
        return 1.0
    ratio_N = (truth_N[wide_N] - median_N[wide_N]) / apart_N[wide_N]
    return max(quantile(ratio_N, (1 + band / 100) / 2, alike), least)


def reaches(count: int, band: int, alike: int = 1) -> bool:
    """Whether so many scores tell the edges of a band, or it would lie beyond the largest of them.

    >>> reaches(936, 95, alike=24), reaches(935, 95, alike=24), reaches(150, 80, alike=24), reaches(150, 50, alike=24)
    (True, False, False, True)
    """
    return bool(np.ceil((count + alike) * (1 + band / 100) / 2 - 1e-9) <= count)


def stretches(
    truth_N: np.ndarray, median_N: np.ndarray, edge_NK: np.ndarray, alike: int = 1, least: float = 0.0
) -> np.ndarray:
    """The factors (K,) of one tail of all bands, narrowest first.

    Of a band that so few windows do not tell, all that is known is that it reaches beyond the largest error: by its own
    factor it would end there, and so would every such band, however wide its coverage. Its factor is therefore that of
    the narrower band at least, which keeps the bands as far apart as the model has them.

    >>> rng = np.random.default_rng(0)
    >>> few, z_K = rng.normal(size=150), np.array([0.67, 1.28, 1.96])
    >>> (z_K * stretches(few, 0 * few, np.tile(z_K, (150, 1)), alike=24)).round(1).tolist()  # 2.5 is the largest
    [1.3, 2.5, 3.8]
    """
    found_K = np.ones(len(BANDS))
    for number, band in enumerate(BANDS):
        is_shown = not number or reaches(len(truth_N), band, alike)
        at_least = least if is_shown else max(least, float(found_K[number - 1]))
        found_K[number] = stretch(truth_N, median_N, edge_NK[:, number], band, alike, at_least)
    return found_K


def constant_edges(error_N: np.ndarray) -> np.ndarray:
    """Bands (2, K) around a forecast without widths of its own: low and high quantiles of truth − forecast."""
    tails = [(1 + band / 100) / 2 for band in BANDS]
    return np.array([[-quantile(-error_N, tail) for tail in tails], [quantile(error_N, tail) for tail in tails]])
