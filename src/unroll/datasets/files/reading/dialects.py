"""How a delimited text is written, as far as its first rows tell: delimiter, quote, header, decimal mark."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from unroll.core.errors import DataError
from unroll.datasets.files.reading import numerals
from unroll.datasets.files.reading.missing import is_missing
from unroll.datasets.files.reading.numerals import is_number
from unroll.datasets.files.reading.options import SPACES, Reading
from unroll.datasets.files.reading.records import Dialect, records

ROWS = 500
"""Rows that are looked at."""
DELIMITERS = (",", ";", "\t", "|", SPACES)
INTEGER = re.compile(r"[+-]?\d+")
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}[:.h]?\d{2}.*)?|\d{1,2}[:.]\d{2}([:.]\d{2})?")
WORDS = re.compile(r"[^\W\d][\w .()/%:#-]{0,40}")
NAMES = {
    "label",
    "class",
    "category",
    "sentiment",
    "text",
    "tweet",
    "message",
    "source",
    "target",
    "date",
    "time",
    "id",
}
"""What columns of text are called."""


class Look(NamedTuple):
    """The first rows, cut into cells in one way, and how well that fits (0 to 1)."""

    dialect: Dialect
    rows: list[list[str]]
    fit: float
    fault: DataError | None = None  # why there is no row


@lru_cache(maxsize=4)  # a file is looked at for its form, its columns and its rows: wide ones take seconds each time
def guess(data: bytes, reading: Reading, name: str) -> Look:
    """The way to cut ``data`` (UTF-8) into cells that fits best; what ``reading`` says is kept.

    Callers share the answer and must not change it. Raises DataError if there is no row in it.
    """
    delimiters = DELIMITERS if reading.delimiter is None else (reading.delimiter,)
    looks = [_best(data, delimiter, reading, name) for delimiter in delimiters]
    best = max(looks, key=lambda look: look.fit)
    if not best.fit:  # one column, whatever the delimiter is
        single = (look for look in looks if look.rows and all(len(row) == 1 for row in look.rows))
        best = next(single, looks[0])
    if not best.rows:
        if best.fault:
            raise best.fault
        raise DataError("no row in it; expected a table", file=name)
    return best


def _best(data: bytes, delimiter: str, reading: Reading, name: str) -> Look:
    """The quote that fits best with a delimiter; the first of equals."""
    quotes = [reading.quote] if reading.quote is not None else ['"', *("'" * (b"'" in data)), *([""] * (b'"' in data))]
    ways = [Dialect(delimiter, quote, reading.comment or "") for quote in quotes]
    ways += [
        Dialect(delimiter, quote, reading.comment or "", loose=True)
        for quote in quotes
        if quote and delimiter != SPACES and f"{delimiter} {quote}".encode() in data
    ]
    return max((_look(data, way, reading, name) for way in ways), key=lambda look: look.fit)


def is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: text over numbers, or words that do not come again below.

    >>> is_header([["hour", "no2"], ["1", "40"]]), is_header([["1", "40"], ["2", "41"]])
    (True, False)
    """
    if len(rows) == 1:
        return not any(is_number(cell) or DATE.fullmatch(cell.strip()) for cell in rows[0])
    votes = [vote for place in range(len(rows[0])) if (vote := _vote(rows, place)) is not None]
    if any(vote > 1 for vote in votes):
        return True
    return sum(votes) > 0


def decimal(rows: Sequence[Sequence[str]], delimiter: str | None = None) -> str:
    """The decimal mark of most numbers that have one, in cells between ``delimiter``; the first row may be of names.

    >>> decimal([["load", "hour"], ["12,5", "3"], ["1,25", "4"]])
    ','
    """
    columns = itertools.zip_longest(*(rows[1:] or rows), fillvalue="")
    return numerals.marks(([cell for cell in column if not is_missing(cell)] for column in columns), delimiter)[0]


def _look(data: bytes, dialect: Dialect, reading: Reading, name: str) -> Look:
    rows: list[list[str]] = []
    try:
        for batch in records([data], dialect, name, reading.max_line_bytes, reading.skip_rows):
            rows = [dialect.split(text) for text in batch.head(ROWS).texts()]
            break
    except DataError as error:
        return Look(dialect, [], 0, error)
    return Look(dialect, rows, _fit(rows, dialect) * (1 - _misquoted(data, dialect)) if rows else 0)


def _fit(rows: list[list[str]], dialect: Dialect) -> float:
    """Share of rows with the usual number of cells, times share of cells that look like one thing."""
    body = rows[1:] or rows
    width, usual = Counter(map(len, body)).most_common(1)[0]
    first = len(rows[0])
    if width == 1 or (first == 1 and width == 2):
        return 0  # a name over decimal commas
    if first not in (width, width - 1) and not (first > width and not any(rows[0][width:])):
        usual //= 2
    if dialect.delimiter == "," and _are_decimals(rows):
        return 0
    cells = [cell for row in body for cell in row]
    if dialect.delimiter == SPACES:
        return usual / len(body) * sum(is_number(cell) or is_missing(cell) for cell in cells) / len(cells) * 0.9
    others = "".join(sign for sign in ",;\t|" if sign != dialect.delimiter)
    clean = sum(not any(sign in cell for sign in others) or is_number(cell) for cell in cells)
    odd = sum(dialect.quote == "" and '"' in cell for cell in cells)
    return (usual / len(body)) ** 2 * (0.2 + 0.8 * (clean - odd / 2) / len(cells))


def _misquoted(data: bytes, dialect: Dialect) -> float:
    """Share of quotes that do not end where their cell does: they are not quotes around cells."""
    if dialect.quote.encode() not in data:
        return 0
    ends = b" \t\r\n" if dialect.delimiter == SPACES else f"{dialect.delimiter}\r\n".encode()
    closings = [match.end() for match in itertools.islice(dialect.quoted.finditer(data), ROWS)]
    return sum(data[end : end + 1] not in ends for end in closings) / max(1, len(closings))


def _are_decimals(rows: list[list[str]]) -> bool:
    """Whether two columns of digits are one column of decimal commas: 1,05 has a zero that no integer begins with."""
    if any(len(row) != 2 or not INTEGER.fullmatch(row[0]) or not row[1].isdigit() for row in rows):
        return False
    return any(len(row[1]) > 1 and row[1].startswith("0") for row in rows)


def _vote(rows: Sequence[Sequence[str]], place: int) -> int | None:
    """2: surely a name; 1: likely; 0: perhaps; -1: hardly; None: unknown."""
    name = rows[0][place].strip()
    below = [row[place].strip() for row in rows[1:] if place < len(row) and not is_missing(row[place])]
    if is_missing(name) or not below:
        return None
    typed = sum(is_number(cell) or bool(DATE.fullmatch(cell)) for cell in below)
    if typed >= 0.9 * len(below):
        return -1 if is_number(name) or DATE.fullmatch(name) else 2
    if name in below or is_number(name) or not WORDS.fullmatch(name):
        return -1
    classes = len(set(below)) <= len(below) / 2
    texts = sum(" " in cell for cell in below) >= 0.9 * len(below) and " " not in name
    return 1 if classes or texts or name.lower() in NAMES else 0
