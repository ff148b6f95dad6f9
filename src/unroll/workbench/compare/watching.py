"""What a person sees while a comparison runs: bars on a terminal, a line a finished run elsewhere, nothing in CI."""

import time
from types import TracebackType
from typing import TYPE_CHECKING

from unroll.display import progress
from unroll.display.wording import number, words
from unroll.workbench.compare.grid import Grid, Point
from unroll.workbench.compare.summary import Run

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


class Watching:
    """A context that shows how far a comparison is; ``UNROLL_PROGRESS`` fixes how, as for a training."""

    def __init__(self, grid: Grid, console: "Console") -> None:
        """Raises ConfigError for a value of ``UNROLL_PROGRESS`` that is none."""
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._grid, self._mode = grid, progress.mode()
        self._total, self._done = len(grid.points) * len(grid.seeds), 0
        self._started = time.monotonic()
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[text]}"),
            console=console,
            disable=self._mode != "live",
        )
        self._console = console
        self._all = self._bar.add_task(f"compare {grid.task.name}", total=self._total, text="")
        self._running: dict[tuple[int, int], TaskID] = {}

    def __enter__(self) -> "Watching":
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def begin(self) -> None:
        """From now on time is spent on training: what is left is told from it."""
        self._started = time.monotonic()

    def tell(self, text: str, trace: str = "") -> None:
        """Say something in a line of its own, where progress is shown at all; ``trace`` is always shown."""
        if self._mode != "quiet":
            self._print(f"compare {self._grid.task.name}: {text}")
        self.fault(trace)

    def fault(self, trace: str) -> None:
        """Show the traceback of a fault of ours, if there is one."""
        if trace:
            self._print(trace.rstrip())

    def epoch(self, point: Point, seed: int, epoch: int, text: str) -> None:
        """Show that a training has come to the end of an epoch."""
        key = (point.number, seed)
        if key not in self._running:
            epochs = self._grid.at(point).train_config().epochs
            name = f"  {point.label}, seed {seed}"
            self._running[key] = self._bar.add_task(name, total=epochs, text="")
        self._bar.update(self._running[key], completed=epoch, text=text)

    def done(self, run: Run, headline: str) -> None:
        """Show a run that has ended."""
        self._done += 1
        if (line := self._running.pop((run.point.number, run.seed), None)) is not None:
            self._bar.remove_task(line)
        left_s = (time.monotonic() - self._started) / self._done * (self._total - self._done)
        left = f"{left_s:.0f} s left" if self._done < self._total else ""
        if run.trained is None:
            came = [f"failed: {run.reason}"]
        else:
            value = run.trained.scores["validation"][headline]
            came = [
                f"{words(headline)} {number(value)} on validation",
                f"{len(run.trained.epochs)} epochs in {run.trained.seconds:.1f} s",
            ]
        count = f"{self._done}/{self._total}"
        self.tell(" · ".join(filter(None, [count, f"{run.point.label}, seed {run.seed}", *came, left])))
        self._bar.update(self._all, completed=self._done, text=left)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
