"""What is answered to a request that cannot be served: a status and one typed error, always of the same shape."""

import json
import re
from typing import Any

from unroll.core.errors import UnrollError

_PLACED = re.compile(r"^input: row (\d+)(?:, column (\S+?))?: ")
_COLUMN = re.compile(r"^input: column '([^']+)' is missing")
STATUS = {
    "bad_request": 400,
    "unauthorized": 401,
    "not_found": 404,
    "no_champion": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "too_large": 413,
    "unsupported_media_type": 415,
    "wrong_host": 421,
    "invalid": 422,
    "too_many_headers": 431,
    "internal": 500,
    "busy": 503,
    "crowded": 503,
    "not_ready": 503,
}
"""Each type of error, and the HTTP status that it comes with."""
RETRY_S = {"busy": 1, "crowded": 1, "not_ready": 5}
"""After how many seconds to ask again."""


class RequestError(UnrollError):
    """An answer other than the one asked for.

    >>> RequestError("invalid", "row 2: no text", row=2).body()
    b'{"error": {"type": "invalid", "message": "row 2: no text", "row": 2}}'
    """

    def __init__(self, kind: str, message: str, field: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.field, self.row = kind, field, row

    @classmethod
    def of(cls, error: UnrollError) -> "RequestError":
        """What a problem says of a faulty input, with its row and column apart."""
        message = str(error)
        if placed := _PLACED.match(message):
            return cls("invalid", message, placed[2], int(placed[1]))
        column = _COLUMN.match(message)
        return cls("invalid", message, column[1] if column else None)

    @property
    def status(self) -> int:
        """Of HTTP."""
        return STATUS[self.kind]

    @property
    def headers(self) -> dict[str, str]:
        """Beside the body: when to ask again, or how to prove who one is."""
        found = {"Retry-After": str(RETRY_S[self.kind])} if self.kind in RETRY_S else {}
        return found | ({"WWW-Authenticate": "Bearer"} if self.kind == "unauthorized" else {})

    def told(self) -> dict[str, Any]:
        """The error as an object."""
        found: dict[str, Any] = {"type": self.kind, "message": str(self)}
        found |= {"field": self.field} if self.field is not None else {}
        found |= {"row": self.row} if self.row is not None else {}
        return {"error": found}

    def body(self) -> bytes:
        """As JSON in ASCII: a message may quote whatever the client sent."""
        return json.dumps(self.told()).encode("ascii")
