"""From raw input to answers: what is served."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from unroll.problems.common.base import Meta, Prepared
from unroll.problems.common.inputs import Inputs

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


class Answering(ABC):
    """How a trained model answers raw input that is a table.

    ``predict_all`` is given for models that answer each row by itself.
    """

    optional_inputs: ClassVar[tuple[str, ...]] = ()
    """Columns that ``predict`` takes and ``example`` lacks."""

    @abstractmethod
    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """The columns that ``predict`` takes from a model with this meta; no text may be longer than the bound."""

    @abstractmethod
    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """Records that ``predict`` takes, for a model that came without an example."""

    @abstractmethod
    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """A small raw input that ``predict`` takes, made from the test split."""

    @abstractmethod
    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Raw input to answer, preprocessing included. One output row for each input row or series.

        Raises DataError that names the row and column of a faulty input.
        """

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """The answers to several raw inputs of the same columns, each as ``predict`` gives it, in one pass.

        Raises DataError where ``predict`` would for one of them; the row that it names may count from the first frame.
        """
        import pandas as pd

        if len(frames) == 1:
            return [self.predict(model, meta, frames[0])]
        answer = self.predict(model, meta, pd.concat(frames, ignore_index=True))
        ends = np.cumsum([len(frame) for frame in frames])
        parts = zip(ends - [len(frame) for frame in frames], ends, strict=True)
        return [answer.iloc[low:high].reset_index(drop=True) for low, high in parts]
