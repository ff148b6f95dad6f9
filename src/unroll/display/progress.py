"""What a person sees of long work: how it is shown (live, plain or not at all), and rows that are being read."""

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from unroll.core.errors import ConfigError

if TYPE_CHECKING:
    pass

MODES = ("live", "plain", "quiet")
SHOWN_EVERY_S = 1.0


class Rows:
    """A context that shows how many rows have been read, once it takes more than a moment; modes as of Progress."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bar
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        self._title, self._rows, self._mode = title, 0, mode()
        self._started = self._shown = time.monotonic()
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=self._mode != "live",
            transient=True,
        )
        self._line = self._bar.add_task(title, total=None, text="")

    def __enter__(self) -> "Rows":
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def add(self, rows: int) -> None:
        """Show that so many more have been read."""
        if not rows:
            return
        self._rows += rows
        now = time.monotonic()
        if now - self._shown < SHOWN_EVERY_S:
            return
        self._shown = now
        text = f"{self._rows:,} rows · {self._rows / (now - self._started):,.0f} rows/s"
        if self._mode == "plain":
            sys.stderr.write(f"{self._title}: {text}\n")
            sys.stderr.flush()
        self._bar.update(self._line, text=text)


def mode() -> str:
    """One of MODES: what ``UNROLL_PROGRESS`` asks for, else what fits; raises ConfigError for another word."""
    asked = os.environ.get("UNROLL_PROGRESS")
    if asked:
        if asked not in MODES:
            raise ConfigError(f"UNROLL_PROGRESS: {asked!r} is not allowed; expected live, plain or quiet")
        return asked
    if os.environ.get("CI"):
        return "quiet"
    return "live" if sys.stderr.isatty() else "plain"
