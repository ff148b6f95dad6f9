"""Delimited text cut into whole records, each with the row that it starts on, line breaks inside quotes counted."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files.reading.options import SPACES

LF, CR = 10, 13
MAX_BLANKS = 4
"""Blanks before a quote that a loose dialect passes over."""
MAX_COLUMNS = 100_000
"""The most cells of a row."""
MAX_CELLS = 1 << 18
"""Cells that are made of lines at a time."""
MAX_HELD = 1 << 20
"""Bytes of records without content that are held back in case that nothing follows them."""


@dataclass(frozen=True)
class Dialect:
    """How records are written: one character each, or none."""

    delimiter: str = ","
    quote: str = '"'
    comment: str = ""
    escape: str = ""  # before a quote inside quotes, as well as the doubled quote
    loose: bool = False  # blanks after a delimiter do not belong to the cell
    quoted: re.Pattern[bytes] = field(init=False, repr=False, compare=False)
    cell: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Build the patterns; a quote opens at the beginning of a cell alone, and may stand anywhere else."""
        mark, gap, escape = re.escape(self.quote), re.escape(self.delimiter), re.escape(self.escape)
        gaps = r" \t" if self.delimiter == SPACES else gap
        inner = rf"(?:[^{mark}{escape}]++|{mark}{mark}" + (rf"|{escape}(?s:.)" if escape else "") + ")*+"
        # The sign comes before what must stand before it, so that the search leaps from sign to sign.
        blanks = [" " * count for count in range(1 + self.loose * MAX_BLANKS)]
        begins = [rf"(?<={before}{blank}{mark})" for blank in blanks for before in (r"\A", rf"[\r\n{gaps}]")]
        quoted = rf"{mark}(?:{'|'.join(begins)}){inner}(?:{mark}|(\Z))" if mark else r"(?!)()"
        sign = re.escape(self.comment)
        comment = rf"{sign}(?:(?<=\A{sign})|(?<=[\r\n]{sign}))[^\r\n]*+|" if sign else ""
        escaped = rf"|{escape}(?s:.)" if escape else ""  # outside quotes it keeps a line end within its cell too
        object.__setattr__(self, "quoted", re.compile((comment + quoted + escaped).encode()))
        cell = rf"{mark}({inner}){mark}([^{gaps}]*+)|([^{gaps}]*+)" if mark else rf"(?!)()()|([^{gaps}]*+)"
        lead = f"[ ]{{0,{MAX_BLANKS}}}+" if self.loose else ""
        end = r"[ \t]+" if self.delimiter == SPACES else gap
        object.__setattr__(self, "cell", re.compile(rf"{lead}(?:{cell})({end}|\Z)"))

    def split(self, record: str) -> list[str]:
        """The cells of one record.

        >>> Dialect(";", "'").split("a;'b; ''c'' d';")
        ['a', "b; 'c' d", '']
        """
        if self.delimiter == SPACES:
            record = record.strip(" \t")
        cells: list[str] = []
        at = 0
        while len(cells) <= MAX_COLUMNS and (match := self.cell.match(record, at)):
            inner, after, plain, end = match.groups()
            cells.append(plain if inner is None else self._unquote(inner) + after)
            at = match.end()
            if not end:
                break
        return cells

    def _unquote(self, inner: str) -> str:
        inner = re.sub(re.escape(self.escape) + "(?s:(.))", r"\1", inner) if self.escape else inner
        return inner.replace(self.quote * 2, self.quote)


LINES = Dialect("\n", "")
"""Every line is a record, those without content too, to the very end."""


@dataclass(frozen=True)
class Records:
    """Whole records as they are written."""

    data: bytes
    starts_N: np.ndarray  # where each begins in data
    rows_N: np.ndarray  # the row that it starts on

    def head(self, count: int) -> "Records":
        """The first ``count`` of them."""
        if count >= len(self.starts_N):
            return self
        return Records(self.data[: int(self.starts_N[count])], self.starts_N[:count], self.rows_N[:count])

    def texts(self) -> list[str]:
        """Each record without its line end."""
        ends_N = [*self.starts_N[1:], len(self.data)]
        return [
            self.data[start:end].decode().rstrip("\r\n")  # with blank lines after it
            for start, end in zip(self.starts_N, ends_N, strict=True)
        ]


