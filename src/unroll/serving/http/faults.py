"""What is answered to a request that cannot be served: a status and one typed error, always of the same shape."""

import json
from typing import Any

from unroll.core.errors import DataError, UnrollError

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
    """A refusal of a request.

    >>> RequestError("invalid", "row 2: no text", row=2).body()
    b'{"error": {"type": "invalid", "message": "row 2: no text", "row": 2}}'
    """

    def __init__(self, kind: str, message: str, field: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.field, self.row = kind, field, row

    @classmethod
    def of(cls, error: UnrollError) -> "RequestError":
        """What a problem says about a faulty input."""
        field, row = (error.column, error.row) if isinstance(error, DataError) else (None, None)
        return cls("invalid", str(error), field, row)

    @property
    def status(self) -> int:
        """Of HTTP."""
        return STATUS[self.kind]

    @property
    def headers(self) -> dict[str, str]:
        """Beside the body: when to ask again, or how to authenticate."""
        headers = {"Retry-After": str(RETRY_S[self.kind])} if self.kind in RETRY_S else {}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.kind == "unauthorized" else {})

    def as_json(self) -> dict[str, Any]:
        """The error as an object."""
        place = {"field": self.field, "row": self.row}
        about = {name: value for name, value in place.items() if value is not None}
        return {"error": {"type": self.kind, "message": str(self), **about}}

    def body(self) -> bytes:
        """As JSON in ASCII: a message may quote whatever the client sent."""
        return json.dumps(self.as_json()).encode("ascii")
