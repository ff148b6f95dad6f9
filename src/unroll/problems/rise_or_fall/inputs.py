"""From recent rows to rises and falls. Shapes: N windows."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.problems.common.answering import Answering
from unroll.problems.common.base import Meta, Prepared
from unroll.problems.common.inputs import Inputs
from unroll.problems.rise_or_fall.build import FEW, chances
from unroll.problems.rise_or_fall.scores import CLASSES
from unroll.problems.windows import arrays
from unroll.problems.windows import inputs as window_inputs
from unroll.problems.windows.recent import windows_of_all

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


class DirectionAnswering(Answering):
    """Rise or fall for each window of recent rows."""

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """The window's rows."""
        return window_inputs.inputs(meta, cell_characters, "rise")

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """One window of each site."""
        return window_inputs.made_up(meta)

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The rows of the first test window, as the source has them."""
        return arrays.example(prepared)

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Rise or fall and the probability of a rise, for each whole window of the frame: ``lag`` rows give one."""
        return self.predict_all(model, meta, [frame])[0]

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """The windows of all frames in one pass."""
        import torch

        x_NLF, last_N, ends = windows_of_all(frames, meta)
        chance_N = chances(model, (torch.from_numpy(x_NLF[low : low + FEW]) for low in range(0, len(x_NLF), FEW)))
        wheres = (slice(low, high) for low, high in pairwise([0, *ends]))
        return [_table(meta, last_N[where], chance_N[where]) for where in wheres]


def _table(meta: Meta, last_N: np.ndarray, chance_N: np.ndarray) -> "pd.DataFrame":
    """A row for each window."""
    import pandas as pd

    answer = {"time": pd.to_datetime(last_N + meta["horizon"] * meta["step_s"], unit="s", utc=True)}
    if meta["target_site"]:
        answer["site"] = meta["target_site"]
    label_N = np.array(CLASSES, dtype=object)[(chance_N > 0.5).astype(np.int64)]
    return pd.DataFrame({**answer, "label": label_N, "probability_rise": chance_N}).astype({"label": "str"})
