"""Plain text, a row a line; and lines of JSON, an object each."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, final

import numpy as np

from unroll.core.errors import DataError
from unroll.core.text import shorten
from unroll.datasets.files.reading.delimited import Part, Unread
from unroll.datasets.files.reading.reader import CELLS, NoCells, Place, Reader
from unroll.datasets.files.reading.records import MAX_COLUMNS, groups
from unroll.datasets.files.reading.source import Receipt

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

        for batch in self.lines(receipt, self.place.reading.skip_rows, blank=True):
            table = pa.table({"text": pa.array(batch.texts(), pa.string())})
            yield Part(batch.rows_N, table if columns is None else table.select(list(columns)), [])


@final
class JsonLines(Reader):
    """Every value as text, numbers as they are spelt, true and false; null, and a key that is not there, are missing.

    The columns are the keys of the objects in the file's first part; those whose values are mostly objects or lists are
    left out.
    """

    def __init__(self, place: Place, first: bytes) -> None:
        super().__init__(place)
        lines = first.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        objects = {row: value for row, line in enumerate(lines, 1) if isinstance(value := _parse(line), dict)}
        keys = dict.fromkeys(key for each in objects.values() for key in each)
        if not keys or (
            first.lstrip().startswith(b"[") and isinstance(_parse(next(filter(str.strip, lines))), Exception)
        ):
            raise DataError(_no_lines(first), file=place.name)
        if len(keys) > MAX_COLUMNS:
            raise DataError(f"{len(keys):,} keys; expected at most {MAX_COLUMNS:,}", file=place.name)
        self._left_out = _nested(objects)
        self._columns = tuple(key for key in keys if key not in self._left_out)
        if not self._columns:
            raise DataError(f"every key holds objects or lists, as {next(iter(keys))!r}; {CELLS}", file=place.name)

    def columns(self) -> tuple[str, ...]:
        """The keys, in the order in which they first come."""
        return self._columns

    def left_out(self) -> Mapping[str, NoCells]:
        """The keys of nested values, with the first of these."""
        return self._left_out

    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """A line that is not an object, or with a nested value or (if all are asked for) a new key, is set aside."""
        names = self._columns if columns is None else tuple(columns)
        known = {*names, *self._left_out} if columns is None else None
        for batch in self.lines(receipt, self.place.reading.skip_rows):
            for rows_N, group in groups(batch.rows_N, batch.texts(), len(names)):
                yield _part(rows_N, group, names, known)


def _nested(objects: Mapping[int, Mapping[str, Any]]) -> dict[str, NoCells]:
    """The keys that hold an object or a list in half of the rows, by number, in which they hold anything, or in more.

    >>> _nested({1: {"a": "1", "tags": ["x"]}, 2: {"a": {}, "tags": None}, 3: {"a": "2"}})
    {'tags': NoCells(kind='nested', example='["x"] in row 1')}
    """
    filled, nested, first = Counter[str](), Counter[str](), dict[str, NoCells]()
    for row, record in objects.items():
        for key, value in record.items():
            if value is not None:
                filled[key] += 1
            if isinstance(value, dict | list):
                nested[key] += 1
                first[key] = first.get(key) or NoCells("nested", f"{shorten(json.dumps(value))} in row {row}")
    return {key: first[key] for key in nested if 2 * nested[key] >= filled[key]}


def _no_lines(first: bytes) -> str:
    """What a file is instead of lines of objects, and how to make them of it."""
    if first.lstrip().startswith(b"["):
        return (
            "a JSON array in its first rows; expected JSON lines, an object a line (pandas.read_json(FILE).to_json("
            "'FILE.jsonl', orient='records', lines=True) writes them)"
        )
    return "not a JSON object with a key in its first rows; expected an object a line"


def _part(rows_N: np.ndarray, lines: Sequence[str], names: Sequence[str], known: Set[str] | None) -> Part:
    kept, rejected = [], []
    cells: list[list[str | None]] = [[] for _ in names]
    for at, line in enumerate(lines):
        if not line.strip():
            continue
        values = _cells(line, names, known)
        if isinstance(values, tuple):
            rejected.append(Unread(int(rows_N[at]), *values))
            continue
        kept.append(at)
        for column, value in zip(cells, values, strict=True):
            column.append(value)
    return Part(rows_N[np.array(kept, dtype=np.int64)], _table(names, cells), rejected)


def _table(names: Sequence[str], cells: Sequence[list[str | None]]) -> "pa.Table":
    import pyarrow as pa

    return pa.table([pa.array(column, pa.string()) for column in cells], names=list(names))


def _parse(line: str) -> Any:
    """The value that a line holds, numbers as text; the fault, as an exception, where it is not JSON."""
    try:
        return DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        return error


def _cells(line: str, names: Sequence[str], known: Set[str] | None) -> list[str | None] | tuple[str, str, str]:
    """The values under ``names``; or column, value and reason of the fault, such as a key not among the ``known``."""
    record = _parse(line)
    if not isinstance(record, dict):
        why = f"not JSON ({record})" if isinstance(record, Exception) else "not a JSON object"
        return "", shorten(line), f"{why}; expected an object a line"
    if known is not None and len(unknown := record.keys() - known):
        key = min(unknown)
        return (
            _shown(key),
            _shown(str(record[key])),
            "a key that no earlier object has; expected those of the first rows",
        )
    cells: list[str | None] = []
    for name in names:
        value = record.get(name)
        if isinstance(value, dict | list):
            return name, shorten(json.dumps(value)), "a nested value; expected text, a number, true, false or null"
        if isinstance(value, bool):
            value = "true" if value else "false"
        if value is not None and not value.isascii() and _shown(value) != shorten(value):
            return name, _shown(value), "half a surrogate pair; expected characters"
        cells.append(value)
    return cells


def _shown(value: str) -> str:
    """Short, and without what cannot be written as UTF-8."""
    return shorten(value).encode(errors="replace").decode()
