"""The input as a file, which standard input is copied to, and how far it has been read."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from unroll.core.errors import DataError
from unroll.display import progress

STANDARD_INPUT = "-"
MAX_BYTES = 1 << 36
"""The most that an input may hold, unpacked."""
SHOWN_EVERY_S = 1.0


@contextmanager
def share(title: str, size: int) -> Iterator[Callable[[int, int], None]]:
    """Show which share of an input is answered; yields what takes the bytes read and the answers so far.

    ``UNROLL_PROGRESS`` fixes how, as for a training.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    mode, size, last = progress.mode(), max(size, 1), time.monotonic()
    columns = (
        TextColumn("[bold]{task.description}"), BarColumn(bar_width=24), TaskProgressColumn(), DownloadColumn(),
        TextColumn("{task.fields[text]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=mode != "live", transient=True) as bar:
        line = bar.add_task(title, total=size, text="")

        def update(position: int, answers: int) -> None:
            nonlocal last
            bar.update(line, completed=min(position, size), text=f"{answers:,} answers")
            if mode == "plain" and time.monotonic() - last >= SHOWN_EVERY_S:
                last = time.monotonic()
                sys.stderr.write(
                    f"{title}: {min(position / size, 1):.0%} of {size:,} bytes read · {answers:,} answers\n"
                )
                sys.stderr.flush()

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
