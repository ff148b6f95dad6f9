"""The first part of a file, from which the rest is judged: what it is, and in which encoding."""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from unroll.core.errors import DataError
from unroll.datasets.files.reading.options import Reading
from unroll.datasets.files.reading.source import DAMAGE, kind_of, opened, raw
from unroll.datasets.files.reading.utf8 import line_ends

SAMPLE = 1 << 20
"""Bytes of a file that are looked at."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before utf-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Sample:
    """Unpacked bytes from the start of a file; ``kind`` is what its first packed bytes say."""

    name: str
    kind: str
    data: bytes
    whole: bool  # nothing comes after it

    def suffix(self) -> str:
        """The ending of the name, without that of a compression.

        >>> Sample("sales.CSV.gz", "gzip", b"", True).suffix()
        '.csv'
        """
        path = Path(self.name.lower())
        if path.suffix in (".gz", ".bz2", ".xz", ".zst", ".zip"):
            path = path.with_suffix("")
        return path.suffix


def take(path: Path, reading: Reading, name: str) -> Sample:
    """The first part of ``path``; longer where the first line is."""
    with raw(path, name) as file:
        kind = kind_of(file)
    if kind == "parquet" or (kind == "zip" and _holds_arrays(path)):
        return Sample(name, "npz" if kind == "zip" else kind, b"", whole=False)
    with opened(path, reading, name) as source:
        data = source.read(SAMPLE)
        while len(data) % SAMPLE == 0 and len(data) <= reading.max_line_bytes and not (b"\n" in data or b"\r" in data):
            more = source.read(SAMPLE)
            if not more:
                return Sample(name, kind, data, whole=True)
            data += more
        return Sample(name, kind, data, whole=not source.read(1))


def _holds_arrays(path: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except DAMAGE:
        return path.suffix.lower() == ".npz"  # the reader says what is wrong with it
    return bool(names) and all(name.endswith(".npy") for name in names)


def encoding(sample: Sample) -> str:
    """The encoding by its mark, else UTF-8 where it fits, else the Western one that does.

    Raises DataError where most is UTF-8 and some bytes are not: that is damage, not another encoding.
    """
    data = sample.data
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    if b"\0" in data and (wide := _wide(data)):
        return wide
    if not sample.whole:
        data = data[: -_cut_off(data) or None]
    text = data.decode("utf-8", "replace")
    lost = text.count("\ufffd") - data.count("\ufffd".encode())
    if not lost:
        return "utf-8"
    if _multibyte(text) > lost:
        at = _first_fault(data)
        raise DataError(
            f"byte 0x{data[at]:02x} is not UTF-8, as most of the file is; expected UTF-8 text (or say encoding)",
            file=sample.name,
            row=1 + line_ends(data[:at]),
        )
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _wide(data: bytes) -> str:
    """UTF-16 without a mark has a NUL in every other place of Western text; else ("") it is a fault, reported later."""
    even, odd = data[0::2].count(0), data[1::2].count(0)
    most = len(data) * 0.3
    if odd > most > 10 * even:
        return "utf-16-le"
    return "utf-16-be" if even > most > 10 * odd else ""


def _cut_off(data: bytes) -> int:
    """Bytes at the end of which only the beginning of a character is seen."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            return back if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
        if byte < 0x80:
            return 0
    return 0


def _multibyte(text: str) -> int:
    return len(re.sub(r"[\x00-\x7f\ufffd]+", "", text))


def _first_fault(data: bytes) -> int:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0
