"""The input as a file: the one that is named, or standard input put into one, and how far it has been read."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from unroll.core.errors import DataError
from unroll.display import progress

STANDARD_INPUT = "-"
MAX_BYTES = 1 << 36
"""The most that an input may hold, unpacked."""
SHOWN_EVERY_S = 1.0


class Share:
    """A context that shows which share of an input is answered; modes as of ``progress.Progress``."""

    def __init__(self, title: str, size: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._title, self._size, self._mode = title, max(size, 1), progress.mode()
        self._shown = time.monotonic()
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=self._mode != "live",
            transient=True,
        )
        self._line = self._bar.add_task(title, total=self._size, text="")

    def __enter__(self) -> "Share":
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def update(self, position: int, answers: int) -> None:
        """Show that the bytes before ``position`` are read, and so many answers given."""
        self._bar.update(self._line, completed=min(position, self._size), text=f"{answers:,} answers")
        now = time.monotonic()
        if self._mode == "plain" and now - self._shown >= SHOWN_EVERY_S:
            self._shown = now
            share = min(position / self._size, 1.0)
            sys.stderr.write(f"{self._title}: {share:.0%} of {self._size:,} bytes read · {answers:,} answers\n")
            sys.stderr.flush()


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
