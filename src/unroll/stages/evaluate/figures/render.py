"""Figures as files: each becomes a PNG that a person reads in a README 900 pixels wide, and a CSV of what it shows.

The same figure gives the same bytes: no times, no library version, nothing of a person's own matplotlib settings.
"""

import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.core.text import shorten
from unroll.display.wording import label, number, words
from unroll.problems.common.scoring import Figure
from unroll.stages.evaluate.figures import canvas as canvases
from unroll.stages.evaluate.figures import series_plots, text_plots
from unroll.stages.evaluate.figures.canvas import INK, MUTED, PALETTE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Canvas

GUESSES = ("guess", "forecast")
"""Columns that hold what the trained model says, beside the truth."""
NETWORK = "network"
"""The name of the trained model beside its baselines."""
MIN_GROUP = 20
"""Below so many examples a group's interval is too wide to say much, or to set the scale."""
MAX_MARKED_POINTS, MAX_WRITTEN_CLASSES = 40, 16
MAX_MAPS_ACROSS, MAX_HEIGHT_IN = 3, 8.0
CHARACTER_IN = 0.085


def write(figure: Figure, pictures: Path, tables: Path) -> None:
    """Write ``<name>.png`` into the folder ``pictures`` and ``<name>.csv`` into ``tables``."""
    store.write_csv(tables / f"{figure.name}.csv", data(figure))
    with canvases.own_style():
        canvas = _DRAW[figure.kind](figure)
        with store.atomic_file(pictures / f"{figure.name}.png") as temporary:
            canvas.savefig(temporary, format="png", metadata={"Software": None})


def data(figure: Figure) -> "pd.DataFrame":
    """What the picture shows, as a table: the frame itself, or the counts of a histogram's bins."""
    if figure.kind != "histogram":
        return figure.frame
    import pandas as pd

    name = _only_column(figure)
    counts, edges = _bins(figure)
    return pd.DataFrame({name: (edges[:-1] + edges[1:]) / 2, "low": edges[:-1], "high": edges[1:], "count": counts})


