"""Scores as sums: each example contributes a vector of additive statistics, and every metric is a function of sums.

That one idea gives whole-test metrics, metrics by group and bootstrap intervals from the same numbers, and lets two
models be compared on the same resampled rows. Shapes: N examples, K statistics, D bootstrap draws.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Metrics = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Sums of shape (…, K) to named metrics of shape (…)."""

Value = Callable[[np.ndarray], np.ndarray]
"""The same for one metric."""

DRAWS = 1000
LEVEL = 0.95
SEED = 20160101
"""Of the bootstrap. A constant: two models are compared on the same draws."""


@dataclass(frozen=True)
class Scores:
    """What a model, or a baseline, did on each example of a split.

    ``block`` consecutive examples are resampled together: neighbours in a series or a text are not independent, and
    drawing them singly would make the interval too narrow (Carlstein 1986, blocks that do not overlap).
    ``rows`` keeps truth and guess of each example for the figures, ``groups`` names a group for each example.
    """

    statistics_NK: np.ndarray
    block: int = 1
    rows: "pd.DataFrame | None" = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    def table(self) -> "pd.DataFrame":
        """Truth and guess of each example; raises ValueError where none were kept."""
        if self.rows is None:
            raise ValueError("these scores keep no rows")
        return self.rows

    def sums(self) -> np.ndarray:
        """Statistics of all examples together, (K,), in double precision whatever they are stored in."""
        total_K: np.ndarray = self.statistics_NK.sum(axis=0, dtype=np.float64)
        return total_K

    def summary(self, metrics: Metrics, seed: int, level: float = LEVEL) -> dict[str, float]:
        """Every metric with its bootstrap interval, of 95 % unless told otherwise: ``r2``, ``r2_low``, ``r2_high``, …

        NaN is what is undefined: a metric without examples, an interval from fewer than two blocks. Draws in which a
        metric is undefined (a class that was not drawn) do not enter its interval.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            whole, drawn = metrics(self.sums()), metrics(self.resampled_sums(seed))
        result: dict[str, float] = {}
        for name, value in whole.items():
            low, high = interval(drawn[name], level) if len(self.statistics_NK) > self.block else (np.nan, np.nan)
            result |= {name: float(value), f"{name}_low": low, f"{name}_high": high}
        return result

    def by_group(self, metrics: Metrics) -> dict[str, dict[str, dict[str, float]]]:
        """For each grouping and each of its groups: the number of examples, and the metrics with their intervals.

        A block keeps its place in the series: of each, the group's own rows are drawn together.
        """
        summaries: dict[str, dict[str, dict[str, float]]] = {}
        for name, labels in self.groups.items():
            summaries[name] = {}
            for group in np.unique(labels):
                rows_M = np.flatnonzero(labels == group)
                starts_J = np.unique(rows_M // self.block, return_index=True)[1]
                blocks_JK = np.add.reduceat(self.statistics_NK[rows_M], starts_J, axis=0, dtype=np.float64)
                summaries[name][str(group)] = {"count": len(rows_M), **Scores(blocks_JK).summary(metrics, SEED)}
        return summaries

    def take(self, rows_M: np.ndarray) -> "Scores":
        """The statistics of some examples, in the order given; truths and groups are left behind."""
        return Scores(self.statistics_NK[rows_M], self.block)

    def blocks(self) -> int:
        """How many blocks are resampled; the last one may be shorter."""
        return -(-len(self.statistics_NK) // self.block)

    def resampled_sums(self, seed: int) -> np.ndarray:
        """Sums of shape (D, K) over rows drawn with replacement in whole blocks.

        The same seed, number of rows and block draw the same rows: two models' draws are paired.
        """
        blocks_JK = np.add.reduceat(
            self.statistics_NK, np.arange(0, len(self.statistics_NK), self.block), axis=0, dtype=np.float64
        )
        count = len(blocks_JK)
        rng = np.random.default_rng(seed)
        sums_DK = np.empty((DRAWS, blocks_JK.shape[1]))
        for draw in range(DRAWS):
            weights_J = np.bincount(rng.integers(0, count, count), minlength=count)
            sums_DK[draw] = weights_J @ blocks_JK
        return sums_DK


def advantage(
    ours: Scores, theirs: Scores, values: tuple[Value, Value], sign: int, level: float = LEVEL
) -> tuple[float, float, float]:
    """How much better we are in a metric, and the ends of that difference's interval, from paired draws.

    Both see the same rows in each draw, so what makes a draw hard for both falls out of the difference. ``values`` are
    the metric of our sums and of theirs; ``sign`` is 1 where higher is better, else -1. The scores must be of the same
    examples in the same order. The ends are NaN where there are fewer than two blocks.
    """

    def difference(sums: np.ndarray) -> dict[str, np.ndarray]:
        our_sums, their_sums = np.split(sums, [ours.statistics_NK.shape[-1]], axis=-1)
        return {"difference": sign * (values[0](our_sums) - values[1](their_sums))}

    both = Scores(np.concatenate([ours.statistics_NK, theirs.statistics_NK], axis=1), ours.block)
    value, low, high = both.summary(difference, SEED, level).values()
    return value, low, high


def interval(drawn_D: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The middle ``level`` of the draws in which a metric is defined; NaN where it never is."""
    known = drawn_D[~np.isnan(drawn_D)]
    if not len(known):
        return np.nan, np.nan
    with np.errstate(invalid="ignore"):  # between infinite draws
        low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
