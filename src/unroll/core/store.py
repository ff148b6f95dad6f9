"""Every file format of a project, written atomically.

A reader never sees half a file: files are written beside their place and renamed onto it. The formats carry no times
and nothing of the machine, so that the same content gives the same bytes.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.parquet as pq
    import torch


ROW_GROUP = 1 << 17
"""Rows of a table that are written, and read, at a time: what reading holds beside the table itself."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path that becomes ``path`` when the block ends well, and vanishes when it does not."""
    temporary = _beside(path)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of ``path`` when the block ends well; else ``path`` stays as it was."""
    temporary = _beside(path)
    try:
        temporary.mkdir()
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=True) as handle:
            return Path(handle.name)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be written: {error.strerror or error}") from None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON with keys in the order given; NaN and infinity, which JSON does not have, are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; raises StoreError that names the file and the place of the fault."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path}: not there; expected the output of an earlier stage (run: unroll repro)") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: no valid JSON: {error}") from None


def write_csv(path: Path, frame: "pd.DataFrame") -> None:
    """Write a small table for people and for DVC plots."""
    with atomic_file(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def write_table(path: Path, frame: "pd.DataFrame") -> None:
    """Write a canonical table as Parquet, without the library's own metadata (the same rows give the same bytes)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=ROW_GROUP, write_page_checksum=True)


def write_table_parts(path: Path, frames: Iterable["pd.DataFrame"]) -> int:
    """Write consecutive parts of one table, as ``write_table`` would write the whole; how many rows there are.

    One row group at a time stands in memory. Parts without rows are passed over, whatever their columns. Raises
    StoreError where no part has rows, and for a part whose columns are not those of the first one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, held = 0, None
    with atomic_file(path) as temporary, ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for frame in frames:
            if not len(frame):
                continue
            part = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
            if writer is None:
                writer = pq.ParquetWriter(temporary, part.schema, compression="zstd", write_page_checksum=True)
                stack.callback(writer.close)
            if part.schema != writer.schema:
                raise StoreError(f"{path}: a part has columns {part.schema.names}; expected {writer.schema.names}")
            rows, held = rows + len(part), part if held is None else pa.concat_tables([held, part])
            while len(held) >= ROW_GROUP:  # in one piece each: pages end where pieces do
                writer.write_table(held.slice(0, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)
                held = held.slice(ROW_GROUP)
        if writer is None or held is None:
            raise StoreError(f"{path}: no rows; expected at least one")
        if len(held):
            writer.write_table(held.combine_chunks(), row_group_size=ROW_GROUP)
    return rows


def read_table(path: Path, columns: Sequence[str] | None = None, categories: Sequence[str] = ()) -> "pd.DataFrame":
    """Read a canonical table or some columns of it, without a second copy of the numbers in memory.

    Those of ``categories`` that are there are read as codes of their distinct values.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        there = pq.read_schema(path).names
        coded = [name for name in categories if name in there]
        with pq.ParquetFile(path, read_dictionary=coded, page_checksum_verification=True) as file:
            missing = [name for name in columns or () if name not in there]
            if missing:
                raise StoreError(f"{path}: column {missing[0]!r} is missing; expected one of {', '.join(there)}")
            data = {name: _read_column(file, name) for name in columns or there}
            return pd.DataFrame(data, index=pd.RangeIndex(file.metadata.num_rows), copy=False)
    except FileNotFoundError:
        raise StoreError(f"{path}: not there; expected the output of an earlier stage (run: unroll repro)") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"{path}: no valid Parquet: {error}") from None


def _read_column(file: "pq.ParquetFile", name: str) -> "pd.Series[Any]":
    """One column; numbers and times go group by group into one buffer, where Arrow's own way would hold a second."""
    import pandas as pd
    import pyarrow as pa

    kind = file.schema_arrow.field(name).type
    groups = (file.read_row_group(group, [name], use_threads=False) for group in range(file.num_row_groups))
    if pa.types.is_dictionary(kind):
        return pd.Series(pd.api.types.union_categoricals([group.to_pandas()[name] for group in groups]))
    if not (pa.types.is_floating(kind) or pa.types.is_timestamp(kind)):
        return file.read([name], use_threads=False).to_pandas()[name]
    timed, dtype = pa.types.is_timestamp(kind), kind.to_pandas_dtype()
    values = np.empty(file.metadata.num_rows, dtype=f"datetime64[{kind.unit}]" if timed else dtype)
    row = 0
    for group in groups:
        part = group.column(0).to_numpy()
        values[row : row + len(part)] = part
        row += len(part)
    return pd.Series(values.view("int64") if timed else values, dtype=dtype, copy=False)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array as ``.npy``."""
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.save(handle, array, allow_pickle=False)


def write_parts(path: Path, shape: tuple[int, ...], dtype: "np.typing.DTypeLike", parts: Iterable[np.ndarray]) -> None:
    """Write one array as ``.npy`` from consecutive parts, for arrays that should not stand in memory whole."""
    kind = np.dtype(dtype)
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.lib.format.write_array_header_1_0(handle, header)
        for part in parts:
            handle.write(np.ascontiguousarray(part, dtype=kind).data)


def create_array(path: Path, shape: tuple[int, ...], dtype: "np.typing.DTypeLike") -> np.memmap:
    """An empty memory-mapped ``.npy`` to fill part by part, for arrays that should not stand in memory whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be written: {error.strerror or error}") from None


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """All ``.npy`` files of a folder as read-only memory maps, by name without the ending."""
    return {path.stem: _read_array(path) for path in sorted(folder.glob("*.npy"))}


def _read_array(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
        return array
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: damaged array: {' '.join(str(error).split())}") from None


def write_tensors(path: Path, tensors: Mapping[str, "torch.Tensor"], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors (no pickle), with optional text metadata in the same file."""
    from safetensors.torch import save

    ready = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic_file(path) as temporary:
        temporary.write_bytes(save(ready, metadata=dict(metadata) if metadata else None))


def read_tensors(path: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, str]]:
    """The tensors and the metadata of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as handle:
            return {name: handle.get_tensor(name) for name in handle.keys()}, handle.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path}: no valid safetensors file: {error}") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    import hashlib

    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fingerprint(folder: Path, *parts: Any) -> str:
    """The SHA-256 over the names and bytes of a folder's files, and over ``parts`` as JSON."""
    import hashlib

    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256(path)}\n".encode())
    return digest.hexdigest()
