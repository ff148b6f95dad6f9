"""Plain text, a row a line; and lines of JSON, an object each."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from unroll.errors import DataError
from unroll.reading import text
from unroll.reading.delimited import Part, Unread
from unroll.reading.reader import Place, Reader
from unroll.reading.records import LINES, MAX_COLUMNS, Records, groups, records
from unroll.reading.source import Receipt, opened

if TYPE_CHECKING:
    import pyarrow as pa

DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)


@final
class Text(Reader):
    """One column, ``text``: every line in order, those without content too, without its end."""

    def columns(self) -> tuple[str, ...]:
        """``text``."""
        return ("text",)

    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """The lines."""
        import pyarrow as pa

        for found in _lines(self.place, receipt, blank=True):
            table = pa.table({"text": pa.array(found.texts(), pa.string())})
            yield Part(found.rows_N, table if columns is None else table.select(list(columns)), [])


@final
class JsonLines(Reader):
    """Every value as text, numbers as they are spelt, true and false; null, and a key that is not there, are missing.

    The columns are the keys of the objects in the file's first part.
    """

    def __init__(self, place: Place, first: bytes) -> None:
        super().__init__(place)
        lines = first.decode(errors="replace").replace("\r", "\n").split("\n")
        found = [_parse(line) for line in lines if line.strip()]
        self._columns = tuple(dict.fromkeys(key for each in found if isinstance(each, dict) for key in each))
        if not self._columns:
            what = "a JSON array" if first.lstrip().startswith(b"[") else "no JSON object with a key"
            raise DataError(f"{place.name}: {what} in its first rows; expected an object a line")
        if len(self._columns) > MAX_COLUMNS:
            raise DataError(f"{place.name}: {len(self._columns):,} keys; expected at most {MAX_COLUMNS:,}")

    def columns(self) -> tuple[str, ...]:
        """The keys, in the order in which they first come."""
        return self._columns

    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """A line that is no object, or with a nested value or (if all are asked for) a new key, is set aside."""
        wanted = self._columns if columns is None else tuple(columns)
        for found in _lines(self.place, receipt, blank=False):
            for rows_N, group in groups(found.rows_N, found.texts(), len(wanted)):
                yield _part(rows_N, group, wanted, exact=columns is None)


def _lines(place: Place, receipt: Receipt, *, blank: bool) -> Iterator[Records]:
    reading = place.reading
    with opened(place.path, reading, place.name, receipt) as source:
        pieces = text.blocks(source, reading.encoding or "utf-8")
        yield from records(pieces, LINES, place.name, reading.max_line_bytes, reading.skip_rows, blank=blank)


def _part(rows_N: np.ndarray, lines: Sequence[str], wanted: Sequence[str], *, exact: bool) -> Part:
    kept, rejected = [], []
    cells: list[list[str | None]] = [[] for _ in wanted]
    for at, line in enumerate(lines):
        if not line.strip():
            continue
        values = _cells(line, wanted, exact=exact)
        if isinstance(values, tuple):
            rejected.append(Unread(int(rows_N[at]), *values))
            continue
        kept.append(at)
        for column, value in zip(cells, values, strict=True):
            column.append(value)
    return Part(rows_N[np.array(kept, dtype=np.int64)], _table(wanted, cells), rejected)


def _table(names: Sequence[str], cells: Sequence[list[str | None]]) -> "pa.Table":
    import pyarrow as pa

    return pa.table([pa.array(column, pa.string()) for column in cells], names=list(names))


def _parse(line: str) -> Any:
    """The value that a line holds, numbers as text; the fault, as an exception, where it is no JSON."""
    try:
        return DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        return error


def _cells(line: str, wanted: Sequence[str], *, exact: bool) -> list[str | None] | tuple[str, str, str]:
    """The values wanted; or column, value and reason of what is wrong."""
    found = _parse(line)
    if not isinstance(found, dict):
        why = f"no JSON ({found})" if isinstance(found, Exception) else "no JSON object"
        return "", text.shorten(line), f"{why}; expected an object a line"
    if exact and len(unknown := found.keys() - set(wanted)):
        key = min(unknown)
        return _shown(key), _shown(str(found[key])), "a key that no object before had; expected those of the first rows"
    cells: list[str | None] = []
    for name in wanted:
        value = found.get(name)
        if isinstance(value, dict | list):
            return name, text.shorten(json.dumps(value)), "a nested value; expected text, a number, true, false or null"
        if isinstance(value, bool):
            value = "true" if value else "false"
        if value is not None and not value.isascii() and _shown(value) != text.shorten(value):
            return name, _shown(value), "half a surrogate pair; expected characters"
        cells.append(value)
    return cells


def _shown(value: str) -> str:
    """Short, and without what cannot be written as UTF-8."""
    return text.shorten(value).encode(errors="replace").decode()
