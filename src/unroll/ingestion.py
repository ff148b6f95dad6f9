"""How raw files come here, from whichever source, and how they become a table. One code path for all datasets.

A source is ``sample`` (made by the dataset itself), ``lab`` (the public files, downloaded and verified by hash) or a
folder with the same files: <folder>/<dataset>/<file> or <folder>/<file>. A dataset without public files is always made.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from unroll import download, store
from unroll.config import DataConfig
from unroll.datasets.base import MAX_BYTES, Dataset, Rejected
from unroll.errors import DataError, StoreError

if TYPE_CHECKING:
    from unroll.tasks import Task

D = TypeVar("D", bound=DataConfig)
Kind = Literal["generated", "sample", "lab", "folder"]
MANIFEST = "manifest.json"


def fetch(dataset: Dataset[D], config: D, source: str, folder: Path, root: Path, task: str = "") -> None:
    """Put the dataset's raw files into ``folder``, under their own names.

    A relative source is looked for from ``root``, the project's folder; downloads are kept below it, in ``.unroll``.
    Lines of progress name the ``task``.
    Raises DataError that names the file that is missing, too large or not the published one.
    """
    match _kind(dataset, config, source):
        case "generated" | "sample":
            dataset.sample(folder, config, np.random.default_rng(config.seed))
        case "lab":
            for file in dataset.files(config):
                _copy(download.get(file, config.dataset, root / ".unroll" / "downloads", task), folder / file.name)
        case "folder":
            for name, path in _locate(dataset, config, source, root).items():
                _copy(path, folder / name)


def read(dataset: Dataset[D], config: D, source: str, folder: Path) -> None:
    """Read the raw files in ``folder``; write beside them the table, the rows that could not be read, and a manifest.

    The manifest has no place and no time, so that the same files give the same bytes wherever they came from.
    """
    import pandas as pd

    files = {path.name: _describe(path) for path in sorted(folder.iterdir())}
    parsed = dataset.table(folder, config)
    store.write_table(folder / "table.parquet", parsed.table)
    store.write_csv(folder / "rejected.csv", pd.DataFrame(parsed.rejected, columns=list(Rejected._fields)))
    store.write_json(folder / MANIFEST, {"source": _kind(dataset, config, source), "files": files})


def source_fingerprint(dataset: Dataset[D], config: D, source: str, root: Path) -> dict[str, str] | None:
    """The SHA-256 of each file of a folder source, by name; None for a source that cannot change by itself.

    Raises DataError for a file that is not there.
    """
    if _kind(dataset, config, source) != "folder":
        return None
    return {name: store.sha256(path) for name, path in _locate(dataset, config, source, root).items()}


def source_changed(task: "Task") -> bool:
    """Whether the files in a task's folder source are no longer those that were ingested, or cannot be read any more.

    The ingest that follows names the file. What was never ingested has not changed: DVC runs the stage anyway.
    """
    dataset, config = task.dataset()
    try:
        manifest: Any = store.read_json(task.layout.raw / MANIFEST)
    except StoreError:
        return False
    try:
        found = source_fingerprint(dataset, config, task.source(config), task.layout.root)
    except (DataError, StoreError, OSError):
        return True
    return found is not None and found != {name: file["sha256"] for name, file in manifest["files"].items()}


def _kind(dataset: Dataset[D], config: D, source: str) -> Kind:
    if not dataset.files(config):
        return "generated"
    match source:
        case "sample" | "lab":
            return source
        case _:
            return "folder"


def _locate(dataset: Dataset[D], config: D, source: str, root: Path) -> dict[str, Path]:
    """Where each file of a folder source lies, by name; raises DataError that says where it was looked for."""
    base = root / Path(source).expanduser()
    if not base.is_dir():
        raise DataError(f"source {source!r}: {base} is no folder; expected sample, lab or a folder with the raw files")
    return {file.name: _find(base, config.dataset, file.name) for file in dataset.files(config)}


def _find(base: Path, dataset: str, name: str) -> Path:
    places = (base / dataset / name, base / name)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise DataError(f"{places[0]}: missing, and {places[1]} too; expected a raw file of {dataset} in either place")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise DataError(f"{path}: {size:,} bytes; expected at most {MAX_BYTES:,}")
    return path


def _copy(path: Path, target: Path) -> None:
    try:
        shutil.copyfile(path, target)
    except OSError as error:
        raise DataError(f"{path}: cannot be copied: {error.strerror or error}") from None


def _describe(path: Path) -> dict[str, str | int]:
    return {"sha256": store.sha256(path), "bytes": path.stat().st_size}
