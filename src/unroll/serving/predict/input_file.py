"""The input as a file: the one that is named, or standard input put into one, and how far it has been read."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from unroll.core.errors import DataError
from unroll.display.progress import SHOWN_EVERY_S, TEXT, TITLE, Bars

STANDARD_INPUT = "-"
MAX_BYTES = 1 << 36
"""The most that an input may hold, unpacked."""


class Share(Bars):
    """A context that shows which share of an input is answered."""

    def __init__(self, title: str, size: int) -> None:
        from rich.progress import BarColumn, DownloadColumn, TaskProgressColumn, TimeRemainingColumn

        bar, remaining = BarColumn(bar_width=24), TimeRemainingColumn()
        super().__init__(TITLE, bar, TaskProgressColumn(), DownloadColumn(), TEXT, remaining, transient=True)
        self._title, self._size = title, max(size, 1)
        self._bar = self.add_bar(title, self._size)

    def update(self, position: int, answers: int) -> None:
        """Show that the bytes before ``position`` are read, and so many answers given."""
        position = min(position, self._size)
        self.update_bar(self._bar, f"{answers:,} answers", position)
        read = f"{position / self._size:.0%} of {self._size:,} bytes read"
        self.print_plain(f"{self._title}: {read} · {answers:,} answers", SHOWN_EVERY_S)


@dataclass
class Input:
    """A file of raw input; ``name`` is how messages call it, ``position`` the bytes of it that have been read."""

    path: Path
    name: str
    position: int = field(default=0, compare=False)

    @property
    def suffix(self) -> str:
        """The ending of the name; a stream has none."""
        return Path(self.name).suffix.lower()


@contextmanager
def opened(source: str, stream: BinaryIO | None = None) -> Iterator[Input]:
    """The file ``source``, or what ``stream`` holds (standard input) where ``source`` is ``-``.

    A stream is put into a temporary file: its columns are told from its first part, and it may be read twice. Raises
    DataError for what is not there and for more than MAX_BYTES.
    """
    if source != STANDARD_INPUT:
        path = Path(source)
        if not path.is_file():
            raise DataError(f"{source}: {'a folder' if path.is_dir() else 'missing'}; expected a file of raw input")
        yield Input(path, path.name)
        return
    with tempfile.TemporaryDirectory(prefix="unroll-") as folder:
        path = Path(folder) / "input"
        with path.open("wb") as target:
            _copy(stream if stream is not None else sys.stdin.buffer, target)
        yield Input(path, "standard input")


def _copy(stream: BinaryIO, target: BinaryIO) -> None:
    taken = 0
    while part := stream.read(1 << 20):
        taken += len(part)
        if taken > MAX_BYTES:
            raise DataError(f"standard input: more than {MAX_BYTES:,} bytes; expected at most that many")
        target.write(part)
    if not taken:
        raise DataError("standard input: empty; expected raw input in it")
