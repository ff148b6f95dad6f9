"""The panels of a comparison's picture that show scores and costs of its points.

Points stand in rows, the best on top; where a key of numbers is varied they lie along it, and are joined.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unroll.core.text import shorten
from unroll.display.wording import measure, words
from unroll.stages.evaluate.figures.canvas import MUTED, PALETTE
from unroll.workbench.compare.grid import Point, Sweep, short, shown
from unroll.workbench.compare.summary import BEST, Comparison, Row, best_baseline, mean, own_baselines, precise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unroll.problems.common.base import Split

FAR = 1.2
"""A baseline further off than so many times what the points span is named, but does not stretch the axis."""
MAX_NUMBERED = 6
"""More rows have no room for a number."""
PALE = "#B4B9BE"
MIN_ON_A_LINE = 3
"""Fewer numbers are no line: two are drawn as rows."""


def along(comparison: Comparison) -> Sweep | None:
    """The key of numbers whose values lie along an axis: the only one varied, or one of two; else none."""
    varied = comparison.grid.varied
    lines = [sweep for sweep in varied if sweep.is_number and len(sweep.values) >= MIN_ON_A_LINE]
    return max(lines, key=lambda sweep: len(sweep.values)) if lines and len(varied) <= 2 else None


@dataclass(frozen=True)
class Look:
    """The colour of each point by its number, and what the colours stand for."""

    colours: Mapping[int, Any]
    legend: Mapping[str, Any]

    @classmethod
    def of(cls, comparison: Comparison, rows: Sequence[Row], line: Sweep | None) -> "Look":
        """One colour a point, and grey for those after the eighth; along a line, shades from small to large."""
        points = comparison.grid.points
        if line is None:
            named: Sequence[Point] = [row.point for row in rows if row.trained][: len(PALETTE)]
            if len(points) <= len(PALETTE):  # few enough: each has its colour whatever its rank
                named = [point for point in points if point in named]
            colours = {point.number: PALE for point in points}
            colours |= {point.number: PALETTE[place] for place, point in enumerate(named)}
            return cls(colours, {shorten(point.label, 28): colours[point.number] for point in named})
        ordered = sorted(line.values)
        if len(comparison.grid.varied) == 1:
            shades = {value: _shade(place / (len(ordered) - 1)) for place, value in enumerate(ordered)}
            colours = {point.number: shades[point.values[line.key]] for point in points}
            return cls(colours, {f"{short(line.key)} {shown(value)}": shades[value] for value in ordered})
        names = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(series(points, line))}
        colours = {
            point.number: _pale(names[other(point, line)], ordered.index(point.values[line.key]) / (len(ordered) - 1))
            for point in points
        }
        return cls(colours, {**names, f"paler: smaller {short(line.key)}": PALE})


def series(points: Sequence[Point], line: Sweep) -> list[str]:
    """The values of the other key that is varied, one a line; a single empty name where there is none."""
    return list(dict.fromkeys(other(point, line) for point in points))


def other(point: Point, line: Sweep) -> str:
    """The value of a point's other key."""
    return "".join(shown(point.values[key]) for key in point.varied if key != line.key)


def _shade(share: float) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"](0.85 * (1 - share))  # the palest yellow cannot be seen on white


def _pale(colour: str, share: float) -> Any:
    from matplotlib.colors import to_rgb

    whole = 0.4 + 0.6 * share
    return tuple(whole * part + 1 - whole for part in to_rgb(colour))


