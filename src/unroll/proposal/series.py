"""The proposal for a series: ``forecasting`` and ``rise_or_fall``. Shapes: T rows of a site, F columns."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unroll.config import Params
from unroll.datasets._files.config import identifier
from unroll.datasets._files.series import named
from unroll.errors import DataError
from unroll.proposal import rhythm, unchanging
from unroll.proposal.asked import Asked
from unroll.proposal.blocks import Line, Proposal
from unroll.proposal.common import (
    aside_lines,
    batch_for,
    data_lines,
    epochs_for,
    file_names,
    gate_lines,
    percent,
    train_lines,
    unused_lines,
    warnings,
)
from unroll.proposal.gaps import Gaps, Lacking
from unroll.proposal.rhythm import Rhythm
from unroll.proposal.series_rows import TRAINED, Read, Rows, Site, number, read

MOST_SITES, SITE_COVER = 6, 0.95
FEWEST_ROWS = 80
BUDGET = 27e6
"""Steps of cells of hidden size 16, forward and back, that a minute or two has."""
LEAST_WINDOWS = 0.53
"""Share of the windows that the check after preparing asks for, and a little more."""
FEW_WINDOWS = 0.6
"""Share of the windows below which columns of many missing values are left out."""


def propose(params: Params, name: str, wanted: Asked, root: Path) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    found = unchanging.leave_out(read(params, name, wanted, root), params, name, wanted, root)
    series = _Series.of(found, wanted)
    if series.share < LEAST_WINDOWS and not found.is_numbered:
        why = (
            f"rows lack so often that {percent(series.share)} of the windows would be whole: rows are numbered instead"
        )
        series = _Series.of(number(params, name, root, found, rhythm.name(series.step_s), why), wanted)
    return series.proposal()


def _asked(problem: str, beat: Rhythm) -> tuple[int, ...]:
    """The rows, from a window's last one on, at which the target must be measured."""
    return beat.horizons if problem == "forecasting" else (0, beat.horizons[0])


def _columns(rows: Rows, site: Site, step_s: int, beat: Rhythm) -> tuple[list[str], Gaps, list[str]]:
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


def _target_site(sites: Mapping[str, Site], wanted: Asked, file: str) -> str:
    """The site that is forecast: the one that is given, else that with most values of the target."""
    given = wanted.given.get("prepare.target_site")
    if given is None:
        return next(iter(sites))
    if str(given) not in sites:
        near = difflib.get_close_matches(str(given), list(sites), n=2)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise DataError(
            f"{file}: no site {given!r} (prepare.target_site){hint}; expected one of {_listed(list(sites))}"
        )
    return str(given)


def _listed(sites: Sequence[str]) -> str:
    """The first sites, and how many there are."""
    return ", ".join(sites[:MOST_SITES]) + (f", … ({len(sites)})" if len(sites) > MOST_SITES else "")


def _sites(sites: Mapping[str, Site], treatment: Mapping[str, Any]) -> list[str]:
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
        windows = max(int(TRAINED * rows * share), 1)
        stride = max(1, round(windows * lag * 2 / budget))
        windows = windows // stride
        cost = windows * lag
        members = next((number for number in (4, 2) if cost * number * 4 <= budget), 1)
        return cls(windows, stride, members, hidden, epochs_for(budget, cost * members, 3, 30), batch_for(windows, 512))


