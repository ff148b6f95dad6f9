"""Raw files read with care: their sizes bounded, their faults named by file and row."""

from pathlib import Path

from unroll.core.errors import DataError
from unroll.datasets.common.base import MAX_BYTES


def find(folder: Path, name: str) -> Path:
    """The path of a raw file; raises DataError if it is missing, empty or too large."""
    path = folder / name
    if not path.is_file():
        raise DataError("missing; expected it among the raw files", file=name)
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise DataError(f"{size:,} bytes; expected 1 to {MAX_BYTES:,}", file=name)
    return path


def decode(name: str, data: bytes) -> str:
    """UTF-8 text, with or without a byte order mark; raises DataError that names the row of the first faulty byte."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise DataError(f"byte 0x{byte:02x} is not UTF-8; expected UTF-8 text", file=name, row=row) from None


def lines(text: str) -> list[str]:
    r"""The lines without their ends, \n or \r\n; other signs that Unicode takes for line ends stay within a line."""
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")
