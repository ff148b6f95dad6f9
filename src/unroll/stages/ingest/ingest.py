"""How raw files come here, from whichever source, and how they become a table. One code path for all datasets.

A source is ``sample`` (made by the dataset itself), ``lab`` (the public files, downloaded and verified by hash) or a
folder with the same files: <folder>/<dataset>/<file> or <folder>/<file>. A dataset without public files is always made.
The user's own files are read where they lie.
"""

import csv
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from unroll.core import store
from unroll.core.config import DataConfig
from unroll.core.errors import DataError
from unroll.datasets.common.base import MAX_BYTES, Dataset, Part, Rejected
from unroll.display import progress
from unroll.stages.ingest import download

if TYPE_CHECKING:
    import pandas as pd


D = TypeVar("D", bound=DataConfig)
Kind = Literal["generated", "sample", "lab", "folder", "files"]
MANIFEST = "manifest.json"
DOWNLOADS = Path(".unroll") / "downloads"
HOPELESS = 0.5
"""Share of unreadable rows in the parts read so far above which reading does not go on."""


def fetch(dataset: Dataset[D], config: D, source: str, folder: Path, root: Path, task: str = "") -> None:
    """Put the dataset's raw files into ``folder``, under their own names.

    A relative source is looked for from ``root``, the project's folder; downloads are kept below it, in ``.unroll``.
    Lines of progress name the ``task``.
    Raises DataError that names the file that is missing, too large or not the published one.
    """
    match _kind(dataset, config, source):
        case "files":
            for file in dataset.files(config):
                _keep(download.get(file, config.dataset, root / DOWNLOADS, task), root / DOWNLOADS / file.name)
        case "generated" | "sample":
            dataset.sample(folder, config, np.random.default_rng(config.seed))
        case "lab":
            for file in dataset.files(config):
                _copy(download.get(file, config.dataset, root / DOWNLOADS, task), folder / file.name)
        case "folder":
            for name, path in _locate(dataset, config, source, root).items():
                _copy(path, folder / name)


def read(dataset: Dataset[D], config: D, source: str, folder: Path, root: Path, task: str = "") -> None:
    """Read the raw files in ``folder``, or the user's own below ``root`` or wherever they lie.

    Writes into ``folder`` the table, the rows that could not be read, and a manifest. The manifest has no place and no
    time, so that the same files give the same bytes wherever they came from; it also has the findings of the
    dataset, of which ``told`` goes to the screen.
    """
    files = {path.name: _describe(path) for path in sorted(folder.iterdir())}
    findings: dict[str, Any] = {}
    with ExitStack() as stack:
        handle = stack.enter_context((folder / "rejected.csv").open("w", encoding="utf-8", newline=""))
        shown = stack.enter_context(progress.Rows(f"ingest {task or config.dataset}"))
        rejected = csv.writer(handle, lineterminator="\n")
        rejected.writerow(Rejected._fields)
        parts = dataset.parts(root if dataset.in_place else folder, config)
        kept = _kept(root, folder, task)
        store.write_table_parts(
            folder / "table.parquet", _tables(parts, rejected, findings, shown, task or config.dataset, kept)
        )
    files = findings.pop("files", files)
    manifest = {"source": _kind(dataset, config, source), "files": files}
    store.write_json(folder / MANIFEST, manifest | ({"found": findings} if findings else {}))


def _tables(
    parts: Iterator[Part], rejected: Any, findings: dict[str, Any], shown: progress.Rows, task: str, kept: str
) -> "Iterator[pd.DataFrame]":
    """The tables of ``parts``; their rejected rows are written and their findings collected on the way.

    How many rows are set aside goes to the screen, with the first and the file where they are ``kept``.
    """
    good, bad, first = 0, 0, ""
    for table, refused, learned in parts:
        if bad > HOPELESS * (good + bad):
            raise DataError(f"{bad:,} of the first {good + bad:,} rows cannot be read; the first: {first}")
        for line in learned.get("told", ()):
            sys.stderr.write(f"ingest {task}: {line}\n")
        rejected.writerows(refused)
        lines = [*findings.get("told", ()), *learned.get("told", ())]
        findings.update({**learned, "told": lines} if lines else learned)
        good, bad, first = good + len(table), bad + len(refused), first or (refused[0].text() if refused else "")
        shown.add(len(table) + len(refused))
        yield table
    if not good:
        raise DataError(f"no readable row{f'; the first of {bad:,}: {first}' if bad else ''}; expected at least one")
    if bad:
        aside = f"{bad:,} of {good + bad:,} rows set aside, kept with their reasons in {kept}; the first: {first}"
        sys.stderr.write(f"ingest {task}: {aside}\n")


def _kept(root: Path, folder: Path, task: str) -> str:
    """Where the list of rows set aside is found once ``folder`` has taken its place, for a message."""
    if not task:
        return "rejected.csv"
    path = folder.parent / task / "rejected.csv"
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def source_fingerprint(dataset: Dataset[D], config: D, source: str, root: Path) -> dict[str, str] | None:
    """The SHA-256 of each file of a folder source, or of the user's own, by name; None where none can change by itself.

    Raises DataError for a file that is not there.
    """
    match _kind(dataset, config, source):
        case "folder":
            files = _locate(dataset, config, source, root)
        case "files":
            files = dict(dataset.own_files(config, root))
        case _:
            return None
    return {name: store.sha256(path) for name, path in files.items()}


def _kind(dataset: Dataset[D], config: D, source: str) -> Kind:
    if dataset.in_place:
        return "files"
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
        raise DataError(
            f"source {source!r}: {base} is not a folder; expected sample, lab or a folder with the raw files"
        )
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


def _keep(path: Path, target: Path) -> None:
    """A file from a mirror's folder, where a downloaded one would be."""
    if path != target:
        _copy(path, target)


def _describe(path: Path) -> dict[str, str | int]:
    return {"sha256": store.sha256(path), "bytes": path.stat().st_size}
