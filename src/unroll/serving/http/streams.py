"""Text that is sent as it is drawn: a thread draws, the client reads, and when it goes the drawing ends."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from unroll.serving.http import replies
from unroll.serving.http.body import Records
from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits
from unroll.serving.http.roster import Served

LOG = logging.getLogger("unroll.serving.http")


@dataclass(frozen=True)
class Drawn:
    """Pieces on their way from the thread that draws; after the last one None, or what went wrong."""

    queue: "asyncio.Queue[str | RequestError | None]"
    stopped: threading.Event


class Streams:
    """As many texts at the same time as the limits allow."""

    def __init__(self, limits: Limits) -> None:
        self._free = limits.streams
        self._pool = ThreadPoolExecutor(limits.streams, thread_name_prefix="unroll-stream", initializer=_one_thread)

    def start(self, served: Served, records: Records) -> AsyncIterator[bytes]:
        """The lines of an answer.

        Raises RequestError for a model that generates no text, an empty text, or where too many texts are being drawn.
        """
        trained = served.predictor.trained
        generation = trained.problem.generation
        if generation is None:
            raise RequestError(
                "not_found", f"{served.task}: its problem is {served.problem}; expected one that generates text"
            )
        options, name = {column: values[0] for column, values in records.columns.items()}, served.inputs.line
        text = options.pop(name)
        continuation = generation.begin(trained.model, trained.meta, text, options)
        if continuation is None:
            message = f"row 1, column {name}: {text[:60]!r}; expected a text that is not empty"
            raise RequestError("invalid", message, name, 1)
        if self._free < 1:
            raise RequestError("busy", "as many texts as allowed are being drawn; try again")
        head = {"version": served.version, "unknown": continuation.unknown[:10]}
        return self._lines(self._draw(continuation.pieces), head)

    def _draw(self, pieces: Iterator[str]) -> "Drawn":
        """Start drawing; the slot is free again when the drawing has ended, whether or not anybody reads."""
        loop, drawn = asyncio.get_running_loop(), Drawn(asyncio.Queue(), threading.Event())

        def draw() -> None:
            end: str | RequestError | None = None
            try:
                for piece in pieces:
                    if drawn.stopped.is_set():
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
            yield replies.encode(piece.as_json() if piece else {"done": True}) + b"\n"
        finally:
            drawn.stopped.set()

    def close(self) -> None:
        """Let the texts that are being drawn end."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
