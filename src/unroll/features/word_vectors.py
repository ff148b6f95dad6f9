"""Text files of word vectors, as GloVe and word2vec write them. Shapes: W words found, V words asked for, D width.

A line is ``word v1 … vD``; word2vec's text format begins with a line ``W D``. A file may be packed with gzip.
Sources: Pennington et al. 2014 (GloVe), Mikolov et al. 2013 (word2vec).
"""

import codecs
import gzip
import zlib
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unroll.core.errors import DataError
from unroll.features.tokenization import LINK, NAME

MAX_LINE = 1 << 20
"""Bytes of a line: a longer one is no word and its vector, and is not read whole."""
LARGEST = float(np.finfo(np.float32).max)
ALSO = {LINK: "<url>", NAME: "<user>"}
"""What GloVe's vectors of tweets call the marks that ``features.tokenization`` puts in."""
PEEKED = 50
"""Lines at the beginning that tell how wide the vectors are."""
UNKNOWN_WORD = "<unk>"
"""What files call the vector of all words that have none."""


class WordVectors(NamedTuple):
    """Word ``w`` has the vector ``vectors_WD[w]`` (float32)."""

    words: list[str]
    vectors_WD: np.ndarray


class Initial(NamedTuple):
    """A vector for each of V words, and whether it is the file's own."""

    vectors_VD: np.ndarray
    found_V: np.ndarray


def read(path: Path, only: Collection[str] | None = None, first: int | None = None) -> WordVectors:
    """The vectors of the words ``only`` (None: of all), in the file's order, of the ``first`` words that it has.

    The file is read line by line and memory holds no more than what is asked for. The width is what the header says, or
    else how many numbers most of the first lines end with: a word may have blanks in it. Every line must have that
    width and a word in UTF-8; numbers and repetitions are looked at for the words asked for.
    Raises DataError that names the file, the line, what stands there and what was expected.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "v.txt").write_text("late 1 2.5\\ngate 3 4\\n")
    ...     read(Path(folder) / "v.txt", only={"gate"})
    WordVectors(words=['gate'], vectors_WD=array([[3., 4.]], dtype=float32))
    """
    selected = None if only is None else set(only)
    places: dict[str, int] = {}  # where each word stood
    rows: list[np.ndarray] = []
    reader = _Reader(path)
    for line in islice(reader.lines(), first):
        if selected is not None and line.word not in selected:
            continue
        if line.word in places:
            raise reader.fault(f"{line.word!r} again; expected each word once, and line {places[line.word]} has it")
        places[line.word] = reader.number
        rows.append(reader.numbers(line))
    return WordVectors(list(places), np.array(rows, dtype=np.float32).reshape(len(rows), reader.width))


def width(path: Path) -> int:
    """How many numbers each vector of a file has, as ``read`` finds it; no more than its beginning is read.

    Raises DataError where there is no such file, or its first vector is none.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "v.txt").write_text("late 1 2.5\\ngate 3 4\\n")
    ...     width(Path(folder) / "v.txt")
    2
    """
    reader = _Reader(path)
    with closing(reader.lines()) as lines:
        next(lines, None)
    return reader.width


def initial(path: Path, words: Sequence[str], rng: np.random.Generator) -> Initial:
    """A vector for each of ``words``: the file's, else a normal one with the deviation of those found (Kim 2014).

    A mark of our own for links or names takes the vector of the mark that GloVe has for it.
    Raises DataError where the file has none of the words.
    """
    vocabulary = set(words)
    stored = read(path, vocabulary | {ALSO[word] for word in vocabulary & ALSO.keys()})
    places = {word: place for place, word in enumerate(stored.words)}
    places |= {word: places[also] for word, also in ALSO.items() if also in places and word not in places}
    found_V = np.array([word in places for word in words], dtype=bool)
    if not found_V.any():
        raise DataError(f"{path}: has none of the {len(words)} words asked for, such as {words[-1]!r}; expected some")
    known = stored.vectors_WD[[places[word] for word in words if word in places]]
    vectors_VD = rng.normal(0.0, float(known.std()), (len(words), stored.vectors_WD.shape[1])).astype(np.float32)
    vectors_VD[found_V] = known
    return Initial(vectors_VD, found_V)


@dataclass(frozen=True, slots=True)
class _Line:
    word: str
    parts: list[bytes]


