"""The map of an embedding as a picture: a dot for every name, and the names that have room.

The same frame gives the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.stages.evaluate.figures import canvas
from unroll.stages.evaluate.figures.canvas import INK, MUTED, PALETTE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.transforms import Bbox

WIDTH_IN, HEIGHT_IN = 12.0, 8.0
SIDES = ((5, 0, "left", "center"), (-5, 0, "right", "center"), (0, 5, "center", "bottom"), (0, -5, "center", "top"))
"""Where a name can stand beside its dot: points to the right, points up, and how it is aligned."""
GAP = 1.0
"""Pixels that must be free around a name."""


def write(frame: "pd.DataFrame", title: str, path: Path) -> None:
    """Draw columns name, x, y and, if there, group to ``path``, a PNG."""
    canvas.save(path, lambda: draw(frame, title))


def draw(frame: "pd.DataFrame", title: str) -> "Canvas":
    """The picture; names written in the frame's order, each where no earlier one stands, and left out without room."""
    picture = canvas.blank(HEIGHT_IN)
    picture.set_figwidth(WIDTH_IN)
    axes = picture.add_subplot()
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.05)
    axes.set_xlabel(" ", loc="right", color=MUTED, fontsize=9)  # room for the remark on names without room
    colours = _colours(frame)
    groups = frame["group"] if "group" in frame else frame["name"].map(lambda _: "")
    for group, colour in colours.items():
        part = frame[groups == group]
        axes.scatter(part["x"], part["y"], s=10, color=colour, linewidths=0, label=group or "none")
    if len(colours) > 1:
        handles, labels = axes.get_legend_handles_labels()
        picture.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), title="sign of")
    picture.draw_without_rendering()  # the layout is final from here on: names know where they stand
    left_out = _write_names(axes, frame, [colours[group] for group in groups])
    if left_out:
        names = "1 name has no room and is a dot" if left_out == 1 else f"{left_out} names have no room and are dots"
        axes.set_xlabel(f"{names}; the table beside this picture has all")
    return picture


def _colours(frame: "pd.DataFrame") -> dict[str, str]:
    """A colour for each group, grey for what goes with none; ink alone where there are no groups."""
    if "group" not in frame:
        return {"": INK}
    named = sorted(set(frame["group"]) - {""})
    return {"": MUTED, **{group: PALETTE[number % (len(PALETTE) - 1)] for number, group in enumerate(named)}}


def _write_names(axes: "Axes", frame: "pd.DataFrame", colours: Sequence[str]) -> int:
    """Write the names that have room; how many have none."""
    taken: list[Bbox] = []
    inside = axes.get_window_extent()
    for name, x, y, colour in zip(frame["name"], frame["x"], frame["y"], colours, strict=True):
        if (box := _place(axes, name, (x, y), colour, inside, taken)) is not None:
            taken.append(box)
    return len(frame) - len(taken)


def _place(
    axes: "Axes", name: str, place: tuple[float, float], colour: str, inside: "Bbox", taken: Sequence["Bbox"]
) -> "Bbox | None":
    """Write ``name`` on the first side of its dot that is free; the room it takes, None where no side is."""
    for right, up, across, along in SIDES:
        text = axes.annotate(
            name, place, (right, up), textcoords="offset points", ha=across, va=along, fontsize=8.5, color=colour
        )
        text.set_in_layout(False)
        box = text.get_window_extent().padded(GAP)
        if inside.x0 <= box.x0 and box.x1 <= inside.x1 and not any(box.overlaps(other) for other in taken):
            return box
        text.remove()
    return None
