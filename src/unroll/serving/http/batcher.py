"""Requests that wait together go through the network together: one thread for each task, one queue before it.

Nothing waits to fill a batch: a request to an idle network is answered at once; those that arrive while the network is
busy are answered next, all at once. So a single client never waits, and the more clients, the larger the batches.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unroll.core.errors import UnrollError
from unroll.serving.http.body import Records
from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits

if TYPE_CHECKING:
    import pandas as pd

    from unroll.model.predictor import Predictor

LOG = logging.getLogger("unroll.serving.http")


@dataclass
class Waiting:
    """Records, the model that they were checked against, and where the answer goes."""

    records: Records
    predictor: "Predictor"
    answer: "Future[pd.DataFrame]" = field(default_factory=Future)

    @property
    def kind(self) -> tuple[int, tuple[str, ...]]:
        """What the requests of one batch have in common: the model and the columns."""
        return id(self.predictor), tuple(self.records.columns)


class Batcher:
    """The queue of one task and the thread that empties it."""

    def __init__(self, task: str, limits: Limits, threads: int, measure: Callable[[int, int], None]) -> None:
        self._limits, self._threads, self._measure = limits, threads, measure
        self._queue: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._work, name=f"unroll-{task}", daemon=True)
        self._thread.start()

    def submit(self, records: Records, predictor: "Predictor") -> "Future[pd.DataFrame]":
        """The answer, later; raises RequestError where too many requests wait already."""
        waiting = Waiting(records, predictor)
        with self._changed:
            if not self._open or len(self._queue) >= self._limits.waiting:
                raise RequestError("busy", f"{len(self._queue)} requests wait for this model; try again")
            self._queue.append(waiting)
            self._changed.notify()
        return waiting.answer

    def __len__(self) -> int:
        return len(self._queue)

    def close(self) -> None:
        """Answer the waiting requests, then end."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join(timeout=5)

    def _work(self) -> None:
        import torch

        torch.set_num_threads(self._threads)
        while batch := self._next():
            live = [each for each in batch if each.answer.set_running_or_notify_cancel()]
            if live:
                self._measure(len(live), sum(each.records.rows for each in live))
                answer(live)

    def _next(self) -> list[Waiting]:
        """The first that waits and those like it behind, as many as a batch may hold; none when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or not self._open)
            batch: list[Waiting] = []
            rows = 0
            while self._queue and (not batch or self._queue[0].kind == batch[0].kind):
                rows += self._queue[0].records.rows
                if batch and rows > self._limits.batch_rows:
                    break
                batch.append(self._queue.popleft())
            return batch


def answer(batch: Sequence[Waiting]) -> None:
    """Answer all at once; where one of them is faulty, each by itself, so that only it is refused."""
    predictor, frames = batch[0].predictor, []
    try:
        frames = [each.records.frame() for each in batch]
        answers = predictor.predict_all(frames)
        if len(answers) != len(batch):
            raise ValueError(f"{len(answers)} answers to {len(batch)} inputs")
    except Exception as error:
        if len(batch) > 1:
            for each in batch:
                answer([each])
        else:
            batch[0].answer.set_exception(_fault(error))
        return
    for each, result in zip(batch, answers, strict=True):
        each.answer.set_result(result)


def _fault(error: Exception) -> RequestError:
    """A faulty input where the problem says so; anything else is a fault of ours, logged with its traceback."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, UnrollError):
        return RequestError.of(error)
    LOG.error("the model failed", exc_info=error)
    return RequestError("internal", "the model failed on this input; the server's log has the reason")
