"""Windows of a series as arrays, each with the value that its last one is compared with. Shapes: N windows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.problems.common.base import Meta, Prepared, Split
from unroll.problems.common.preparation import Check, Preparation, Questions
from unroll.problems.rise_or_fall.config import RiseOrFallModel, RiseOrFallPrepare
from unroll.problems.windows import arrays, prepare

if TYPE_CHECKING:
    import pandas as pd


class DirectionPreparation(Preparation[RiseOrFallPrepare, RiseOrFallModel]):
    """Windows of a series, each with a value some steps later."""

    categories = ("site",)

    def columns(self, config: RiseOrFallPrepare) -> Sequence[str] | None:
        """Time, site and the variables chosen."""
        return prepare.columns(config)

    def coded(self, config: RiseOrFallPrepare) -> Sequence[str]:
        """Sites and categories."""
        return ("site", *config.categories)

    def prepare(
        self, table: "pd.DataFrame", config: RiseOrFallPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """The arrays of ``prepare.prepare``."""
        return prepare.prepare(table, config, (0, config.horizon), folder, fitted)

    def check(self, prepared: Prepared, config: RiseOrFallPrepare) -> Check:  # noqa: ARG002
        """Each range of windows, measured again on the times and bounds."""
        return arrays.check(prepared)

    def questions(self, prepared: Prepared, split: Split, metric: str) -> Questions:  # noqa: ARG002
        """Whether the target rises."""
        rises_N = rises(prepared, arrays.last_rows(prepared, split))
        return arrays.questions(prepared, split, prepared.meta["horizon"], rises_N)


def rises(prepared: Prepared, last_N: np.ndarray) -> np.ndarray:
    """Whether the target is higher at the horizon than in the window's last row: 1 or 0."""
    values, column = prepared.arrays["values"], prepared.meta["target_column"]
    rises_N: np.ndarray = values[last_N + prepared.meta["horizon"], column] > values[last_N, column]
    return rises_N.astype(np.int64)
