"""The proposal for a series: ``forecasting`` and ``rise_or_fall``. Shapes: T rows of a site, F columns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unroll import problems
from unroll.core.errors import DataError
from unroll.datasets.files.config import identifier
from unroll.datasets.files.tables.series_builder import named
from unroll.workbench.new import parts, rhythm
from unroll.workbench.new import series_choice as choice
from unroll.workbench.new.blocks import Line, Proposal, lines
from unroll.workbench.new.gaps import MissingRows
from unroll.workbench.new.parts import percent
from unroll.workbench.new.rhythm import Rhythm
from unroll.workbench.new.series_rows import SeriesFiles, Site, read
from unroll.workbench.new.session import Session

LEAST_WINDOWS = 0.53
"""Share of the windows that the check after preparing asks for, and a little more."""


def propose(session: Session) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    files = read(session)
    series = _Series.of(files)
    if series.share < LEAST_WINDOWS and not files.is_numbered:
        why = (
            f"so many rows are missing that {percent(series.share)} of the windows would be whole: rows are numbered "
            "instead"
        )
        series = _Series.of(files.numbered(rhythm.name(series.step_s), why))
    return series.proposal()


@dataclass(frozen=True)
class _Series:
    """All that the blocks are written from."""

    files: SeriesFiles
    problem: str
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
    def of(cls, files: SeriesFiles) -> "_Series":
        """Window, inputs and treatment of missing values; raises DataError for a series that is too short."""
        request, file = files.session.request, files.plan.look.file
        sites = files.rows.by_site()
        name = choice.target_site(sites, request, file)
        site = sites[name]
        rows = len(site.seconds_T)
        if rows < choice.FEWEST_ROWS:
            of_site = f" of site {name!r}" if name else ""
            raise DataError(f"{file}: {rows} rows{of_site}; expected at least {choice.FEWEST_ROWS}")
        choice.require_change(files, name)
        step_s = int(files.survey.facts["step_s"])
        beat = (files.rhythm or rhythm.of(step_s, float(site.seconds_T[-1] - site.seconds_T[0]))).fitting(rows)
        forecasts = _forecasts(request.problem)
        inputs, gaps, out = choice.inputs(files.rows, site, step_s, beat)
        treatment, share = gaps.treatment(beat.lag, choice.horizons(forecasts, beat))
        if share < LEAST_WINDOWS and len(beat.horizons) > 1:
            beat = replace(beat, horizons=beat.horizons[:1])
            treatment, share = gaps.treatment(beat.lag, choice.horizons(forecasts, beat))
        beside = choice.sites_beside({name: site, **sites}, treatment)
        size = choice.Size.of(rows, share, beat.lag, len(inputs) * len(beside))
        return cls(files, request.problem, step_s, sites, name, beside, inputs, out, beat, treatment, share, size)

    def proposal(self) -> Proposal:
        """The five blocks."""
        plan, survey, size = self.files.plan, self.files.survey, self.size
        blocks = {
            "data": parts.data_lines(plan, survey, self.whys(), self.files.changed),
            "prepare": self.prepare(),
            "model": self.model(),
            "train": parts.train_lines(size.epochs, size.batch, f"{size.windows:,} windows to learn from"),
            "gate": self.gate(),
        }
        return parts.proposal(plan, survey, self.seen(), blocks, self.files.warnings)

    def whys(self) -> dict[str, Any]:
        """Reasons of keys of the data block."""
        unread, whys = self.files.survey.facts.get("formats_not_there", ()), dict(self.files.whys)
        if unread and not self.files.is_numbered:
            whys["time"] = [*whys.get("time", ()), f"no row is written as {', '.join(unread)}: for files to come"]
        return whys

    def seen(self) -> list[str]:
        """What the files hold, in a line or two."""
        survey, numbered = self.files.survey, self.files.is_numbered
        first, last = (str(np.datetime64(int(self.sites[self.site].seconds_T[at]), "s")) for at in (0, -1))
        size = f"{parts.file_names(self.files.plan)}: {survey.rows:,} rows"
        size += f" of {len(self.sites):,} sites" if len(self.sites) > 1 else ""
        size += ", numbered" if numbered else f", {first} to {last}, a row every {rhythm.name(self.step_s)}"
        missing = {name: share for name, share in survey.facts.get("missing_share", {}).items() if share}
        worst = sorted(missing, key=lambda name: -missing[name])[:8]
        return [
            size,
            "missing values: " + (", ".join(f"{name} {percent(missing[name])}" for name in worst) or "none"),
            *([] if numbered else self._gaps()),
            *([self._one_of_several()] if len(self.sites) > 1 else []),
        ]

    def _gaps(self) -> list[str]:
        """How many rows are missing, where most of them, and what becomes of windows over them; empty for none."""
        missing = MissingRows.of(self.sites[self.site].seconds_T, self.step_s)
        if not missing.rows:
            return []
        how = self.treatment["missing"]
        bridged = {"drop": 0, "interpolate": self.treatment.get("interpolate_steps", 0), "mask": self.beat.lag}[how]
        filled = "filled in on a line" if how == "interpolate" else "masked, with a mark as input"
        effect = f"up to {bridged} in a row are {filled}, windows over more" if bridged else "windows over them"
        places = f"{missing.places:,} places" if missing.places > 1 else "one place"
        after = np.datetime64(missing.after_s, "s")
        where = f"{missing.rows:,} rows missing in {places}, at most {missing.longest:,} in a row, after {after}"
        return [f"gaps in time: {where}; {effect} are left out (prepare.missing: {how})"]

    def _one_of_several(self) -> str:
        """Which site is forecast, and what to do for the others."""
        others = [site for site in self.sites if site != self.site]
        only = f"the forecast is of site {self.site} alone; each of the others takes a task of its own, by --set"
        return f"{only} prepare.target_site={others[0]}: {choice.listed(others)}"

    def prepare(self) -> list[Line]:
        """Window, horizons, inputs, split and missing values."""
        beat, config, stride = self.beat, self.files.plan.config, self.size.stride
        words = [identifier(column) for column in config.categories or ()]
        all_inputs = len(self.inputs) == len(named(config))
        why_missing = {
            "drop": f"windows with missing values are left out; {percent(self.share)} of them are whole",
            "interpolate": f"on a straight line, in windows only; {percent(self.share)} of the windows are then whole",
            "mask": f"the last value, and a mark that it is old; leaves {percent(self.share)} of the windows",
        }[self.treatment["missing"]]
        left = f"; left out, for their missing values: {', '.join(self.out)}" if self.out else ""
        return [
            Line("problem", self.problem),
            Line("target", self.files.rows.target),
            Line("target_site", self.site or None, "the one that is forecast" if len(self.sites) > 1 else ""),
            Line("sites", self.beside if self.site else "all", self._why_sites()),
            Line("variables", "all" if all_inputs else self.inputs, f"inputs, the target's own past among them{left}"),
            *([Line("categories", words, "words that train does not have count as one more")] if words else []),
            Line("calendar", list(beat.calendar)),
            Line("lag", beat.lag, f"rows of a window: {beat.why}"),
            *self._horizon(),
            Line("stride", stride, "" if stride == 1 else "windows overlap: one of so many is enough"),
            *(Line(key, value, why_missing if key == "missing" else "") for key, value in self.treatment.items()),
            Line("validation_share", 0.1, "of the rows, in the order of time, before the test part"),
            Line("test_share", 0.2, "the last ones: neither training nor any choice sees them"),
        ]

    def _horizon(self) -> list[Line]:
        """Several horizons and the season for forecasting, else one horizon."""
        if not _forecasts(self.problem):
            return [Line("horizon", self.beat.horizons[0], "steps ahead")]
        season = self.beat.season
        naive = "none: persistence is the naive forecast" if season == 1 else "steps of the seasonal naive forecast"
        horizon = Line("horizon", list(self.beat.horizons), "steps ahead; the gate judges the first")
        return [horizon, Line("season", season, naive)]

    def _why_sites(self) -> str:
        if len(self.sites) == 1:
            return ""
        if len(self.beside) > 1:
            return "whose rows are inputs, the target's own among them"
        return (
            f"whose rows are inputs; the others are more than {choice.MOST_SITES}, or lack rows of the target's times"
        )

    def model(self) -> list[Line]:
        """As air_quality, or a smaller one."""
        size, lag = self.size, self.beat.lag
        core = lines(cell="lstm", hidden=size.hidden, layers=1, dropout=0.0)
        if not _forecasts(self.problem):
            return [*core, Line("linear", min(6, lag), "last rows that also go straight to the output")]
        linear = sorted({min(6, lag), lag})
        return [
            *lines(kind="recurrent", multi_step="direct"),
            *core,
            Line("members", size.members, "networks that are averaged"),
            Line("linear", linear, "last rows that also go straight to the output; members take turns"),
            Line("expert", 0.3, "share of a vector autoregression in the forecast"),
            Line("weighted", True, "volatile hours and outliers count less where linear parts start"),
            *lines(robust=1.0, head="quantiles", quantiles=[0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]),
        ]

    def gate(self) -> list[Line]:
        """The naive forecasts must be beaten; the threshold is a floor from the part that trains."""
        if not _forecasts(self.problem):
            why = "a coin; the baselines are the bar. Raise it to what you need"
            return parts.gate_lines("accuracy", "higher", 0.5, why, ["majority", "last_move"])
        reached = choice.persistence(self.sites[self.site], self.step_s, self.beat.horizons[0])
        floor = np.floor(max(0.9 * reached, 0.0) * 100) / 100
        why = (
            f"a floor: the last value as forecast has {reached:.2f} in the part that trains; the baselines are the bar"
        )
        baselines = ["persistence", *["seasonal_naive"] * (self.beat.season > 1)]
        return parts.gate_lines("r2", "higher", float(floor), why, baselines)


def _forecasts(problem: str) -> bool:
    """Whether a problem predicts values at several horizons, with a season for the naive forecast; not one outcome."""
    return "season" in problems.load(problem).Prepare.model_fields
