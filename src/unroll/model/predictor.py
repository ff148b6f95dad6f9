"""Answers from a trained model: raw input in, answer out, with everything between taken from the model's folder."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.model.trained import Trained
from unroll.problems.common.base import Prepared
from unroll.problems.common.inputs import Inputs

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Predictor:
    """A trained network with what it needs to answer: ``models/<task>`` or a copy of it."""

    trained: Trained

    @cached_property
    def inputs(self) -> Inputs:
        """The columns that ``predict`` takes, with texts of any length."""
        return self.trained.problem.answering.inputs(self.trained.meta, sys.maxsize)

    @property
    def optional_inputs(self) -> Sequence[str]:
        """Columns that ``predict`` takes and ``example`` lacks."""
        return self.trained.problem.answering.optional_inputs

    @classmethod
    def load(cls, folder: Path) -> "Predictor":
        """Load the model; raises StoreError that names a missing or damaged file."""
        return cls(Trained.load(folder))

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """A small raw input that ``predict`` takes."""
        return self.trained.problem.answering.example(prepared)

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The answer to raw input; raises DataError that names the row and column of a faulty one."""
        import torch

        with torch.inference_mode():
            return self.trained.problem.answering.predict(self.trained.model, self.trained.meta, frame)

    def predict_all(self, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """The answers to several raw inputs of the same columns, in one pass through the network where it can be.

        Raises DataError where ``predict`` would of one of them; the row that it names may count from the first input.
        """
        import torch

        with torch.inference_mode():
            return self.trained.problem.answering.predict_all(self.trained.model, self.trained.meta, frames)
