"""Delimited text, parsed by Arrow block by block, every cell as the text that it is."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files.reading.header import Layout
from unroll.datasets.files.reading.options import SPACES
from unroll.datasets.files.reading.records import MAX_BLANKS, Dialect, records
from unroll.datasets.files.reading.utf8 import BOM

if TYPE_CHECKING:
    import pyarrow as pa


class Unread(NamedTuple):
    """One row that could not be read, and why."""

    row: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True)
class Part:
    """Rows of one block, the cells as text."""

    rows_N: np.ndarray
    table: "pa.Table"
    rejected: list[Unread]


def parts(
    blocks: Iterable[bytes],
    dialect: Dialect,
    layout: Layout,
    name: str,
    *,
    header: bool,
    skip: int,
    longest: int,
    columns: Sequence[str] | None = None,
) -> Iterator[Part]:
    """All rows after the header, of the ``columns`` (all, if None) of a text in UTF-8.

    Raises DataError as ``records`` does, and where Arrow finds other rows than that.
    """
    for batch in records(blocks, dialect, name, longest, skip, blank=layout.width == 1):
        rows_N, data = batch.rows_N, batch.data
        if header:
            header = False
            rows_N, data = rows_N[1:], data[int(batch.starts_N[1]) if len(rows_N) > 1 else len(data) :]
        if len(rows_N):
            yield _parse(data, rows_N, dialect, layout, name, columns)


def _parse(
    data: bytes, rows_N: np.ndarray, dialect: Dialect, layout: Layout, name: str, columns: Sequence[str] | None
) -> Part:
    import pyarrow as pa
    from pyarrow import csv

    faults: list[tuple[int, int]] = []  # number among these rows, from 1, and cells, 0 if it is blank

    def aside(row: csv.InvalidRow) -> str:
        faults.append((row.number, row.actual_columns if row.text.strip() else 0))
        return "skip"

    plain = _plain(data, dialect)
    if plain.startswith(BOM):
        plain = BOM + plain  # Arrow takes the first for the file's own, which it is no longer
    sign = "\t" if dialect.delimiter == SPACES else dialect.delimiter
    cells = [str(place) for place in range(layout.width)]
    places = dict(zip(layout.names, layout.places, strict=True))
    names = layout.names if columns is None else columns
    extra = cells[len(layout.names) :] if columns is None else []
    try:
        table = csv.read_csv(
            pa.py_buffer(plain),
            csv.ReadOptions(column_names=cells, use_threads=False, block_size=len(plain) + 1024),
            csv.ParseOptions(
                delimiter=sign,
                quote_char=dialect.quote or False,
                escape_char=dialect.escape or False,
                newlines_in_values=True,
                ignore_empty_lines=layout.width > 1,
                invalid_row_handler=aside,
            ),
            csv.ConvertOptions(
                column_types=dict.fromkeys(cells, pa.string()),
                include_columns=[str(places[column]) for column in names] + extra,
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid as error:
        text = " ".join(str(error).split())
        raise DataError(f"{name} rows {rows_N[0]} to {rows_N[-1]}: {text}; expected delimited text") from None
    if len(table) + len(faults) != len(rows_N):
        raise DataError(
            f"{name} rows {rows_N[0]} to {rows_N[-1]}: {len(rows_N)} records by their line ends, "
            f"{len(table) + len(faults)} by their cells; expected quotes around whole cells"
        )
    reason = f"wrong number of columns; expected {layout.width}"
    seen = {count: f"{count} columns" for _, count in faults}
    rejected = [Unread(int(rows_N[number - 1]), "", seen[count], reason) for number, count in faults if count]
    good_N = np.delete(rows_N, [number - 1 for number, _ in faults])
    table, good_N, beyond = _without_extra(table, good_N, len(extra))
    return Part(good_N, table.rename_columns(list(names)), sorted([*rejected, *beyond]))


def _without_extra(table: "pa.Table", rows_N: np.ndarray, extra: int) -> tuple["pa.Table", np.ndarray, list[Unread]]:
    """Rows with a value in a column at the end that has neither a name nor a value in the first rows are set aside."""
    import pyarrow.compute as pc

    kept = table.num_columns - extra
    filled_N = np.zeros(len(table), dtype=bool)
    rejected = []
    for place in range(kept, table.num_columns):
        here_N = pc.not_equal(pc.utf8_trim_whitespace(table.column(place)), "").to_numpy() & ~filled_N
        for at in np.flatnonzero(here_N):
            value = table.column(place)[int(at)].as_py()
            reason = "a value in a column without a name; expected an empty cell"
            rejected.append(Unread(int(rows_N[at]), f"column_{place + 1}", value, reason))
        filled_N |= here_N
    table = table.select(range(kept))
    if filled_N.any():
        table, rows_N = table.filter(~filled_N), rows_N[~filled_N]
    return table, rows_N, rejected


def _plain(data: bytes, dialect: Dialect) -> bytes:
    """Text that Arrow can split: runs of blanks as one tab, no blanks before a cell where they do not belong to it."""
    if dialect.delimiter == SPACES:
        cells = _outside(rb"([ \t]+)", b"\t", data, dialect)
        return _outside(rb"(?:\A|(?<=[\r\n]))(\t)|(\t)(?=[\r\n]|\Z)", b"", cells, dialect)
    if dialect.loose:
        after = rb"(?:\A|(?<=[\r\n" + re.escape(dialect.delimiter.encode()) + rb"]))([ ]{1,%d})(?![ \r\n])" % MAX_BLANKS
        return _outside(after, b"", data, dialect)
    return data


def _outside(pattern: bytes, sign: bytes, data: bytes, dialect: Dialect) -> bytes:
    """``pattern`` replaced by ``sign`` wherever it does not stand inside quotes."""
    if not dialect.quote or dialect.quote.encode() not in data:
        return re.sub(pattern, sign, data)
    whole = dialect.quoted.pattern + rb"|(?P<outside>" + pattern + rb")"
    return re.sub(whole, lambda m: sign if m["outside"] is not None else m.group(), data)
