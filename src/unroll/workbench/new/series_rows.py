"""The rows of a series as ``new`` reads them, their block completed. Shapes: T rows, F columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import DataError
from unroll.core.text import few
from unroll.datasets.files import Plan
from unroll.datasets.files.columns.ends import Marker
from unroll.datasets.files.infer.series_columns_seen import NoNumbersError, plain_number
from unroll.datasets.files.tables.series_builder import named
from unroll.workbench.new import rhythm, series_columns
from unroll.workbench.new.rhythm import Rhythm
from unroll.workbench.new.session import Session
from unroll.workbench.new.survey import FEW, PASSES, Survey

if TYPE_CHECKING:
    import pandas as pd

Whys = Mapping[str, Sequence[object]]
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
        code, sites = np.concatenate(self.sites), {}
        for name, number in self.numbers.items():
            own = np.flatnonzero(code == number)
            own = own[np.argsort(seconds[own], kind="stable")]
            sites[name] = Site(seconds[own], missing[own], values[own])
        order = sorted(sites, key=lambda name: -int(np.isfinite(sites[name].values_T).sum()))
        return {name: sites[name] for name in order}

    def first_site(self) -> Site:
        """The one with most values of the target."""
        return next(iter(self.by_site().values()))

    def to_learn_from(self) -> np.ndarray:
        """The target in the rows that will train, at the site with most of it."""
        values_T = self.first_site().values_T
        return values_T[: int(TRAINED * len(values_T))]


@dataclass(frozen=True)
class SeriesFiles:
    """The files of a series, read: the plan, what the pass came to, the rows, and reasons of keys of the data block.

    ``changed`` are keys that the block must also have; ``rhythm`` is there where rows are numbered: their times tell of
    no day or week.
    """

    session: Session
    plan: Plan
    survey: Survey
    rows: Rows
    block: Mapping[str, Any]
    whys: Whys
    changed: Mapping[str, Any] = field(default_factory=dict)
    rhythm: Rhythm | None = None
    warnings: Sequence[str] = ()

    @property
    def is_numbered(self) -> bool:
        """Whether rows are numbered, for want of usable times."""
        return self.plan.config.time is None

    def is_given(self, key: str) -> bool:
        """Whether a key of the data block was given, so that it stays as it is."""
        return f"data.{key}" in self.session.request.given

    def again(self, keys: Mapping[str, Any], whys: Whys) -> "SeriesFiles":
        """The files read once more, with other keys of the block."""
        block, rows = {**self.block, **keys}, Rows(self.rows.names, self.rows.target)
        rows.static = {column: {} for column in self.rows.static if "resample" not in keys}
        plan = self.session.plan(block)
        survey = self.session.read(plan, rows.add)
        whys = {**self.whys, **whys}
        return SeriesFiles(self.session, plan, survey, rows, block, whys, warnings=self.warnings)

    def without(self, names: Sequence[str], keys: Mapping[str, Any], whys: Whys) -> "SeriesFiles":
        """The same rows without some columns of numbers, and another block; nothing is read again."""
        block = {**self.block, **keys}
        rows, whys = self.rows.without(names), {**self.whys, **whys}
        return replace(self, plan=self.session.plan(block), rows=rows, block=block, whys=whys)

    def numbered(self, step: str, why: str) -> "SeriesFiles":
        """The same rows, numbered from the first one's day, whatever their times."""
        config = self.plan.config
        first = str(np.datetime64(int(self.rows.first_site().seconds_T[0]), "s"))
        columns = {"values": list(config.values or ()), "categories": list(config.categories or ())}
        files = self.again({"time": None, "start": first, "step": step, **columns}, {"start": [why]})
        return replace(files, changed={"time": None}, rhythm=rhythm.of_values(files.rows.to_learn_from()))


def read(session: Session) -> SeriesFiles:
    """Look and read; columns of numbers that are no inputs are left out."""
    return _without_constant(_without_static(_read(session)))


def _without_static(files: SeriesFiles) -> SeriesFiles:
    """Columns that have one value a site become static ones."""
    values = files.rows.static
    if not values or len(files.rows.numbers) < 2:
        return files
    config = files.plan.config
    names = series_columns.table_names(config)
    static = [column for column, new in names.items() if new in values]
    first = list(values[names[static[0]]].items())[:3]
    shown = ", ".join(f"{site} {value:g}" if isinstance(value, float) else f"{site} {value}" for site, value in first)
    keys: dict[str, Any] = {"static": static}
    for key, listed in (("values", config.values), ("categories", config.categories)):
        keys[key] = [column for column in listed or () if column not in static]
    why = f"one value a site, as {static[0]}: {shown}; kept in the table, no input"
    return files.without(list(values), keys, {"static": [why]})


def _without_constant(files: SeriesFiles) -> SeriesFiles:
    """Inputs that hold one number in all rows are left out, unless the values were given."""
    rows = files.rows
    held = {new: low for new in rows.names if new != rows.target and (low := rows.ends[new][0]) == rows.ends[new][1]}
    if not held or files.is_given("values"):
        return files
    columns = named(files.plan.config)
    shown = ", ".join(f"{column} {held[new]:g}" for column, new in columns.items() if new in held)
    kept = [column for column, new in columns.items() if new not in held]
    why = [f"left out, for they hold one number in all rows: {shown}"]
    return files.without(list(held), {"values": kept}, {"values": files.whys.get("values", why)})


