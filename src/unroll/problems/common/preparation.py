"""From a table to arrays, and what must hold of them. Shapes: N examples."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import numpy as np

from unroll.core.expectation import Expectation, Severity
from unroll.problems.common.base import M, Meta, P, Prepared, Split

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Questions:
    """What a split asks of a model: two models answer the same question where these agree.

    ``about`` holds for all examples (target, horizon, classes). ``key_N`` (int64, each once) tells an example from the
    others in the validated table: a time, a row number, a place in the text. ``truth_N`` is the right answer: a number,
    or a text, None where the model has no symbol for it.
    """

    about: Mapping[str, Any]
    key_N: np.ndarray
    truth_N: np.ndarray


@dataclass(frozen=True)
class Check:
    """Facts about the prepared data and what is expected of them."""

    facts: "pd.DataFrame"
    expectations: Sequence[Expectation] = field(default_factory=tuple)


def within(
    column: str, reason: str, low: float | None = None, high: float | None = None, severity: Severity = "critical"
) -> Expectation:
    """Expects every fact of a column within bounds."""
    bounds = {"min_value": low, "max_value": high}
    kwargs = {"column": column, **{name: bound for name, bound in bounds.items() if bound is not None}}
    return Expectation("expect_column_values_to_be_between", kwargs, severity, reason)


class Preparation(ABC, Generic[P, M]):
    """How the table of a task becomes the arrays of three splits."""

    categories: ClassVar[tuple[str, ...]] = ()
    """Text columns of few distinct values: ``prepare`` takes them as categories, which need far less memory."""

    def columns(self, config: P) -> Sequence[str] | None:  # noqa: ARG002
        """Columns of the table that are needed, so that no others are read; None for all."""
        return None

    def coded(self, config: P) -> Sequence[str]:  # noqa: ARG002
        """The text columns that ``prepare`` takes as categories under ``config``."""
        return self.categories

    @abstractmethod
    def prepare(self, table: "pd.DataFrame", config: P, folder: Path, fitted: Meta | None = None) -> dict[str, Any]:
        """Write the arrays of all three splits into ``folder`` (``.npy``) and return the meta (JSON).

        Whatever is fitted (scaler, vocabulary) is fitted on the train split alone. ``fitted`` is the meta of a trained
        model: then nothing is fitted, and the table is laid out for that model with its own scaler, vocabulary and
        names. Raises DataError if the table cannot serve, such as a series shorter than a window, or a class that the
        model does not know.
        """

    @abstractmethod
    def check(self, prepared: Prepared, config: P) -> Check:
        """What must hold after preparing: no leak between splits, no window across a gap, few unknown words."""

    @abstractmethod
    def questions(self, prepared: Prepared, split: Split, metric: str) -> Questions:
        """What each example of a split asks, in the order of the scores, as far as ``metric`` is about it."""

    def file_fault(self, prepare: P, model: M, root: Path) -> str | None:  # noqa: ARG002
        """Why a file that ``prepare`` names beside the table does not go with the blocks; None where it does.

        ``root`` is the project's. This is called often: no more of the file is read than its beginning.
        """
        return None

    def files(self, config: P, root: Path) -> Mapping[str, Path]:  # noqa: ARG002
        """The files that ``prepare`` reads beside the table, by the name that ``config`` gives them; none by default.

        ``root`` is the project's. They may be away: ``prepare`` then says so.
        """
        return {}
