"""The rows of a series as ``new`` reads them, their block mended. Shapes: T rows, F columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.config import Params
from unroll.datasets._files import cells
from unroll.datasets._files.config import identifier
from unroll.datasets._files.infer_series import NoNumbersError
from unroll.datasets._files.look import Look
from unroll.datasets._files.rows import require_columns
from unroll.datasets._files.seen import Seen
from unroll.datasets._files.series import named
from unroll.datasets.files import FilesConfig, Plan
from unroll.errors import DataError
from unroll.proposal import asked as asking
from unroll.proposal import rhythm, survey
from unroll.proposal.asked import Asked
from unroll.proposal.common import percent
from unroll.proposal.rhythm import Rhythm
from unroll.proposal.survey import Survey

if TYPE_CHECKING:
    import pandas as pd

TRAINED = 0.7
"""Share of the rows, the first ones, that train: nothing is chosen by later ones."""
MOST_INPUTS = 20
"""Columns of numbers that are inputs; of more those that go most with the target."""


@dataclass(frozen=True)
class Site:
    """The rows of one site in the order of time: which values are missing, and the target."""

    seconds_T: np.ndarray
    missing_TF: np.ndarray
    values_T: np.ndarray


@dataclass
class Rows:
    """The rows of the chosen columns, part by part, as a survey sees them."""

    names: list[str]
    target: str
    seconds: list[np.ndarray] = field(default_factory=list)
    sites: list[np.ndarray] = field(default_factory=list)
    missing: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    ends: dict[str, tuple[float, float]] = field(default_factory=dict)
    """The least and the greatest number of each column; NaN where there is none."""
    static: dict[str, dict[str, object]] = field(default_factory=dict)
    """Columns of the table that have had one value a site so far, with these."""

    def add(self, table: "pd.DataFrame") -> None:
        """Take the rows of a part."""
        import pandas as pd

        self.seconds.append(table["time"].dt.as_unit("s").astype("int64").to_numpy())
        code_N, names = np.zeros(len(table), dtype=np.int32), [""]
        if "site" in table:
            code_N, names = pd.factorize(table["site"])
        known = np.array([self.numbers.setdefault(str(name), len(self.numbers)) for name in names], dtype=np.int32)
        self.sites.append(known[code_N])
        for column in list(self.static):
            self._compare(column, table)
        values_TF = table[self.names].to_numpy(dtype=np.float32)
        for name, low, high in zip(self.names, np.fmin.reduce(values_TF), np.fmax.reduce(values_TF), strict=True):
            least, most = self.ends.get(name, (low, high))
            self.ends[name] = (float(np.fmin(least, low)), float(np.fmax(most, high)))
        self.missing.append(np.isnan(values_TF))
        self.values.append(table[self.target].to_numpy(dtype=np.float32))

    def _compare(self, column: str, table: "pd.DataFrame") -> None:
        """Strike a column that has several values at a site, or none."""
        there = table[["site", column]].drop_duplicates()
        known = self.static[column]
        changed = any(known.setdefault(site, value) != value for site, value in there.itertuples(index=False))
        if changed or there[column].isna().any():
            del self.static[column]

    def without(self, names: Sequence[str]) -> "Rows":
        """The same rows without some columns of numbers."""
        kept = [place for place, name in enumerate(self.names) if name not in names]
        missing = [missing_TF[:, kept] for missing_TF in self.missing]
        return replace(self, names=[self.names[place] for place in kept], missing=missing)

    def by_site(self) -> dict[str, Site]:
        """The rows of each site, the one with most values of the target first."""
        seconds, missing, values = (np.concatenate(x) for x in (self.seconds, self.missing, self.values))
        if len(self.numbers) == 1 and (seconds[1:] > seconds[:-1]).all():  # the usual case, and the largest files
            return {next(iter(self.numbers)): Site(seconds, missing, values)}
        code, found = np.concatenate(self.sites), {}
        for name, number in self.numbers.items():
            own = np.flatnonzero(code == number)
            own = own[np.argsort(seconds[own], kind="stable")]
            found[name] = Site(seconds[own], missing[own], values[own])
        order = sorted(found, key=lambda name: -int(np.isfinite(found[name].values_T).sum()))
        return {name: found[name] for name in order}

    def to_learn_from(self) -> np.ndarray:
        """The target in the rows that will train, at the site with most of it."""
        values_T = next(iter(self.by_site().values())).values_T
        return values_T[: int(TRAINED * len(values_T))]


@dataclass(frozen=True)
class Read:
    """The files, read: their plan, what the pass came to, the rows, and reasons of keys of the data block.

    ``changed`` are keys that the block must also have; ``rhythm`` is there where rows are numbered: their times tell of
    no day or week.
    """

    plan: Plan
    survey: Survey
    rows: Rows
    whys: Mapping[str, str]
    block: Mapping[str, Any]
    changed: Mapping[str, Any] = field(default_factory=dict)
    rhythm: Rhythm | None = None

    @property
    def is_numbered(self) -> bool:
        """Whether rows are numbered, for want of times that serve."""
        return self.plan.config.time is None


def read(params: Params, name: str, wanted: Asked, root: Path) -> Read:
    """Look and read; columns that have one value a site become static ones, which are no inputs."""
    found = _read(params, name, wanted, root)
    values = found.rows.static
    if not values or len(found.rows.numbers) < 2:
        return found
    config = found.plan.config
    names = _table_names(config)
    static = [column for column, new in names.items() if new in values]
    first = list(values[names[static[0]]].items())[:3]
    shown = ", ".join(f"{site} {value:g}" if isinstance(value, float) else f"{site} {value}" for site, value in first)
    block = {**found.block, "static": static}
    for key, columns in (("values", config.values), ("categories", config.categories)):
        block[key] = [column for column in columns or () if column not in static]
    why = f"one value a site, as {static[0]}: {shown}; kept in the table, no input"
    plan, rows = asking.plan(params, name, block, root), found.rows.without(list(values))
    return replace(found, plan=plan, rows=rows, block=block, whys={**found.whys, "static": why})


def _read(params: Params, name: str, wanted: Asked, root: Path) -> Read:
    """Look and read; a step that is none is mended and the files are read again."""
    block, whys = wanted.block(root), dict[str, str]()
    try:
        plan = asking.plan(params, name, block, root)
    except NoNumbersError as error:
        _require_numbers(error.seen, wanted.target)
        raise
    if (values := _with_target(plan, wanted)) is not None:
        block["values"], whys["values"] = values, f"{wanted.target} numbers the rows, and is asked for all the same"
        plan = asking.plan(params, name, block, root)
    for key, (value, why) in plan.inferred.proposals.items():
        if f"data.{key}" not in wanted.given:
            block[key], whys[key] = value, why
    plan = asking.plan(params, name, block, root) if whys else plan
    rows = Rows(*_chosen(plan, wanted))
    rows.static = {column: {} for column in _maybe_static(plan, wanted) if column != rows.target}
    found = Read(plan, survey.take(plan, rows.add, f"new {name}"), rows, whys, block)
    if found.is_numbered:
        return _without_time(found, wanted)
    if plan.config.resample is not None:
        return found
    seconds_T = next(iter(rows.by_site().values())).seconds_T
    if uneven := rhythm.calendar_step(seconds_T):
        days, season = uneven
        why = "months, quarters and years are not equally long: rows are numbered, and times of answers are near ones"
        numbered = number(params, name, root, found, f"{days}d", why)
        return replace(numbered, rhythm=rhythm.numbered(season))
    if rhythm.regular_share(seconds_T, int(found.survey.found["step_s"] or 1)) >= rhythm.REGULAR:
        return found
    every = {"every": rhythm.name(rhythm.nice_step(seconds_T)), "how": "mean"}
    again = _again(params, name, root, found, {"resample": every}, {"resample": "rows come at no regular step"})
    return replace(again, changed={"resample": every})


def number(params: Params, name: str, root: Path, found: Read, step: str, why: str) -> Read:
    """The same rows, numbered from the first one's day, whatever their times."""
    config = found.plan.config
    first = str(np.datetime64(int(next(iter(found.rows.by_site().values())).seconds_T[0]), "s"))
    keys = {
        "start": first,
        "step": step,
        "values": list(config.values or ()),
        "categories": list(config.categories or ()),
    }
    again = _again(params, name, root, found, {"time": None, **keys}, {"start": why})
    return replace(again, changed={"time": None}, rhythm=rhythm.of_values(again.rows.to_learn_from()))


