"""The proposal for a series: ``forecasting`` and ``rise_or_fall``. Shapes: T rows of a site, F columns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unroll.core.errors import DataError
from unroll.core.params import Params
from unroll.datasets.files.config import identifier
from unroll.datasets.files.tables.series_builder import named
from unroll.workbench.new import rhythm, unchanging
from unroll.workbench.new import series_choice as choice
from unroll.workbench.new.blocks import Line, Proposal
from unroll.workbench.new.gaps import Lacking
from unroll.workbench.new.parts import (
    aside_lines,
    data_lines,
    file_names,
    gate_lines,
    percent,
    train_lines,
    unused_lines,
    warnings,
)
from unroll.workbench.new.request import Request
from unroll.workbench.new.rhythm import Rhythm
from unroll.workbench.new.series_rows import Read, Site, number, read

LEAST_WINDOWS = 0.53
"""Share of the windows that the check after preparing asks for, and a little more."""


def propose(params: Params, name: str, wanted: Request, root: Path) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    found = unchanging.leave_out(read(params, name, wanted, root), params, name, wanted, root)
    series = _Series.of(found, wanted)
    if series.share < LEAST_WINDOWS and not found.is_numbered:
        why = (
            f"rows lack so often that {percent(series.share)} of the windows would be whole: rows are numbered instead"
        )
        series = _Series.of(number(params, name, root, found, rhythm.name(series.step_s), why), wanted)
    return series.proposal()


@dataclass(frozen=True)
class _Series:
    """All that the blocks are written from."""

    read: Read
    wanted: Request
    step_s: int
    sites: Mapping[str, Site]
    site: str
    beside: list[str]
    inputs: list[str]
    out: list[str]
    beat: Rhythm
    treatment: Mapping[str, Any]
    share: float
    size: choice.Size

    @classmethod
    def of(cls, found: Read, wanted: Request) -> "_Series":
        """Window, inputs and treatment of missing values; raises DataError for a series that is too short."""
        sites = found.rows.by_site()
        name = choice.target_site(sites, wanted, found.plan.look.file)
        site = sites[name]
        rows = len(site.seconds_T)
        if rows < choice.FEWEST_ROWS:
            of_site = f" of site {name!r}" if name else ""
            raise DataError(f"{found.plan.look.file}: {rows} rows{of_site}; expected at least {choice.FEWEST_ROWS}")
        choice.require_change(found, name)
        step_s = int(found.survey.found["step_s"])
        beat = (found.rhythm or rhythm.of(step_s, float(site.seconds_T[-1] - site.seconds_T[0]))).fitting(rows)
        inputs, gaps, out = choice.inputs(found.rows, site, step_s, beat)
        treatment, share = gaps.treatment(beat.lag, choice.horizons(wanted.problem, beat))
        if share < LEAST_WINDOWS and len(beat.horizons) > 1:
            beat = replace(beat, horizons=beat.horizons[:1])
            treatment, share = gaps.treatment(beat.lag, choice.horizons(wanted.problem, beat))
        beside = choice.sites_beside({name: site, **sites}, treatment)
        size = choice.Size.of(rows, share, beat.lag, len(inputs) * len(beside))
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
            [*warnings(self.read.plan, self.read.survey), *self.read.told],
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
        return f"{told} prepare.target_site={others[0]}: {choice.listed(others)}"

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
        most = choice.MOST_SITES
        return f"whose rows are inputs; the others are more than {most}, or lack rows of the target's times"

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
        reached = choice.persistence(self.sites[self.site], self.step_s, self.beat.horizons[0])
        floor = np.floor(max(0.9 * reached, 0.0) * 100) / 100
        why = (
            f"a floor: the last value as forecast has {reached:.2f} in the part that trains; the baselines are the bar"
        )
        baselines = ["persistence", *["seasonal_naive"] * (self.beat.season > 1)]
        return gate_lines("r2", "higher", float(floor), why, baselines)
