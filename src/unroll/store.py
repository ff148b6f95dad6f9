"""Every path and every file format of a project, written atomically.

A reader never sees half a file: files are written beside their place and renamed onto it. The formats carry no times
and nothing of the machine, so that the same content gives the same bytes.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd
    import torch


@dataclass(frozen=True)
class Layout:
    """Where everything of one task lies, relative to the project's root."""

    root: Path
    task: str

    @property
    def raw(self) -> Path:
        """Raw files in the source's own format and, beside them, ``table.parquet`` (made by ingest)."""
        return self.root / "data" / "raw" / self.task

    @property
    def validated(self) -> Path:
        """``table.parquet`` without the refused rows (made by validate)."""
        return self.root / "data" / "validated" / self.task

    @property
    def rejected(self) -> Path:
        """``rows.csv``: the refused rows with the reason (made by validate)."""
        return self.root / "data" / "rejected" / self.task

    @property
    def prepared(self) -> Path:
        """Arrays and ``meta.json`` (made by prepare)."""
        return self.root / "data" / "prepared" / self.task

    @property
    def model(self) -> Path:
        """``weights.safetensors``, ``config.json``, ``history.csv`` (made by train)."""
        return self.root / "models" / self.task

    @property
    def reports(self) -> Path:
        """Metrics, plots, validation results, model card."""
        return self.root / "reports" / self.task

    @property
    def state(self) -> Path:
        """What is no output and not in git: checkpoints, timings, logs, Data Docs."""
        return self.root / ".unroll" / self.task


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upwards that holds ``params.yaml`` and ``dvc.yaml``."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            return folder
    raise StoreError(f"{here}: no params.yaml and dvc.yaml here or above; run this inside an Unroll project")


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
    """Write JSON with keys in the order given; NaN and infinity are refused (they are no JSON)."""
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
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Read a canonical table or some columns of it, without a second copy of the numbers in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(columns) if columns else None, memory_map=True)
    except FileNotFoundError:
        raise StoreError(f"{path}: not there; expected the output of an earlier stage (run: unroll repro)") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"{path}: no valid Parquet: {error}") from None
    return table.to_pandas(split_blocks=True, self_destruct=True)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array as ``.npy``."""
    with atomic_file(path) as temporary, temporary.open("wb") as handle:
        np.save(handle, array, allow_pickle=False)


def create_array(path: Path, shape: tuple[int, ...], dtype: "np.typing.DTypeLike") -> np.memmap:
    """An empty memory-mapped ``.npy`` to fill part by part, for arrays that should not stand in memory whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """All ``.npy`` files of a folder as read-only memory maps, by name without the ending."""
    try:
        return {
            path.stem: np.load(path, mmap_mode="r", allow_pickle=False) if path.stat().st_size else np.empty(0)
            for path in sorted(folder.glob("*.npy"))
        }
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder}: damaged array: {error}") from None


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
