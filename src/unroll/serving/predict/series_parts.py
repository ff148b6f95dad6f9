"""Answers to a series that comes in parts: the same windows as if it came whole.

A window that ends in one part may begin in the one before, so the last rows of each are kept until the next has come.
Shapes: N rows, A answers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.errors import DataError
from unroll.model.predictor import Predictor
from unroll.problems.common.capabilities import NoWindowError
from unroll.serving.predict.raw_input import CHUNK, Rows

if TYPE_CHECKING:
    import pandas as pd

    from unroll.problems.common.capabilities import SeriesParts

MAX_HELD_BYTES = 1 << 30
"""The most that rows may hold which are not in the order of time: they stand in memory."""


class UnorderedError(Exception):
    """Rows that come in several parts are not in the order of time; they must be held, and put into it."""


def answers(parts: Iterable[Rows], predictor: Predictor, series: "SeriesParts") -> "Iterator[pd.DataFrame]":
    """The answer to each window of the series, in the order of time, each window once.

    Raises UnorderedError at the first part whose rows are not in the order of time (a single part may have any order),
    NoWindowError for a series without any window.
    """
    state = _State(predictor, series)
    before: Rows | None = None
    for part in parts:
        if before is not None:
            yield from state.answer(before, more=True)
        before = part
    if before is not None:
        yield from state.answer(before, more=False)
    state.require_any()


def in_order(parts: Iterable[Rows], series: "SeriesParts") -> Iterator[Rows]:
    """The same rows, read whole and put into the order of time, in parts again."""
    import pandas as pd

    held, bytes_held = [], 0
    for part in parts:
        held.append(part)
        bytes_held += int(part.frame.memory_usage(index=False).sum())
        require_few(part.file, bytes_held)
    whole = Rows(held[0].file, pd.concat([part.frame for part in held], ignore_index=True), _joined_rows(held))
    order_N = np.argsort(whole.answered(series.seconds), kind="stable")
    for low in range(0, len(order_N), CHUNK):
        rows_N = order_N[low : low + CHUNK]
        stood_N = None if whole.rows_N is None else whole.rows_N[rows_N]
        yield Rows(whole.file, whole.frame.iloc[rows_N].reset_index(drop=True), stood_N)


def require_few(file: str, bytes_held: int) -> None:
    """Raise DataError where rows that must be put into order take more than MAX_HELD_BYTES."""
    if bytes_held > MAX_HELD_BYTES:
        raise DataError(
            f"{file}: its rows are to be put into the order of time and hold more than {MAX_HELD_BYTES:,} bytes; "
            "expected rows in the order of time, which are answered part by part"
        )


def _joined_rows(parts: list[Rows]) -> np.ndarray | None:
    stood = [part.rows_N for part in parts if part.rows_N is not None]
    return np.concatenate(stood) if len(stood) == len(parts) else None


@dataclass
class _State:
    predictor: Predictor
    series: "SeriesParts"
    held: Rows | None = None
    last_s: int | None = None
    """The last row of the last window that was answered."""
    no_window: NoWindowError | None = None

    def answer(self, part: Rows, *, more: bool) -> "Iterator[pd.DataFrame]":
        """The answers to the windows that end in ``part``; where ``more`` comes, its last moment may be incomplete."""
        if self.held is None and not more:
            yield from self._new(part)
            return
        whole = part if self.held is None else _join(self.held, part)
        times_N = whole.answered(self.series.seconds)
        if (np.diff(times_N) < 0).any():
            raise UnorderedError
        cut = int(np.searchsorted(times_N, times_N[-1])) if more and len(times_N) else len(times_N)
        if cut:
            yield from self._new(_slice(whole, 0, cut))
        kept = np.unique(times_N[:cut])[-self.series.rows_kept(self.predictor.trained.meta) :]
        start = int(np.searchsorted(times_N, kept[0])) if len(kept) else 0
        self.held = _slice(whole, start, len(times_N))

    def _new(self, part: Rows) -> "Iterator[pd.DataFrame]":
        """The answers to windows that were not answered before."""
        try:
            answer = part.answered(self.predictor.predict)
        except NoWindowError as error:
            if self.no_window is None or error.longest > self.no_window.longest:
                self.no_window = error
            return
        last_A = self.series.last_rows(answer, self.predictor.trained.meta)
        fresh = answer if self.last_s is None else answer[last_A > self.last_s].reset_index(drop=True)
        if len(fresh):
            self.last_s = int(last_A[-1])
            yield fresh

    def require_any(self) -> None:
        """Raise NoWindowError where no window was answered; it tells of the longest stretch that there is."""
        if self.last_s is None and self.no_window is not None:
            raise self.no_window


def _join(first: Rows, second: Rows) -> Rows:
    import pandas as pd

    frame = pd.concat([first.frame, second.frame], ignore_index=True)
    return Rows(first.file, frame, _joined_rows([first, second]), first.names)


def _slice(part: Rows, low: int, high: int) -> Rows:
    rows_N = None if part.rows_N is None else part.rows_N[low:high]
    return Rows(part.file, part.frame.iloc[low:high].reset_index(drop=True), rows_N, part.names)