def scores(
    axes: "Axes", comparison: Comparison, rows: Sequence[Row], split: "Split", look: Look, line: Sweep | None
) -> None:
    """Each point with its seeds and deviation, and the best baseline."""
    metric, best, ends = comparison.headline, comparison.best, list[float]()
    for row, at in (
        _joined(axes, comparison, rows, split, look, line) if line else ((row, at) for at, row in enumerate(rows))
    ):
        values, spread, colour = row.values(split, metric), row.deviation(split, metric), look.colours[row.point.number]
        if not values:
            continue
        middle, is_best = mean(values), best is not None and row.point == best.point
        x, y = (at, middle) if line else (middle, at)
        ends += values
        if math.isfinite(spread):
            ends += [middle - spread, middle + spread]
            x_error, y_error = (None, spread) if line else (spread, None)
            axes.errorbar(x, y, y_error, x_error, color=colour, capsize=5, linewidth=2.2, capthick=2.2)
            beside = [at if line else at + 0.24] * len(values)
            seeds_x, seeds_y = (beside, values) if line else (values, beside)
            axes.scatter(seeds_x, seeds_y, s=18, color=colour, alpha=0.6, linewidths=0, zorder=2)
        axes.scatter(x, y, s=75, color=colour, zorder=3, edgecolors="white", linewidths=1.2)
        if line and is_best:
            axes.annotate(BEST, (x, y), (9, 3), textcoords="offset points", ha="left", fontsize=12)
        elif not line and len(rows) <= MAX_NUMBERED:
            axes.annotate(
                precise(middle), (x, y), (0, 7), textcoords="offset points", ha="center", va="bottom", fontsize=9.5,
                fontweight="bold" if is_best else "normal",
            )  # fmt: skip
    span = limits(ends)
    if line or not own_baselines(comparison):
        span = _baseline(axes, comparison, rows, split, line, span)
    label = measure(metric, comparison.target)
    if line:
        axes.set(ylim=span, ylabel=label)
        few_ticks(axes.yaxis, 6)
        _x_of_numbers(axes, line)
    else:
        axes.set(xlim=span, xlabel=label)
        few_ticks(axes.xaxis, 4)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    use = f"{'higher' if comparison.higher_is_better else 'lower'} is better"
    axes.set_title(split.capitalize())
    axes.annotate(
        use if split == "validation" else "not used to choose", (1, 1), (0, 12), xycoords="axes fraction",
        textcoords="offset points", ha="right", fontsize=9.5, color=MUTED,
    )  # fmt: skip


def _joined(
    axes: "Axes", comparison: Comparison, rows: Sequence[Row], split: "Split", look: Look, line: Sweep
) -> Iterator[tuple[Row, float]]:
    """Join the points that differ in this key alone; each with its place along it."""
    names = series(comparison.grid.points, line)
    for number, name in enumerate(names):
        own = [row for row in _along(rows, line, name) if row.values(split, comparison.headline)]
        x = [_beside(row.point.values[line.key], line, number - (len(names) - 1) / 2) for row in own]
        means = [row.mean(split, comparison.headline) for row in own]
        axes.plot(x, means, color=look.legend.get(name, PALE), linewidth=2)
        yield from zip(own, x, strict=True)


def _baseline(
    axes: "Axes",
    comparison: Comparison,
    rows: Sequence[Row],
    split: "Split",
    line: Sweep | None,
    span: tuple[float, float],
) -> tuple[float, float]:
    """The best baseline, dashed, or an arrow towards one that lies far off; the new limits of the scores' axis.

    Along a line it bends where the points have data of their own.
    """
    known = {
        row.point.values[line.key] if line else 0: best
        for row in (rows if line else rows[:1])
        if math.isfinite((best := best_baseline(comparison, row, split))[1])
    }
    if not known:
        return span
    by_x, names = sorted((x, value) for x, (_, value) in known.items()), {name for name, _ in known.values()}
    name, values, (low, high) = words(names.pop()) if len(names) == 1 else "best baseline", [y for _, y in by_x], span
    look: dict[str, Any] = {"fontsize": 8.5, "color": MUTED}
    dashed: dict[str, Any] = {"color": MUTED, "linewidth": 1.2, "linestyle": (0, (4, 2)), "zorder": 1}
    text, across = f"{name} {precise(values[-1])}", axes.get_xaxis_transform()
    if min(values) >= low - FAR * (high - low) and max(values) <= high + FAR * (high - low):
        low, high = limits([low, high, *values], 0.04)
        if line:
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
            axes.plot(*zip(*by_x, strict=True), **dashed)
            axes.annotate(name, by_x[-1], (0, 5), textcoords="offset points", ha="right", bbox=box, **look)
        else:
            axes.axvline(values[0], **dashed)
            side = "left" if values[0] < (low + high) / 2 else "right"
            axes.text(values[0], 0.985, f" {text} ", transform=across, ha=side, va="top", **look)
    elif line:
        arrow, y, va = ("▾", 0.02, "bottom") if max(values) < high else ("▴", 0.98, "top")
        axes.text(0.98, y, f"{text} {arrow}", transform=axes.transAxes, ha="right", va=va, **look)
    else:
        x, text, side = (low, f" ◂ {text}", "left") if values[0] < low else (high, f"{text} ▸ ", "right")
        axes.text(x, 0.985, text, transform=across, ha=side, va="top", **look)
    return low, high


