"""A diagnosis of gradients as one picture and as a table on the screen."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.config import Cell
from unroll.display.wording import number
from unroll.stages.evaluate.figures import canvas
from unroll.stages.evaluate.figures.canvas import INK, MUTED, PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.figure import SubFigure
    from rich.console import Console

    from unroll.workbench.gradients import Clipping, Diagnosis, Measured
    from unroll.workbench.gradients.clipping import Step
    from unroll.workbench.gradients.flow import Flow

COLOURS: dict[Cell, str] = dict(zip(("lstm", "rnn", "gru", "rnn_sigmoid", "rnn_relu"), PALETTE, strict=False))
NAMES: dict[Cell, str] = {
    "rnn": "RNN (tanh)", "rnn_relu": "RNN (ReLU)", "rnn_sigmoid": "RNN (sigmoid)", "lstm": "LSTM", "gru": "GRU",
}  # fmt: skip
SHADES = (PALETTE[5], MUTED, PALETTE[4], PALETTE[1])
"""The colours of the factors, from the smallest."""
FEW = 0.1
"""Distances that a smaller share of the sequences reaches are not drawn: their mean jumps."""
FLOOR = 1e-12
"""What is smaller is not drawn: it is nothing to a network."""
MOST_PANELS = 6
PANEL_IN, TITLE_IN = 2.75, 0.62


def write(diagnosis: "Diagnosis", path: Path) -> None:
    """Draw it into a PNG."""
    panels = _panels(diagnosis)
    rows = math.ceil(len(panels) / 2)
    heights = [TITLE_IN + PANEL_IN * rows, TITLE_IN + PANEL_IN, TITLE_IN + 1.85 * PANEL_IN]

    def draw() -> "Canvas":
        picture = canvas.blank(sum(heights))
        areas: Any = picture.subfigures(3, 1, height_ratios=heights)
        top, middle, bottom = areas
        _draw_cells(top, diagnosis, panels)
        _draw_scaled(middle, diagnosis)
        _draw_clippings(bottom, diagnosis.clippings)
        return picture

    canvas.save(path, draw)


def show(diagnosis: "Diagnosis", console: "Console") -> None:
    """The table: what is left of the gradient some steps back, and in how many steps it halves."""
    from rich.table import Table

    table = Table(title=f"{diagnosis.task}: what is left of the gradient, steps back", title_justify="left")
    for head in ("cell", "part", "layer", "state"):
        table.add_column(head)
    for head in ("1 step", "10 steps", "all steps", "steps", "half-life"):
        table.add_column(head, justify="right")
    for measured in diagnosis.cells:
        for flow in _forward(measured.flows):
            norm_D = _drawn(flow)
            some = [number(float(norm_D[at])) if at < len(norm_D) else "–" for at in (1, 10, len(norm_D) - 1)]
            name = NAMES[measured.cell] + (", trained" if measured.weights == "trained" else "")
            layer = str(flow.layer + 1)
            table.add_row(name, measured.part, layer, flow.part, *some, str(len(norm_D) - 1), _half_life(norm_D))
    console.print(table)


def _half_life(norm_D: np.ndarray) -> str:
    from unroll.workbench.gradients.flow import half_life

    steps = half_life(norm_D)
    if not math.isfinite(steps):
        return "–" if math.isnan(steps) else "stays"
    return f"{number(steps)} steps" if steps > 0 else f"doubles in {number(-steps)}"


def title(clipping: "Clipping") -> str:
    """The network and how it is trained."""
    name = NAMES[clipping.cell] + (f" × {clipping.factor:g}" if clipping.factor != 1 else "")
    return f"{name}, {clipping.optimizer}" + (", as the task trains" if clipping.factor == 1 else "")


def _panels(diagnosis: "Diagnosis") -> list[tuple[str, int]]:
    """Part and layer of each panel."""
    panels = dict.fromkeys((one.part, flow.layer) for one in diagnosis.cells for flow in one.flows)
    return list(panels)[:MOST_PANELS]


def _draw_cells(area: "SubFigure", diagnosis: "Diagnosis", panels: Sequence[tuple[str, int]]) -> None:
    _head(area, f"What is left of a gradient some steps back in time: {diagnosis.task}")
    across = min(2, len(panels))
    grid = area.subplots(math.ceil(len(panels) / across), across, squeeze=False, sharey=True)
    for axes, (part, layer) in zip(grid.flat, panels, strict=False):
        for measured in diagnosis.cells:
            for flow in _forward(measured.flows) if measured.part == part else []:
                if flow.layer == layer:
                    _draw_flow(axes, measured, flow)
        _steps_back(axes)
        axes.set_title(f"{part.rpartition('.')[2]}, layer {layer + 1}", fontsize=11, pad=6)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    for row in grid:
        row[0].set_ylabel("gradient norm\n(what comes in = 1)")
    _log(*list(grid.flat)[: len(panels)])
    _legend(area, grid.flat[0])
    sequences = diagnosis.cells[0].flows[0].sequences_D[0]
    both = any(flow.direction for one in diagnosis.cells for flow in one.flows)
    remark = f"untrained weights · mean of {sequences} sequences" + (
        " · the direction that reads forwards" if both else ""
    )
    canvas.note(list(grid.flat)[len(panels) - 1], remark)


def _draw_flow(axes: "Axes", measured: "Measured", flow: "Flow") -> None:
    is_trained = measured.weights == "trained"
    label = f"{NAMES[measured.cell]}{', trained' if is_trained else ''}" + (", cell c" if flow.part == "c" else "")
    look: dict[str, Any] = {"color": INK if is_trained else COLOURS[measured.cell], "linewidth": 2.0}
    if flow.part == "c":
        look |= {"linestyle": (0, (3, 1.3)), "linewidth": 1.6}
    _plot(axes, _drawn(flow), label, look)


def _draw_scaled(area: "SubFigure", diagnosis: "Diagnosis") -> None:
    part = diagnosis.scaled[0].part.rpartition(".")[2]
    _head(area, f"The same in a plain RNN, its recurrent matrix stretched or shrunk ({part})")
    cells = list(dict.fromkeys(one.cell for one in diagnosis.scaled))
    grid = area.subplots(1, len(cells), squeeze=False, sharey=True)[0]
    for axes, cell in zip(grid, cells, strict=True):
        own = [one for one in diagnosis.scaled if one.cell == cell]
        for one, colour in zip(own, SHADES, strict=True):
            top = max(_forward(one.flows), key=lambda flow: flow.layer)
            _plot(axes, _drawn(top), f"× {one.factor:g}", {"color": colour, "linewidth": 2.0})
        axes.axhline(1, color=MUTED, linewidth=0.8, zorder=1)
        axes.set_title(NAMES[cell], fontsize=11, pad=6)
        _steps_back(axes)
    _log(*grid)
    grid[0].set_ylabel("gradient norm\n(what comes in = 1)")
    _legend(area, grid[0])


def _draw_clippings(area: "SubFigure", clippings: "Sequence[Clipping]") -> None:
    bound = clippings[0].clip_norm
    steps = max(len(clipping.clipped) for clipping in clippings)
    _head(area, f"What clipping the gradient's norm at {bound:g} does to the first {steps} steps of training")
    grid = area.subplots(2, len(clippings), squeeze=False, sharex="col")
    for column, clipping in enumerate(clippings):
        norms, losses = grid[0][column], grid[1][column]
        _draw_steps(norms, losses, clipping.free, "not clipped", PALETTE[1], 3.0)
        _draw_steps(norms, losses, clipping.clipped, f"clipped at {bound:g}", PALETTE[0], 1.4)
        norms.axhline(bound, color=INK, linewidth=1, linestyle=(0, (3, 1.3)), zorder=1)
        norms.set_title(title(clipping), fontsize=11, pad=6)
        _log(norms)
        _limit_loss(losses, clipping)
        losses.set_xlabel("step")
        losses.set_xlim(0, steps + 1)
        canvas.whole_numbers(losses)
    grid[0][0].set_ylabel("gradient norm\nbefore clipping")
    grid[1][0].set_ylabel("loss of the batch")
    _legend(area, grid[0][0])


def _draw_steps(norms: "Axes", losses: "Axes", steps: "Sequence[Step]", label: str, colour: str, width: float) -> None:
    x = np.array([step.step for step in steps])
    for axes, values in ((norms, [step.norm for step in steps]), (losses, [step.loss for step in steps])):
        y = np.array(values)
        known = np.isfinite(y)
        axes.plot(x[known], y[known], color=colour, linewidth=width, label=label, alpha=0.85)
        if not known.all():
            axes.plot(x[known][-1:], y[known][-1:], marker="x", color=colour, markersize=8, markeredgewidth=2)
    if not all(math.isfinite(step.norm) for step in steps):
        norms.annotate(
            f"no number any more\nafter step {steps[-1].step - 1}", (0.97, 0.9), xycoords="axes fraction", ha="right",
            va="top", color=colour, fontsize=9,
        )  # fmt: skip


def _limit_loss(axes: "Axes", clipping: "Clipping") -> None:
    """A loss that explodes would press the other one flat: it leaves the picture, and how high it goes is written."""
    calm = [step.loss for step in clipping.clipped if math.isfinite(step.loss)]
    wild = [step.loss for step in clipping.free if math.isfinite(step.loss)]
    if not calm or not wild:
        return
    low, usual = min(calm), max(calm[len(calm) // 5 :])
    width = max(usual - low, 1e-9)
    if max(wild) < usual + 3 * width:
        return
    axes.set_ylim(low - 0.2 * width, usual + 1.2 * width)
    axes.annotate(
        f"not clipped: up to {power(max(wild), about=True)}", (0.97, 0.94), xycoords="axes fraction", ha="right",
        va="top", color=PALETTE[1], fontsize=9,
    )  # fmt: skip


def _forward(flows: "Sequence[Flow]") -> "list[Flow]":
    """What is drawn of a bidirectional layer is the direction that reads forwards; the table in the file has both."""
    return [flow for flow in flows if flow.direction == 0]


def _drawn(flow: "Flow") -> np.ndarray:
    """The norms up to the distance that enough sequences reach."""
    enough = flow.sequences_D >= FEW * flow.sequences_D[0]
    return flow.norm_D[: int(enough.sum())]


def _plot(axes: "Axes", norm_D: np.ndarray, label: str, look: dict[str, Any]) -> None:
    shown_D = np.where(norm_D > FLOOR, norm_D, np.nan)
    axes.plot(
        np.arange(len(norm_D)), shown_D, label=label, marker="o" if len(norm_D) <= 12 else "", markersize=4, **look
    )
    below = np.flatnonzero(norm_D <= FLOOR)
    if len(below) and below[0]:
        axes.plot(below[0] - 1, shown_D[below[0] - 1], marker="v", color=look["color"], markersize=6)


def _log(*axes: "Axes") -> None:
    """A logarithmic y for all of ``axes``, wide enough for two powers of ten to be written."""
    from matplotlib.ticker import NullFormatter

    drawn = np.concatenate([line.get_ydata() for one in axes for line in one.get_lines()]).astype(np.float64)
    ends = drawn[np.isfinite(drawn) & (drawn > 0)]
    low, high = (math.log10(end) for end in (ends.min(), ends.max())) if len(ends) else (-1.0, 0.0)
    low, high = low - 0.04 * (high - low) - 0.1, high + 0.04 * (high - low) + 0.1
    if math.floor(high) - math.ceil(low) < 1:
        low = math.floor(high) - 1.1
    for one in axes:
        one.set_yscale("log")
        one.set_ylim(10.0**low, 10.0**high)
        one.yaxis.set_major_formatter(lambda value, _: power(value))
        one.yaxis.set_minor_formatter(NullFormatter())


def power(value: float, about: bool = False) -> str:
    """A power of ten as people write it; ``about`` takes any number above 0 and writes small ones as they are.

    >>> [power(1.0), power(0.01), power(1e-6), power(3.7e12, about=True), power(433.2, about=True)]
    ['1', '0.01', '10⁻⁶', 'about 10¹³', '433.2']
    """
    if about and value < 1e5:
        return number(value)
    exponent = round(math.log10(value))
    if -3 < exponent < 4:
        return f"{10.0**exponent:,.{max(-exponent, 0)}f}"
    return ("about " if about else "") + "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _steps_back(axes: "Axes") -> None:
    axes.set_xlabel("steps back")
    canvas.whole_numbers(axes)
    axes.margins(x=0.02)


def _head(area: "SubFigure", text: str) -> None:
    area.suptitle(text, x=0.012, ha="left", fontsize=12.5, fontweight="bold")


def _legend(area: "SubFigure", axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    area.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
