"""Which columns of a series are inputs, which is the target, and which may be static. Shapes: N rows looked at."""

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files import FilesConfig, Plan
from unroll.datasets.files.columns import parsing
from unroll.datasets.files.config import identifier
from unroll.datasets.files.first_look import Look
from unroll.datasets.files.infer.seen import Seen
from unroll.datasets.files.reading import require_columns
from unroll.datasets.files.tables.series_builder import named
from unroll.workbench.new.parts import percent
from unroll.workbench.new.request import Request
from unroll.workbench.new.session import place_name

MOST_INPUTS = 20
"""Columns of numbers that are inputs; of more those that go most with the target."""


def chosen(plan: Plan, request: Request) -> tuple[list[str], str]:
    """The names in the table of the columns that are inputs, and of the target."""
    config, look = plan.config, plan.look
    names = named(config)
    target = request.target
    if target is None:
        if len(names) > 1:
            raise DataError(
                f"{look.file}: several columns of numbers; expected --target to name one: {', '.join(names)}"
            )
        target = next(iter(names))
    own = {new: old for old, new in names.items()}
    target = own.get(target, target)
    if target not in look.columns and not look.reading.header and place_name(target) in look.columns:
        target = place_name(target)
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


def maybe_static(plan: Plan, request: Request) -> list[str]:
    """Names in the table of columns that have one value a site in the first rows, where nothing is given."""
    config, frame = plan.config, plan.look.frame
    given = {key for key in ("values", "categories", "static", "resample") if f"data.{key}" in request.given}
    if config.site is None or config.resample is not None or given:
        return []
    most = frame.groupby(config.site, sort=False)[[*(config.values or ()), *(config.categories or ())]].nunique().max()
    names = table_names(config)
    return [names[str(column)] for column, count in most.items() if count == 1]


def table_names(config: FilesConfig) -> dict[str, str]:
    """The name in the table of each column of numbers or words."""
    return {**named(config), **{column: identifier(column) for column in config.categories or ()}}


def require_numbers(seen: Seen, target: str | None) -> None:
    """Raise DataError that says why the given target cannot be forecast, where no column can."""
    if target is None:
        return
    require_columns(seen.look.file, seen.look.columns, [target], seen.look.left_out)
    if not seen.columns[target].is_numeric and (why := seen.look.odd(target, seen.marks)):
        raise DataError(f"{seen.look.file}: column {target!r} cannot be forecast: {why}; expected a column of numbers")


def with_target(plan: Plan, request: Request) -> list[str] | None:
    """The columns of numbers and the target, where it was left out for it goes up by one from row to row; else None."""
    values = plan.config.values or ()
    target = plan.inferred.columns.get(request.target or "")
    if target is None or target.name in values or not plan.open_values:
        return None
    if not (target.is_numeric and target.counts_rows):
        return None
    return [column for column in plan.look.columns if column in values or column == target.name]


def _why_none(plan: Plan, target: str) -> str:
    """Why a column of the file is none of those that can be forecast, with a row where one is to blame."""
    column, config = plan.inferred.columns[target], plan.config
    if column.is_empty:
        return "it is empty"
    if not column.is_numeric:
        marks = parsing.Marks.of(config.missing or (), config.decimal, config.thousands)
        return plan.look.odd(target, marks)
    if column.missing_share > config.max_missing_share:
        share = f"{percent(column.missing_share)} of its cells hold no number"
        return f"{share}, and at most {percent(config.max_missing_share)} may (data.max_missing_share)"
    return "the block has another use for it"


def _likeness(look: Look, config: FilesConfig, one: str, other: str) -> float:
    """How closely two columns go together in the first rows: the correlation, without its sign."""
    marks = parsing.Marks.of(config.missing or (), config.decimal, config.thousands)
    a_N, b_N = (parsing.numbers(look.frame[name], marks, name)[0] for name in (one, other))
    both_N = np.isfinite(a_N) & np.isfinite(b_N)
    if both_N.sum() < 3 or not a_N[both_N].std() or not b_N[both_N].std():
        return 0.0
    return abs(float(np.corrcoef(a_N[both_N], b_N[both_N])[0, 1]))
