"""What a problem is: how a table becomes arrays, which network learns from them, and how its answers are scored.

A problem knows nothing of the dataset: it takes one kind of canonical table. It is put together from parts, each with
an interface of its own; what only some problems can do is a capability that the others lack.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np

from unroll.core import store
from unroll.core.config import Config, PrepareConfig

if TYPE_CHECKING:
    import torch

    from unroll.problems.common.answering import Answering
    from unroll.problems.common.capabilities import Addition, SeriesParts, SymbolVectors, TextGeneration
    from unroll.problems.common.learning import Learning
    from unroll.problems.common.preparation import Preparation
    from unroll.problems.common.scoring import Scoring

P = TypeVar("P", bound=PrepareConfig)
M = TypeVar("M", bound=Config)
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Meta = Mapping[str, Any]
"""All that a model needs beside its weights (scalers, vocabularies, names), as JSON."""
Batch = Mapping[str, "torch.Tensor"]


@dataclass(frozen=True)
class Prepared:
    """Memory-mapped arrays and what is known of them."""

    arrays: Mapping[str, np.ndarray]
    meta: Meta

    @classmethod
    def load(cls, folder: Path) -> "Prepared":
        """Open what the stage prepare wrote."""
        return cls(store.read_arrays(folder), store.read_json(folder / "meta.json"))


@dataclass(frozen=True)
class Problem(Generic[P, M]):
    """One kind of problem: a package of ``unroll.problems`` whose ``PROBLEM`` is one of these."""

    about: str
    """One line for the model card."""
    Prepare: type[P]
    """Type of the task's ``prepare`` block."""
    Model: type[Config]
    """Type of the task's ``model`` block."""
    takes: str
    """Which canonical table it takes."""
    preparation: "Preparation[P, M]"
    learning: "Learning[M]"
    scoring: "Scoring[P]"
    answering: "Answering"
    disagreement: Callable[[P, M], str | None] = lambda prepare, model: None  # noqa: ARG005
    """Why the two blocks do not go together: a key, its value and what was expected; None where they do."""
    embedding: "SymbolVectors | None" = None
    generation: "TextGeneration | None" = None
    addition: "Addition | None" = None
    series_parts: "SeriesParts | None" = None
