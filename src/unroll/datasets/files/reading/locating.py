"""Which files a path, a list, a pattern or a folder stands for."""

import difflib
import glob
from collections.abc import Sequence
from pathlib import Path

from unroll.core.errors import DataError
from unroll.datasets.files.reading.sniffing import SUFFIXES

PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
KNOWN = {*SUFFIXES, ".txt", ".text", ".dat", ".data"}


def locate(paths: str | Sequence[str], root: Path) -> list[Path]:
    """The files, each once: a list in its own order, a pattern or a folder sorted by name.

    A folder stands for the files right in it whose names end as data do; they must be of one format.
    Raises DataError that says what was looked for, where, and which names are near.
    """
    names = [paths] if isinstance(paths, str) else list(paths)
    if not names:
        raise DataError("path: no file in the list; expected at least one")
    return list(dict.fromkeys(path for name in names for path in _expand(name, root)))


def _expand(name: str, root: Path) -> list[Path]:
    try:
        path = root / Path(name).expanduser()
        if path.is_dir():
            return _in_folder(path, name)
        if path.exists():
            return [path]
        matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(name) else []  # noqa: PTH207 - of absolute patterns too
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"path {name!r}: cannot be looked for: {error}; expected a file, folder or pattern") from None
    files = [Path(match) for match in matches if Path(match).is_file()]
    if files:
        return files
    if glob.has_magic(name):
        raise DataError(f"path {name!r}: no file matches it below {root}; expected at least one")
    raise DataError(f"path {name!r}: missing; expected a file, folder or pattern from {root}{_near(path)}")


def _in_folder(folder: Path, name: str) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and _ending(path) in KNOWN)
    files = [path for path in files if not path.name.startswith((".", "_"))]
    if not files:
        expected = f"expected such as {', '.join(sorted(KNOWN))}{_below(folder, name)}"
        raise DataError(f"path {name!r}: no data file in the folder; {expected}")
    endings = sorted({_ending(path) for path in files})
    if len(endings) > 1:
        raise DataError(
            f"path {name!r}: files of several kinds ({', '.join(endings)}); expected one, as {name}/*{endings[0]}"
        )
    return files


def _below(folder: Path, name: str) -> str:
    """A hint at the pattern that takes the files of folders within."""
    if not (inner := sorted(path.name for path in folder.iterdir() if path.is_dir())):
        return ""
    shown = ", ".join(inner[:3]) + (", …" if len(inner) > 3 else "")
    return f"; the pattern {f'{name}/*/*'!r} takes the files of its folders ({shown})"


def _ending(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix.lower() in PACKED else path.suffix.lower()


def _near(path: Path) -> str:
    try:
        there = sorted(other.name for other in path.parent.iterdir())
    except OSError:
        return f"; there is no folder {path.parent}"
    near = difflib.get_close_matches(path.name, there, n=3, cutoff=0.5)
    return f"; near names: {', '.join(near)}" if near else ""
