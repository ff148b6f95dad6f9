"""A comparison as one picture for a slide: how good on validation and on test, at what cost, how it was learned.

Points stand in rows, the best on top; where a key of numbers is varied they lie along it, as lines.
"""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.text import shorten
from unroll.display.wording import measure, words
from unroll.stages.evaluate.figures import canvas
from unroll.stages.evaluate.figures.canvas import DPI, MUTED
from unroll.workbench.compare import line_panels, scales
from unroll.workbench.compare.grid import shown
from unroll.workbench.compare.jobs import SPLITS
from unroll.workbench.compare.point_styles import Look, along
from unroll.workbench.compare.summary import BEST, Comparison, Row, best_baseline, mean, own_baselines, precise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from unroll.problems.common.base import Split

WIDTH_IN, HEIGHT_IN = 1600 / DPI, 900 / DPI
MAX_ROWS, MAX_NUMBERED = 12, 6
"""More rows cannot be read from the last bench, or have no room for a number; the table has them all."""


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
        if line is None:
            _scores_in_rows(panel, comparison, rows, split, look)
        else:
            line_panels.scores(panel, comparison, rows, split, look, line)
    for panel, title, cost in zip(axes[2:], ("parameters", "seconds"), (_parameters, _seconds), strict=True):
        if line is None:
            _cost_in_rows(panel, title, [cost(row) for row in rows], rows, look)
        else:
            line_panels.costs(panel, title, cost, rows, look, line)
    if line is None:
        _name_rows(axes[0], comparison, rows)
    curves = list(below.subplots(1, 2))
    _curves(curves[0], rows, "validation_loss", "loss on validation", look)
    title = f"{words(comparison.headline)} on validation"
    _curves(curves[1], rows, f"validation_{comparison.headline}", title, look)
    _legend(curves[1], look)
    _frame(picture, comparison)
    return picture


def _scores_in_rows(axes: "Axes", comparison: Comparison, rows: Sequence[Row], split: "Split", look: Look) -> None:
    metric, best = comparison.headline, comparison.best
    ends: list[float] = []
    for place, row in enumerate(rows):
        values, colour = row.values(split, metric), look.colours[row.point.number]
        if not values:
            continue
        middle, spread = mean(values), row.deviation(split, metric)
        ends += values
        if math.isfinite(spread):
            ends += [middle - spread, middle + spread]
            axes.errorbar(middle, place, xerr=spread, color=colour, capsize=5, linewidth=2.2, capthick=2.2)
            axes.scatter(values, [place + 0.24] * len(values), s=20, color=colour, alpha=0.55, linewidths=0)
        axes.scatter(middle, place, s=80, color=colour, zorder=3, edgecolors="white", linewidths=1.2)
        if len(rows) <= MAX_NUMBERED:
            bold = "bold" if best is not None and row.point == best.point else "normal"
            axes.annotate(
                precise(middle), (middle, place), (0, 7), textcoords="offset points", ha="center", va="bottom",
                fontsize=9.5, fontweight=bold,
            )  # fmt: skip
    low, high = scales.limits(ends)
    name, value = best_baseline(comparison, rows[0], split) if not own_baselines(comparison) else ("", math.nan)
    if math.isfinite(value):
        low, high = _baseline_across(axes, f"{words(name)} {precise(value)}", value, low, high)
    axes.set_xlim(low, high)
    axes.set_xlabel(measure(comparison.headline, comparison.target))
    scales.few_ticks(axes.xaxis, 4)
    axes.grid(visible=False, axis="y")
    scales.title(axes, comparison, split)
    axes.tick_params(axis="y", length=0)


def _baseline_across(axes: "Axes", text: str, value: float, low: float, high: float) -> tuple[float, float]:
    """A dashed line at the baseline, or an arrow towards one that lies far off; the axis' new limits."""

    def write(text: str, x: float, ha: Any) -> None:
        across = axes.get_xaxis_transform()
        axes.text(x, 0.985, text, transform=across, ha=ha, va="top", fontsize=8.5, color=MUTED)

    if low - scales.FAR * (high - low) <= value <= high + scales.FAR * (high - low):
        low, high = scales.limits([low, high, value], 0.04)
        axes.axvline(value, color=MUTED, linewidth=1.2, linestyle=scales.DASHED, zorder=1)
        write(f" {text} ", value, "left" if value < (low + high) / 2 else "right")
    elif value < low:
        write(f" ◂ {text}", low, "left")
    else:
        write(f"{text} ▸ ", high, "right")
    return low, high


def _cost_in_rows(axes: "Axes", title: str, costs: Sequence[float], rows: Sequence[Row], look: Look) -> None:
    axes.set_title(title, fontsize=11)
    highest = max((cost for cost in costs if math.isfinite(cost)), default=1.0) or 1.0
    for place, (row, cost) in enumerate(zip(rows, costs, strict=True)):
        if not math.isfinite(cost):
            continue
        axes.barh(place, cost, height=0.42, color=look.colours[row.point.number], alpha=0.85)
        axes.text(cost + 0.04 * highest, place, scales.cost_text(cost), va="center", fontsize=9)
    axes.set_xlim(0, 1.75 * highest)
    axes.grid(visible=False)
    axes.tick_params(axis="both", length=0, labelbottom=False)
    axes.spines["bottom"].set_visible(False)


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
    scales.few_ticks(axes.yaxis, 5)


def _calm(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """Limits that a steep start does not squeeze: where the first epochs lie far off, those of the rest."""
    whole = np.concatenate(curves)
    rest = np.concatenate([curve[min(max(1, len(curve) // 5), len(curve) - 1) :] for curve in curves])
    low, high = float(whole.min()), float(whole.max())
    width = float(np.ptp(rest))
    if width and high - low > 3 * width:
        low, high = max(low, float(rest.min()) - width / 2), min(high, float(rest.max()) + width / 2)
    return scales.limits([low, high], 0.05)


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


def _parameters(row: Row) -> float:
    return mean([float(trained.parameters) for trained in row.trained])


def _seconds(row: Row) -> float:
    return mean([trained.seconds for trained in row.trained])
