"""A first look at the files of a block: which they are, how they are written, their columns and first rows."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.config import Config
from unroll.core.errors import DataError
from unroll.core.text import shorten
from unroll.datasets.files import reading
from unroll.datasets.files.columns import parsing
from unroll.datasets.files.columns.parsing import Marks
from unroll.datasets.files.config import FilesConfig, Scalar, file_name, paths
from unroll.datasets.files.reading import NoCells, Reading, Unread
from unroll.datasets.files.reading.numerals import group_mark
from unroll.datasets.files.tables.labelled_builder import part_of_file

if TYPE_CHECKING:
    import pandas as pd

ROWS = 5000
"""Rows of a first look."""
DOWNLOADS = Path(".unroll") / "downloads"


@dataclass(frozen=True)
class File:
    """One file: where it lies, how messages call it, and the part of the split that it is of ("" for none)."""

    path: Path
    name: str
    part: str
    given: str  # the path, pattern or folder of the block that stands for it
    sha256: str | None = None  # what it must be, where the block says so


@dataclass(frozen=True)
class Look:
    """What a first look saw of the first file; ``frame`` has its first rows, each cell as it stands there.

    ``rows_N`` are their places in the file, ``rejected`` those among them that could not be cut into cells;
    ``left_out`` are columns that hold no cells at all, with what they are.
    """

    files: Sequence[File]
    reading: Reading
    columns: Sequence[str]
    frame: "pd.DataFrame"
    rows_N: np.ndarray
    rejected: Sequence[Unread] = ()
    left_out: Mapping[str, NoCells] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """How messages call the file that was looked at."""
        return self.files[0].name

    def fault(self) -> str:
        """The first of the rows that could not be read, and how many there are; empty where all could."""
        if not self.rejected:
            return ""
        row, column, value, reason = self.rejected[0]
        bad = len(self.rejected)
        many = f" ({bad:,} of the first {bad + len(self.rows_N):,} rows cannot be read)" if bad > 1 else ""
        return f"{self.file} row {row}: {f'{column} ' if column else ''}{value}: {reason}{many}"

    def texts(self, missing: Collection[Scalar], rows: int) -> Iterator[tuple[str, list[str]]]:
        """The columns of text, each with its cells, in the first rows, that are filled and none of ``missing``."""
        import pandas as pd

        for name in self.columns:
            if isinstance(self.frame[name].dtype, pd.StringDtype):
                cells = self.frame[name].head(rows).dropna().str.strip()
                yield name, [cell for cell in cells.tolist() if cell and cell not in missing]

    def odd(self, column: str, marks: Marks) -> str:
        """The first cell of a column that is not a number, with its row, and how many there are; empty where all are.

        Where its digits are in groups the key that says so is named.
        """
        _, bad_N = parsing.numbers(self.frame[column], marks, f"{self.file}, column {column}")
        if not bad_N.any():
            return ""
        first = int(np.argmax(bad_N))
        shown = shorten(str(self.frame[column].iloc[first]))
        more = f" ({bad_N.sum():,} of the first {len(bad_N):,} rows are like it)" if bad_N.sum() > 1 else ""
        group = group_mark(shown)
        hint = f"; data.thousands: {group!r} says that digits are in groups" if group else ""
        return f"row {self.rows_N[first]} holds {shown!r}, which is not a number{more}{hint}"


def locate(config: FilesConfig, root: Path) -> list[File]:
    """The files of a block, in order; those of the network where they were downloaded to.

    Files whose names, or whose folders' names, say train and test are the parts of the source's own split, unless the
    block has another. Raises DataError for a path that stands for no file.
    """
    known = hashes(config)
    places: dict[tuple[Path, str], str] = {}  # each file once
    for part, listed in paths(config).items():
        for given in listed:
            local = str(DOWNLOADS / file_name(given, known[given])) if given in known else given
            for path in reading.locate(local, root):
                places.setdefault((path, part), given)
    names = _names([path for path, _ in places], root)
    files = [File(path, name, part, given) for ((path, part), given), name in zip(places.items(), names, strict=True)]
    files = _with_hashes(files, config)
    return _by_name(files) if config.split is None and config.kind not in ("series", "text") else files


def take(files: Sequence[File], config: FilesConfig) -> Look:
    """Look at the first of ``files``; raises DataError where it has no rows, or most of them cannot be read."""
    first, settled = files[0], reading_of(config)
    settled = reading.sniff(first.path, settled, first.name)
    columns = reading.columns(first.path, settled, first.name)
    left_out = reading.left_out(first.path, settled, first.name)
    for chunk in reading.chunks(first.path, settled, rows=ROWS, name=first.name):
        look = Look(files, settled, columns, chunk.frame, np.asarray(chunk.rows_N), chunk.rejected, left_out)
        if len(chunk.rejected) > len(chunk.frame):
            raise DataError(look.fault())
        if len(chunk.frame):
            return look
    raise DataError("no rows; expected data in it", file=first.name)


def reading_of(config: Config) -> Reading:
    """The keys of a block that say how its files are read."""
    return Reading(**{key: getattr(config, key) for key in Reading.model_fields})


def alike(file: File, config: FilesConfig, like: Reading) -> Reading:
    """How a further file is read: ``like`` the first one, but in its own encoding unless one was given."""
    given: dict[str, Any] = {"encoding": config.encoding, "label_place": config.label_place}
    return reading.sniff(file.path, like.model_copy(update=given), file.name)


def hashes(config: FilesConfig) -> dict[str, str]:
    """The hash of each URL; raises DataError where there are not as many hashes as paths."""
    if config.sha256 is None:
        return {}
    given = [path for part in paths(config).values() for path in part]
    digests = (config.sha256,) if isinstance(config.sha256, str) else config.sha256
    if len(given) != len(digests):
        raise DataError(f"data.sha256: {len(digests)} hashes for {len(given)} paths; expected one for each")
    pairs = zip(given, digests, strict=True)
    return {path: each for path, each in pairs if path.startswith(("http://", "https://"))}


def _with_hashes(files: list[File], config: FilesConfig) -> list[File]:
    """The files with what their hashes must be; raises DataError where there are not as many hashes as files."""
    if config.sha256 is None:
        return files
    digests = (config.sha256,) if isinstance(config.sha256, str) else config.sha256
    if len(digests) != len(files):
        raise DataError(f"data.sha256: {len(digests)} hashes for {len(files)} files; expected one for each")
    return [replace(file, sha256=each) for file, each in zip(files, digests, strict=True)]


def _names(paths: Sequence[Path], root: Path) -> list[str]:
    """Paths below the project; names of files outside, with as many of their folders as tell them apart."""
    base = root.resolve()
    places = [path.resolve() for path in paths]
    names = [path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name for path in places]
    for folders in range(2, 1 + max((len(path.parts) for path in places), default=0)):
        if not (twice := {name for name, count in Counter(names).items() if count > 1}):
            break
        names = ["/".join(path.parts[-folders:]) if name in twice else name
                 for path, name in zip(places, names, strict=True)]  # fmt: skip
    return names


def _by_name(files: list[File]) -> list[File]:
    named = [part_of_file(file.path.name) or part_of_file(file.path.parent.name) for file in files]
    if all(named) and {"train", "test"} <= set(named):
        order = ("train", "validation", "test")
        parts = [replace(file, part=part) for file, part in zip(files, named, strict=True) if part]
        return sorted(parts, key=lambda file: order.index(file.part))
    return files
