"""Which encoding a text is in, as far as its first part tells."""

import codecs
import re

from unroll.core.errors import DataError
from unroll.datasets.files.reading.beginning import Sample
from unroll.datasets.files.reading.utf8 import line_ends

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before utf-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def guess(sample: Sample) -> str:
    """The encoding by its mark, else UTF-8 where it fits, else the Western one that does.

    Raises DataError where most is UTF-8 and some bytes are not: that is damage, no other encoding.
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
            f"{sample.name} row {1 + line_ends(data[:at])}: byte 0x{data[at]:02x} is no UTF-8, as most of the file is; "
            "expected UTF-8 text (or say encoding)"
        )
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _wide(data: bytes) -> str:
    """UTF-16 without a mark has a NUL in every other place of Western text; else ("") they are a fault, told later."""
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
