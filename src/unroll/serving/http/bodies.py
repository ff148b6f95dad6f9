"""The body of a request, in no more memory and time than it may take."""

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits

if TYPE_CHECKING:
    from starlette.requests import Request

OVER = 8
"""So many times the allowed size is read and thrown away, so that the client is there to read the refusal."""


async def read(request: "Request", limits: Limits) -> bytes:
    """The bytes of a JSON body; raises RequestError for another kind, one too large, or one that does not come."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # also what keeps forms of other sites' pages out
        raise RequestError("unsupported_media_type", f"Content-Type: {kind!r:.60}; expected application/json")
    declared = request.headers.get("content-length", "0")
    too_large = RequestError("too_large", f"body: more than {limits.body_bytes} bytes; expected at most that")
    if int(declared) > OVER * limits.body_bytes:  # h11 has made sure that it is a number
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.receive_s):
            async for part in request.stream():
                size += len(part)
                if size <= limits.body_bytes:
                    parts.append(part)
                elif size > OVER * limits.body_bytes:
                    break
    except ClientDisconnect:
        raise RequestError("bad_request", f"body: it ended after {size} bytes; expected the whole of it") from None
    except TimeoutError:
        raise RequestError(
            "timeout", f"body: {size} bytes in {limits.receive_s:g} s; expected the whole of it"
        ) from None
    if size > limits.body_bytes:
        raise too_large
    return b"".join(parts)
