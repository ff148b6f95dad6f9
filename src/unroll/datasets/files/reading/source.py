"""One file as a stream of unpacked bytes: bounded, hashed on the way, and noticed when it changes meanwhile."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from unroll.core import store
from unroll.core.errors import DataError
from unroll.datasets.files.reading.options import Reading

MAX_BYTES = 1 << 36
"""The most that a file may hold, unpacked, where no other number is given."""
MAX_RATIO = 150
"""How many times larger than what is packed the content may be, once it is more than RATIO_FROM bytes.

A hundred columns of which one cell in a thousand is no zero come to 60 with gzip and 150 with xz, an outage of all
sensors to 16 and 150; a thousand columns of one 1 a row, to 240 and more, must say what they hold.
"""
RATIO_FROM = 1 << 30
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PAR1": "parquet",
}
PACKED = ("gzip", "bzip2", "xz", "zstd", "zip")
HEAD = 8
DAMAGE = (
    *(OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, struct.error),
    *(RuntimeError, NotImplementedError, OverflowError, IndexError, KeyError),  # what zipfile raises too
)
"""What the standard library raises for a damaged file."""


class Reads(Protocol):
    """What hands out bytes."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


@dataclass
class Receipt:
    """What was read; hash and size are filled in when a file has been read whole and had not changed.

    ``position`` is how far reading has come meanwhile, in bytes of the file as it lies there, and ``rows`` how many
    rows that were.
    """

    sha256: str | None = None
    bytes: int | None = None
    position: int = 0
    rows: int = 0


class Source:
    """Unpacked bytes, in order, each read once. ``name`` is how messages call the file."""

    def __init__(
        self, stream: Reads, name: str, kind: str, position: Callable[[], int], max_bytes: int | None, receipt: Receipt
    ) -> None:
        self.name = name
        self._stream, self._kind, self._position, self._max_bytes = stream, kind, position, max_bytes
        self._taken, self._receipt = 0, receipt

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end; raises DataError for damage and for more than is allowed."""
        parts: list[bytes] = []
        left = size
        while left and (part := self._read(left)):
            parts.append(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read(self, size: int) -> bytes:
        with reported(self.name, self._kind):
            part = self._stream.read(size)
        self._receipt.position = self._position()
        self._taken += len(part)
        require_bounded(self.name, self._receipt.position, self._taken, self._max_bytes)
        return part


def require_bounded(name: str, packed: int, unpacked: int, max_bytes: int | None) -> None:
    """Raise DataError for more bytes than ``max_bytes``; where none are given, also for far more than were packed.

    Held against the bytes read so far, the ratio tells of a file that is made to fill a machine long before its end.
    """
    if unpacked > (max_bytes or MAX_BYTES):
        raise DataError(f"more than {max_bytes or MAX_BYTES:,} bytes unpacked; expected at most max_bytes", file=name)
    if max_bytes is None and unpacked > max(RATIO_FROM, MAX_RATIO * packed):
        raise DataError(
            f"{packed:,} bytes of it unpack to {unpacked:,}; expected at most {MAX_RATIO} times as much: if it "
            "is not made to fill a machine, unpack it, or say in data.max_bytes how much it may hold",
            file=name,
        )


@contextmanager
def opened(path: Path, reading: Reading, name: str, receipt: Receipt | None = None) -> Iterator[Source]:
    """The unpacked content of ``path``; at the end of the block it must still be the same file.

    Raises DataError unless the file is readable, whole and unchanged.
    """
    with raw(path, name) as file:
        before = os.fstat(file.fileno())
        kind = kind_of(file)
        hashed = _Hashed(file)
        with reported(name, kind):
            stream = _unpacked(cast("IO[bytes]", hashed) if kind != "zip" else file, kind, name)
        yield Source(stream, name, kind, file.tell, reading.max_bytes, receipt or Receipt())
        digest = (hashed.rest() if kind != "zip" else store.sha256(path)) if receipt else None
        _require_unchanged(path, name, before)
        if receipt is not None:
            receipt.sha256, receipt.bytes = digest, before.st_size


@contextmanager
def raw(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The file as it lies there; raises DataError for what is missing, empty, no file, or may not be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{'a folder' if path.is_dir() else 'not a regular file'}; expected a file", file=name)
        file = path.open("rb")
    except FileNotFoundError:
        raise DataError(f"missing; expected a file at {path}", file=name) from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=name) from None
    with file:
        if not os.fstat(file.fileno()).st_size:
            raise DataError("empty; expected data in it", file=name)
        yield file


def kind_of(file: IO[bytes]) -> str:
    """What its first bytes say that it is: a compression, parquet, or plain."""
    head = file.read(HEAD)
    file.seek(0)
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "plain")


@contextmanager
def whole(path: Path, name: str, receipt: Receipt) -> Iterator[IO[bytes]]:
    """The file as it lies there, for a reader that jumps about in it; as ``opened``, it must stay the same file."""
    with raw(path, name) as file:
        before = os.fstat(file.fileno())
        yield file
        digest = store.sha256(path)
        _require_unchanged(path, name, before)
        receipt.sha256, receipt.bytes = digest, before.st_size


def _require_unchanged(path: Path, name: str, before: os.stat_result) -> None:
    """Raise DataError if ``path`` is no longer what ``before`` described."""
    try:
        after = path.stat()
    except OSError:
        raise DataError("gone while it was read; expected it to stay", file=name) from None
    for what in ("st_size", "st_mtime_ns", "st_ino", "st_dev"):
        if getattr(before, what) != getattr(after, what):
            raise DataError(
                f"changed while it was read ({before.st_size:,} bytes, then {after.st_size:,}); "
                "expected it to stay as it is",
                file=name,
            )


@contextmanager
def reported(name: str, kind: str) -> Iterator[None]:
    """Faults of a packed or damaged file as DataError."""
    import pyarrow as pa

    try:
        yield
    except (*DAMAGE, pa.ArrowException) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        what = "cannot be read" if kind == "plain" else f"damaged or cut off ({kind})"
        raise DataError(f"{what}: {text}; expected a whole file", file=name) from None


class _Hashed(io.RawIOBase):
    """A file that keeps the hash of what is read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self._hash.update(part)
        return part

    def rest(self) -> str:
        """The hash of the whole file, the bytes after the last one read included."""
        while self.read(1 << 20):
            pass
        return self._hash.hexdigest()


def _unpacked(file: IO[bytes], kind: str, name: str) -> Reads:
    match kind:
        case "gzip":
            return gzip.GzipFile(fileobj=file, mode="rb")
        case "bzip2":
            return bz2.BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
        case "zstd":
            import pyarrow as pa

            return pa.CompressedInputStream(file, "zstd")
        case "zip":
            return _only_member(zipfile.ZipFile(file), name)
        case _:
            return file


def _only_member(archive: zipfile.ZipFile, name: str) -> Reads:
    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        held = ", ".join(member.filename for member in members[:5]) or "nothing"
        raise DataError(f"{len(members)} files in the zip ({held[:100]}); expected one", file=name)
    return archive.open(members[0])
