"""What a problem is: how a table becomes arrays, which network learns from them, and how its answers are scored.

A problem knows nothing of the dataset: it takes one kind of canonical table.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np

from unroll import store
from unroll.config import Config, PrepareConfig
from unroll.expectation import Expectation
from unroll.scores import Scores

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

P = TypeVar("P", bound=PrepareConfig)
M = TypeVar("M", bound=Config)
Split = Literal["train", "validation", "test"]
Meta = Mapping[str, Any]
"""All that a model needs beside its weights (scalers, vocabularies, names), as JSON."""
Batch = Mapping[str, "torch.Tensor"]


@dataclass(frozen=True, slots=True)
class Loss:
    """A sum over the units scored and their number: padding never enters a denominator.

    ``state`` is carried into the next batch (truncated backpropagation through time), or None.
    """

    total: "torch.Tensor"
    count: int
    state: Any = None


@dataclass(frozen=True)
class Prepared:
    """Memory-mapped arrays and what is known of them."""

    arrays: Mapping[str, np.ndarray]
    meta: Meta

    @classmethod
    def load(cls, folder: Path) -> "Prepared":
        """Open what ``prepare`` wrote."""
        return cls(store.read_arrays(folder), store.read_json(folder / "meta.json"))


@dataclass(frozen=True)
class Figure:
    """A picture as data: ``report`` draws it, DVC plots it, a person opens the CSV.

    ``lines``: ``frame[x]`` against each other column. ``histogram``: one column. ``confusion``: columns truth, guess,
    count. ``bars``: ``frame[x]`` against value, with low and high, and count where known. ``scatter``: two columns.
    ``table``: the rows as they are. ``text``: column ``text`` under column ``heading``, after column ``given`` if any.
    """

    name: str
    kind: Literal["lines", "histogram", "confusion", "bars", "scatter", "table", "text"]
    title: str
    frame: "pd.DataFrame"
    x: str = ""
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True)
class Check:
    """Facts about the prepared data and what is expected of them."""

    facts: "pd.DataFrame"
    expectations: Sequence[Expectation] = field(default_factory=tuple)


class Problem(ABC, Generic[P, M]):
    """One kind of problem. Subclasses are final, one module each, with an instance named ``PROBLEM`` in it."""

    Prepare: ClassVar[type[PrepareConfig]]
    """Type of the task's ``prepare`` block."""
    Model: ClassVar[type[Config]]
    """Type of the task's ``model`` block."""
    takes: ClassVar[str]
    """Which canonical table it takes."""
    headline: ClassVar[str]
    """The metric shown first, a key of ``metrics``."""
    higher_is_better: ClassVar[bool] = True
    metric_names: ClassVar[tuple[str, ...]]
    """The keys of ``metrics``: what a gate may name."""
    baseline_names: ClassVar[tuple[str, ...]]
    """The keys of ``baselines``: what a gate may name."""
    unit: ClassVar[str]
    """What a loss is counted in: windows, series, texts, characters."""
    optional_inputs: ClassVar[tuple[str, ...]] = ()
    """Columns that ``predict`` takes and ``example`` lacks."""
    categories: ClassVar[tuple[str, ...]] = ()
    """Text columns of few distinct values: ``prepare`` takes them as categories, which need far less memory."""

    def columns(self, config: P) -> Sequence[str] | None:  # noqa: ARG002
        """Columns of the table that are needed, so that no others are read; None for all."""
        return None

    @abstractmethod
    def prepare(self, table: "pd.DataFrame", config: P, folder: Path) -> dict[str, Any]:
        """Write the arrays of all three splits into ``folder`` (``.npy``) and return the meta (JSON).

        Whatever is fitted (scaler, vocabulary) is fitted on the train split alone. Raises DataError if the table
        cannot serve, such as a series shorter than a window.
        """

    @abstractmethod
    def check(self, prepared: Prepared, config: P) -> Check:
        """What must hold after preparing: no leak between splits, no window across a gap, few unknown words."""

    @abstractmethod
    def model(self, config: M, meta: Meta) -> "nn.Module":
        """The untrained network; the caller has seeded torch."""

    @abstractmethod
    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterable[Batch]:
        """One epoch of the train split in an order drawn from ``rng``."""

    @abstractmethod
    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterable[Batch]:
        """A split in its own order, once."""

    @abstractmethod
    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:
        """The loss of one batch, to be divided by its count."""

    @abstractmethod
    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """What the model does on each example of a split, in the split's order."""

    @abstractmethod
    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """What simple methods fitted on train do on the same examples: what a network must beat."""

    @abstractmethod
    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        """Named metrics of shape (…) from summed statistics of shape (…, K)."""

    def breakdown(self, scores: Scores, meta: Meta) -> dict[str, dict[str, dict[str, float]]]:
        """The scores by group (class, number of digits, …): grouping, group, named numbers."""
        return scores.by_group(lambda sums: self.metrics(sums, meta))

    @abstractmethod
    def figures(
        self, model: "nn.Module", prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]
    ) -> Iterable[Figure]:
        """The pictures of this problem, from the test scores."""

    @abstractmethod
    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Raw input to answer, preprocessing included: what is served. One output row for each input row or series.

        Raises DataError that names the row and column of a faulty input.
        """

    @abstractmethod
    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """A small raw input that ``predict`` takes, made from the test split."""
