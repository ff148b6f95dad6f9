"""Tables of delimited text: CSV, TSV and their kin."""

from collections.abc import Iterator, Sequence
from typing import final

from unroll.core.errors import DataError
from unroll.datasets.files.reading import dialects, utf8
from unroll.datasets.files.reading.delimited import Part, parts
from unroll.datasets.files.reading.header import layout
from unroll.datasets.files.reading.reader import Place, Reader
from unroll.datasets.files.reading.records import MAX_COLUMNS
from unroll.datasets.files.reading.source import Receipt, opened


@final
class Table(Reader):
    """Every cell as text; ``first`` is the file's first part in UTF-8, which shows its columns."""

    def __init__(self, place: Place, first: bytes) -> None:
        super().__init__(place)
        look = dialects.guess(first, place.reading, place.name)
        self._dialect = look.dialect
        if (width := max(map(len, look.rows))) > MAX_COLUMNS:
            raise DataError(f"{width:,} columns or more; expected at most {MAX_COLUMNS:,}", file=place.name)
        self._layout = layout(look.rows, header=bool(place.reading.header), file=place.name)

    def columns(self) -> tuple[str, ...]:
        """The names of the first row, or numbers."""
        return self._layout.names

    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """The rows after the header."""
        reading, name = self.place.reading, self.place.name
        with opened(self.place.path, reading, name, receipt) as source:
            yield from parts(
                utf8.blocks(source, reading.encoding or "utf-8"),
                self._dialect,
                self._layout,
                name,
                header=bool(reading.header),
                skip=reading.skip_rows,
                longest=reading.max_line_bytes,
                columns=columns,
            )
