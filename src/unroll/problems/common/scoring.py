"""How good answers are: scores by example, baselines, metrics and pictures."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Generic, Literal

import numpy as np

from unroll.core.scores import Scores
from unroll.problems.common.base import Meta, P, Prepared, Split

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

Breakdown = dict[str, dict[str, dict[str, float]]]
"""Grouping, group, named numbers."""


@dataclass(frozen=True)
class Figure:
    """A picture as data: ``stages.evaluate`` draws it, DVC plots it, a person opens the CSV.

    ``lines``: ``frame[x]`` against each other column. ``histogram``: one column. ``confusion``: columns truth, guess,
    count. ``bars``: ``frame[x]`` against value, with low and high, and count where known. ``scatter``: two columns.
    ``table``: the rows as they are. ``text``: column ``text`` under column ``heading``, after column ``given`` if any.
    ``bands``: ``frame[x]`` against ``truth`` and ``forecast``, between the columns ``low_50`` and ``high_50`` and so on
    for each level in percent, with single paths in columns ``path_1``, ``path_2``, … if any. ``stems``: ``frame[x]``
    against each other column, with the bound ±``bound``. ``heatmap``: small maps, one for each ``map``, of ``value`` at
    ``row`` and ``column``, which are named in ``row_label`` and ``column_label``.

    ``legend``: what the legend of ``bands`` says of a level, such as ``"80"``, in place of its percent. ``note``: a
    remark under ``bands`` or ``stems``.
    """

    name: str
    kind: Literal["lines", "histogram", "confusion", "bars", "scatter", "table", "text", "bands", "stems", "heatmap"]
    title: str
    frame: "pd.DataFrame"
    x: str = ""
    x_label: str = ""
    y_label: str = ""
    legend: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


class Scoring(ABC, Generic[P]):
    """How a trained model and its baselines are judged on a split."""

    headline: ClassVar[str]
    """The metric shown first, a key of ``metrics``."""
    higher_is_better: ClassVar[bool] = True
    metric_names: ClassVar[tuple[str, ...]]
    """The keys of ``metrics`` that every task of the problem has."""
    baseline_names: ClassVar[tuple[str, ...]]
    """The keys of ``baselines``: what a gate may name."""
    unit: ClassVar[str]
    """What a loss is counted in: windows, series, texts, characters."""

    def metric_keys(self, config: P) -> tuple[str, ...]:  # noqa: ARG002
        """The keys of ``metrics`` for a task with this ``prepare`` block: what its gate may name."""
        return self.metric_names

    @abstractmethod
    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """What the model does on each example of a split, in the split's order."""

    @abstractmethod
    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """What simple methods fitted on train do on the same examples: what a network must beat."""

    @abstractmethod
    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        """Named metrics of shape (…) from summed statistics of shape (…, K)."""

    def breakdown(self, scores: Scores, meta: Meta) -> Breakdown:
        """The scores by group (class, number of digits, …)."""
        return scores.by_group(lambda sums: self.metrics(sums, meta))

    @abstractmethod
    def figures(
        self, model: "nn.Module", prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]
    ) -> Iterable[Figure]:
        """The pictures of this problem, from the test scores."""
