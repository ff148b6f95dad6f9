"""Files written for the readers by other means than theirs: the standard library, pandas, pyarrow, NumPy."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PACKED = ("plain", "gz", "bz2", "xz", "zip", "zst")


def _pack(data: bytes, how: str) -> bytes:
    match how:
        case "gz":
            return gzip.compress(data)
        case "bz2":
            return bz2.compress(data)
        case "xz":
            return lzma.compress(data)
        case "zip":
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("inner", data)
            return packed.getvalue()
        case "zst":
            import pyarrow as pa

            sink = pa.BufferOutputStream()
            with pa.CompressedOutputStream(sink, "zstd") as stream:
                stream.write(data)
            return sink.getvalue().to_pybytes()
        case _:
            return data


@pytest.fixture(params=PACKED)
def packed(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    """Each way to pack bytes."""
    return lambda data: _pack(data, request.param)


@pytest.fixture
def pack() -> Callable[[bytes, str], bytes]:
    return _pack


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file and returns its path."""

    def write(data: bytes | str, name: str = "a.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


@pytest.fixture
def everything() -> Callable[..., tuple[list[int], list[list[Any]], list[tuple[Any, ...]]]]:
    """Reads a file to its end: the rows' numbers, their cells, and the rows set aside."""
    from unroll.datasets.files.reading import Reading, chunks

    def read(path: Path, columns: list[str] | None = None, rows: int = 1 << 18, **told: Any) -> Any:
        numbers: list[int] = []
        cells: list[list[Any]] = []
        rejected: list[tuple[Any, ...]] = []
        for chunk in chunks(path, Reading(**told), columns, rows):
            assert len(chunk.rows_N) == len(chunk.frame) <= rows
            assert chunk.file == path.name
            numbers += chunk.rows_N.tolist()
            cells += chunk.frame.to_numpy(dtype=object).tolist()
            rejected += map(tuple, chunk.rejected)
        return numbers, cells, rejected

    return read
