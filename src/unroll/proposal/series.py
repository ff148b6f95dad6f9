"""The proposal for a series: ``forecasting`` and ``rise_or_fall``. Shapes: T rows of a site, F columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.config import Params
from unroll.datasets._files.config import identifier
from unroll.datasets._files.look import Look
from unroll.datasets._files.rows import require_columns
from unroll.datasets._files.series import named
from unroll.datasets.files import FilesConfig, Plan
from unroll.errors import DataError
from unroll.proposal import asked as asking
from unroll.proposal import rhythm, survey
from unroll.proposal.asked import Asked
from unroll.proposal.blocks import Line, Proposal
from unroll.proposal.common import batch_for, data_lines, epochs_for, file_names, percent, train_lines
from unroll.proposal.gaps import Gaps
from unroll.proposal.rhythm import Rhythm
from unroll.proposal.survey import Survey

if TYPE_CHECKING:
    import pandas as pd

MOST_INPUTS = 20
"""Columns of numbers that are inputs; of more those that go most with the target."""
MOST_SITES, SITE_COVER = 6, 0.95
FEWEST_ROWS = 80
BUDGET = 27e6
"""Steps of cells of hidden size 16, forward and back, that a minute or two has."""
FEW_WINDOWS = 0.6
"""Share of the windows below which columns of many missing values are left out."""


@dataclass
class _Rows:
    """The rows of the chosen columns, part by part, as a survey sees them."""

    names: list[str]
    target: str
    seconds: list[np.ndarray] = field(default_factory=list)
    sites: list[np.ndarray] = field(default_factory=list)
    missing: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)

    def add(self, table: "pd.DataFrame") -> None:
        seconds = table["time"].dt.as_unit("s").astype("int64").to_numpy()
        self.seconds.append(seconds)
        site = table["site"].to_numpy(dtype=object) if "site" in table else np.full(len(table), "", dtype=object)
        self.sites.append(site)
        self.missing.append(np.isnan(table[self.names].to_numpy(dtype=np.float32)))
        self.values.append(table[self.target].to_numpy(dtype=np.float32))

    def by_site(self) -> dict[str, "_Site"]:
        """The rows of each site in the order of time, the site with most values of the target first."""
        seconds, missing, values = (np.concatenate(x) for x in (self.seconds, self.missing, self.values))
        site = np.concatenate(self.sites)
        found = {}
        for name in dict.fromkeys(site.tolist()):
            own = np.flatnonzero(site == name)
            own = own[np.argsort(seconds[own], kind="stable")]
            found[str(name)] = _Site(seconds[own], missing[own], values[own])
        order = sorted(found, key=lambda name: -int(np.isfinite(found[name].values_T).sum()))
        return {name: found[name] for name in order}


@dataclass(frozen=True)
class _Site:
    seconds_T: np.ndarray
    missing_TF: np.ndarray
    values_T: np.ndarray


@dataclass(frozen=True)
class _Read:
    """The files, read: the plan with what a person would want of it taken, and its rows."""

    plan: Plan
    survey: Survey
    rows: _Rows
    whys: Mapping[str, str]
    changed: Mapping[str, Any]
    rhythm: Rhythm | None = None


def propose(params: Params, name: str, wanted: Asked, root: Path) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    read = _read(params, name, wanted, root)
    sites = read.rows.by_site()
    main_site = next(iter(sites))
    site = sites[main_site]
    if len(site.seconds_T) < FEWEST_ROWS:
        of_site = f" of site {main_site!r}" if main_site else ""
        raise DataError(f"{read.plan.look.file}: {len(site.seconds_T)} rows{of_site}; expected at least {FEWEST_ROWS}")
    step_s = int(read.survey.found["step_s"])
    span_s = float(site.seconds_T[-1] - site.seconds_T[0])
    beat = (read.rhythm or rhythm.of(step_s, span_s)).fitting(len(site.seconds_T))
    inputs, gaps, out = _columns(read.rows, site, step_s, beat)
    treatment, share = gaps.treatment(beat.lag, _asked(wanted.problem, beat))
    beside = _sites(sites, treatment)
    size = _Size.of(len(site.seconds_T), share, beat.lag, len(inputs) * max(len(beside), 1))
    series = _Series(read, wanted, inputs, beat, main_site, beside, treatment, share, out, size)
    return Proposal(
        series.seen(sites, step_s),
        {
            "data": data_lines(read.plan, read.survey, read.whys, read.changed),
            "prepare": series.prepare(),
            "model": series.model(),
            "train": train_lines(size.epochs, size.batch, f"{size.windows:,} windows to learn from"),
            "gate": series.gate(site, step_s),
        },
    )


def _read(params: Params, name: str, wanted: Asked, root: Path) -> _Read:
    """The plan with its proposals taken, and a survey of the rows; a step that is none is mended and read again."""
    block = wanted.block(root)
    plan = Plan.of(asking.config(params, name, block), root)
    whys: dict[str, str] = {}
    for key, (value, why) in plan.inferred.proposals.items():
        block[key], whys[key] = value, why
    plan = Plan.of(asking.config(params, name, block), root) if whys else plan
    rows = _Rows(*_chosen(plan, wanted))
    found = survey.take(plan, rows.add, f"new {name}")
    seconds_T = next(iter(rows.by_site().values())).seconds_T
    config = plan.config
    if config.time is None:
        whys["step"] = "no column tells the time: rows are numbered"
        return _Read(plan, found, rows, whys, {})
    if config.resample is not None:
        return _Read(plan, found, rows, whys, {})
    if uneven := rhythm.calendar_step(seconds_T):
        days, season = uneven
        first = str(np.datetime64(int(seconds_T[0]), "s"))[:10]
        whys["start"] = (
            "months, quarters or years are not equally long: rows are numbered, so times of answers are near"
        )
        block |= {"time": None, "start": first, "step": f"{days}d", "values": list(config.values or ())}
        plan = Plan.of(asking.config(params, name, block), root)
        rows = _Rows(rows.names, rows.target)
        return _Read(
            plan, survey.take(plan, rows.add, f"new {name}"), rows, whys, {"time": None}, rhythm.numbered(season)
        )
    if rhythm.regular_share(seconds_T, int(found.found["step_s"] or 1)) < rhythm.REGULAR:
        every = rhythm.name(rhythm.nice_step(seconds_T))
        whys["resample"] = "rows come at no regular step"
        block["resample"] = {"every": every, "how": "mean"}
        plan = Plan.of(asking.config(params, name, block), root)
        rows = _Rows(rows.names, rows.target)
        return _Read(plan, survey.take(plan, rows.add, f"new {name}"), rows, whys, {})
    return _Read(plan, found, rows, whys, {})


def _chosen(plan: Plan, wanted: Asked) -> tuple[list[str], str]:
    """The canonical names of the columns that are inputs, and of the target."""
    config, look = plan.config, plan.look
    names = named(config)
    target = wanted.target
    if target is None:
        if len(names) > 1:
            raise DataError(
                f"{look.file}: several columns of numbers; expected --target to name one of {', '.join(names)}"
            )
        target = next(iter(names))
    own = {new: old for old, new in names.items()}
    target = own.get(target, target)
    require_columns(look.file, look.columns, [target])
    if target not in names:
        raise DataError(
            f"{look.file}: column {target!r} cannot be forecast: it is no column of numbers that are mostly there; "
            f"expected one of {', '.join(names)}"
        )
    if len(names) <= MOST_INPUTS:
        return list(names.values()), names[target]
    near = sorted(names, key=lambda other: (other != target, -_likeness(look, config, target, other)))[:MOST_INPUTS]
    return [new for old, new in names.items() if old in near], names[target]


def _likeness(look: Look, config: FilesConfig, one: str, other: str) -> float:
    """How closely two columns go together in the first rows: the correlation, without its sign."""
    from unroll.datasets._files import cells

    marks = cells.Marks.of(config.missing or (), config.decimal, config.thousands)
    a_N, b_N = (cells.numbers(look.frame[name], marks, name)[0] for name in (one, other))
    both_N = np.isfinite(a_N) & np.isfinite(b_N)
    if both_N.sum() < 3 or not a_N[both_N].std() or not b_N[both_N].std():
        return 0.0
    return abs(float(np.corrcoef(a_N[both_N], b_N[both_N])[0, 1]))


def _asked(problem: str, beat: Rhythm) -> tuple[int, ...]:
    """The rows, from a window's last one on, at which the target must be measured."""
    return beat.horizons if problem == "forecasting" else (0, beat.horizons[0])


