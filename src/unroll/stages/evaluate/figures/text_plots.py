"""Pictures of words: a table, and texts side by side. ``render`` writes them as files."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unroll.core.text import shorten
from unroll.display.wording import cell, words
from unroll.problems.common.scoring import Figure
from unroll.stages.evaluate.figures import canvas as canvases
from unroll.stages.evaluate.figures.canvas import INK, MUTED, PALETTE, SHADE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MAX_TABLE_ROWS, MAX_TABLE_WIDTH, MAX_TEXT_ROWS, MAX_TEXT_WIDTH = 20, 104, 24, 54
LINE_IN = 0.185


def table(figure: Figure) -> "Canvas":
    """Columns as wide as their longest cell; numbers to the right, a rule under the heads, every other row shaded."""
    shown = figure.frame.head(MAX_TABLE_ROWS)
    heads = [words(str(name)) for name in shown]
    for limit in range(MAX_TABLE_WIDTH, 8, -4):  # the longest cells give way until the table fits
        columns = [[shorten(cell(value), limit) for value in shown[name]] for name in shown]
        widths = [max(map(len, [head, *cells])) + 3 for head, cells in zip(heads, columns, strict=True)]
        if sum(widths) <= MAX_TABLE_WIDTH:
            break
    rows = len(shown)
    canvas, axes = canvases.with_axes(figure, 1.1 + 0.28 * (rows + 1))
    axes.set_axis_off()
    axes.set_xlim(0, max(sum(widths), 0.6 * MAX_TABLE_WIDTH))
    axes.set_ylim(rows + 0.6, -1.5)
    for row in range(1, rows, 2):
        axes.axhspan(row - 0.5, row + 0.5, color=SHADE, linewidth=0)
    axes.axhline(-0.5, color=MUTED, linewidth=0.8)
    left = 0
    for name, head, cells, width in zip(shown, heads, columns, widths, strict=True):
        is_number = shown[name].dtype.kind in "iuf"
        x, align = (left + width - 1.5, "right") if is_number else (left + 0.5, "left")
        axes.text(x, -1, head, fontweight="bold", ha=align, va="center")
        for row, shown_cell in enumerate(cells):
            colour = {"✓": PALETTE[2], "✗": PALETTE[1]}.get(shown_cell, INK)
            axes.text(x, row, shown_cell, ha=align, va="center", color=colour, family="DejaVu Sans Mono", fontsize=9)
        left += width
    if len(figure.frame) > rows:
        axes.text(0.5, rows, f"the first {rows} of {len(figure.frame)} rows", color=MUTED, fontsize=9, va="center")
    return canvas


def text(figure: Figure) -> "Canvas":
    """Texts two side by side, each under its heading; what was given before them in grey italics."""
    frame = figure.frame
    texts = [_fold(str(one)) for one in frame["text"]]
    given = [_fold(str(one)) for one in frame["given"]] if "given" in frame else [[] for _ in texts]
    across = min(2, max(len(texts), 1))
    lengths = [len(above) + len(lines) for above, lines in zip(given, texts, strict=True)] or [1]
    heights_in = [0.5 + LINE_IN * max(lengths[low : low + across]) for low in range(0, len(lengths), across)]
    canvas = canvases.blank(0.75 + sum(heights_in))
    canvas.suptitle(figure.title, x=0.015, ha="left", fontsize=12.5, fontweight="bold")
    if any(given):
        canvas.supxlabel("grey italics: given · upright: sampled", x=0.985, ha="right", fontsize=9, color=MUTED)
    grid = canvas.subplots(len(heights_in), across, squeeze=False, height_ratios=heights_in)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, heading, above, lines in zip(grid.flat, frame["heading"], given, texts, strict=False):
        axes.set_title(str(heading), fontsize=10.5, color=PALETTE[0], pad=4)
        _write_lines(axes, above, color=MUTED, style="italic")
        _write_lines(axes, [""] * len(above) + lines, color=INK, style="normal")
    return canvas


def _write_lines(axes: "Axes", lines: Sequence[str], color: str, style: str) -> None:
    axes.text(
        0, 1, "\n".join(lines), transform=axes.transAxes, va="top", family="DejaVu Serif", fontsize=9.5,
        linespacing=1.4, color=color, style=style,
    )  # fmt: skip


def _fold(text: str) -> list[str]:
    """The lines of a text as wide as a column; what a long line goes on with is set in a little."""
    lines: list[str] = []
    for line in text.strip("\n").split("\n"):
        lines += textwrap.wrap(line.expandtabs(4), MAX_TEXT_WIDTH, subsequent_indent="   ") or [""]
    return [*lines[: MAX_TEXT_ROWS - 1], "…"] if len(lines) > MAX_TEXT_ROWS else lines
