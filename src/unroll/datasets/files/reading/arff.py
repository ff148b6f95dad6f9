"""ARFF, the format of Weka: a list of attributes, then rows of values between commas.

A file whose attributes are one class and a numbered run of numbers (att1, att2 …) holds labelled series; any other is a
table of text, like a CSV. Sparse rows and relations within relations are refused.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from unroll.core.errors import DataError
from unroll.core.text import shorten
from unroll.datasets.files.reading import utf8, values
from unroll.datasets.files.reading.delimited import Part, parts
from unroll.datasets.files.reading.header import Layout
from unroll.datasets.files.reading.reader import Place, Reader
from unroll.datasets.files.reading.records import Dialect
from unroll.datasets.files.reading.source import Receipt, opened

if TYPE_CHECKING:
    import pyarrow as pa

ATTRIBUTE = re.compile(r"""(?i)@attribute\s+('(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|[^\s{]+)\s*(.*)""")
NUMBERS = ("numeric", "real", "integer")
LEAST = 8
"""Values that a series has at least."""


@dataclass(frozen=True)
class _Attribute:
    name: str
    kind: str

    def is_number(self) -> bool:
        return self.kind.lower().split(" ")[0].split("[")[0] in NUMBERS


@final
class Arff(Reader):
    """The attributes as columns; or label and t000 … (float32) where they are a labelled series."""

    def __init__(self, place: Place, first: bytes) -> None:
        super().__init__(place)
        self._rows, self._attributes = self._read_head()
        self._label = _label_place(self._attributes)
        names = [attribute.name for attribute in self._attributes]
        again = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if again:
            raise DataError(f"attribute {again[0]!r} stands twice; expected each name once", file=place.name)
        self._layout = Layout(tuple(names), tuple(range(len(names))), len(names))
        data = re.split(r"(?im)^@data\s*$", first.decode(errors="replace"), maxsplit=1)[-1]
        if data.lstrip().startswith("{"):
            raise DataError("a sparse row; expected a value for each attribute", file=place.name, row=self._rows + 1)
        self._quote = _quote(data)

    def columns(self) -> tuple[str, ...]:
        """The names of the attributes, or ``label`` and the times."""
        return self._layout.names if self._label is None else ("label", *values.times(self._layout.width - 1))

    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """The rows after @data; an unquoted ? is an empty cell."""
        for part in self._cells(columns if self._label is None else None, receipt):
            yield part if self._label is None else values.series(part, self._label, ".", columns)

    def _cells(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        reading, name = self.place.reading, self.place.name
        with opened(self.place.path, reading, name, receipt) as source:
            rows = parts(
                utf8.blocks(source, reading.encoding or "utf-8"),
                Dialect(",", self._quote, "%", escape="\\", loose=True),
                self._layout,
                name,
                header=False,
                skip=self._rows,
                longest=reading.max_line_bytes,
                columns=columns,
            )
            for part in rows:
                yield Part(part.rows_N, _stripped(part.table), part.rejected)

    def _read_head(self) -> tuple[int, list[_Attribute]]:
        """How many rows the head takes, and the attributes."""
        attributes: list[_Attribute] = []
        for batch in self.lines():
            for row, line in zip(batch.rows_N.tolist(), map(str.strip, batch.texts()), strict=True):
                if line.lower() == "@data" and attributes:
                    return row, attributes
                if line and not line.startswith("%") and not line.lower().startswith("@relation"):
                    attributes.append(self._attribute(line, row))
        raise DataError("no attributes and a line @data after them; expected both", file=self.place.name)

    def _attribute(self, line: str, row: int) -> _Attribute:
        match = ATTRIBUTE.fullmatch(line)
        if not match or not match[2]:
            wrong = shorten(line)
            raise DataError(
                f"{wrong!r}; expected @attribute with a name and a type, or @data", file=self.place.name, row=row
            )
        name, kind = match[1], match[2].strip()
        if kind.lower().startswith("relational"):
            raise DataError(
                "a relational attribute (several dimensions); expected single values", file=self.place.name, row=row
            )
        if name[0] in "'\"":
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        return _Attribute(name, kind)


def _label_place(attributes: Sequence[_Attribute]) -> int | None:
    """Where the class stands, first or last, among a numbered run of numbers; None for any other list."""
    last = len(attributes) - 1
    classes = [at for at, attribute in enumerate(attributes) if not attribute.is_number()]
    if (
        last < LEAST
        or len(classes) != 1
        or classes[0] not in (0, last)
        or not attributes[classes[0]].kind.startswith("{")
    ):
        return None
    numbered = [re.fullmatch(r"(.*?)(\d+)", each.name) for at, each in enumerate(attributes) if at != classes[0]]
    names = [(match[1], int(match[2])) for match in numbered if match and len(match[2]) < 10]
    start = names[0] if names else ("", 0)
    run = [(start[0], start[1] + step) for step in range(last)]
    return classes[0] if names == run else None


def _quote(data: str) -> str:
    """Weka writes ' and reads both; of the rows in sight, the one with which cells begin more often."""
    return '"' if len(re.findall(r'(?m)(?:^|,)[ ]*"', data)) > len(re.findall(r"(?m)(?:^|,)[ ]*'", data)) else "'"


def _stripped(table: "pa.Table") -> "pa.Table":
    """Cells without blanks around them, a missing one empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = [pc.utf8_trim_whitespace(column) for column in table.columns]
    return pa.table([pc.if_else(pc.equal(each, "?"), "", each) for each in cells], names=table.column_names)