def _lines(figure: Figure) -> "Canvas":
    import pandas as pd

    canvas, axes = canvases.with_axes(figure, 4.2)
    x = figure.frame[figure.x]
    ys = [name for name in figure.frame if name != figure.x]
    compared = "truth" in ys and any(name in ys for name in GUESSES)
    colours = iter(PALETTE * (len(ys) // len(PALETTE) + 1))
    for name in ys:
        if name == "truth":
            look: dict[str, Any] = {"color": INK, "linewidth": 1.9}
        elif compared and name not in GUESSES:  # what truth and guess are seen against
            look = {"color": "#A0A6AB", "linewidth": 1.1, "linestyle": (0, (3, 1.2)), "zorder": 1.5}
        else:
            look = {"color": next(colours), "linewidth": 1.5}
        marker = "o" if len(x) <= MAX_MARKED_POINTS else ""
        y = figure.frame[name].to_numpy()
        axes.plot(x.to_numpy(), y, label=words(name), marker=marker, markersize=3.5, **look)
    if isinstance(x.dtype, pd.DatetimeTZDtype) or x.dtype.kind == "M":
        canvases.date_axis(axes)
    elif x.dtype.kind in "iu":
        canvases.whole_numbers(axes)
    axes.margins(x=0.01)
    if len(ys) > 1:
        canvases.legend_below(canvas, axes)
    return canvas


def _histogram(figure: Figure) -> "Canvas":
    canvas, axes = canvases.with_axes(figure, 4.0)
    counts, edges = _bins(figure)
    values = _finite(figure)
    axes.stairs(counts, edges, fill=True, color=PALETTE[0], alpha=0.85)
    axes.grid(visible=False, axis="x")
    if edges[0] < 0 < edges[-1]:
        axes.axvline(0, color=INK, linewidth=1)
    canvases.note(axes, _spread(values, edges))
    return canvas


def _spread(values: np.ndarray, edges: np.ndarray) -> str:
    if not len(values):
        return "no values"
    text = f"median {number(float(np.median(values)))} · standard deviation {number(float(values.std()))}"
    outside = int(((values < edges[0]) | (values > edges[-1])).sum())
    return text + (f" · {outside} of {len(values)} lie outside the picture" if outside else "")


def _bins(figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    """Counts and edges of 60 bins over the middle 99.8 % of the values, so that single far values do not squeeze it."""
    values = _finite(figure)
    if not len(values):
        return np.zeros(1, dtype=np.int64), np.array([0.0, 1.0])
    low, high = np.quantile(values, [0.001, 0.999])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.histogram(values, bins=60, range=(low, high))


def _finite(figure: Figure) -> np.ndarray:
    values: np.ndarray = figure.frame[_only_column(figure)].to_numpy(dtype=np.float64)
    return values[np.isfinite(values)]


def _only_column(figure: Figure) -> str:
    return figure.x or str(figure.frame.columns[0])


def _confusion(figure: Figure) -> "Canvas":
    frame = figure.frame
    names = list(dict.fromkeys([*frame["truth"], *frame["guess"]]))
    place = {name: index for index, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for truth, guess, count in zip(frame["truth"], frame["guess"], frame["count"], strict=True):
        counts[place[truth], place[guess]] += count
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    canvas, axes = canvases.with_axes(figure, 1.4 + min(max(0.46 * len(names), 1.8), 6.0))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    labels = [shorten(str(name), 16) for name in names]
    turned = len(names) > 4 and max(map(len, labels)) > 6
    axes.set_xticks(range(len(names)), labels, rotation=45 if turned else 0, ha="right" if turned else "center")
    axes.set_yticks(range(len(names)), labels)
    if len(names) <= MAX_WRITTEN_CLASSES:
        for row, column in np.ndindex(counts.shape):
            share, count = shares[row, column], counts[row, column]
            text = f"{count:,}" + (f"  {_percent(share)}" if count and len(names) <= 8 else "")
            colour = "white" if share > 0.55 else (INK if count else "#AAAAAA")
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    bar = canvas.colorbar(image, ax=axes, fraction=0.025, pad=0.02)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(lambda share, _: _percent(share))
    return canvas


def _heatmap(figure: Figure) -> "Canvas":
    """Small maps three side by side on one scale from 0, with every row and column labelled."""
    maps = list(figure.frame.groupby("map", sort=False))
    across = min(MAX_MAPS_ACROSS, len(maps))
    shapes = [(int(frame["row"].max()) + 1, int(frame["column"].max()) + 1) for _, frame in maps]
    heights_in = [0.62 + 0.24 * max(rows for rows, _ in shapes[at : at + across]) for at in range(0, len(maps), across)]
    height_in = 1.0 + sum(heights_in)
    canvas = canvases.blank(min(height_in, MAX_HEIGHT_IN))
    canvas.suptitle(figure.title, x=0.015, ha="left", fontsize=12.5, fontweight="bold")
    grid = canvas.subplots(len(heights_in), across, squeeze=False, height_ratios=heights_in)
    top = max(float(figure.frame["value"].max()), 1e-9)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (name, frame), shape in zip(grid.flat, maps, shapes, strict=False):
        values = np.full(shape, np.nan)
        values[frame["row"], frame["column"]] = frame["value"]
        axes.set_axis_on()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        image = axes.imshow(values, cmap="Blues", vmin=0, vmax=top, aspect="auto")
        axes.set_title(shorten(str(name), 44), fontsize=10, color=PALETTE[0], pad=4)
        axes.tick_params(length=0)
        axes.tick_params("x", labelsize=min(8.5, 360 / (across * shape[1])))
        axes.tick_params("y", labelsize=min(8.5, 8.5 * MAX_HEIGHT_IN / height_in))
        for side, place in (("row", axes.set_yticks), ("column", axes.set_xticks)):
            named = frame.drop_duplicates(side).sort_values(side)
            place(named[side], [shorten(str(text).replace(" ", "␣"), 12) for text in named[f"{side}_label"]])
    canvas.supxlabel(label(figure.x_label), fontsize=10)
    canvas.supylabel(label(figure.y_label), fontsize=10)
    bar = canvas.colorbar(image, ax=grid, fraction=0.02, pad=0.02)
    bar.outline.set_visible(False)
    return canvas


def _percent(share: float) -> str:
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _bars(figure: Figure) -> "Canvas":
    frame = figure.frame
    names = [words(str(name)) for name in frame[figure.x]]
    values = frame["value"].to_numpy(dtype=np.float64)
    low, high = (frame.get(name, frame["value"] * np.nan).to_numpy(dtype=np.float64) for name in ("low", "high"))
    has_network = NETWORK in set(frame[figure.x])
    colours = [PALETTE[0] if not has_network or name == NETWORK else "#B4B9BE" for name in names]

    length_in = 0.42 * max(len(names), 3)
    canvas, axes = canvases.with_axes(figure, 1.4 + length_in)
    rows = np.arange(len(names))
    axes.barh(rows, np.nan_to_num(values), color=colours, height=0.62)
    known = np.isfinite(low) & np.isfinite(high)
    axes.hlines(rows[known], low[known], high[known], color=INK, linewidth=1.4)
    for ends in (low, high):
        axes.vlines(ends[known], rows[known] - 0.13, rows[known] + 0.13, color=INK, linewidth=1.4)
    # The numbers stand in one column at the right, clear of bars and whiskers.
    for row, value in enumerate(values):
        text = number(value) if math.isfinite(value) else "undefined"
        axes.text(
            1.02, row, text, transform=axes.get_yaxis_transform(), va="center", ha="left",
            fontweight="bold" if has_network and names[row] == NETWORK else "normal",
        )  # fmt: skip
    if "count" in frame:
        for row, count in enumerate(frame["count"]):
            axes.text(
                1.14, row, f"n = {count:,}", transform=axes.get_yaxis_transform(), va="center", ha="left", color=MUTED,
                fontsize=9,
            )  # fmt: skip
    remarks = ["whiskers: 95 % interval"] if known.any() else []
    right = bars_end(frame)
    if right is not None:
        axes.set_xlim(right=right)
        remarks.append(f"bars of fewer than {MIN_GROUP} may go on outside")
    axes.set_yticks(rows, [shorten(name, 28) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    # Bars lie on their side: the figure's x is what the bars are of, its y what their length means.
    axes.set_xlabel(label(figure.y_label))
    axes.set_ylabel(textwrap.fill(label(figure.x_label), int(length_in / CHARACTER_IN)))
    if remarks:
        canvases.note(axes, " · ".join(remarks))
    return canvas


def bars_end(frame: "pd.DataFrame") -> float | None:
    """Where the axis of bars ends if a group of few examples would stretch it; None where none does."""
    if "count" not in frame:
        return None
    ends = frame[["value", "high"] if "high" in frame else ["value"]].max(axis=1)
    large = frame["count"] >= MIN_GROUP
    right = 1.05 * float(ends[large].max()) if large.any() else 0.0
    return right if 0 < right < ends.max() else None


def _scatter(figure: Figure) -> "Canvas":
    canvas, axes = canvases.with_axes(figure, 5.4)
    other = next(name for name in figure.frame if name != figure.x)
    x, y = figure.frame[figure.x].to_numpy(), figure.frame[other].to_numpy()
    crowded = len(x) > 300
    axes.scatter(x, y, s=9 if crowded else 22, color=PALETTE[0], alpha=0.35 if crowded else 0.7, linewidths=0)
    if figure.x == "truth" and other in GUESSES and len(x):
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        edge = 0.03 * (high - low) or 1.0
        axes.plot([low, high], [low, high], color=INK, linewidth=1, label="forecast = truth")
        axes.set_xlim(low - edge, high + edge)
        axes.set_ylim(low - edge, high + edge)
        axes.set_aspect("equal")
        axes.legend(loc="upper left")
    return canvas


_DRAW: dict[str, "Callable[[Figure], Canvas]"] = {
    "lines": _lines,
    "bands": series_plots.bands,
    "stems": series_plots.stems,
    "histogram": _histogram,
    "confusion": _confusion,
    "heatmap": _heatmap,
    "bars": _bars,
    "scatter": _scatter,
    "table": text_plots.table,
    "text": text_plots.text,
}
