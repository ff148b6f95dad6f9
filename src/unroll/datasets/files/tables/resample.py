"""Rows as they come to rows at a regular step, chunk by chunk: a step that may go on in the next chunk is held back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unroll.datasets.files.config import Resample, seconds

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["site", "time"]


@dataclass
class Resampler:
    """Takes frames with ``time`` (microseconds) and ``site``; a step's rows are those from its time on.

    Numbers are joined as the block says, missing ones left out; of words the last one counts, or the first.
    """

    config: Resample
    numbers: Sequence[str]
    words: Sequence[str]
    _held: "pd.DataFrame | None" = None

    def add(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The steps that are over."""
        import pandas as pd

        every_us = seconds(self.config.every) * 1_000_000
        frame = frame.assign(time=np.floor_divide(frame["time"].to_numpy(), every_us) * every_us)
        if self._held is not None:
            frame = pd.concat([self._held, frame], ignore_index=True)
        last = frame.groupby("site", sort=False)["time"].transform("last")
        open_N = (frame["time"] == last).to_numpy()
        self._held = frame[open_N].reset_index(drop=True)
        return self._join(frame[~open_N])

    def end(self) -> "pd.DataFrame | None":
        """The steps that were still open."""
        held, self._held = self._held, None
        return None if held is None else self._join(held)

    def _join(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        import pandas as pd

        groups = frame.groupby(KEYS, sort=False)
        values = groups[list(self.numbers)]
        how = self.config.how
        joined = values.sum(min_count=1) if how == "sum" else getattr(values, how)()
        parts = [joined.astype(np.float32)]
        if self.words:
            words = groups[list(self.words)]
            parts.append(words.first() if how == "first" else words.last())
        parts.append(groups[["file", "row"]].first())
        return pd.concat(parts, axis=1).reset_index()
