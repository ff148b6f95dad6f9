"""What the runs of a comparison came to: means and deviations over the seeds, and the order.

The order is that of the validation part. The test part is shown beside it and chooses nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unroll.display.wording import number, words
from unroll.workbench.compare.grid import Grid, Point
from unroll.workbench.compare.jobs import ByMetric, Trained

if TYPE_CHECKING:
    from unroll.problems.common.base import Split

LEVEL = 0.95
BEST = "★"


@dataclass(frozen=True)
class Run:
    """One point with one seed: what came of it, or why nothing did."""

    point: Point
    seed: int
    trained: Trained | None
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """All runs of one point."""

    point: Point
    runs: Sequence[Run]
    baselines: Mapping[str, Mapping[str, ByMetric]]
    """By name and split, on the data of this point; empty where they were not computed."""

    @property
    def trained(self) -> list[Trained]:
        """The runs that ended well, by seed."""
        return [run.trained for run in self.runs if run.trained is not None]

    @property
    def reason(self) -> str:
        """Why runs failed; empty where none did."""
        reasons: dict[str, list[str]] = {}
        for run in self.runs:
            if run.reason:
                reasons.setdefault(run.reason, []).append(str(run.seed))
        return "; ".join(f"seed {', '.join(seeds)}: {reason}" for reason, seeds in reasons.items())

    def values(self, split: "Split", metric: str) -> list[float]:
        """The metric of each seed that has one."""
        values = (trained.scores[split].get(metric, math.nan) for trained in self.trained)
        return [value for value in values if math.isfinite(value)]

    def mean(self, split: "Split", metric: str) -> float:
        """The mean over the seeds; NaN where there is none."""
        return mean(self.values(split, metric))

    def deviation(self, split: "Split", metric: str) -> float:
        """The sample standard deviation over the seeds; NaN for fewer than two."""
        return deviation(self.values(split, metric))


@dataclass
class Comparison:
    """A grid and its runs so far."""

    grid: Grid
    threads: str
    """How many threads each run had, and how many ran at a time."""
    runs: list[Run] = field(default_factory=list)
    baselines: dict[int, Mapping[str, Mapping[str, ByMetric]]] = field(default_factory=dict)
    """By number of the point."""

    def __post_init__(self) -> None:
        problem = self.grid.task.problem()
        self.headline, self.higher_is_better = problem.scoring.headline, problem.scoring.higher_is_better
        self.others = tuple(name for name in problem.scoring.metric_names if name != problem.scoring.headline)

    @property
    def rows(self) -> list[Row]:
        """The points in the order of the grid."""
        ordered = sorted(self.runs, key=lambda run: run.seed)
        return [
            Row(point, [run for run in ordered if run.point == point], self.baselines.get(point.number, {}))
            for point in self.grid.points
        ]

    @property
    def ranked(self) -> list[Row]:
        """The best mean on validation first; after those whose runs all ended well come the others."""

        def rank(row: Row) -> tuple[bool, bool, float]:
            value = row.mean("validation", self.headline)
            known = math.isfinite(value)
            return not known, bool(row.reason), (-value if self.higher_is_better else value) if known else 0.0

        return sorted(self.rows, key=rank)

    @property
    def best(self) -> Row | None:
        """The row that leads; none where no other point has been run, or where two come to the same."""
        first, *others = self.ranked
        value = first.mean("validation", self.headline)
        alone = others and others[0].runs and others[0].mean("validation", self.headline) != value
        return first if alone and math.isfinite(value) else None

    @property
    def one_data(self) -> bool:
        """Whether all points have the same validation and test rows."""
        return not any(sweep.key.startswith(("data.", "prepare.")) for sweep in self.grid.varied)

    @property
    def target(self) -> str:
        """The column that is forecast, whose name ends in its unit; empty for problems without one."""
        return next((run.trained.target for run in self.runs if run.trained), "")

    @property
    def machine(self) -> str:
        """What the seconds were measured on."""
        devices = sorted({run.trained.device for run in self.runs if run.trained})
        return ", ".join(filter(None, [" and ".join(devices), self.threads]))

    def verdict(self) -> str:
        """What the order of the first two is worth, in a sentence; empty where there are not two."""
        first, *others = self.ranked
        second = next((row for row in others if row.trained and not row.reason), None)
        if second is None:
            return ""
        ours, theirs = (row.values("validation", self.headline) for row in (first, second))
        if not ours or not theirs:
            return ""
        lead = abs(mean(ours) - mean(theirs))
        if lead == 0:
            return f"{first.point.label} and {second.point.label} come to the same on validation"
        names = f"{first.point.label} leads {second.point.label}"
        start = f"{names} by {precise(lead)} in {words(self.headline)} on validation"
        if min(len(ours), len(theirs)) < 2:
            return f"{start}; with one seed each that may be chance (--seeds 3 tells more)"
        half = half_width(ours, theirs)
        interval = f"(95 % interval of the difference: ± {precise(half)})"
        if lead > half:
            return f"{start}, more than the spread of the seeds explains {interval}"
        return f"{start}: not told apart by these seeds {interval}"

    def notes(self) -> list[str]:
        """What a reader of the table must know."""
        direction = "higher" if self.higher_is_better else "lower"
        seeds = self.grid.seeds
        spread = f"± standard deviation over {len(seeds)} seeds ({seeds[0]}–{seeds[-1]})" if len(seeds) > 1 else ""
        order = f"order and {BEST}: by {words(self.headline)} on validation ({direction} is better), never by test"
        notes = [
            "; ".join(filter(None, [order, spread or f"one seed ({seeds[0]}): no deviation"])),
            f"seconds: the training part of the epochs alone, mean over the seeds; {self.machine}",
            f"everywhere: {self.grid.fixed}" if self.grid.fixed else "",
            "" if self.one_data else "the points differ in data or preparing: their validation and test rows may, too",
            self.verdict(),
            *(f"failed: {row.point.name}, {row.reason}" for row in self.rows if row.reason),
        ]
        return [note for note in notes if note]


def mean(values: Sequence[float]) -> float:
    """The mean; NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (with N − 1); NaN of fewer than two."""
    if len(values) < 2:
        return math.nan
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def half_width(first: Sequence[float], second: Sequence[float]) -> float:
    """Half the 95 % interval of the difference of two means, whose spreads may differ (Welch 1947)."""
    from scipy.stats import t

    parts = [deviation(values) ** 2 / len(values) for values in (first, second)]
    total = sum(parts)
    if total == 0:
        return 0.0
    shares = [part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)]
    return float(t.ppf((1 + LEVEL) / 2, total**2 / sum(shares))) * math.sqrt(total)


def shared_baselines(comparison: Comparison) -> Mapping[str, Mapping[str, ByMetric]]:
    """The baselines, by name and split, where one set of data serves all points; else none."""
    first, *others = comparison.baselines.values() or [{}]
    return first if all(other == first for other in others) else {}


def own_baselines(comparison: Comparison) -> bool:
    """Whether the points have baselines of their own: they differ in their data."""
    return bool(comparison.baselines) and not shared_baselines(comparison)


def best_baseline(comparison: Comparison, row: Row, split: "Split") -> tuple[str, float]:
    """The best baseline on the data of a point and its headline metric; NaN where there is none."""
    values = {name: by.get(split, {}).get(comparison.headline, math.nan) for name, by in row.baselines.items()}
    known = {name: value for name, value in values.items() if math.isfinite(value)}
    if not known:
        return "", math.nan
    name = (max if comparison.higher_is_better else min)(known, key=lambda name: known[name])
    return name, known[name]


def precise(value: float) -> str:
    """One digit more than elsewhere: what is compared is often near to each other."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    decimals = 4 if size < 10 else 3 if size < 100 else 2 if size < 1000 else 1
    return number(value) if 0 < size < 0.00005 else f"{value:,.{decimals}f}"
