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

DRAWS = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Scores:
    """What a model, or a baseline, did on each example of a split.

    ``block`` consecutive examples are resampled together: neighbours in a series or a text are not independent, and
    drawing them singly would make the interval too narrow (Künsch 1989, the block bootstrap).
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

    def summary(self, metrics: Metrics, seed: int) -> dict[str, float]:
        """Every metric with its 95 % bootstrap interval: ``r2``, ``r2_low``, ``r2_high``, …"""
        whole = metrics(self.statistics_NK.sum(axis=0))
        drawn = metrics(self.resampled_sums(seed))
        result: dict[str, float] = {}
        for name, value in whole.items():
            low, high = np.nanquantile(drawn[name], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            result |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
        return result

    def by_group(self, metrics: Metrics) -> dict[str, dict[str, dict[str, float]]]:
        """For each grouping and each of its groups: the metrics and the number of examples."""
        return {
            name: {
                str(group): {"count": int((labels == group).sum())}
                | {k: float(v) for k, v in metrics(self.statistics_NK[labels == group].sum(axis=0)).items()}
                for group in np.unique(labels)
            }
            for name, labels in self.groups.items()
        }

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