def _without_time(found: Read, wanted: Asked) -> Read:
    """Rows that no column tells the time of: a given step is one, the one that was taken for want of it is not."""
    if "data.step" in wanted.given:
        return replace(found, whys={**found.whys, "step": "as given; no column tells the time: rows are numbered"})
    why = (
        "no column tells the time: rows are numbered, and a second stands for a row; --set data.step=1h if it is known"
    )
    beat = rhythm.of_values(found.rows.to_learn_from())
    return replace(found, whys={**found.whys, "start": why}, rhythm=beat)


def _again(
    params: Params, name: str, root: Path, found: Read, keys: Mapping[str, Any], whys: Mapping[str, str]
) -> Read:
    block, rows = {**found.block, **keys}, Rows(found.rows.names, found.rows.target)
    rows.static = {column: {} for column in found.rows.static if "resample" not in keys}
    plan = asking.plan(params, name, block, root)
    return Read(plan, survey.take(plan, rows.add, f"new {name}"), rows, {**found.whys, **whys}, block)


def _chosen(plan: Plan, wanted: Asked) -> tuple[list[str], str]:
    """The names in the table of the columns that are inputs, and of the target."""
    config, look = plan.config, plan.look
    names = named(config)
    target = wanted.target
    if target is None:
        if len(names) > 1:
            raise DataError(
                f"{look.file}: several columns of numbers; expected --target to name one: {', '.join(names)}"
            )
        target = next(iter(names))
    own = {new: old for old, new in names.items()}
    target = own.get(target, target)
    if target not in look.columns and not look.reading.header and asking.place_name(target) in look.columns:
        target = asking.place_name(target)
    require_columns(look.file, look.columns, [target], look.left_out)
    if target not in names:
        raise DataError(
            f"{look.file}: column {target!r} cannot be forecast: {_why_none(plan, target)}; expected one of "
            f"{', '.join(names)}"
        )
    if len(names) <= MOST_INPUTS:
        return list(names.values()), names[target]
    near = sorted(names, key=lambda other: (other != target, -_likeness(look, config, target, other)))[:MOST_INPUTS]
    return [new for old, new in names.items() if old in near], names[target]


