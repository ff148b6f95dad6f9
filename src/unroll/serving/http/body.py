"""A request's body, read strictly: bytes to the columns that ``predict`` takes, or an error that names the place.

Nothing here takes more memory than the allowed size of a body: the depth, the rows and each cell are bounded, and
whatever is not a plain number or text is refused before pandas sees it.
"""

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.requests import ClientDisconnect

from unroll.problems.common.inputs import Column, Inputs
from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits

if TYPE_CHECKING:
    import pandas as pd
    from starlette.requests import Request

SHOWN = 60
"""Characters of a value that a message quotes."""
OVER = 8
"""How many times the allowed size is read and thrown away, so that the client is there to read the refusal."""


@dataclass(frozen=True)
class Records:
    """Checked rows of one request, by column."""

    columns: Mapping[str, Sequence[Any]]
    rows: int

    def frame(self) -> "pd.DataFrame":
        """As ``predict`` takes them."""
        import pandas as pd

        return pd.DataFrame(dict(self.columns))


async def receive(request: "Request", limits: Limits) -> bytes:
    """The bytes of a JSON body; raises RequestError for another type, a size over the limit, or a delay."""
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


def parse(body: bytes) -> Any:
    """JSON in UTF-8, with finite numbers alone.

    >>> parse(b'{"records": [{"text": "late"}]}')
    {'records': [{'text': 'late'}]}
    """
    if not body:
        raise RequestError("bad_request", "body: empty; expected JSON")
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise RequestError("bad_request", f"body: byte {error.start} is not UTF-8; expected JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise RequestError("bad_request", f"body: {where}: {error.msg}; expected JSON") from None
    except RecursionError:
        raise RequestError("bad_request", "body: nested too deeply; expected records, one level of objects") from None
    except ValueError:  # a whole number of thousands of digits
        raise RequestError("bad_request", "body: a number with too many digits; expected numbers of 64 bits") from None


def of_many(body: bytes, inputs: Inputs, limits: Limits) -> Records:
    """The records of ``{"records": [{column: value, …}, …]}``."""
    value = parse(body)
    _require_object(value, "body", {"records"})
    if "records" not in value:
        raise RequestError("invalid", 'records: missing; expected {"records": [{…}, …]}', "records")
    rows = value["records"]
    if not isinstance(rows, list) or not rows:
        raise RequestError("invalid", f"records: {_shown(rows)}; expected a list of at least one object", "records")
    if len(rows) > limits.rows:
        raise RequestError("invalid", f"records: {len(rows)} rows; expected at most {limits.rows}", "records")
    return read(rows, inputs)


def of_one(body: bytes, inputs: Inputs) -> Records:
    """The one record that is the body itself."""
    return read([parse(body)], inputs)


def read(rows: Sequence[Any], inputs: Inputs) -> Records:
    """Rows by column; an optional column that no row has is left out."""
    columns = inputs.columns
    for number, row in enumerate(rows, start=1):
        _require_object(row, f"row {number}", set(columns), number)
    present = [column for name, column in columns.items() if column.required or any(name in row for row in rows)]
    return Records({column.name: _column(rows, column) for column in present}, len(rows))


def _column(rows: Sequence[Mapping[str, Any]], column: Column) -> list[Any]:
    check: Callable[[Any, Column, int], Any] = {"number": _number, "text": _text}[column.kind]
    values: list[Any] = []
    missing = math.nan if column.kind == "number" else None
    for number, row in enumerate(rows, start=1):
        value = row.get(column.name, column.default)
        if column.name not in row and value is None and (column.required or not column.nullable):
            raise RequestError("invalid", f"row {number}: column {column.name!r} is missing", column.name, number)
        values.append(missing if value is None and column.nullable else check(value, column, number))
    return values


def _number(value: Any, column: Column, row: int) -> float:
    if type(value) not in (int, float):  # True is an int
        _refuse(_shown(value), column, row, "a number")
    if not column.low <= value <= column.high or (column.whole and value != int(value)):
        kind = "a whole number" if column.whole else "a number"
        _refuse(_shown(value), column, row, f"{kind} from {column.low:g} to {column.high:g}")
    return int(value) if column.whole else float(value)


def _text(value: Any, column: Column, row: int) -> str:
    if not isinstance(value, str):
        _refuse(_shown(value), column, row, "a text")
    if column.longest is not None and len(value) > column.longest:
        _refuse(f"{len(value)} characters", column, row, f"at most {column.longest}")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            _refuse(_shown(value), column, row, "a text without half a surrogate pair")
    return value


def _require_object(value: Any, where: str, known: set[str], row: int | None = None) -> None:
    if not isinstance(value, dict):
        raise RequestError("invalid", f"{where}: {_shown(value)}; expected an object", None, row)
    unknown = next((key for key in value if key not in known), None)
    if unknown is not None:
        few = sorted(known)
        expected = ", ".join(few[:12]) + (", …" if len(few) > 12 else "")
        raise RequestError(
            "invalid", f"{where}: {_shown(unknown)} is not a column; expected {expected}", unknown[:SHOWN], row
        )


def _refuse(seen: str, column: Column, row: int, expected: str) -> NoReturn:
    message = f"row {row}, column {column.name}: {seen}; expected {expected}"
    raise RequestError("invalid", message, column.name, row)


def _refuse_constant(name: str) -> NoReturn:
    raise RequestError(
        "bad_request", f"body: {name} is not JSON; expected finite numbers, and null for what is missing"
    )


def _shown(value: Any) -> str:
    """A value as a message quotes it: its beginning, or a description where it may be long."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**SHOWN:
        return f"a whole number of {value.bit_length()} bits"
    return repr(value[:SHOWN] if isinstance(value, str) else value)
