"""What a person sees while a model trains: a live line on a terminal, a line an epoch elsewhere, nothing in CI."""

import time
from typing import TYPE_CHECKING

from unroll.display.progress import COUNT, TITLE, Bars

if TYPE_CHECKING:
    from unroll.stages.train.loop import Epoch


class Progress(Bars):
    """A context that shows loss, metric, throughput and time left.

    ``UNROLL_PROGRESS`` fixes how: ``live``, ``plain`` or ``quiet``; unset, a terminal is live, CI quiet, a pipe plain.
    """

    def __init__(self, task: str, epochs: int, headline: str, unit: str) -> None:
        from rich.progress import BarColumn

        super().__init__(TITLE, BarColumn(bar_width=24), COUNT)
        self._task, self._epochs, self._headline, self._unit = task, epochs, headline, unit
        self._bar = self.add_bar(f"train {task}", epochs)
        self._started, self._first = time.monotonic(), 0

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
        self.print_plain(f"train {self._task}: epoch {epoch.epoch}/{self._epochs} · {text}")
        self.update_bar(self._bar, text, epoch.epoch)
