"""Panels of a comparison in which a key of numbers is varied: the points lie along it, and are joined."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unroll.display.wording import measure, words
from unroll.stages.evaluate.figures.canvas import MUTED
from unroll.workbench.compare import scales
from unroll.workbench.compare.grid import Sweep, shown
from unroll.workbench.compare.point_styles import PALE, Look, other, series
from unroll.workbench.compare.summary import BEST, Comparison, Row, best_baseline, precise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unroll.problems.common.base import Split


def scores(axes: "Axes", comparison: Comparison, rows: Sequence[Row], split: "Split", look: Look, line: Sweep) -> None:
    """Each point with its seeds and deviation, those that differ in this key alone joined, and the best baseline."""
    metric, best = comparison.headline, comparison.best
    ends: list[float] = []
    names = series(comparison.grid.points, line)
    for place, name in enumerate(names):
        own = [row for row in _sorted(rows, line) if other(row.point, line) == name and row.values(split, metric)]
        x = [_beside(row.point.values[line.key], line, place - (len(names) - 1) / 2) for row in own]
        means = [row.mean(split, metric) for row in own]
        axes.plot(x, means, color=look.legend.get(name, PALE), linewidth=2)
        for row, at, middle in zip(own, x, means, strict=True):
            values, spread = row.values(split, metric), row.deviation(split, metric)
            colour = look.colours[row.point.number]
            ends += values
            if math.isfinite(spread):
                ends += [middle - spread, middle + spread]
                axes.errorbar(at, middle, yerr=spread, color=colour, capsize=5, linewidth=2, capthick=2)
                axes.scatter([at] * len(values), values, s=16, color=colour, alpha=0.6, linewidths=0, zorder=2)
            axes.scatter(at, middle, s=70, color=colour, edgecolors="white", linewidths=1.2, zorder=3)
            if best is not None and row.point == best.point:
                axes.annotate(BEST, (at, middle), (9, 3), textcoords="offset points", ha="left", fontsize=12)
    axes.set_ylim(*_baseline_along(axes, comparison, rows, split, line, scales.limits(ends)))
    axes.set_ylabel(measure(comparison.headline, comparison.target))
    _x_of_numbers(axes, line)
    scales.few_ticks(axes.yaxis, 6)
    scales.title(axes, comparison, split)


def _baseline_along(
    axes: "Axes", comparison: Comparison, rows: Sequence[Row], split: "Split", line: Sweep, limits: tuple[float, float]
) -> tuple[float, float]:
    """The best baseline as a dashed line, which bends where the points have data of their own; the new limits."""
    best = [(row.point.values[line.key], *best_baseline(comparison, row, split)) for row in rows]
    by_x = sorted({at: value for at, _, value in best if math.isfinite(value)}.items())
    if not by_x:
        return limits
    names = {name for _, name, value in best if math.isfinite(value)}
    name = words(names.pop()) if len(names) == 1 else "best baseline"
    heights = [height for _, height in by_x]
    low, high = limits
    if min(heights) >= low - scales.FAR * (high - low) and max(heights) <= high + scales.FAR * (high - low):
        axes.plot(*zip(*by_x, strict=True), color=MUTED, linewidth=1.2, linestyle=scales.DASHED, zorder=1)
        axes.annotate(
            name, by_x[-1], (0, 5), textcoords="offset points", ha="right", fontsize=8.5, color=MUTED,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )  # fmt: skip
        return scales.limits([low, high, *heights], 0.04)
    below = max(heights) < high
    arrow, y, va = ("▾", 0.02, "bottom") if below else ("▴", 0.98, "top")
    text = f"{name} {precise(by_x[-1][1])} {arrow}"
    axes.text(0.98, y, text, transform=axes.transAxes, ha="right", va=va, fontsize=8.5, color=MUTED)
    return limits


def costs(axes: "Axes", title: str, cost: Any, rows: Sequence[Row], look: Look, line: Sweep) -> None:
    """What each point took, joined in the same way."""
    axes.set_title(title, fontsize=11)
    for name in series([row.point for row in rows], line):
        own = [row for row in _sorted(rows, line) if other(row.point, line) == name and row.trained]
        x, y = [row.point.values[line.key] for row in own], [cost(row) for row in own]
        axes.plot(x, y, color=look.legend.get(name, PALE), linewidth=1.6)
        axes.scatter(x, y, s=28, color=[look.colours[row.point.number] for row in own], zorder=3)
    axes.set_ylim(0, 1.12 * max([cost(row) for row in rows if row.trained], default=1.0))
    axes.yaxis.set_major_formatter(lambda value, _: scales.cost_text(value))
    _x_of_numbers(axes, line)
    scales.few_ticks(axes.yaxis, 4)
    axes.tick_params(labelsize=8.5)


def _sorted(rows: Sequence[Row], line: Sweep) -> list[Row]:
    return sorted(rows, key=lambda row: row.point.values[line.key])


def _is_wide(line: Sweep) -> bool:
    """Whether the values span nearly a decade, so that a logarithmic scale shows them better."""
    return min(line.values) > 0 and max(line.values) / min(line.values) >= 8


def _beside(value: float, line: Sweep, places: float) -> float:
    """A little to the side of a value, so that the whiskers of several lines do not cover each other."""
    low, high = min(line.values), max(line.values)
    share = 0.018 * places
    return float(value * (high / low) ** share if _is_wide(line) else value + (high - low) * share)


def _x_of_numbers(axes: "Axes", line: Sweep) -> None:
    """The values themselves as ticks; a logarithmic scale where they span a decade or nearly."""
    ordered = sorted(line.values)
    if _is_wide(line):
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(ordered, [shown(value) for value in ordered])
    axes.set_xlabel(line.key)
    axes.margins(x=0.08)