def _maybe_static(plan: Plan, wanted: Asked) -> list[str]:
    """Names in the table of columns that have one value a site in the first rows, where nobody said what they are."""
    config, frame = plan.config, plan.look.frame
    given = {key for key in ("values", "categories", "static", "resample") if f"data.{key}" in wanted.given}
    if config.site is None or config.resample is not None or given:
        return []
    most = frame.groupby(config.site, sort=False)[[*(config.values or ()), *(config.categories or ())]].nunique().max()
    names = _table_names(config)
    return [names[str(column)] for column, count in most.items() if count == 1]


def _table_names(config: FilesConfig) -> dict[str, str]:
    """The name in the table of each column of numbers or words."""
    return {**named(config), **{column: identifier(column) for column in config.categories or ()}}


def _require_numbers(seen: Seen, target: str | None) -> None:
    """Raise DataError that says why the target that was asked for cannot be forecast, where no column can."""
    if target is None:
        return
    require_columns(seen.look.file, seen.look.columns, [target], seen.look.left_out)
    if not seen.columns[target].is_numeric and (why := seen.look.odd(target, seen.marks)):
        raise DataError(f"{seen.look.file}: column {target!r} cannot be forecast: {why}; expected a column of numbers")


def _with_target(plan: Plan, wanted: Asked) -> list[str] | None:
    """The columns of numbers and the one asked for, where it was left out for it goes up by one from row to row."""
    values = plan.config.values or ()
    target = plan.inferred.columns.get(wanted.target or "")
    if (
        target is None
        or target.name in values
        or not plan.open_values
        or not (target.is_numeric and target.counts_rows)
    ):
        return None
    return [column for column in plan.look.columns if column in values or column == target.name]


def _why_none(plan: Plan, target: str) -> str:
    """Why a column of the file is none of those that can be forecast, with a row where one is to blame."""
    column, config = plan.inferred.columns[target], plan.config
    if column.is_empty:
        return "it is empty"
    if not column.is_numeric:
        marks = cells.Marks.of(config.missing or (), config.decimal, config.thousands)
        return plan.look.odd(target, marks)
    if column.missing_share > config.max_missing_share:
        share = f"{percent(column.missing_share)} of its cells hold no number"
        return f"{share}, and at most {percent(config.max_missing_share)} may (data.max_missing_share)"
    return "the block has another use for it"


def _likeness(look: Look, config: FilesConfig, one: str, other: str) -> float:
    """How closely two columns go together in the first rows: the correlation, without its sign."""
    marks = cells.Marks.of(config.missing or (), config.decimal, config.thousands)
    a_N, b_N = (cells.numbers(look.frame[name], marks, name)[0] for name in (one, other))
    both_N = np.isfinite(a_N) & np.isfinite(b_N)
    if both_N.sum() < 3 or not a_N[both_N].std() or not b_N[both_N].std():
        return 0.0
    return abs(float(np.corrcoef(a_N[both_N], b_N[both_N])[0, 1]))
