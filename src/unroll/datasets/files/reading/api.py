"""The way in: a file and how to read it, to its columns and its rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unroll.datasets.files.reading import beginning, sniffing
from unroll.datasets.files.reading.arff import Arff
from unroll.datasets.files.reading.delimited import Part, Unread
from unroll.datasets.files.reading.lines import JsonLines, Text
from unroll.datasets.files.reading.npz import Npz
from unroll.datasets.files.reading.options import Reading
from unroll.datasets.files.reading.parquet import Parquet
from unroll.datasets.files.reading.reader import NoCells, Place, Reader
from unroll.datasets.files.reading.separated import Table
from unroll.datasets.files.reading.source import Receipt
from unroll.datasets.files.reading.ts import Ts
from unroll.datasets.files.reading.ucr import Ucr

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ROWS = 1 << 18
"""Rows of a chunk."""
MAX_BYTES = 1 << 26
"""Bytes of cells in a chunk, about: wide rows make chunks of fewer rows."""


@dataclass(frozen=True)
class Chunk:
    """N consecutive rows of a file, and those among them that could not be read."""

    file: str
    rows_N: np.ndarray
    frame: "pd.DataFrame"
    rejected: list[Unread]


class Chunks(Iterator[Chunk]):
    """The chunks of one file; after the last one, the hash and the size of the file that they came from."""

    def __init__(self, chunks: Iterator[Chunk], receipt: Receipt) -> None:
        self._chunks, self._receipt = chunks, receipt
        self._given, self._position = 0, 0

    def __next__(self) -> Chunk:
        chunk = next(self._chunks)
        self._given += len(chunk.rows_N) + len(chunk.rejected)
        share = self._given / max(self._receipt.rows, 1)  # a block that was read may hold many chunks
        self._position = max(self._position, round(self._receipt.position * share))
        return chunk

    @property
    def position(self) -> int:
        """Where the last chunk ends, about, in bytes of the file as it lies there."""
        return self._position

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the file as it lies there; None before the last chunk."""
        return self._receipt.sha256

    @property
    def bytes(self) -> int | None:
        """The size of the file as it lies there; None before the last chunk."""
        return self._receipt.bytes


def columns(path: Path, reading: Reading, name: str | None = None) -> list[str]:
    """The names of a file's columns; of a table without a header column_1, column_2 …

    Raises DataError for what cannot be read.
    """
    return list(_reader(path, reading, name).columns())


def left_out(path: Path, reading: Reading, name: str | None = None) -> dict[str, NoCells]:
    """Columns of a file that hold no cells but objects or lists, each with what it is; ``columns`` are without them."""
    return dict(_reader(path, reading, name).left_out())


def chunks(
    path: Path, reading: Reading, columns: Sequence[str] | None = None, rows: int = ROWS, name: str | None = None
) -> Chunks:
    """The rows of a file, at most ``rows`` at a time, in bounded memory.

    ``columns`` are the ones to read (all, if None), in that order; ``name`` is how messages call the file (else its
    name). The file is opened at the first chunk. Raises DataError that names file and row, the value seen and what was
    expected, for what cannot be read as a whole; single rows go to ``rejected``.
    """
    receipt = Receipt()
    return Chunks(_chunks(path, reading, columns, rows, name or path.name, receipt), receipt)


def _chunks(
    path: Path, reading: Reading, columns: Sequence[str] | None, rows: int, name: str, receipt: Receipt
) -> Iterator[Chunk]:
    reader = _reader(path, reading, name)
    if columns is not None:
        reader.require(columns)
    yield from _gather(_counted(reader.parts(columns, receipt), receipt), rows, name)


def _counted(parts: Iterator[Part], receipt: Receipt) -> Iterator[Part]:
    for part in parts:
        receipt.rows += len(part.rows_N) + len(part.rejected)
        yield part


def _reader(path: Path, reading: Reading, name: str | None) -> Reader:
    part = beginning.take(path, reading, name or path.name)
    complete = sniffing.look(part, reading)
    place = Place(path, complete, part.name)
    first = sniffing.utf8(part, complete.encoding or "utf-8")
    match complete.format:
        case "csv":
            return Table(place, first)
        case "ucr":
            return Ucr(place, first)
        case "ts":
            return Ts(place)
        case "arff":
            return Arff(place, first)
        case "jsonl":
            return JsonLines(place, first)
        case "parquet":
            return Parquet(place)
        case "npz":
            return Npz(place)
        case _:
            return Text(place)


@dataclass
class _Held:
    tables: list["pa.Table"] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    rejected: list[Unread] = field(default_factory=list)
    count: int = 0
    bytes: int = 0

    def add(self, part: Part) -> None:
        self.tables.append(part.table)
        self.rows.append(part.rows_N)
        self.count += len(part.rows_N)
        self.bytes += part.table.nbytes


def _gather(parts: Iterable[Part], rows: int, file: str) -> Iterator[Chunk]:
    """The same rows in chunks of at most ``rows``, each a frame; a chunk is full unless its cells are many or long."""
    held = _Held()
    for part in parts:
        held.rejected += part.rejected
        for start in range(0, len(part.rows_N), rows):
            rest = _cut(part, start, start + rows)
            while held.count + len(rest.rows_N) >= rows:
                room = rows - held.count
                held.add(_cut(rest, 0, room))
                rest = _cut(rest, room, len(rest.rows_N))
                yield _chunk(held, file)
                held = _Held()
            if len(rest.rows_N):
                held.add(rest)
        if held.bytes >= MAX_BYTES or len(held.rejected) >= rows:
            yield _chunk(held, file)
            held = _Held()
    if held.count or held.rejected:
        yield _chunk(held, file)


def _cut(part: Part, start: int, stop: int) -> Part:
    return Part(part.rows_N[start:stop], part.table.slice(start, stop - start), [])


def _chunk(held: _Held, file: str) -> Chunk:
    import pandas as pd
    import pyarrow as pa

    rows_N = np.concatenate(held.rows) if held.rows else np.zeros(0, dtype=np.int64)
    frame = pa.concat_tables(held.tables).to_pandas() if held.tables else pd.DataFrame()
    return Chunk(file, rows_N.astype(np.int64), frame, held.rejected)
