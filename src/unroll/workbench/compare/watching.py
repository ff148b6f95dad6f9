"""What a person sees while a comparison runs: bars on a terminal, a line a finished run elsewhere, nothing in CI."""

import time
from typing import TYPE_CHECKING

from unroll.display.progress import COUNT, TITLE, Bars
from unroll.display.wording import number, words
from unroll.workbench.compare.grid import Grid, Point
from unroll.workbench.compare.summary import Run

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


class Watching(Bars):
    """A context that shows how far a comparison is; ``UNROLL_PROGRESS`` fixes how, as for a training."""

    def __init__(self, grid: Grid, console: "Console") -> None:
        from rich.progress import BarColumn

        super().__init__(TITLE, BarColumn(bar_width=24), COUNT, console=console)
        self._grid, self._total, self._done = grid, len(grid.points) * len(grid.seeds), 0
        self._started = time.monotonic()
        self._all = self.add_bar(f"compare {grid.task.name}", self._total)
        self._running: dict[tuple[int, int], TaskID] = {}

    def begin(self) -> None:
        """From now on time is spent on training: the time left is estimated from it."""
        self._started = time.monotonic()

    def note(self, text: str, trace: str = "") -> None:
        """Print a line of its own, unless progress is quiet; ``trace`` is always printed."""
        if self.mode != "quiet":
            self.print(f"compare {self._grid.task.name}: {text}")
        self.fault(trace)

    def fault(self, trace: str) -> None:
        """Print the traceback of a bug, if there is one."""
        if trace:
            self.print(trace.rstrip())

    def epoch(self, point: Point, seed: int, epoch: int, loss: float) -> None:
        """Show that a training has come to the end of an epoch."""
        key = (point.number, seed)
        if key not in self._running:
            epochs = self._grid.at(point).train_config().epochs
            self._running[key] = self.add_bar(f"  {point.label}, seed {seed}", epochs)
        self.update_bar(self._running[key], f"validation loss {loss:.4f}", epoch)

    def done(self, run: Run, headline: str) -> None:
        """Show a run that has ended."""
        self._done += 1
        if (bar := self._running.pop((run.point.number, run.seed), None)) is not None:
            self.remove_bar(bar)
        left_s = (time.monotonic() - self._started) / self._done * (self._total - self._done)
        left = f"{left_s:.0f} s left" if self._done < self._total else ""
        if run.trained is None:
            result = [f"failed: {run.reason}"]
        else:
            value = run.trained.scores["validation"][headline]
            result = [
                f"{words(headline)} {number(value)} on validation",
                f"{len(run.trained.epochs)} epochs in {run.trained.seconds:.1f} s",
            ]
        count = f"{self._done}/{self._total}"
        self.note(" · ".join(filter(None, [count, f"{run.point.label}, seed {run.seed}", *result, left])))
        self.update_bar(self._all, left, self._done)