def _read(session: Session) -> SeriesFiles:
    """Look and read; where rows come at no regular step, the block is changed and the files are read again."""
    files = _completed(_first(session))
    files.survey.require_usable()
    if files.is_numbered:
        return _without_time(files)
    if files.plan.config.resample is not None:
        return files
    seconds_T = files.rows.first_site().seconds_T
    if uneven := rhythm.calendar_step(seconds_T):
        days, season = uneven
        why = "months, quarters and years are not equally long: rows are numbered, and times of answers are near ones"
        return replace(files.numbered(f"{days}d", why), rhythm=rhythm.numbered(season))
    if rhythm.regular_share(seconds_T, int(files.survey.facts["step_s"] or 1)) >= rhythm.REGULAR:
        return files
    every = {"resample": {"every": rhythm.name(rhythm.nice_step(seconds_T)), "how": "mean"}}
    return replace(files.again(every, {"resample": ["rows come at no regular step"]}), changed=every)


def _first(session: Session) -> SeriesFiles:
    """The files with the block as it is given and as the first rows complete it."""
    request, block, whys = session.request, session.block(), dict[str, Sequence[object]]()
    try:
        plan = session.plan(block)
    except NoNumbersError as error:
        series_columns.require_numbers(error.seen, request.target)
        raise
    if (values := series_columns.with_target(plan, request)) is not None:
        block["values"] = values
        whys["values"] = [f"{request.target} numbers the rows, and is the target all the same"]
        plan = session.plan(block)
    for key, (value, why) in plan.inferred.proposals.items():
        if f"data.{key}" not in request.given:
            block[key], whys[key] = value, why
    plan = session.plan(block) if whys else plan
    rows = Rows(*series_columns.chosen(plan, request))
    rows.static = {column: {} for column in series_columns.maybe_static(plan, request) if column != rows.target}
    return SeriesFiles(session, plan, session.read(plan, rows.add), rows, block, whys)


def _completed(files: SeriesFiles) -> SeriesFiles:
    """The same files read with what later rows ask for, as times in another format and markers that begin late.

    Where they then cannot be read, few rows that are set aside stay so; for many of them the error is raised.
    """
    given = {*files.session.request.given}
    for _ in range(PASSES + 1):
        keys, whys = files.survey.later(files.plan, given)
        if not keys:
            break
        try:
            files = files.again(keys, {key: [*files.whys.get(key, ()), *why] for key, why in whys.items()})
        except DataError as error:
            if files.survey.aside_share > FEW:
                raise DataError(f"{error} (read with {'; '.join(map(few, whys.values()))})") from None
            if "time" not in keys:
                break
            given.add("data.time")  # a few misspelt times do not hide the markers
    return _without_ordinary(files)


def _without_ordinary(files: SeriesFiles) -> SeriesFiles:
    """The same without markers that are ordinary numbers of some column, where they are counted in all rows."""
    missing = list(files.block.get("missing") or ())
    numbers = [one for one in missing if isinstance(one, int | float)]
    if files.is_given("missing") or not numbers:
        return files
    table, ends = named(files.plan.config), files.survey.watch.ends
    counts = {(one, column): 0 for one in numbers for column in table if ends.may_be_ordinary(one, column)}

    def count(part: "pd.DataFrame") -> None:
        for one, column in counts:
            counts[one, column] += int((part[table[column]].to_numpy() == np.float32(one)).sum())

    if counts:
        certain = [one for one in missing if one not in {number for number, _ in counts}]
        files.session.read(files.session.plan({**files.block, "missing": certain}), count)
    ordinary = {one: f"{one:g} ({cells:,} rows of {column})" for (one, column), cells in counts.items() if cells}
    if not ordinary:
        return files
    markers, others = list[object](), list[object]()
    for why in files.whys.get("missing", ()):
        of_ordinary = isinstance(why, Marker) and plain_number(why.number) in ordinary
        (markers if of_ordinary else others).append(why)
    warning = (
        f"{'; '.join(map(str, markers))}; no marker of missing values, for among the ordinary numbers is "
        f"{', '.join(ordinary.values())}: empty the cells that lack a value, or say "
        f"--set data.missing=[{min(ordinary):g}] for all columns"
    )
    kept = [one for one in missing if one not in ordinary]
    return replace(files.again({"missing": kept}, {"missing": others}), warnings=[warning])


def _without_time(files: SeriesFiles) -> SeriesFiles:
    """Rows of which no column tells the time: a given step is known, the one that was taken for want of it is not."""
    if files.is_given("step"):
        why = "as given; no column tells the time: rows are numbered"
        return replace(files, whys={**files.whys, "step": [why]})
    why = (
        "no column tells the time: rows are numbered, and a second stands for a row; --set data.step=1h if it is known"
    )
    whys = {**files.whys, "start": [why]}
    return replace(files, whys=whys, rhythm=rhythm.of_values(files.rows.to_learn_from()))
