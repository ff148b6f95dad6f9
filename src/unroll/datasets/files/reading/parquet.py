"""Parquet, row groups in turn, every column in its own type."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, final

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files.reading.delimited import Part
from unroll.datasets.files.reading.reader import CELLS, NoCells, Place, Reader
from unroll.datasets.files.reading.source import MAX_BYTES, Receipt, raw, reported, whole

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1 << 16
"""Rows taken at a time."""


@final
class Parquet(Reader):
    """Numbers, true and false, times and text; columns of lists or records are left out."""

    def __init__(self, place: Place) -> None:
        import pyarrow.parquet as pq

        super().__init__(place)
        with raw(place.path, place.name) as file, reported(place.name, "parquet"):
            footer = pq.ParquetFile(file).metadata
            self._schema: pa.Schema = footer.schema.to_arrow_schema()
            self._rows = footer.num_rows
            size = sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))
        max_bytes = place.reading.max_bytes or MAX_BYTES
        if (size := max(size, footer.num_rows * len(self._schema))) > max_bytes:
            raise DataError(f"{size:,} bytes unpacked; expected at most max_bytes, {max_bytes:,}", file=place.name)
        if not len(self._schema):
            raise DataError("no column in it; expected a table", file=place.name)
        if len(set(self._schema.names)) < len(self._schema.names):
            raise DataError("two columns of one name; expected each name once", file=place.name)
        self._types = {name: _plain(self._schema.field(name).type) for name in self._schema.names}
        if not self.columns():
            what = next(iter(self.left_out().items()))
            raise DataError(f"no column of cells: {what[0]!r} is {what[1]}; {CELLS}", file=place.name)

    def columns(self) -> tuple[str, ...]:
        """The names in the schema."""
        return tuple(name for name, kind in self._types.items() if kind is not None)

    def left_out(self) -> Mapping[str, NoCells]:
        """The columns of lists, records or bytes."""
        return {
            name: NoCells("nested" if field.num_fields else "bytes", str(field))
            for name, kind in self._types.items()
            if kind is None and (field := self._schema.field(name).type) is not None
        }

    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """The rows, numbered from 1."""
        import pyarrow.parquet as pq

        name, chosen = self.place.name, list(self.columns() if columns is None else columns)
        types = {column: kind for column in chosen if (kind := self._types[column]) is not None}
        with whole(self.place.path, name, receipt) as file:
            size = os.fstat(file.fileno()).st_size
            with reported(name, "parquet"):
                batches = pq.ParquetFile(file).iter_batches(ROWS, columns=chosen, use_threads=False)
            row = 1
            while (table := self._next(batches, types, row)) is not None:
                receipt.position = size * (row - 1 + len(table)) // max(self._rows, 1)
                yield Part(np.arange(row, row + len(table)), table, [])
                row += len(table)

    def _next(
        self, batches: Iterator["pa.RecordBatch"], types: "dict[str, pa.DataType]", row: int
    ) -> "pa.Table | None":
        import pyarrow as pa

        with reported(f"{self.place.name} row {row} or later", "parquet"):
            batch = next(batches, None)
            if batch is None:
                return None
            return pa.table({column: batch.column(column).cast(kind) for column, kind in types.items()})


def _plain(kind: "pa.DataType") -> "pa.DataType | None":
    """The type that a column of some other is handed out in; None for one that holds no cells."""
    import pyarrow as pa
    import pyarrow.types as is_type

    kind = kind.value_type if is_type.is_dictionary(kind) else kind
    if is_type.is_integer(kind) or is_type.is_boolean(kind) or is_type.is_timestamp(kind) or is_type.is_duration(kind):
        return kind
    if is_type.is_floating(kind) or is_type.is_decimal(kind):
        return pa.float32() if is_type.is_float16(kind) or is_type.is_float32(kind) else pa.float64()
    if is_type.is_date(kind):
        return pa.timestamp("ms")
    return None if is_type.is_nested(kind) or is_type.is_fixed_size_binary(kind) else pa.string()
