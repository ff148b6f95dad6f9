"""The input as a file, which standard input is copied to, and how far it has been read."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from unroll.core.errors import DataError
from unroll.display.progress import SHOWN_EVERY_S, TEXT, TITLE, Bars

STANDARD_INPUT = "-"
MAX_BYTES = 1 << 36
"""The most that an input may hold, unpacked."""


@contextmanager
def share(title: str, size: int) -> Iterator[Callable[[int, int], None]]:
    """Show which share of an input is answered; yields what takes the bytes read and the answers so far.

    ``UNROLL_PROGRESS`` fixes how, as for a training.
    """
    from rich.progress import BarColumn, DownloadColumn, TaskProgressColumn, TimeRemainingColumn

    size = max(size, 1)
    columns = TITLE, BarColumn(bar_width=24), TaskProgressColumn(), DownloadColumn(), TEXT, TimeRemainingColumn()
    with Bars(*columns, transient=True) as bars:
        bar = bars.add_bar(title, size)

        def update(position: int, answers: int) -> None:
            position = min(position, size)
            bars.update_bar(bar, f"{answers:,} answers", position)
            read = f"{position / size:.0%} of {size:,} bytes read"
            bars.print_plain(f"{title}: {read} · {answers:,} answers", SHOWN_EVERY_S)

        yield update


@dataclass
class Input:
    """A file of raw input; messages call it ``name``; ``position`` is the number of bytes read so far."""

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

    A stream is copied to a temporary file: its format is inferred from its first part, and it may be read twice.
    Raises DataError for a missing file and for more than MAX_BYTES.
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
