"""Parts of any size, gathered into chunks of a size that was asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from unroll.datasets.files.reading.delimited import Part, Unread

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MAX_BYTES = 1 << 26
"""Bytes of cells in a chunk, about: wide rows make chunks of fewer rows."""


@dataclass(frozen=True)
class Chunk:
    """N consecutive rows of a file, and those among them that could not be read."""

    file: str
    rows_N: np.ndarray
    frame: "pd.DataFrame"
    rejected: list[Unread]


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


def gather(parts: Iterable[Part], rows: int, file: str) -> Iterator[Chunk]:
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
