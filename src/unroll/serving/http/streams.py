"""Text that is sent as it is drawn: a thread draws, the client reads, and when it goes the drawing ends."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from unroll.problems.language_model import verse
from unroll.problems.language_model.inputs import continuation
from unroll.problems.language_model.tokens import Language
from unroll.serving.http import replies
from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits
from unroll.serving.http.questions import Question
from unroll.serving.http.roster import Served

LOG = logging.getLogger("unroll.serving.http")
PROBLEM = "language_model"


@dataclass(frozen=True)
class Drawn:
    """Pieces on their way from the thread that draws; after the last one None, or what went wrong."""

    queue: "asyncio.Queue[str | RequestError | None]"
    unwanted: threading.Event


class Streams:
    """As many texts at the same time as the limits allow."""

    def __init__(self, limits: Limits) -> None:
        self._free = limits.streams
        self._pool = ThreadPoolExecutor(limits.streams, thread_name_prefix="unroll-stream", initializer=_one_thread)

    def start(self, served: Served, question: Question) -> AsyncIterator[bytes]:
        """The lines of an answer.

        Raises RequestError for a text that cannot be gone on with, or where too many are drawn.
        """
        if served.problem != PROBLEM:
            raise RequestError("not_found", f"{served.task}: its problem is {served.problem}; expected a {PROBLEM}")
        meta = served.predictor.trained.meta
        language, options = Language.of(meta), verse.options(question.frame(), 0)
        text = question.columns["text"][0]
        if not language.tokens(text):
            raise RequestError(
                "invalid", f"row 1, column text: {text[:60]!r}; expected a text that is not empty", "text", 1
            )
        if self._free < 1:
            raise RequestError("busy", "as many texts as allowed are being drawn; try again")
        pieces = continuation(served.predictor.trained.model, language, text, options)
        return self._lines(self._draw(pieces), {"version": served.version, "unknown": language.unknown(text)[:10]})

    def _draw(self, pieces: Iterator[str]) -> "Drawn":
        """Begin to draw; the place is free again when that has ended, whether or not anybody reads."""
        loop, drawn = asyncio.get_running_loop(), Drawn(asyncio.Queue(), threading.Event())

        def draw() -> None:
            end: str | RequestError | None = None
            try:
                for piece in pieces:
                    if drawn.unwanted.is_set():
                        break
                    loop.call_soon_threadsafe(drawn.queue.put_nowait, piece)
            except Exception:
                LOG.exception("drawing a text failed")
                end = RequestError("internal", "the model failed on this text; the server's log has the reason")
            finally:
                loop.call_soon_threadsafe(self._end, drawn, end)

        self._free -= 1
        self._pool.submit(draw)
        return drawn

    def _end(self, drawn: "Drawn", end: "str | RequestError | None") -> None:
        self._free += 1
        drawn.queue.put_nowait(end)

    async def _lines(self, drawn: "Drawn", head: Mapping[str, Any]) -> AsyncIterator[bytes]:
        try:
            yield replies.encode(head) + b"\n"
            while isinstance(piece := await drawn.queue.get(), str):
                yield replies.encode({"piece": piece}) + b"\n"
            yield replies.encode(piece.told() if piece else {"done": True}) + b"\n"
        finally:
            drawn.unwanted.set()

    def close(self) -> None:
        """Let what is being drawn end."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