def _columns(rows: _Rows, site: _Site, step_s: int, beat: Rhythm) -> tuple[list[str], Gaps, list[str]]:
    """The inputs, without those whose missing values would cost most windows, their gaps, and those left out."""
    names, out = list(rows.names), []
    gaps = Gaps.of(site.seconds_T, site.missing_TF, names.index(rows.target), step_s)
    while len(names) > 1:
        _, share = gaps.treatment(beat.lag, beat.horizons[:1])
        missing_F = gaps.missing_TF.mean(axis=0)
        missing_F[gaps.target] = 0.0
        worst = int(np.argmax(missing_F))
        if share >= FEW_WINDOWS or missing_F[worst] < 0.05:
            break
        out.append(names.pop(worst))
        gaps = gaps.without([worst])
    return names, gaps, out


def _sites(sites: Mapping[str, _Site], treatment: Mapping[str, Any]) -> list[str]:
    """Sites that are inputs: all, where they are few and have the same rows; else the first alone."""
    names = list(sites)
    if len(names) == 1 or len(names) > MOST_SITES:
        return names[:1]
    first = sites[names[0]]
    alike = [
        np.isin(first.seconds_T, other.seconds_T).mean() >= SITE_COVER
        and (treatment["missing"] != "drop" or other.missing_TF.mean() <= 1 - SITE_COVER)
        for other in sites.values()
    ]
    return names if all(alike) else names[:1]


