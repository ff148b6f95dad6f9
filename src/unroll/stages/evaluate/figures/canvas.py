"""Blank pictures in one style: size, fonts, colours, axes. ``render`` fills them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.core import store
from unroll.display.wording import label
from unroll.problems.common.scoring import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# Colours that the colour-blind can tell apart (Okabe & Ito 2008); the truth is drawn in ink.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#999999")
INK, MUTED, RULE, SHADE = "#222222", "#666666", "#D9D9D9", "#F4F6F8"
WIDTH_IN, DPI = 8.0, 150
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a tweet is a dollar
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelcolor": INK,
    "axes.labelsize": 10.5,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.dpi": DPI,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.08,
    "savefig.dpi": DPI,
}


@contextmanager
def own_style() -> Iterator[None]:
    """Matplotlib's defaults and our style, whatever a person's settings are; both are put back afterwards."""
    from matplotlib import style

    with style.context(["default", STYLE]):
        yield


def save(path: Path, draw: "Callable[[], Canvas]") -> None:
    """What ``draw`` returns, drawn in our style, as a PNG: the same picture gives the same bytes."""
    with own_style():
        canvas = draw()
        with store.atomic_file(path) as temporary:
            canvas.savefig(temporary, format="png", metadata={"Software": None})


def blank(height_in: float) -> "Canvas":
    """An empty picture that is drawn without pyplot, so nothing global is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(WIDTH_IN, height_in))
    FigureCanvasAgg(canvas)
    return canvas


def with_axes(figure: Figure, height_in: float) -> "tuple[Canvas, Axes]":
    """A picture with one pair of axes, titled and labelled as ``figure`` says."""
    canvas = blank(height_in)
    axes = canvas.add_subplot()
    axes.set_title(figure.title)
    axes.set_xlabel(label(figure.x_label))
    axes.set_ylabel(label(figure.y_label))
    return canvas, axes


def note(axes: "Axes", text: str) -> None:
    """A remark in small grey letters under the picture's right corner, and under the label of x."""
    below = -48 if axes.get_xlabel() else -34
    axes.annotate(
        text, (1, 0), (0, below), xycoords="axes fraction", textcoords="offset points", ha="right", va="top",
        color=MUTED, fontsize=9,
    )  # fmt: skip


def legend_below(canvas: "Canvas", axes: "Axes") -> None:
    """The legend of ``axes`` under it, clear of the lines."""
    handles, labels = axes.get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))


def date_axis(axes: "Axes") -> None:
    """Times along x, each part of the date written once."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def whole_numbers(axes: "Axes") -> None:
    """No half epochs along x."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