def groups(rows_N: np.ndarray, lines: Sequence[str], width: int) -> Iterator[tuple[np.ndarray, Sequence[str]]]:
    """Lines, and the row of each, in groups that make a bounded number of cells when each has ``width`` of them."""
    step = max(1, MAX_CELLS // max(1, width))
    for start in range(0, len(lines), step):
        yield rows_N[start : start + step], lines[start : start + step]


def records(
    blocks: Iterable[bytes], dialect: Dialect, name: str, longest: int, skip: int = 0, *, blank: bool = False
) -> Iterator[Records]:
    """Cut a text into records; those without content at the very end are left out, and comment lines.

    ``skip`` lines come before the first record. Blank lines are records only if ``blank``.
    Raises DataError for a record of more than ``longest`` bytes and for a quote that is never closed.
    """
    cutter = _Cutter(dialect, name, longest, blank=blank)
    for block in _skipped(blocks, skip, cutter):
        batch = cutter.cut(block)
        if len(batch.rows_N):
            yield batch
    batch = cutter.cut(b"", final=True)
    if len(batch.rows_N):
        yield batch


def _skipped(blocks: Iterable[bytes], skip: int, cutter: "_Cutter") -> Iterator[bytes]:
    for block in blocks:
        if skip and not (skip := skip - len(ends_K := _line_ends(block)[:skip])):
            block = block[ends_K[-1] :]
            cutter.row += len(ends_K)
        elif skip:
            cutter.row += len(ends_K)
            continue
        if block:
            yield block


class _Cutter:
    """Keeps what the last block left over, and which row it begins on."""

    def __init__(self, dialect: Dialect, name: str, longest: int, *, blank: bool) -> None:
        self.row = 1
        self._dialect, self._name, self._longest, self._blank = dialect, name, longest, blank
        self._empty = b"" if dialect.delimiter == "\n" else (dialect.delimiter + " \t\r\n").encode()
        self._left = b""

    def cut(self, block: bytes, *, final: bool = False) -> Records:
        data = self._left + block
        if final and data and not data.endswith((b"\n", b"\r")):
            data += b"\n"
        lines_L = _line_ends(data)
        ends_N = self._outside_quotes(data, lines_L, final=final)
        self._require_short(data, lines_L, ends_N)
        if final and data and (not len(ends_N) or ends_N[-1] < len(data)):
            raise DataError(
                f"the last row does not end; expected no {self._dialect.escape} before its end", file=self._name
            )
        kept = self._content(data, ends_N, final=final)
        cut = int(ends_N[kept - 1]) if kept else 0
        self._left = data[cut:]
        starts_N = np.concatenate([[0], ends_N[: max(kept - 1, 0)]])[:kept]
        inside_L = lines_L[: np.searchsorted(lines_L, cut, side="right")]
        rows_N = self.row + np.searchsorted(inside_L, starts_N, side="right")
        self.row += len(inside_L)
        return self._sift(_with_line_feeds(data[:cut], ends_N[:kept]), starts_N, rows_N)

    def _outside_quotes(self, data: bytes, lines_L: np.ndarray, *, final: bool) -> np.ndarray:
        """Those line ends that end a record."""
        mark, escape = self._dialect.quote.encode(), self._dialect.escape.encode()
        if not (mark and mark in data) and not (escape and escape in data):
            return lines_L
        if not (self._dialect.comment or self._dialect.escape or self._dialect.loose):
            quotes_Q = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord(mark))
            if _are_whole(data, quotes_Q, self._dialect.delimiter):
                if final and len(quotes_Q) % 2:
                    self._refuse_open(int(quotes_Q[-1]), lines_L)
                return lines_L[~_are_inside(quotes_Q, lines_L)]
        spans, match = [], None
        for match in self._dialect.quoted.finditer(data):
            spans.append(match.span())
        if final and match and match.group(1) is not None:
            self._refuse_open(match.start(), lines_L)
        if not spans:
            return lines_L
        from_S, to_S = np.array(spans).T
        at_L = np.searchsorted(from_S, lines_L - 1, side="right") - 1
        return lines_L[(at_L < 0) | (lines_L - 1 >= to_S[at_L])]

    def _refuse_open(self, at: int, lines_L: np.ndarray) -> None:
        row = self.row + int(np.searchsorted(lines_L, at, side="right"))
        raise DataError(f"a quote {self._dialect.quote} is never closed; expected its end", file=self._name, row=row)

    def _require_short(self, data: bytes, lines_L: np.ndarray, ends_N: np.ndarray) -> None:
        bounds = np.concatenate([[0], ends_N, [len(data)]])
        long = np.flatnonzero(np.diff(bounds) > self._longest)
        if len(long):
            row = self.row + int(np.searchsorted(lines_L, bounds[long[0]], side="right"))
            hint = f"; is a quote {self._dialect.quote} left open?" if self._dialect.quote else ""
            raise DataError(
                f"longer than {self._longest:,} bytes; expected its end before{hint}", file=self._name, row=row
            )

    def _content(self, data: bytes, ends_N: np.ndarray, *, final: bool) -> int:
        """How many records there are up to the last one that holds anything; the others may yet be the file's end."""
        if not len(ends_N):
            return 0
        last = len(data[: ends_N[-1]].rstrip(self._empty))
        kept = int(np.searchsorted(ends_N, last, side="left")) + 1 if last else 0
        held = ends_N[-1] - (ends_N[kept - 1] if kept else 0)
        return len(ends_N) if held > MAX_HELD and not final else kept

    def _sift(self, data: bytes, starts_N: np.ndarray, rows_N: np.ndarray) -> Records:
        """Without comment lines; blank lines stay in the text, where the parser passes over them, but do not count."""
        if not len(starts_N):
            return Records(data, starts_N, rows_N)
        first_N = np.frombuffer(data, dtype=np.uint8)[starts_N]
        if self._dialect.comment:
            keep_N = first_N != ord(self._dialect.comment)
            if not keep_N.all():
                lengths_N = np.diff(np.concatenate([starts_N, [len(data)]]))
                data = np.frombuffer(data, dtype=np.uint8)[np.repeat(keep_N, lengths_N)].tobytes()
                starts_N = (np.cumsum(lengths_N * keep_N) - lengths_N)[keep_N]
                rows_N, first_N = rows_N[keep_N], first_N[keep_N]
        if not self._blank:
            keep_N = (first_N != LF) & (first_N != CR)
            if self._dialect.delimiter == SPACES:
                keep_N &= _hold_anything(data, starts_N)
            starts_N, rows_N = starts_N[keep_N], rows_N[keep_N]
        return Records(data, starts_N, rows_N)


