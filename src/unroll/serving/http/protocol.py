"""HTTP with time limits: uvicorn bounds idle connections, this also those that send or read too slowly."""

import asyncio
import socket
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from unroll.serving.http.faults import RequestError
from unroll.serving.http.guard import CROWDED
from unroll.serving.http.limits import Limits


def bounded(limits: Limits) -> "type[Bounded]":
    """The protocol with the limits' times."""
    return type(
        "Bounded", (Bounded,), {"receive_s": limits.receive_s, "send_s": limits.send_s, "most": limits.connections}
    )


def _crowded(app: Any) -> Any:
    """The application, which refuses this connection as one too many in its usual way."""

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, CROWDED: True}, receive, send)

    return refusing


class Bounded(H11Protocol):
    """uvicorn's protocol, closing connections whose headers do not arrive in time, or that do not take their answer.

    A timer runs whenever the headers of a request are awaited, from the connection or the first byte on, and while a
    body comes that was refused; another one while the client has not taken what was written.
    """

    receive_s: ClassVar[float] = Limits().receive_s
    send_s: ClassVar[float] = Limits().send_s
    most: ClassVar[int] = Limits().connections
    _timer: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first headers are awaited; an answer of two parts must not wait for the client to confirm the first."""
        super().connection_made(transport)
        if len(self.connections) > self.most:  # uvicorn's own limit answers in plain text, and refuses older ones too
            self.app = _crowded(self.app)
        # asyncio does this for sockets that name their protocol; those of socket.create_server do not
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._start()

    def data_received(self, data: bytes) -> None:
        """Stop the timer where the headers are there."""
        super().data_received(data)
        theirs = self.conn.their_state
        half_a_head = theirs is h11.IDLE and bool(self.conn.trailing_data[0])
        refused_body = theirs is h11.SEND_BODY and self.conn.our_state is h11.DONE
        if half_a_head or refused_body:
            self._start()
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._stop()
        self._go_on()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Between requests uvicorn's own timer runs."""
        self._stop()
        super().on_response_complete()
        self._give_up_if_closing()

    def timeout_keep_alive_handler(self) -> None:
        """The client has sent nothing more; what it has not taken may stand in the way of an end."""
        super().timeout_keep_alive_handler()
        self._give_up_if_closing()

    def pause_writing(self) -> None:
        """The client takes too little; it may for a while."""
        super().pause_writing()
        self._stuck = self._stuck or self.loop.call_later(self.send_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken some of it."""
        self._go_on()
        super().resume_writing()
        self._give_up_if_closing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own text says less
        """Refuse what is not HTTP in the usual way."""
        fault = RequestError("bad_request", "not a readable HTTP request, or headers that are too large")
        body = fault.body()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))),
                   ("Connection", "close")]  # fmt: skip
        events: list[Any] = [h11.Response(status_code=fault.status, headers=headers, reason=b"Bad Request")]
        try:
            for event in [*events, h11.Data(data=body), h11.EndOfMessage()]:
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:  # an answer is on its way already
            pass
        self.transport.close()
        self._give_up_if_closing()

    def _give_up_if_closing(self) -> None:
        """A closed connection ends once all is sent: never, where the client takes nothing."""
        if self.transport.is_closing() and self._stuck is None:
            self._stuck = self.loop.call_later(self.send_s, self.transport.abort)

    def _go_on(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _start(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.receive_s, self._end)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self.transport.close()
        self._give_up_if_closing()
