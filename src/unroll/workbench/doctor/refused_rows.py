"""What ingest and validation reported of a task's rows when they last ran: how many were set aside, what is odd."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.stages.common.task import Task
from unroll.stages.validate import rejected
from unroll.workbench.doctor.findings import Finding, fine, note

SHOWN = 3
"""Findings of a validation that are shown one by one."""


def look(task: Task) -> Iterator[Finding]:
    """Nothing where no validation has ended, well or not."""
    layout = task.layout
    try:
        result: Any = store.read_json(layout.state / "validation" / "result.json")
        rows, aside, failures = int(result["rows"]), int(result["rejected_rows"]), list(result["failures"])
        critical = len(failures) - int(result["expectations"]["failed"]["warning"])  # which come first
    except (StoreError, KeyError, TypeError):
        return
    if aside:
        path = layout.rejected / "rows.csv"
        kept = path.relative_to(layout.root).as_posix()
        what = f"{aside:,} of {rows:,} set aside ({100 * aside / max(rows, 1):.2g} %){_first(path)}"
        yield note("rows", what, f"see {kept}, which has them with their reasons")
    else:
        yield fine("rows", f"{rows:,}, none set aside")
    for number, line in enumerate(failures[:SHOWN]):
        yield note("validation", line, "fix the files or the block" if number < critical else "")
    if len(failures) > SHOWN:
        page = (layout.state / "validation" / "index.html").relative_to(layout.root).as_posix()
        yield note("validation", f"{len(failures) - SHOWN} more findings", f"see {page}")


def _first(path: Path) -> str:
    """The first of the rows set aside; nothing where the list is missing."""
    try:
        listed = rejected.read(path)
    except StoreError:
        return ""
    return f"; the first: {listed[0].text()}" if listed else ""
