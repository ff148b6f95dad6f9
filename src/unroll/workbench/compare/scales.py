"""What all panels of a comparison's picture have: a title, how far an axis reaches, how a cost is written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unroll.stages.evaluate.figures.canvas import MUTED
from unroll.workbench.compare.summary import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unroll.problems.common.base import Split

FAR = 1.2
"""A baseline further off than so many times what the points span is named, but does not stretch the axis."""
DASHED = (0, (4, 2))
"""The line of a baseline."""


def title(axes: "Axes", comparison: Comparison, split: "Split") -> None:
    """The split, and what its scores are for."""
    direction = "higher" if comparison.higher_is_better else "lower"
    use = f"{direction} is better" if split == "validation" else "not used to choose"
    axes.set_title(split.capitalize())
    axes.annotate(
        use, (1, 1), (0, 12), xycoords="axes fraction", textcoords="offset points", ha="right", fontsize=9.5,
        color=MUTED,
    )  # fmt: skip


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


def cost_text(value: float) -> str:
    """A cost in few digits."""
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