@dataclass(frozen=True)
class _Series:
    """All that the blocks are written from."""

    read: Read
    wanted: Asked
    step_s: int
    sites: Mapping[str, Site]
    site: str
    beside: list[str]
    inputs: list[str]
    out: list[str]
    beat: Rhythm
    treatment: Mapping[str, Any]
    share: float
    size: _Size

    @classmethod
    def of(cls, found: Read, wanted: Asked) -> "_Series":
        """Window, inputs and treatment of missing values; raises DataError for a series that is too short."""
        sites = found.rows.by_site()
        name = _target_site(sites, wanted, found.plan.look.file)
        site = sites[name]
        rows = len(site.seconds_T)
        if rows < FEWEST_ROWS:
            of_site = f" of site {name!r}" if name else ""
            raise DataError(f"{found.plan.look.file}: {rows} rows{of_site}; expected at least {FEWEST_ROWS}")
        _require_change(found, name)
        step_s = int(found.survey.found["step_s"])
        beat = (found.rhythm or rhythm.of(step_s, float(site.seconds_T[-1] - site.seconds_T[0]))).fitting(rows)
        inputs, gaps, out = _columns(found.rows, site, step_s, beat)
        treatment, share = gaps.treatment(beat.lag, _asked(wanted.problem, beat))
        if share < LEAST_WINDOWS and len(beat.horizons) > 1:
            beat = replace(beat, horizons=beat.horizons[:1])
            treatment, share = gaps.treatment(beat.lag, _asked(wanted.problem, beat))
        beside = _sites({name: site, **sites}, treatment)
        size = _Size.of(rows, share, beat.lag, len(inputs) * len(beside))
        return cls(found, wanted, step_s, sites, name, beside, inputs, out, beat, treatment, share, size)

    def proposal(self) -> Proposal:
        """The five blocks."""
        size = self.size
        return Proposal(
            self.seen(),
            {
                "data": data_lines(self.read.plan, self.read.survey, self.whys(), self.read.changed),
                "prepare": self.prepare(),
                "model": self.model(),
                "train": train_lines(size.epochs, size.batch, f"{size.windows:,} windows to learn from"),
                "gate": self.gate(),
            },
            warnings(self.read.plan, self.read.survey),
        )

    def whys(self) -> dict[str, str]:
        """Reasons of keys of the data block."""
        unread = self.read.survey.found.get("formats_not_there", ())
        whys = dict(self.read.whys)
        if unread and not self.read.is_numbered:
            told = f"no row is written as {', '.join(unread)}: for files to come"
            whys["time"] = "; ".join(filter(None, (whys.get("time", ""), told)))
        return whys

    def seen(self) -> list[str]:
        """What the files hold, in a line or two."""
        every = self.read.survey
        first, last = (str(np.datetime64(int(self.sites[self.site].seconds_T[at]), "s")) for at in (0, -1))
        told = f"{file_names(self.read.plan)}: {every.rows:,} rows"
        told += f" of {len(self.sites):,} sites" if len(self.sites) > 1 else ""
        told += (
            ", numbered" if self.read.is_numbered else f", {first} to {last}, a row every {rhythm.name(self.step_s)}"
        )
        missing = every.found.get("missing_share", {})
        gone = {name: share for name, share in missing.items() if share}
        worst = sorted(gone, key=lambda name: -gone[name])[:8]
        lines = [
            told,
            "missing values: " + (", ".join(f"{n} {percent(gone[n])}" for n in worst) or "none"),
            *([] if self.read.is_numbered else self._lacking()),
            *([self._one_of_several()] if len(self.sites) > 1 else []),
            *aside_lines(self.read.plan, every),
        ]
        return [*lines, *unused_lines(self.read.plan)]

    def _lacking(self) -> list[str]:
        """How many rows lack in time, where most of them, and what becomes of windows over them; nothing of none."""
        found = Lacking.of(self.sites[self.site].seconds_T, self.step_s)
        if not found.rows:
            return []
        after = np.datetime64(found.after_s, "s")
        most = {"drop": 0, "interpolate": self.treatment.get("interpolate_steps", 0), "mask": self.beat.lag}
        bridged = most[self.treatment["missing"]]
        how = "filled in on a line" if self.treatment["missing"] == "interpolate" else "masked, with a mark as input"
        told = f"up to {bridged} in a row are {how}, windows over more" if bridged else "windows over them"
        places = f"{found.places:,} places" if found.places > 1 else "one place"
        lacking = f"{found.rows:,} rows lack in {places}, at most {found.longest:,} in a row, after {after}"
        return [f"gaps in time: {lacking}; {told} are left out (prepare.missing: {self.treatment['missing']})"]

    def _one_of_several(self) -> str:
        """Which site is forecast, and what to do for the others."""
        others = [site for site in self.sites if site != self.site]
        told = f"the forecast is of site {self.site} alone; each of the others takes a task of its own, by --set"
        return f"{told} prepare.target_site={others[0]}: {_listed(others)}"

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
        seasonal = "steps of the seasonal naive forecast"
        left = f"; left out, for their missing values: {', '.join(self.out)}" if self.out else ""
        lines = [
            Line("problem", self.wanted.problem),
            Line("target", self.read.rows.target),
            Line("target_site", self.site or None, "the one that is forecast" if len(self.sites) > 1 else ""),
            Line("sites", self.beside if self.site else "all", self._why_sites()),
            Line("variables", "all" if all_inputs else self.inputs, f"inputs, the target's own past among them{left}"),
            *([Line("categories", words, "words that train does not have count as one more")] if words else []),
            Line("calendar", list(beat.calendar)),
            Line("lag", beat.lag, f"rows of a window: {beat.why}"),
        ]
        if forecasting:
            lines += [
                Line("horizon", list(beat.horizons), "steps ahead; the gate judges the first"),
                Line(
                    "season", beat.season, "none: persistence is the naive forecast" if beat.season == 1 else seasonal
                ),
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

    def _why_sites(self) -> str:
        if len(self.sites) == 1:
            return ""
        if len(self.beside) > 1:
            return "whose rows are inputs, the target's own among them"
        return f"whose rows are inputs; the others are more than {MOST_SITES}, or lack rows of the target's times"

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
            Line("weighted", True, "loud hours and outliers count less where linear parts start"),
            Line("robust", 1.0),
            Line("head", "quantiles"),
            Line("quantiles", [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]),
        ]

    def gate(self) -> list[Line]:
        """The naive forecasts must be beaten; the threshold is a floor from the part that trains."""
        if self.wanted.problem == "rise_or_fall":
            why = "a coin; the baselines are the bar. Raise it to what is of use to you"
            return gate_lines("accuracy", "higher", 0.5, why, ["majority", "last_move"])
        reached = _persistence(self.sites[self.site], self.step_s, self.beat.horizons[0])
        floor = np.floor(max(0.9 * reached, 0.0) * 100) / 100
        why = (
            f"a floor: the last value as forecast has {reached:.2f} in the part that trains; the baselines are the bar"
        )
        baselines = ["persistence", *["seasonal_naive"] * (self.beat.season > 1)]
        return gate_lines("r2", "higher", float(floor), why, baselines)


