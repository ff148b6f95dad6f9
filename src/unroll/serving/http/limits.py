"""How much one client may use of the server: sizes, counts, times, all far above what a fair request needs."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of requests; one that exceeds a bound is answered with the status in brackets."""

    body_bytes: int = 1 << 20
    """Of one request's body (413)."""
    rows: int = 2_000
    """Of one request (422)."""
    cell_characters: int = 10_000
    """Of one text (422)."""
    tokens: int = 2_000
    """Tokens that one request may ask to be drawn in all, where it waits for the whole answer (422)."""
    headers: int = 64
    """Lines (431)."""
    header_bytes: int = 16 << 10
    """Request line and headers together (431)."""
    receive_s: float = 10.0
    """For the headers, and for the body again, to arrive (408, or the connection is closed)."""
    send_s: float = 20.0
    """For the client to take a piece of the answer, before the connection is closed."""
    idle_s: float = 15.0
    """Between two requests of a connection, before it is closed."""
    answer_s: float = 30.0
    """In the queue and in the network together (503)."""
    waiting: int = 64
    """Requests in the queue of one model (503)."""
    batch_rows: int = 1_024
    """Rows that go through a network at once; a request is never split."""
    streams: int = 4
    """Texts that are drawn at the same time (503)."""
    connections: int = 512
    """Open at the same time (503)."""

    def public(self) -> dict[str, int]:
        """What a client should know."""
        return {name: asdict(self)[name] for name in ("body_bytes", "rows", "cell_characters", "tokens")}
