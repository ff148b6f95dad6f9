"""What a person sees while a network trains: a live line on a terminal, a line an epoch elsewhere, nothing in CI."""

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from unroll.errors import ConfigError

if TYPE_CHECKING:
    from unroll.training import Epoch

MODES = ("live", "plain", "quiet")
SHOWN_EVERY_S = 1.0


class Progress:
    """A context that shows loss, metric, throughput and time left.

    ``UNROLL_PROGRESS`` fixes how: ``live``, ``plain`` or ``quiet``; unset, a terminal is live, CI quiet, a pipe plain.
    """

    def __init__(self, task: str, epochs: int, headline: str, unit: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._task, self._epochs, self._headline, self._unit = task, epochs, headline, unit
        self._mode = mode()
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[text]}"),
            console=Console(stderr=True),
            disable=self._mode != "live",
        )
        self._line = self._bar.add_task(f"train {task}", total=epochs, text="")
        self._started, self._first = time.monotonic(), 0

    def __enter__(self) -> "Progress":
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def update(self, epoch: "Epoch", seconds: float, units: int) -> None:
        """Show an epoch that has ended; ``seconds`` and ``units`` give the throughput."""
        self._first = self._first or epoch.epoch
        mean_s = (time.monotonic() - self._started) / (epoch.epoch - self._first + 1)
        left_s = mean_s * (self._epochs - epoch.epoch)
        text = (
            f"loss {epoch.train_loss:.4f} · validation {epoch.validation_loss:.4f} · "
            f"{self._headline} {epoch.validation_metric:.4f} · {units / max(seconds, 1e-9):,.0f} {self._unit}/s · "
            f"{left_s:.0f} s left"
        )
        if self._mode == "plain":
            sys.stderr.write(f"train {self._task}: epoch {epoch.epoch}/{self._epochs} · {text}\n")
            sys.stderr.flush()
        self._bar.update(self._line, completed=epoch.epoch, text=text)


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