def _persistence(site: Site, step_s: int, horizon: int) -> float:
    """R² of the last value as forecast, in the first 70 % of the rows."""
    rows = int(TRAINED * len(site.values_T))
    now_T, then_T = site.values_T[: rows - horizon].astype(np.float64), site.values_T[horizon:rows].astype(np.float64)
    apart_T = site.seconds_T[horizon:rows] - site.seconds_T[: rows - horizon] == horizon * step_s
    good_T = apart_T & np.isfinite(now_T) & np.isfinite(then_T)
    spread = float(then_T[good_T].var()) if good_T.any() else 0.0
    return 1 - float(((then_T - now_T)[good_T] ** 2).mean()) / spread if spread else 0.0


def _require_change(found: Read, site: str) -> None:
    """Raise DataError for a target that has one value in the rows that train, or none."""
    values_T = found.rows.to_learn_from()
    there_T = values_T[np.isfinite(values_T)]
    if len(there_T) and there_T.min() < there_T.max():
        return
    column = next(old for old, new in named(found.plan.config).items() if new == found.rows.target)
    held = f"{there_T[0]:g}" if len(there_T) else "nothing"
    of_site = f" of site {site!r}" if site else ""
    raise DataError(
        f"{file_names(found.plan)}, column {column}: {held} in all of the first {len(values_T):,} rows{of_site}, which "
        "train; expected values that change"
    )