def costs(axes: "Axes", title: str, cost: Any, rows: Sequence[Row], look: Look, line: Sweep | None) -> None:
    """What each point took: bars beside the rows, or points joined along the key."""
    axes.set_title(title, fontsize=11)
    highest = max([cost(row) for row in rows if row.trained], default=1.0) or 1.0
    if line is None:
        for place, row in enumerate(rows):
            if row.trained:
                axes.barh(place, cost(row), height=0.42, color=look.colours[row.point.number], alpha=0.85)
                axes.text(cost(row) + 0.04 * highest, place, _cost_text(cost(row)), va="center", fontsize=9)
        axes.set_xlim(0, 1.75 * highest)
        axes.grid(visible=False)
        axes.tick_params(axis="both", length=0, labelbottom=False)
        axes.spines["bottom"].set_visible(False)
        return
    for name in series([row.point for row in rows], line):
        own = [row for row in _along(rows, line, name) if row.trained]
        x, y = [row.point.values[line.key] for row in own], [cost(row) for row in own]
        axes.plot(x, y, color=look.legend.get(name, PALE), linewidth=1.6)
        axes.scatter(x, y, s=28, color=[look.colours[row.point.number] for row in own], zorder=3)
    axes.set_ylim(0, 1.12 * highest)
    axes.yaxis.set_major_formatter(lambda value, _: _cost_text(value))
    _x_of_numbers(axes, line)
    few_ticks(axes.yaxis, 4)
    axes.tick_params(labelsize=8.5)


def _along(rows: Sequence[Row], line: Sweep, name: str) -> list[Row]:
    """The rows of one line, in order."""
    return sorted((row for row in rows if other(row.point, line) == name), key=lambda row: row.point.values[line.key])


def _is_wide(line: Sweep) -> bool:
    """Whether the values span nearly a decade, so that a logarithmic scale shows them better."""
    return min(line.values) > 0 and max(line.values) / min(line.values) >= 8


def _beside(value: float, line: Sweep, places: float) -> float:
    """A little to the side of a value, so that the whiskers of several lines do not cover each other."""
    low, high = min(line.values), max(line.values)
    share = 0.018 * places
    return float(value * (high / low) ** share if _is_wide(line) else value + (high - low) * share)


def _x_of_numbers(axes: "Axes", line: Sweep) -> None:
    """The values themselves as ticks."""
    ordered = sorted(line.values)
    if _is_wide(line):
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(ordered, [shown(value) for value in ordered])
    axes.set_xlabel(line.key)
    axes.margins(x=0.08)


def limits(values: Sequence[float], pad: float = 0.12) -> tuple[float, float]:
    """Ends of an axis that holds all values, and a share of their span beside them."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    edge = pad * (high - low) or 0.02 * abs(high) or 0.5
    return low - edge, high + edge


def few_ticks(axis: Any, count: int) -> None:
    """No more than about ``count`` ticks."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(count))


def _cost_text(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
