"""What a person sees of long work: bars on a terminal, plain lines elsewhere, nothing in CI."""

import os
import sys
import time
from typing import TYPE_CHECKING, Literal, Self

from unroll.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn, TaskID

Mode = Literal["live", "plain", "quiet"]
MODES: tuple[Mode, ...] = ("live", "plain", "quiet")
SHOWN_EVERY_S = 1.0
TITLE, TEXT = "[bold]{task.description}", "{task.fields[text]}"
COUNT = "{task.completed:.0f}/{task.total:.0f}  " + TEXT
"""Columns as templates of rich."""


class Bars:
    """A context with bars of progress, which are there on a terminal alone; elsewhere its lines take their place."""

    def __init__(
        self, *columns: "str | ProgressColumn", console: "Console | None" = None, transient: bool = False
    ) -> None:
        """Raises ConfigError for an unknown value of ``UNROLL_PROGRESS``."""
        from rich.console import Console
        from rich.progress import Progress

        self.mode, self._console, self._printed = mode(), console or Console(stderr=True), time.monotonic()
        disable = self.mode != "live"
        self._bars = Progress(*columns, console=self._console, disable=disable, transient=transient)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def add_bar(self, title: str, total: float | None) -> "TaskID":
        """A new bar; without a total it only shows that work goes on."""
        return self._bars.add_task(title, total=total, text="")

    def update_bar(self, bar: "TaskID", text: str, completed: float | None = None) -> None:
        """Show how far the work has come."""
        self._bars.update(bar, text=text, completed=completed)

    def remove_bar(self, bar: "TaskID") -> None:
        """Take the bar of work that is done away."""
        self._bars.remove_task(bar)

    def print(self, text: str) -> None:
        """A line of its own, above the bars where there are some."""
        from rich.text import Text

        self._console.print(Text(text), soft_wrap=True)

    def print_plain(self, text: str, every_s: float = 0.0) -> None:
        """A line where there are no bars, unless one was printed less than ``every_s`` ago."""
        if self.mode != "plain":
            return
        if every_s:
            now = time.monotonic()
            if now - self._printed < every_s:
                return
            self._printed = now
        self.print(text)


class Rows(Bars):
    """A context that shows how many rows have been read, once it takes more than a moment."""

    def __init__(self, title: str) -> None:
        from rich.progress import SpinnerColumn, TimeElapsedColumn

        super().__init__(SpinnerColumn(), TITLE, TEXT, TimeElapsedColumn(), transient=True)
        self._title, self._rows, self._bar = title, 0, self.add_bar(title, None)
        self._started = self._shown = time.monotonic()

    def add(self, rows: int) -> None:
        """Show that so many more have been read."""
        self._rows += rows
        now = time.monotonic()
        if not rows or now - self._shown < SHOWN_EVERY_S:
            return
        self._shown = now
        text = f"{self._rows:,} rows · {self._rows / (now - self._started):,.0f} rows/s"
        self.print_plain(f"{self._title}: {text}")
        self.update_bar(self._bar, text)


def mode() -> Mode:
    """What ``UNROLL_PROGRESS`` asks for, else what fits; raises ConfigError for another word."""
    value = os.environ.get("UNROLL_PROGRESS")
    if value:
        for known in MODES:
            if value == known:
                return known
        raise ConfigError(f"{value!r} is not allowed; expected live, plain or quiet", key="UNROLL_PROGRESS")
    if os.environ.get("CI"):
        return "quiet"
    return "live" if sys.stderr.isatty() else "plain"
