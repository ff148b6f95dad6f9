"""Columns of numbers that never change, of a series that was read whole: a forecast learns nothing of them."""

from dataclasses import replace
from pathlib import Path

from unroll.core.params import Params
from unroll.datasets.files.tables.series_builder import named
from unroll.workbench.new import request as asking
from unroll.workbench.new.request import Request
from unroll.workbench.new.series_rows import Read


def leave_out(found: Read, params: Params, name: str, wanted: Request, root: Path) -> Read:
    """The same rows without the inputs that hold one number in all of them, unless the values were given."""
    rows = found.rows
    held = {new: low for new in rows.names if new != rows.target and (low := rows.ends[new][0]) == rows.ends[new][1]}
    if not held or "data.values" in wanted.given:
        return found
    columns = named(found.plan.config)
    shown = ", ".join(f"{column} {held[new]:g}" for column, new in columns.items() if new in held)
    block = {**found.block, "values": [column for column, new in columns.items() if new not in held]}
    why = f"left out, for they hold one number in all rows: {shown}"
    plan, whys = asking.plan(params, name, block, root), {"values": why, **found.whys}
    return replace(found, plan=plan, rows=rows.without(list(held)), block=block, whys=whys)
