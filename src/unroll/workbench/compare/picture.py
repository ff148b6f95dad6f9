"""A comparison as one picture for a slide: how good on validation and on test, at what cost, how it was learned.

Points stand in rows, the best on top; where a key of numbers is varied they lie along it, as lines.
"""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.text import shorten
from unroll.display.wording import words
from unroll.stages.evaluate.figures import canvas
from unroll.stages.evaluate.figures.canvas import DPI, MUTED
from unroll.workbench.compare import panels
from unroll.workbench.compare.grid import shown
from unroll.workbench.compare.jobs import SPLITS
from unroll.workbench.compare.panels import Look, along
from unroll.workbench.compare.summary import BEST, Comparison, Row, mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

WIDTH_IN, HEIGHT_IN = 1600 / DPI, 900 / DPI
MAX_ROWS = 12
"""More cannot be read from the last bench; the table has them all."""


def write(comparison: Comparison, path: Path) -> None:
    """Draw to ``path``, a PNG of 1600 × 900."""
    canvas.save(path, lambda: draw(comparison))


def draw(comparison: Comparison) -> "Canvas":
    """The picture: validation, test, parameters and seconds above; below, what was seen on validation by epoch."""
    picture = canvas.blank(HEIGHT_IN)
    picture.set_figwidth(WIDTH_IN)
    line = along(comparison)
    rows = [row for row in comparison.ranked if row.runs][: MAX_ROWS if line is None else None]
    share = min(0.36 + 0.045 * len(rows), 0.6) if line is None else 0.54
    above, below = picture.subfigures(2, 1, squeeze=False, height_ratios=[share, 1 - share]).flat
    axes = list(above.subplots(1, 4, width_ratios=[3.2, 3.2, 1.3, 1.3], sharey=line is None))
    look = Look.of(comparison, rows, line)
    for panel, split in zip(axes[:2], SPLITS, strict=True):
        panels.scores(panel, comparison, rows, split, look, line)
    panels.costs(axes[2], "parameters", lambda row: mean([run.parameters for run in row.trained]), rows, look, line)
    panels.costs(axes[3], "seconds", lambda row: mean([run.seconds for run in row.trained]), rows, look, line)
    if line is None:
        _name_rows(axes[0], comparison, rows)
    curves = list(below.subplots(1, 2))
    _curves(curves[0], rows, "validation_loss", "loss on validation", look)
    title = f"{words(comparison.headline)} on validation"
    _curves(curves[1], rows, f"validation_{comparison.headline}", title, look)
    _legend(curves[1], look)
    _frame(picture, comparison)
    return picture


def _name_rows(axes: "Axes", comparison: Comparison, rows: Sequence[Row]) -> None:
    names = []
    for row in rows:
        mark = f"{BEST} " if comparison.best is not None and row.point == comparison.best.point else ""
        failed = "" if row.trained else " · failed"
        names.append(f"{mark}{shorten(row.point.label, 28)}{failed}")
    axes.set_yticks(range(len(rows)), names, fontsize=11.5 if len(rows) <= 8 else 8.5)
    axes.set_ylim(len(rows) - 0.45, -1.05)
    axes.tick_params(axis="y", length=0)


def _curves(axes: "Axes", rows: Sequence[Row], key: str, title: str, look: Look) -> None:
    """The mean over the seeds, with a band from the lowest to the highest of them."""
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("epoch")
    every: list[np.ndarray] = []
    for row in reversed(rows):  # the best on top
        by_epoch: dict[int, list[float]] = {}
        for trained in row.trained:
            for epoch, values in trained.epochs.items():
                if math.isfinite(values[key]):
                    by_epoch.setdefault(epoch, []).append(values[key])
        if not by_epoch:
            continue
        x = sorted(by_epoch)
        y = np.array([mean(by_epoch[epoch]) for epoch in x])
        colour = look.colours[row.point.number]
        every.append(y)
        if len(row.trained) > 1:
            low, high = ([end(by_epoch[epoch]) for epoch in x] for end in (min, max))
            axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
            every += [np.array(low), np.array(high)]
        axes.plot(x, y, color=colour, linewidth=1.9, marker="o" if len(x) <= 12 else "", markersize=3.5)
    if every:
        axes.set_ylim(*_calm(every))
        canvas.whole_numbers(axes)
        axes.margins(x=0.02)
    panels.few_ticks(axes.yaxis, 5)


def _calm(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """Limits that a steep start does not squeeze: where the first epochs lie far off, those of the rest."""
    whole = np.concatenate(curves)
    rest = np.concatenate([curve[min(max(1, len(curve) // 5), len(curve) - 1) :] for curve in curves])
    low, high = float(whole.min()), float(whole.max())
    width = float(np.ptp(rest))
    if width and high - low > 3 * width:
        low, high = max(low, float(rest.min()) - width / 2), min(high, float(rest.max()) + width / 2)
    return panels.limits([low, high], 0.05)


def _legend(axes: "Axes", look: Look) -> None:
    from matplotlib.lines import Line2D

    if len(look.legend) < 2:
        return
    handles = [Line2D([], [], color=colour, linewidth=3, label=name) for name, colour in look.legend.items() if name]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9.5, handlelength=1.2)


def _frame(picture: "Canvas", comparison: Comparison) -> None:
    """The title over all, and the remarks under it."""
    grid = comparison.grid
    values = "".join(f": {', '.join(map(shown, sweep.values))}" for sweep in grid.varied[:1] if len(grid.varied) == 1)
    title = shorten(f"{grid.task.name} · {grid.title}{values}", 80)
    picture.suptitle(title, x=0.012, ha="left", fontsize=16, fontweight="bold")
    marks = (
        f"large dot: mean of {len(grid.seeds)} seeds · whisker: ± standard deviation · small dots: single seeds · "
        "band: lowest to highest"
        if len(grid.seeds) > 1
        else "one seed: no deviation"
    )
    rows = len(comparison.rows)
    more = f" · the first {MAX_ROWS} of {rows} points" if along(comparison) is None and rows > MAX_ROWS else ""
    failed = [row.point.label for row in comparison.rows if row.reason]
    notes = [
        f"{marks} · {BEST} best on validation{more}",
        comparison.verdict(),
        f"seconds of training alone: {comparison.machine}",
        f"runs that failed: {', '.join(failed)} (see comparison.md)" if failed else "",
        f"everywhere: {grid.fixed}" if grid.fixed else "",
    ]
    text = "\n".join(textwrap.fill(note, 165) for note in notes if note)
    picture.supxlabel(text, x=0.012, ha="left", fontsize=8.8, color=MUTED, linespacing=1.35)
