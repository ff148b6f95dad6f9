"""Bytes of any encoding as UTF-8, block by block, each fault named by its row."""

import codecs
from collections.abc import Iterator

from unroll.core.errors import DataError
from unroll.datasets.files.reading.source import Source

BLOCK = 1 << 22
"""Bytes read at a time."""
BOM = "\ufeff".encode()


def blocks(source: Source, encoding: str) -> Iterator[bytes]:
    r"""The text as UTF-8, without byte order mark; no block ends between ``\r`` and ``\n``, none is empty.

    Raises DataError that names row and byte of what is not text in this encoding, and the row of a NUL.
    """
    recode = _Recode(source.name, encoding)
    row, held, first = 1, b"", True
    while piece := source.read(BLOCK):
        data = recode(piece, row)
        if first and data:
            data, first = data.removeprefix(BOM), False
        data = held + data
        held = b"\r" if data.endswith(b"\r") else b""
        data = data.removesuffix(held)
        _refuse_nul(source.name, data, row)
        row += line_ends(data)
        if data:
            yield data
    data = held + recode(b"", row, final=True)
    if data:
        yield data


def line_ends(data: bytes) -> int:
    r"""How many lines end in ``data``: at ``\n``, ``\r\n`` or a single ``\r``."""
    ends = data.count(b"\n")
    return ends + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else ends


def _refuse_nul(name: str, data: bytes, row: int) -> None:
    if (at := data.find(b"\0")) >= 0:
        raise DataError(
            "a NUL byte; expected text (of another encoding, such as utf-16, say which)",
            file=name,
            row=row + line_ends(data[:at]),
        )


class _Recode:
    """Pieces of one encoding into UTF-8, characters that a piece cuts in two included."""

    def __init__(self, name: str, encoding: str) -> None:
        self._name, self._encoding = name, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")

    def __call__(self, piece: bytes, row: int, *, final: bool = False) -> bytes:
        """``piece`` as UTF-8; ``row`` is where it begins."""
        if self._is_utf8 and piece.isascii() and self._decoder.getstate()[0] == b"":
            return piece
        try:
            return self._decoder.decode(piece, final).encode()
        except UnicodeDecodeError as error:
            raise DataError(self._explain(error, row)) from None
        except UnicodeError as error:
            raise DataError(f"{self._name} row {row} or later: {error}; expected {self._encoding} text") from None

    def _explain(self, error: UnicodeDecodeError, row: int) -> str:
        before = error.object[: error.start].decode(error.encoding, "replace")
        row += line_ends(before.encode(errors="replace"))
        byte = error.object[error.start] if error.start < len(error.object) else 0
        hint = "; set encoding for another one, such as cp1252 or latin-1" if self._is_utf8 else ""
        shown = "UTF-8" if self._is_utf8 else self._encoding
        return f"{self._name} row {row}: byte 0x{byte:02x} is not {shown}; expected {shown} text{hint}"