@dataclass(frozen=True)
class _Size:
    """How large the network is, how long it learns, and from which windows."""

    windows: int
    stride: int
    members: int
    hidden: int
    epochs: int
    batch: int

    @classmethod
    def of(cls, rows: int, share: float, lag: int, inputs: int) -> "_Size":
        hidden = 16 if inputs <= 12 else 32
        budget = BUDGET * (1 if hidden == 16 else 0.5)
        windows = max(int(0.7 * rows * share), 1)
        stride = max(1, round(windows * lag * 2 / budget))
        windows = windows // stride
        cost = windows * lag
        members = next((number for number in (4, 2) if cost * number * 4 <= budget), 1)
        return cls(windows, stride, members, hidden, epochs_for(budget, cost * members, 3, 30), batch_for(windows, 512))


@dataclass(frozen=True)
class _Series:
    """All that the blocks are written from."""

    read: _Read
    wanted: Asked
    inputs: list[str]
    beat: Rhythm
    site: str
    sites: list[str]
    treatment: Mapping[str, Any]
    share: float
    out: list[str]
    size: _Size

    def seen(self, sites: Mapping[str, _Site], step_s: int) -> list[str]:
        """What the files hold, in a line or two."""
        every, config = self.read.survey, self.read.plan.config
        first, last = (str(np.datetime64(int(sites[self.site].seconds_T[at]), "s")) for at in (0, -1))
        told = f"{file_names(self.read.plan)}: {every.rows:,} rows"
        told += f" of {len(sites):,} sites" if len(sites) > 1 else ""
        told += f", {first} to {last}, a row every {rhythm.name(step_s)}"
        missing = every.found.get("missing_share", {})
        gone = {name: share for name, share in missing.items() if share}
        worst = sorted(gone, key=lambda name: -gone[name])[:8]
        lines = [told, "missing values: " + (", ".join(f"{n} {percent(gone[n])}" for n in worst) or "none")]
        unused = [column for column in self.read.plan.look.columns if column not in _used(config)]
        return lines + ([f"not used: {', '.join(unused[:12])}{', …' * (len(unused) > 12)}"] if unused else [])

    def prepare(self) -> list[Line]:
        """Window, horizons, inputs, split and missing values."""
        beat, forecasting = self.beat, self.wanted.problem == "forecasting"
        config = self.read.plan.config
        words = [identifier(column) for column in config.categories or ()]
        all_inputs = len(self.inputs) == len(named(config))
        why_missing = {
            "drop": f"windows with missing values are left out; {percent(self.share)} of them are whole",
            "interpolate": f"on a straight line, in windows only; {percent(self.share)} of the windows are then whole",
            "mask": f"the last value, and a mark that it is old; leaves {percent(self.share)} of the windows",
        }[self.treatment["missing"]]
        left = f"; left out, for their missing values: {', '.join(self.out)}" if self.out else ""
        lines = [
            Line("problem", self.wanted.problem),
            Line("target", self.read.rows.target),
            Line("target_site", self.site or None),
            Line("sites", self.sites if self.site else "all"),
            Line("variables", "all" if all_inputs else self.inputs, f"inputs, the target's own past among them{left}"),
            *([Line("categories", words, "words that train does not have count as one more")] if words else []),
            Line("calendar", list(beat.calendar)),
            Line("lag", beat.lag, f"rows of a window: {beat.why}"),
        ]
        if forecasting:
            lines += [
                Line("horizon", list(beat.horizons), "steps ahead; the gate judges the first"),
                Line("season", beat.season, "steps of the seasonal naive forecast"),
            ]
        else:
            lines.append(Line("horizon", beat.horizons[0], "steps ahead"))
        return [
            *lines,
            Line(
                "stride", self.size.stride, "" if self.size.stride == 1 else "windows overlap: one of so many is enough"
            ),
            *(Line(key, value, why_missing if key == "missing" else "") for key, value in self.treatment.items()),
            Line("validation_share", 0.1, "of the rows, in the order of time, before the test part"),
            Line("test_share", 0.2, "the last ones: neither training nor any choice sees them"),
        ]

    def model(self) -> list[Line]:
        """As air_quality, or a smaller one."""
        size, lag = self.size, self.beat.lag
        core = [Line("cell", "lstm"), Line("hidden", size.hidden), Line("layers", 1), Line("dropout", 0.0)]
        if self.wanted.problem == "rise_or_fall":
            return [*core, Line("linear", min(6, lag), "last rows that also go straight to the output")]
        linear = sorted({min(6, lag), lag})
        return [
            Line("kind", "recurrent"),
            Line("multi_step", "direct"),
            *core,
            Line("members", size.members, "networks that are averaged"),
            Line("linear", linear, "last rows that also go straight to the output; members take turns"),
            Line("expert", 0.3, "share of a vector autoregression in the forecast"),
            Line("robust", 1.0),
            Line("head", "quantiles"),
            Line("quantiles", [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]),
        ]

    def gate(self, site: _Site, step_s: int) -> list[Line]:
        """The naive forecasts must be beaten; the threshold is a floor from the part that trains."""
        if self.wanted.problem == "rise_or_fall":
            return [
                Line("metric", "accuracy"),
                Line("direction", "higher"),
                Line("threshold", 0.5, "a coin; the baselines are the bar. Raise it to what is of use to you"),
                Line("baselines", ["majority", "last_move"], "must be beaten"),
            ]
        reached = _persistence(site, step_s, self.beat.horizons[0])
        floor = np.floor(max(0.9 * reached, 0.0) * 100) / 100
        why = (
            f"a floor: the last value as forecast has {reached:.2f} in the part that trains; the baselines are the bar"
        )
        return [
            Line("metric", "r2"),
            Line("direction", "higher"),
            Line("threshold", float(floor), why),
            Line("baselines", ["persistence", "seasonal_naive"], "must be beaten"),
        ]


def _persistence(site: _Site, step_s: int, horizon: int) -> float:
    """R² of the last value as forecast, in the first 70 % of the rows."""
    rows = int(0.7 * len(site.values_T))
    now_T, then_T = site.values_T[: rows - horizon].astype(np.float64), site.values_T[horizon:rows].astype(np.float64)
    apart_T = site.seconds_T[horizon:rows] - site.seconds_T[: rows - horizon] == horizon * step_s
    good_T = apart_T & np.isfinite(now_T) & np.isfinite(then_T)
    spread = float(then_T[good_T].var()) if good_T.any() else 0.0
    return 1 - float(((then_T - now_T)[good_T] ** 2).mean()) / spread if spread else 0.0


def _used(config: FilesConfig) -> set[str]:
    """Columns of the file that have a part in the block."""
    time = config.time
    timed = () if time is None else (time,) if isinstance(time, str) else time.columns
    own = (timed,) if isinstance(timed, str) else timed
    return {*own, *(config.values or ()), *(config.categories or ()), *(config.static or ()), config.site or ""}
