"""What a problem is: how a table becomes arrays, which network learns from them, and how its answers are scored.

A problem knows nothing of the dataset: it takes one kind of canonical table.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np

from unroll.core import store
from unroll.core.config import Config, PrepareConfig
from unroll.core.expectation import Expectation
from unroll.core.scores import Scores
from unroll.problems.common.capabilities import Addition, SeriesParts, TextGeneration
from unroll.problems.common.inputs import Inputs

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


@dataclass(frozen=True)
class Asked:
    """What a split asks of a model: two models answer the same question where these agree.

    ``about`` is what holds for all examples (target, horizon, classes). ``key_N`` (int64, each once) tells an example
    from the others in the validated table: a time, a row number, a place in the text. ``truth_N`` is the right answer:
    a number, or a text, None where the model has no symbol for it.
    """

    about: Mapping[str, Any]
    key_N: np.ndarray
    truth_N: np.ndarray


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
    """The keys of ``metrics`` that every task of the problem has."""
    baseline_names: ClassVar[tuple[str, ...]]
    """The keys of ``baselines``: what a gate may name."""
    unit: ClassVar[str]
    """What a loss is counted in: windows, series, texts, characters."""
    optional_inputs: ClassVar[tuple[str, ...]] = ()
    """Columns that ``predict`` takes and ``example`` lacks."""
    generation: ClassVar[TextGeneration | None] = None
    addition: ClassVar[Addition | None] = None
    series_parts: ClassVar[SeriesParts | None] = None
    categories: ClassVar[tuple[str, ...]] = ()
    """Text columns of few distinct values: ``prepare`` takes them as categories, which need far less memory."""

    def columns(self, config: P) -> Sequence[str] | None:  # noqa: ARG002
        """Columns of the table that are needed, so that no others are read; None for all."""
        return None

    def coded(self, config: P) -> Sequence[str]:  # noqa: ARG002
        """Those text columns that ``prepare`` takes as categories under ``config``."""
        return self.categories

    def metric_keys(self, config: P) -> tuple[str, ...]:  # noqa: ARG002
        """The keys of ``metrics`` for a task with this ``prepare`` block: what its gate may name."""
        return self.metric_names

    def disagreement(self, prepare: P, model: M) -> str | None:  # noqa: ARG002
        """Why the two blocks do not go together: a key, its value and what was expected; None where they do."""
        return None

    def file_fault(self, prepare: P, model: M, root: Path) -> str | None:  # noqa: ARG002
        """Why a file that ``prepare`` names beside the table does not go with the blocks; None where it does.

        ``root`` is the project's. It is asked often: no more of the file is read than its beginning.
        """
        return None

    @abstractmethod
    def prepare(self, table: "pd.DataFrame", config: P, folder: Path, fitted: Meta | None = None) -> dict[str, Any]:
        """Write the arrays of all three splits into ``folder`` (``.npy``) and return the meta (JSON).

        Whatever is fitted (scaler, vocabulary) is fitted on the train split alone. ``fitted`` is the meta of a trained
        model: then nothing is fitted, and the table is laid out for that model with its own scaler, vocabulary and
        names. Raises DataError if the table cannot serve, such as a series shorter than a window, or a class that the
        model does not know.
        """

    @abstractmethod
    def asked(self, prepared: Prepared, split: Split, metric: str) -> Asked:
        """What each example of a split asks, in the order of ``score``, as far as ``metric`` is about it."""

    def files_changed(self, config: P, meta: Meta, root: Path) -> bool:  # noqa: ARG002
        """Whether a file that ``prepare`` reads beside the table is no longer the one that ``meta`` tells of.

        ``root`` is the project's. DVC does not look at files that params.yaml names: ``unroll repro`` asks this.
        """
        return False

    @abstractmethod
    def check(self, prepared: Prepared, config: P) -> Check:
        """What must hold after preparing: no leak between splits, no window across a gap, few unknown words."""

    @abstractmethod
    def model(self, config: M, meta: Meta) -> "nn.Module":
        """The untrained network; the caller has seeded torch."""

    def solve(self, config: M, prepared: Prepared) -> "nn.Module | None":  # noqa: ARG002
        """The model itself where it is computed without gradients; None for a network, which ``fit`` trains."""
        return None

    def begin(self, model: "nn.Module", prepared: Prepared) -> None:
        """Put into the untrained network what is computed from train without gradients; nothing by default."""

    def progress(self, model: "nn.Module", share: float) -> None:
        """Tell the network, before each step, what share of the training is over (0 to 1); nothing by default."""

    def finish(self, model: "nn.Module", prepared: Prepared) -> None:
        """Put into the trained model what only a trained one can tell, from validation; nothing by default."""

    def symbols(self, meta: Meta) -> Sequence[str]:  # noqa: ARG002
        """What each row of the network's ``embedding`` stands for, the most frequent first, "" for what has no name.

        None where a network has no embedding.
        """
        return ()

    def symbol_groups(self, prepared: Prepared) -> Sequence[str]:  # noqa: ARG002
        """What each of ``symbols`` goes with, such as a class, "" for nothing; none where there are no groups."""
        return ()

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

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """The answers to several raw inputs of the same columns, each as ``predict`` gives it: one pass where possible.

        Raises DataError where ``predict`` would of one of them; the row that it names may count from the first frame.
        """
        return [self.predict(model, meta, frame) for frame in frames]

    @abstractmethod
    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """The columns that ``predict`` takes from a model with this meta; no text may be longer than the bound."""

    @abstractmethod
    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """Records that ``predict`` takes, for a model that came without an example."""

    @abstractmethod
    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """A small raw input that ``predict`` takes, made from the test split."""


def rows_at_once(
    predict: "Callable[[pd.DataFrame], pd.DataFrame]", frames: "Sequence[pd.DataFrame]"
) -> "list[pd.DataFrame]":
    """``predict_all`` of a problem that answers each row by itself: one table of all rows, and its answers apart."""
    import pandas as pd

    if len(frames) == 1:
        return [predict(frames[0])]
    answer, ends = predict(pd.concat(frames, ignore_index=True)), np.cumsum([len(frame) for frame in frames])
    parts = zip(ends - [len(frame) for frame in frames], ends, strict=True)
    return [answer.iloc[low:high].reset_index(drop=True) for low, high in parts]
