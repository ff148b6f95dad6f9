"""Pictures of one series: a forecast between its bands, and correlations by lag. ``render`` writes them as files."""

from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.display.wording import label, words
from unroll.problems.common.scoring import Figure
from unroll.stages.evaluate.figures import canvas as canvases
from unroll.stages.evaluate.figures.canvas import INK, MUTED, PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

LIGHTEST, DARKEST = 0.18, 0.55
"""How much colour the widest and the narrowest band have, the rest being white."""
BOUND = "bound"
"""The column of a correlation's bound, which stands on both sides of 0."""


def bands(figure: Figure) -> "Canvas":
    """Truth in ink, forecast in colour between its bands, the narrowest darkest; single paths as hairlines.

    A band is opaque and stands on the wider ones: it looks as its mark in the legend does.
    """
    canvas, axes = canvases.with_axes(figure, 4.6)
    frame, x = figure.frame, figure.frame[figure.x]
    levels = sorted((int(name.removeprefix("low_")) for name in frame if name.startswith("low_")), reverse=True)
    for level, share in zip(levels, np.linspace(LIGHTEST, DARKEST, len(levels)), strict=True):
        low, high = (frame[f"{side}_{level}"].to_numpy(dtype=np.float64) for side in ("low", "high"))
        name = figure.legend.get(str(level), f"{level} %")
        axes.fill_between(x.to_numpy(), low, high, label=name, color=_tint(PALETTE[0], float(share)), linewidth=0)
    paths = [name for name in frame if name.startswith("path_")]
    for rank, name in enumerate(paths):
        named: dict[str, Any] = {"label": "sampled paths"} if rank == 0 else {}
        axes.plot(x.to_numpy(), frame[name].to_numpy(), color=PALETTE[1], linewidth=0.7, **named)
    axes.plot(x.to_numpy(), frame["truth"].to_numpy(), color=INK, linewidth=1.7, label="truth")
    axes.plot(x.to_numpy(), frame["forecast"].to_numpy(), color=PALETTE[0], linewidth=1.5, label="forecast")
    if x.dtype.kind in "iu":
        axes.axvline(0, color=MUTED, linewidth=0.8)
        canvases.whole_numbers(axes)
    else:
        canvases.date_axis(axes)
    axes.margins(x=0.01)
    if figure.note:
        canvases.note(axes, figure.note)
    handles, labels = axes.get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=3 if figure.legend else min(len(labels), 6))
    return canvas


def stems(figure: Figure) -> "Canvas":
    """A panel for each column, a stem for each lag, and the bound that noise rarely passes above and below 0."""
    canvas = canvases.blank(5.4)
    canvas.suptitle(figure.title, x=0.015, ha="left", fontsize=12.5, fontweight="bold")
    names = [name for name in figure.frame if name not in (figure.x, BOUND)]
    grid = canvas.subplots(len(names), 1, sharex=True, squeeze=False)
    for axes, name in zip(grid[:, 0], names, strict=True):
        _stems(axes, figure, name)
    axes.set_xlabel(label(figure.x_label))
    canvases.whole_numbers(axes)
    if figure.note:
        canvases.note(axes, figure.note)
    return canvas


def _stems(axes: "Axes", figure: Figure, name: str) -> None:
    """The stems of one column: in colour beyond the bound, in grey where noise could have made them."""
    x, y, bound = (figure.frame[column].to_numpy() for column in (figure.x, name, BOUND))
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.fill_between([x[0] - 0.5, x[-1] + 0.5], -bound[0], bound[0], color=_tint(PALETTE[0], LIGHTEST), linewidth=0)
    for side in (-1, 1):
        axes.axhline(side * bound[0], color=PALETTE[0], linewidth=0.9, linestyle=(0, (4, 2)))
    colours = np.where(np.abs(y) > bound, PALETTE[0], MUTED).tolist()
    axes.vlines(x, 0, y, color=colours, linewidth=1.4)
    axes.scatter(x, y, color=colours, s=11, zorder=3)
    axes.set_xlim(x[0] - 0.5, x[-1] + 0.5)
    axes.set_ylabel(label(words(name)))


def _tint(colour: str, share: float) -> tuple[float, float, float]:
    """A colour mixed with white, opaque.

    >>> _tint("#000000", 0.25)
    (0.75, 0.75, 0.75)
    """
    from matplotlib.colors import to_rgb

    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return red, green, blue
