"""NumPy's ``.npz``: arrays of equal length as columns, read side by side and never unpickled."""

import io
import tokenize
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, final

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files.reading.delimited import Part
from unroll.datasets.files.reading.reader import Place, Reader
from unroll.datasets.files.reading.records import MAX_COLUMNS
from unroll.datasets.files.reading.source import Receipt, raw, reported, require_bounded, whole

if TYPE_CHECKING:
    import pyarrow as pa

PART = 1 << 22
"""Bytes taken at a time."""
FORTRAN_BYTES = 1 << 28
"""An array that is written column by column has to be read whole: the most that it may hold."""
NAMES = ("columns", "names", "features", "feature_names")
"""Arrays of text that name the columns of the only array of two dimensions."""


@dataclass(frozen=True)
class _Array:
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype
    by_columns: bool  # Fortran's order

    @property
    def name(self) -> str:
        return self.member.removesuffix(".npy")

    @property
    def width(self) -> int:
        return int(np.prod(self.shape[1:], dtype=np.int64))

    def columns(self) -> list[str]:
        """An array of two dimensions has a column for each place, numbered from 1."""
        return [self.name] if len(self.shape) == 1 else [f"{self.name}_{place}" for place in range(1, self.width + 1)]


@final
class Npz(Reader):
    """An array of one dimension is a column of its name; one of two is name_1, name_2 … Single values are left out."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        with raw(place.path, place.name) as file, reported(place.name, "npz"), zipfile.ZipFile(file) as archive:
            self._require_bounded(archive)
            arrays = [self._head(archive, member) for member in archive.infolist()]
            arrays = [array for array in arrays if array.shape]
            self._arrays, self._names = self._named(archive, arrays)
        self._require_equal()

    def columns(self) -> tuple[str, ...]:
        """The columns of all arrays, in the order of the file."""
        return self._names

    def parts(self, columns: Sequence[str] | None, receipt: Receipt) -> Iterator[Part]:
        """The rows, numbered from 1, in their own types."""
        name = self.place.name
        chosen = list(self._names if columns is None else columns)
        total = self._arrays[0].shape[0]
        width = sum(array.width * array.dtype.itemsize for array in self._arrays)
        if width > self.place.reading.max_line_bytes:
            raise DataError(f"rows of {width:,} bytes; expected at most max_line_bytes", file=name)
        step = max(1, PART // max(1, width))
        with whole(self.place.path, name, receipt) as file, ExitStack() as stack:
            with reported(name, "npz"):
                archive = stack.enter_context(zipfile.ZipFile(file))
                streams = [stack.enter_context(self._values(archive, array)) for array in self._arrays]
            for start in range(0, total, step):
                count = min(step, total - start)
                with reported(f"{name} row {start + 1} or later", "npz"):
                    blocks = [_take(stream, array, count) for stream, array in zip(streams, self._arrays, strict=True)]
                    table = self._table(blocks)
                yield Part(np.arange(start + 1, start + 1 + count), table.select(chosen), [])

    def _require_bounded(self, archive: zipfile.ZipFile) -> None:
        size = sum(member.file_size for member in archive.infolist())
        require_bounded(self.place.name, self.place.path.stat().st_size, size, self.place.reading.max_bytes)

    def _head(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Array:
        name = member.filename
        if not name.endswith(".npy"):
            raise DataError(f"{name!r} in it is not an array; expected .npy files only", file=self.place.name)
        with archive.open(member) as stream:
            shape, fortran, dtype = self._read_head(stream, name)
            begins = stream.tell()
        if dtype.hasobject:
            raise DataError(f"array {name!r} holds objects; expected numbers, times or text", file=self.place.name)
        if dtype.kind not in "biufMUS" or (dtype.kind == "f" and dtype.itemsize > 8):
            raise DataError(f"array {name!r} is {dtype}; expected numbers, times or text", file=self.place.name)
        shape = (*shape[:1], *(length for length in shape[1:] if length != 1))
        if len(shape) > 2:
            raise DataError(f"array {name!r} is {len(shape)}-dimensional; expected one or two", file=self.place.name)
        array = _Array(name, shape, dtype, fortran and len(shape) == 2)
        if not array.width * dtype.itemsize > 0 or array.width > MAX_COLUMNS:
            raise DataError(
                f"array {name!r}: {array.width:,} values a row; expected 1 to {MAX_COLUMNS:,}", file=self.place.name
            )
        if shape and (size := shape[0] * array.width * dtype.itemsize) != member.file_size - begins:
            held = member.file_size - begins
            raise DataError(
                f"array {name!r} has {held:,} bytes; its head says {size:,}; expected a whole one", file=self.place.name
            )
        return array

    def _read_head(self, stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
        try:
            version = np.lib.format.read_magic(stream)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in read:
                raise DataError(f"array {name!r} is of version {version}; expected 1.0 or 2.0", file=self.place.name)
            shape, fortran, dtype = read[version](stream)
        except (
            ValueError,
            TypeError,
            SyntaxError,
            KeyError,
            MemoryError,
            RecursionError,
            tokenize.TokenError,
        ) as error:
            text = " ".join(str(error).split())[:200]
            raise DataError(
                f"array {name!r}: no readable head: {text}; expected NumPy's", file=self.place.name
            ) from None
        if any(length < 0 for length in shape):
            raise DataError(f"array {name!r} has the shape {shape}; expected no negative length", file=self.place.name)
        return shape, fortran, dtype

    def _named(self, archive: zipfile.ZipFile, arrays: list[_Array]) -> tuple[list[_Array], tuple[str, ...]]:
        """The arrays that hold rows, and the names of their columns."""
        if sum(array.width for array in arrays) > MAX_COLUMNS:
            raise DataError(f"more than {MAX_COLUMNS:,} columns; expected at most that", file=self.place.name)
        wide = [array for array in arrays if len(array.shape) == 2]
        named: list[str] = []
        for array in arrays:
            if len(wide) == 1 and array.name in NAMES and array.dtype.kind in "US" and array.shape == wide[0].shape[1:]:
                with self._values(archive, array) as stream:
                    named = _texts(_take(stream, array, array.shape[0]))
                arrays = [other for other in arrays if other is not array]
                break
        names = [name for array in arrays for name in (named if named and array in wide else array.columns())]
        again = (
            sorted({name for name in names if not name or names.count(name) > 1})
            if len(set(names)) < len(names)
            else []
        )
        if again:
            raise DataError(f"column {again[0]!r} stands twice; expected each name once", file=self.place.name)
        return arrays, tuple(names)

    def _require_equal(self) -> None:
        if not self._arrays:
            raise DataError("no array in it; expected arrays of equal length", file=self.place.name)
        first = self._arrays[0]
        for array in self._arrays:
            if array.shape[0] != first.shape[0]:
                raise DataError(
                    f"array {array.name!r} has {array.shape[0]:,} rows, {first.name!r} has "
                    f"{first.shape[0]:,}; expected arrays of equal length",
                    file=self.place.name,
                )
            if array.by_columns and array.shape[0] * array.width * array.dtype.itemsize > FORTRAN_BYTES:
                raise DataError(
                    f"array {array.name!r} is written column by column and has more than "
                    f"{FORTRAN_BYTES:,} bytes; expected it row by row (numpy.ascontiguousarray)",
                    file=self.place.name,
                )

    @contextmanager
    def _values(self, archive: zipfile.ZipFile, array: _Array) -> Iterator[IO[bytes]]:
        """What follows the head of an array, in the order of rows."""
        with archive.open(array.member) as stream:
            self._read_head(stream, array.member)
            if not array.by_columns:
                yield stream
                return
            values = np.frombuffer(stream.read(), dtype=array.dtype).reshape(array.shape, order="F")
        yield io.BytesIO(np.ascontiguousarray(values).tobytes())

    def _table(self, blocks: Sequence[np.ndarray]) -> "pa.Table":
        """A column for each place of each block."""
        import pyarrow as pa

        columns = [block if block.ndim == 1 else block[:, place] for block in blocks for place in _places(block)]
        return pa.table([_arrow(column) for column in columns], names=list(self._names))


def _places(block: np.ndarray) -> range:
    return range(1 if block.ndim == 1 else block.shape[1])


def _take(stream: IO[bytes], array: _Array, count: int) -> np.ndarray:
    """The next ``count`` rows."""
    size = count * array.width * array.dtype.itemsize
    data = stream.read(size)
    if len(data) < size:
        raise EOFError(f"array {array.name!r} ends early")
    return np.frombuffer(data, dtype=array.dtype).reshape(count, *array.shape[1:])


def _arrow(column: np.ndarray) -> "pa.Array":
    import pyarrow as pa

    if column.dtype.kind in "US":
        return pa.array(_texts(column), pa.string())
    if column.dtype.kind == "M":
        return pa.array(column.astype("datetime64[ns]" if column.dtype.name.endswith("[ns]") else "datetime64[us]"))
    return pa.array(np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("=")))


def _texts(column: np.ndarray) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else value for value in column.tolist()]