def _hold_anything(data: bytes, starts_N: np.ndarray) -> np.ndarray:
    """Whether there is more in a record than blanks."""
    blank = np.zeros(256, dtype=bool)
    blank[list(b" \t\r\n")] = True
    held: np.ndarray = np.add.reduceat(~blank[np.frombuffer(data, dtype=np.uint8)], starts_N, dtype=np.int64)
    return held > 0


def _with_line_feeds(data: bytes, ends_N: np.ndarray) -> bytes:
    r"""Records that end in a single ``\r`` end in ``\n``, so that no cut joins it to the next line's."""
    if CR not in data:
        return data
    signs = np.frombuffer(data, dtype=np.uint8).copy()
    signs[ends_N[signs[ends_N - 1] == CR] - 1] = LF
    return signs.tobytes()


def _are_inside(quotes_Q: np.ndarray, lines_L: np.ndarray) -> np.ndarray:
    """Whether an odd number of quotes comes before each line end; a byte for each, as there may be millions."""
    odd_L = np.zeros(len(lines_L) + 1, dtype=bool)
    np.logical_xor.at(odd_L, np.searchsorted(lines_L, quotes_Q, side="right"), True)
    inside_L: np.ndarray = np.logical_xor.accumulate(odd_L)
    return inside_L[:-1]


def _are_whole(data: bytes, quotes_Q: np.ndarray, delimiter: str) -> bool:
    """Whether every quote opens or closes a whole cell, or is doubled: then each second one closes."""
    signs = np.frombuffer(data, dtype=np.uint8)
    ends = np.zeros(256, dtype=bool)
    ends[list(b" \t\r\n" if delimiter == SPACES else f"{delimiter}\r\n".encode())] = True
    opening, closing = quotes_Q[0::2], quotes_Q[1::2]
    doubled = np.zeros(len(quotes_Q), dtype=bool)  # a closing quote and an opening one without a sign between them
    doubled[2::2] = quotes_Q[2::2] == quotes_Q[1:-1:2] + 1
    opens = ends[signs[opening - 1]] | (opening == 0) | doubled[0::2]
    if not opens.all():
        return False
    closes = ends[signs[np.minimum(closing + 1, len(signs) - 1)]] | (closing + 1 == len(signs))
    closes[: len(doubled[2::2])] |= doubled[2::2]
    return bool(closes.all())


def _line_ends(data: bytes) -> np.ndarray:
    r"""Where the next line begins after each ``\n``, ``\r\n`` or single ``\r``."""
    signs = np.frombuffer(data, dtype=np.uint8)
    ends_L = np.flatnonzero(signs == LF).astype(np.int32)  # a part is far shorter than 2 GiB
    if CR in data:
        returns = np.flatnonzero(signs == CR).astype(np.int32)
        following = signs[np.minimum(returns + 1, len(signs) - 1)]
        ends_L = np.sort(np.concatenate([ends_L, returns[(following != LF) | (returns + 1 == len(signs))]]))
    ends_L += 1
    return ends_L