class _Reader:
    """One file from its first line to its last; ``number`` is the line that is looked at, ``width`` that of all."""

    def __init__(self, path: Path) -> None:
        self.path, self.number, self.width = path, 0, 0
        self._read = 0

    def fault(self, text: str) -> DataError:
        return DataError(f"{self.path}: line {self.number}: {text}")

    def numbers(self, line: _Line) -> np.ndarray:
        """The vector of a line, each number of it looked at."""
        for place, part in enumerate(line.parts, start=1):
            if not _is_number(part):
                raise self.fault(f"number {place} of {line.word!r} is {_shown(part)}; expected a finite number")
        return np.array([float(part) for part in line.parts], dtype=np.float32)

    def lines(self) -> Generator[_Line, None, None]:
        """Every line that has a word, checked for its width."""
        try:
            with gzip.open(self.path, "rb") if self.path.suffix == ".gz" else self.path.open("rb") as handle:
                yield from self._lines(handle)
        except FileNotFoundError:
            raise DataError(f"{self.path}: not there; expected a file of lines: a word and its numbers") from None
        except (OSError, EOFError, zlib.error) as error:  # gzip's own error is an OSError
            where = f"{self.path}: after line {self._read}"
            raise DataError(f"{where}: cannot be read: {getattr(error, 'strerror', None) or error}") from None

    def _lines(self, handle: gzip.GzipFile | BufferedReader) -> Iterator[_Line]:
        announced: int | None = None
        raw_lines = self._raw(handle)
        for raw in chain(self._peek(raw_lines), raw_lines):
            self.number += 1
            if len(raw) > MAX_LINE:
                raise self.fault(f"longer than {MAX_LINE:,} bytes; expected a word and its numbers")
            if self.number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
                if header := _header(raw):
                    announced, self.width = header
                    if not announced:
                        raise self.fault(f"{_shown(raw)}: no vectors of {self.width} numbers; expected at least one")
                    continue
            yield self._split(raw)
        if announced is not None and announced != self.number - 1:
            raise self.fault(f"the last of {self.number - 1} vectors; expected {announced}, as the first line says")
        if not self.number:
            raise DataError(f"{self.path}: empty; expected lines: a word and its numbers")

    def _raw(self, handle: gzip.GzipFile | BufferedReader) -> Iterator[bytes]:
        while raw := handle.readline(MAX_LINE + 1):
            self._read += 1
            yield raw

    def _peek(self, raw_lines: Iterator[bytes]) -> list[bytes]:
        """The first lines, no more than one may be long, and from them the width."""
        peeked: list[bytes] = []
        while len(peeked) < PEEKED and sum(map(len, peeked)) <= MAX_LINE and (raw := next(raw_lines, b"")):
            peeked.append(raw)
        widths = Counter(width for width in map(_numbers_at_end, peeked) if width)
        self.width = widths.most_common(1)[0][0] if widths else 0  # of equally many the first
        return peeked

    def _split(self, raw: bytes) -> _Line:
        self.width = self.width or len(raw.split()) - 1
        parts = raw.rsplit(None, max(self.width, 1))
        if len(parts) <= max(self.width, 1):
            seen = f"a word and {len(parts) - 1} numbers" if parts else "empty"
            expected = f"{self.width} numbers" if self.width > 0 else "its numbers"
            raise self.fault(f"{_shown(raw)}: {seen}; expected a word and {expected}")
        head, *numbers = parts
        before = head.split()
        if len(before) > 1 and _is_number(before[-1]):  # a few words of large files have a space in them: ". . ."
            seen = f"a word and {len(raw.split()) - 1} numbers"
            raise self.fault(f"{_shown(raw)}: {seen}; expected a word and {self.width} numbers")
        try:
            return _Line(head.strip().decode("utf-8"), numbers)
        except UnicodeDecodeError:
            raise self.fault(f"word {_shown(head)}; expected UTF-8") from None


def _header(raw: bytes) -> tuple[int, int] | None:
    """Number and width of the vectors where the first line tells them, as word2vec's does."""
    parts = raw.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    count, width = map(int, parts)
    return (count, width) if width > 0 else None


def _numbers_at_end(raw: bytes) -> int:
    """How many numbers a line ends with, the first word aside, whatever it is."""
    return sum(1 for _ in takewhile(_is_number, raw.split()[:0:-1]))


def _is_number(part: bytes) -> bool:
    try:  # Python takes 1_0 for a 10
        return abs(float(part)) <= LARGEST and b"_" not in part
    except ValueError:
        return False


def _shown(raw: bytes) -> str:
    """The start of a line in quotes, whatever bytes it has."""
    text = raw.strip().decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
