"""What a file is and how it is written, from its first part: the same file always gives the same answer."""

import itertools
import re
from pathlib import Path

from unroll.core.errors import DataError
from unroll.datasets.files.reading import beginning, dialects, ucr
from unroll.datasets.files.reading.beginning import Sample
from unroll.datasets.files.reading.missing import is_missing
from unroll.datasets.files.reading.numerals import is_number
from unroll.datasets.files.reading.options import Format, Reading

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".ts": "ts",
    ".arff": "arff",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
}
CONTENTS: tuple[tuple[str, str, Format], ...] = (
    ("%", r"(?i)@relation\b", "arff"),
    ("#", r"(?i)@(problemname|timestamps|univariate|classlabel|missing)\b", "ts"),
    ("", r"\{", "jsonl"),
)
"""How a comment begins, if the format has any, and how the first other line does."""
FIT = 0.8
"""How well a delimiter must fit before a file that does not call itself a table is taken for one."""


def sniff(path: Path, reading: Reading, name: str | None = None) -> Reading:
    """``reading`` with everything that it leaves open filled in, as far as it matters for the file's format.

    Raises DataError for a file that is missing, empty, damaged or in an unknown encoding.
    """
    return look(beginning.take(path, reading, name or path.name), reading)


def look(part: Sample, reading: Reading) -> Reading:
    """As ``sniff``, for a part that was read already."""
    if part.kind in ("parquet", "npz"):
        return _filled(reading, format=reading.format or part.kind)
    kind = reading.format or SUFFIXES.get(part.suffix())
    if kind in ("parquet", "npz"):
        raise DataError(f"no {kind} ({part.kind}); expected {kind}, which is compressed inside already", file=part.name)
    if part.data[257:262] == b"ustar":
        raise DataError("a tar archive; expected a single file, packed or not", file=part.name)
    encoding = reading.encoding or beginning.encoding(part)
    settled = _filled(reading, encoding=encoding)
    text = utf8(part, encoding)
    kind = kind or _by_content(text)
    if kind in ("jsonl", "text", "ts", "arff"):
        return _filled(settled, format=kind)
    if reading.delimiter is None and part.suffix() in (".tsv", ".tab") and b"\t" in text:
        settled = _filled(settled, delimiter="\t")
    if settled.comment is None and (comment := _comment(text, settled, part.name)):
        settled = settled.model_copy(update={"comment": comment})
    best = dialects.guess(text, settled, part.name)
    if kind is None and not _says_table(reading) and not _is_table(best):
        return _filled(reading, encoding=encoding, format="text")
    header = dialects.is_header(best.rows) if settled.header is None else settled.header
    place = None if header else ucr.label_place(best.rows, part.name)
    return _filled(
        settled,
        format="ucr" if place else "csv",
        label_place=None if settled.format == "csv" else place or ("first" if settled.format == "ucr" else None),
        delimiter=best.dialect.delimiter,
        quote=best.dialect.quote,
        decimal=settled.decimal or dialects.decimal(best.rows, best.dialect.delimiter),
        header=settled.format != "ucr" and header,
    )


def utf8(part: Sample, encoding: str) -> bytes:
    """The sample as UTF-8, up to the end of its last whole line; bytes that are not text show when it is read."""
    data = part.data.decode(encoding, "replace").removeprefix("\ufeff").encode(errors="replace")
    if part.whole:
        return data if data.endswith((b"\n", b"\r")) else data + b"\n"
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    return data[: end or None]


def _filled(reading: Reading, **values: object) -> Reading:
    """``reading`` with ``values`` for the keys that it leaves open."""
    return reading.model_copy(update={key: value for key, value in values.items() if getattr(reading, key) is None})


def _by_content(text: bytes) -> Format | None:
    lines = [line.strip() for line in text[:4096].decode(errors="replace").splitlines()]
    for comment, pattern, kind in CONTENTS:
        first = next((line for line in lines if line and not (comment and line.startswith(comment))), "")
        if re.match(pattern, first):
            return kind
    return None


def _comment(text: bytes, settled: Reading, name: str) -> str | None:
    """The sign of lines at the top that are a comment: what follows has names of columns, or another number of cells.

    Else the last of them has the names itself, as in #time,temperature.
    """
    lines = [line for line in text[:65_536].decode(errors="replace").splitlines() if line.strip()]
    head = list(itertools.takewhile(lambda line: line.startswith("#"), lines))
    if not head or len(head) == len(lines) or settled.skip_rows:
        return None
    try:
        best = dialects.guess(text, settled.model_copy(update={"comment": "#"}), name)
    except DataError:  # the sign stands in the first cell: without its line, the rest is no table
        return None
    same = len(best.dialect.split(head[-1])) == len(best.rows[0])
    return None if same and not (len(best.rows) > 1 and dialects.is_header(best.rows)) else "#"


def _says_table(reading: Reading) -> bool:
    """Whether a key is set that only a table has."""
    return any(value is not None for value in (reading.delimiter, reading.decimal, reading.quote, reading.header))


def _is_table(best: dialects.Look) -> bool:
    """Prose has commas and blanks too, but rarely as many in each line, nor numbers beside them."""
    rows = best.rows
    if len(rows[0]) == 1 and not best.fit:
        only = [row[0] for row in rows[1:] or rows if row[0].strip()]
        return all(is_number(cell) or is_missing(cell) for cell in only)
    if best.fit < FIT or len(rows) < 2:
        return False
    body = rows[1:]
    numbers = sum(is_number(cell) for row in body for cell in row)
    return best.dialect.delimiter in "\t;|" or numbers >= len(body) / 2
