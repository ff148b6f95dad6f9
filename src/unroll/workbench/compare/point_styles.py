"""How the points of a comparison are told apart in its picture: along a line or in rows, and in which colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unroll.core.text import shorten
from unroll.stages.evaluate.figures.canvas import PALETTE
from unroll.workbench.compare.grid import Point, Sweep, short, shown
from unroll.workbench.compare.summary import Comparison, Row

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
