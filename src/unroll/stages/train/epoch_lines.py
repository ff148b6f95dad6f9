"""What a person sees while a model trains: a live line on a terminal, a line an epoch elsewhere, nothing in CI."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from unroll.display.progress import mode

if TYPE_CHECKING:
    from unroll.stages.train.loop import Epoch


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
