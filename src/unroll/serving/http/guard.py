"""The outermost ASGI layer: what every request is checked for first, and the headers of every answer."""

import hmac
import ipaddress
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits
from unroll.serving.http.measures import Measures

LOG = logging.getLogger("unroll.serving.http")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
ALLOWED = "unroll.allowed"
"""In a request's scope: whether it may ask all there is; one without the token is let through to OPEN alone."""
CROWDED = "unroll.crowded"
"""In the scope of a request whose connection came when there were as many as allowed."""
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?")
OPEN = re.compile(r"/(?:healthz|readyz|docs||page/[a-z0-9_.-]+)")
"""Paths that need no token; without it they reveal nothing about the models."""
_TASK = re.compile(r"/v1/([^/]+)(?:/|$)")
_CONTENT = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CLOSING = ("timeout", "too_large", "too_many_headers", "crowded")
"""Refusals that end the connection."""
SECURITY = [
    (b"content-security-policy", _CONTENT),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
"""Headers of every answer: nothing from elsewhere in the pages, and the pages in nothing from elsewhere."""


@dataclass(frozen=True)
class Guard:
    """Host, token, headers and time limits around an app.

    ``token`` None lets everyone in; ``local``, the name of a loopback address, refuses every other host name.
    """

    app: App
    limits: Limits
    measures: Measures
    token: str | None
    local: str | None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, reply = time.perf_counter(), _Reply(send)
        try:
            self._require_allowed(scope)
            await self.app(scope, receive, reply.send)
        except RequestError as fault:
            await reply.fault(fault)
        except Exception:
            LOG.exception("%s %r failed", scope["method"], scope["path"])
            if reply.status:
                raise
            await reply.fault(RequestError("internal", "the server failed; its log has the reason"))
        finally:
            task = _TASK.match(scope["path"])
            self.measures.request(task[1] if task else None, reply.status or 499, time.perf_counter() - begun)

    def _require_allowed(self, scope: MutableMapping[str, Any]) -> None:
        if scope.get(CROWDED):
            raise RequestError("crowded", f"{self.limits.connections} connections are open already; try again")
        headers = scope["headers"]
        if len(headers) > self.limits.headers:
            raise RequestError("too_many_headers", f"{len(headers)} headers; expected at most {self.limits.headers}")
        size = (
            sum(len(name) + len(value) + 4 for name, value in headers)
            + len(scope["raw_path"])
            + len(scope["query_string"])
        )
        if size > self.limits.header_bytes:
            raise RequestError(
                "too_many_headers", f"{size} bytes of headers; expected at most {self.limits.header_bytes}"
            )
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if self.local is not None and (len(hosts) != 1 or not is_own(hosts[0], self.local)):
            seen = repr(hosts[0][:60]) if hosts else "none"
            raise RequestError("wrong_host", f"Host: {seen}; expected {self.local}, localhost, 127.0.0.1 or [::1]")
        scope[ALLOWED] = self.token is None or _is_shown(self.token, headers)
        if not scope[ALLOWED] and not OPEN.fullmatch(scope["path"]):
            raise RequestError(
                "unauthorized", "Authorization: expected Bearer and the token that the server was started with"
            )


def is_own(host: str, local: str) -> bool:
    """Whether a ``Host`` header names this machine: a loopback address, localhost, or ``local``, where it listens.

    It is what a browser on this machine calls it; a page from elsewhere whose name was made to point here does not.

    >>> is_own("127.0.0.2:8000", "127.0.0.2"), is_own("evil.example", "127.0.0.2")
    (True, False)
    """
    match = _HOST.fullmatch(host.lower())
    if not match:
        return False
    name = match[1].strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in ("localhost", local.lower())


def _is_shown(token: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    given = next((value for name, value in headers if name == b"authorization"), b"")
    kind, _, secret = given.partition(b" ")
    return kind.lower() == b"bearer" and hmac.compare_digest(secret.strip(), token.encode("utf-8"))


class _Reply:
    """The answer on its way: security headers on it, and its status noted."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            there = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *SECURITY]
            if b"cache-control" not in there:
                message["headers"].append((b"cache-control", b"no-store"))
        await self._send(message)

    async def fault(self, fault: RequestError) -> None:
        """Answer with a fault. The body of the request may lie unread: the connection ends with this answer."""
        if self.status is not None:
            return
        body = fault.body()
        headers = {**fault.headers, "Content-Type": "application/json", "Content-Length": str(len(body))}
        headers |= {"Connection": "close"} if fault.kind in CLOSING else {}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": fault.status, "headers": encoded})
        await self.send({"type": "http.response.body", "body": body})
