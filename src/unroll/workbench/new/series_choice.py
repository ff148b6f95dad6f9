"""What is chosen for a series by its rows: target, inputs, sites, size of the network. Shapes: T rows, F columns."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.core.errors import DataError
from unroll.core.text import few
from unroll.datasets.files.tables.series_builder import named
from unroll.workbench.new.gaps import Gaps
from unroll.workbench.new.parts import batch_for, epochs_for, file_names
from unroll.workbench.new.request import Request
from unroll.workbench.new.rhythm import Rhythm
from unroll.workbench.new.series_rows import TRAINED, Rows, SeriesFiles, Site

MOST_SITES, SITE_COVER = 6, 0.95
FEWEST_ROWS = 80
BUDGET = 27e6
"""Steps of cells of hidden size 16, forward and back, that a minute or two has."""
FEW_WINDOWS = 0.6
"""Share of the windows below which columns of many missing values are left out."""


@dataclass(frozen=True)
class Size:
    """How large the network is, how long it learns, and from which windows."""

    windows: int
    stride: int
    members: int
    hidden: int
    epochs: int
    batch: int

    @classmethod
    def of(cls, rows: int, share: float, lag: int, inputs: int) -> "Size":
        """For ``rows`` of the target's site, of whose windows ``share`` are whole, of ``lag`` rows of ``inputs``."""
        hidden = 16 if inputs <= 12 else 32
        budget = BUDGET * (1 if hidden == 16 else 0.5)
        windows = max(int(TRAINED * rows * share), 1)
        stride = max(1, round(windows * lag * 2 / budget))
        windows = windows // stride
        cost = windows * lag
        members = next((number for number in (4, 2) if cost * number * 4 <= budget), 1)
        return cls(windows, stride, members, hidden, epochs_for(budget, cost * members, 3, 30), batch_for(windows, 512))


def horizons(forecasts: bool, beat: Rhythm) -> tuple[int, ...]:
    """The rows, from a window's last one on, at which the target must be measured."""
    return beat.horizons if forecasts else (0, beat.horizons[0])


def inputs(rows: Rows, site: Site, step_s: int, beat: Rhythm) -> tuple[list[str], Gaps, list[str]]:
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


def target_site(sites: Mapping[str, Site], request: Request, file: str) -> str:
    """The site that is forecast: the one that is given, else that with most values of the target."""
    given = request.given.get("prepare.target_site")
    if given is None:
        return next(iter(sites))
    if str(given) not in sites:
        near = difflib.get_close_matches(str(given), list(sites), n=2)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise DataError(f"{file}: no site {given!r} (prepare.target_site){hint}; expected one of {listed(list(sites))}")
    return str(given)


def listed(sites: Sequence[str]) -> str:
    """The first sites, and how many there are."""
    return few(sites, MOST_SITES, ", ") + (f" ({len(sites)})" if len(sites) > MOST_SITES else "")


def sites_beside(sites: Mapping[str, Site], treatment: Mapping[str, Any]) -> list[str]:
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


def persistence(site: Site, step_s: int, horizon: int) -> float:
    """R² of the last value as forecast, in the first 70 % of the rows."""
    rows = int(TRAINED * len(site.values_T))
    now_T, then_T = site.values_T[: rows - horizon].astype(np.float64), site.values_T[horizon:rows].astype(np.float64)
    apart_T = site.seconds_T[horizon:rows] - site.seconds_T[: rows - horizon] == horizon * step_s
    good_T = apart_T & np.isfinite(now_T) & np.isfinite(then_T)
    spread = float(then_T[good_T].var()) if good_T.any() else 0.0
    return 1 - float(((then_T - now_T)[good_T] ** 2).mean()) / spread if spread else 0.0


def require_change(files: SeriesFiles, site: str) -> None:
    """Raise DataError for a target that has one value in the rows that train, or none."""
    values_T = files.rows.to_learn_from()
    there_T = values_T[np.isfinite(values_T)]
    if len(there_T) and there_T.min() < there_T.max():
        return
    column = next(old for old, new in named(files.plan.config).items() if new == files.rows.target)
    held = f"{there_T[0]:g}" if len(there_T) else "nothing"
    of_site = f" of site {site!r}" if site else ""
    raise DataError(
        f"{file_names(files.plan)}, column {column}: {held} in all of the first {len(values_T):,} rows{of_site}, which "
        "train; expected values that change"
    )
