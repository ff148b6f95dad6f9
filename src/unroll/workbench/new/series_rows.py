"""The rows of a series as ``new`` reads them, their block mended. Shapes: T rows, F columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import DataError
from unroll.core.params import Params
from unroll.datasets.files import Plan
from unroll.datasets.files.infer.series_columns_seen import NoNumbersError
from unroll.datasets.files.tables.series_builder import named
from unroll.workbench.new import later_rows, rhythm, survey
from unroll.workbench.new import request as asking
from unroll.workbench.new import series_columns as columns
from unroll.workbench.new.request import Request
from unroll.workbench.new.rhythm import Rhythm
from unroll.workbench.new.survey import Survey

if TYPE_CHECKING:
    import pandas as pd

TRAINED = 0.7
"""Share of the rows, the first ones, that train: nothing is chosen by later ones."""


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
    no day or week. ``told`` is what must not be passed over.
    """

    plan: Plan
    survey: Survey
    rows: Rows
    whys: Mapping[str, str]
    block: Mapping[str, Any]
    changed: Mapping[str, Any] = field(default_factory=dict)
    rhythm: Rhythm | None = None
    told: Sequence[str] = ()

    @property
    def is_numbered(self) -> bool:
        """Whether rows are numbered, for want of times that serve."""
        return self.plan.config.time is None


def read(params: Params, name: str, wanted: Request, root: Path) -> Read:
    """Look and read; columns that have one value a site become static ones, which are no inputs."""
    found = _read(params, name, wanted, root)
    values = found.rows.static
    if not values or len(found.rows.numbers) < 2:
        return found
    config = found.plan.config
    names = columns.table_names(config)
    static = [column for column, new in names.items() if new in values]
    first = list(values[names[static[0]]].items())[:3]
    shown = ", ".join(f"{site} {value:g}" if isinstance(value, float) else f"{site} {value}" for site, value in first)
    block = {**found.block, "static": static}
    for key, listed in (("values", config.values), ("categories", config.categories)):
        block[key] = [column for column in listed or () if column not in static]
    why = f"one value a site, as {static[0]}: {shown}; kept in the table, no input"
    plan, rows = asking.plan(params, name, block, root), found.rows.without(list(values))
    return replace(found, plan=plan, rows=rows, block=block, whys={**found.whys, "static": why})


def _read(params: Params, name: str, wanted: Request, root: Path) -> Read:
    """Look and read; a step that is none is mended and the files are read again."""
    block, whys = wanted.block(root), dict[str, str]()
    try:
        plan = asking.plan(params, name, block, root)
    except NoNumbersError as error:
        columns.require_numbers(error.seen, wanted.target)
        raise
    if (values := columns.with_target(plan, wanted)) is not None:
        block["values"], whys["values"] = values, f"{wanted.target} numbers the rows, and is asked for all the same"
        plan = asking.plan(params, name, block, root)
    for key, (value, why) in plan.inferred.proposals.items():
        if f"data.{key}" not in wanted.given:
            block[key], whys[key] = value, why
    plan = asking.plan(params, name, block, root) if whys else plan
    rows = Rows(*columns.chosen(plan, wanted))
    rows.static = {column: {} for column in columns.maybe_static(plan, wanted) if column != rows.target}
    found = Read(plan, survey.read(plan, rows.add, f"new {name}"), rows, whys, block)
    found = _mended(params, name, root, found, wanted)
    found.survey.require_usable()
    if found.is_numbered:
        return _without_time(found, wanted)
    if found.plan.config.resample is not None:
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


def _mended(params: Params, name: str, root: Path, found: Read, wanted: Request) -> Read:
    """The same files read with what later rows ask for, as times spelt in another way and markers that begin late.

    Where they then cannot be read, few rows that are set aside stay so; for many of them the error is raised.
    """
    given = {*wanted.given}
    for _ in range(later_rows.PASSES + 1):
        keys, whys = later_rows.look(found.plan, found.survey, given)
        if not keys:
            break
        joined = {key: "; ".join(filter(None, (found.whys.get(key, ""), why))) for key, why in whys.items()}
        try:
            found = _again(params, name, root, found, keys, joined)
        except DataError as error:
            if found.survey.aside_share > survey.FEW:
                raise DataError(f"{error} (read with {'; '.join(whys.values())})") from None
            if "time" not in keys:
                break
            given.add("data.time")  # a slip in a few times does not hide the markers
    return _without_ordinary(params, name, root, found, wanted)


def _without_ordinary(params: Params, name: str, root: Path, found: Read, wanted: Request) -> Read:
    """The same without markers that are ordinary numbers of some column, where they are counted in all rows."""
    missing = list(found.block.get("missing") or ())
    numbers = [one for one in missing if isinstance(one, int | float)]
    if "data.missing" in wanted.given or not numbers:
        return found
    table, ends = named(found.plan.config), found.survey.watch.ends
    doubtful = [(one, column) for one in numbers for column in table if ends.may_be_ordinary(one, column)]
    counts = dict.fromkeys(doubtful, 0)

    def count(part: "pd.DataFrame") -> None:
        for one, column in doubtful:
            counts[one, column] += int((part[table[column]].to_numpy() == np.float32(one)).sum())

    if doubtful:
        block = {**found.block, "missing": [one for one in missing if one not in {number for number, _ in doubtful}]}
        survey.read(asking.plan(params, name, block, root), count, f"new {name}")
    real = {one: f"{one:g} ({cells:,} rows of {column})" for (one, column), cells in counts.items() if cells}
    if not real:
        return found
    starts = tuple(f"{one:.6g} stands" for one in real)
    whys = found.whys.get("missing", "").split("; ")
    marks, left = ([why for why in whys if why.startswith(starts) is is_one] for is_one in (True, False))
    shown, way_out = ", ".join(real.values()), f"say --set data.missing=[{min(real):g}] for all columns"
    told = (
        f"{'; '.join(marks)}; no marker of missing values, for among the ordinary numbers is {shown}: empty the cells "
    )
    kept = [one for one in missing if one not in real]
    again = _again(params, name, root, found, {"missing": kept}, {"missing": "; ".join(left)})
    return replace(again, told=[f"{told}that lack a value, or {way_out}"])


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


def _without_time(found: Read, wanted: Request) -> Read:
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
    told = found.told
    return Read(plan, survey.read(plan, rows.add, f"new {name}"), rows, {**found.whys, **whys}, block, told=told)
