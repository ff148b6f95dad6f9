"""The gate before training.

``check`` judges a table and hands back plain data, ``validate`` is the body of the stage of that name, and
``validate_prepared`` the same gate after preparing. What goes to an output of DVC carries no times and no run ids; the
page for people does, and lies in the task's state folder. Rows are named by their place in the table, from 1, and
refused ones also by what identifies them in the source.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from unroll.core import store
from unroll.core.config import DataConfig
from unroll.core.errors import ConfigError, ValidationError
from unroll.core.expectation import Expectation
from unroll.core.layout import Layout
from unroll.stages.validate import gx
from unroll.stages.validate import rejected as rejections
from unroll.stages.validate.outcome import Report, plain, share_fault

if TYPE_CHECKING:
    import pandas as pd

    from unroll.datasets.common.base import Dataset
    from unroll.problems.common.preparation import Check

D = TypeVar("D", bound=DataConfig)


def check(
    frame: "pd.DataFrame",
    expectations: Sequence[Expectation],
    *,
    title: str,
    docs: Path | None = None,
    facts: gx.Facts | None = None,
) -> Report:
    """Judge ``frame``, joined with the columns that ``facts`` derives from it, by a suite named ``title``.

    Expectations with ``refuse_rows`` see every row. The others, and those that refused some once more, see the rows
    that remain, with facts derived anew: a refused row leaves a gap, and may have been the last of its class. With
    ``docs`` a page for people is written to that folder. Raises ConfigError for an expectation that Great Expectations
    does not know or whose arguments are wrong.
    """
    report, results = gx.judge(frame, expectations, title, facts)
    if docs is not None:
        gx.write_page(report, results, docs, [])
    return report


def require(report: Report, where: str) -> None:
    """Raise ValidationError if a critical expectation failed: one line that starts with ``where``, the file."""
    faults = [outcome.text() for outcome in report.failed("critical")]
    if faults:
        more = f"; and {len(faults) - 3} more critical failures" if len(faults) > 3 else ""
        raise ValidationError(f"{where}: {'; '.join(faults[:3])}{more}")


def validate(dataset: "Dataset[D]", config: D, layout: Layout) -> Report:
    """Judge the raw table of a task; write the accepted rows, the rejected ones with their reason, and the result.

    Raises ValidationError when a critical expectation fails or more than ``max_rejected_share`` of the rows had to be
    set aside. The result and the page are in the state folder even then, and no validated table is left behind.
    """
    source, target = layout.raw / "table.parquet", layout.validated / "table.parquet"
    target.unlink(missing_ok=True)
    unreadable = rejections.read(layout.raw / "rejected.csv")
    if dataset.in_place:
        config = dataset.settled(config, store.read_json(layout.raw / "manifest.json")["found"])
    table = store.read_table(source)
    suite = dataset.expectations(config)
    report, results = gx.judge(table, suite, f"{layout.task} raw", lambda rows: dataset.facts(rows, config))
    rejected = [*unreadable, *report.rejected]
    total = len(table) + len(unreadable)
    fault = share_fault(rejected, total, config.max_rejected_share)
    summary = {
        "rows": total,
        "accepted_rows": total - len(rejected),
        "rejected_rows": len(rejected),
        "rejected_share": len(rejected) / max(total, 1),
        **report.summary(),
    }
    faults = [f"critical: {fault}"] if fault else []
    if faults:
        summary |= {"success": False, "failures": [*faults, *report.failures()]}
    gx.write_page(report, results, layout.state / "validation", faults)
    rejections.write(layout.rejected / "rows.csv", rejected)
    where = source.relative_to(layout.root).as_posix()
    _publish(report, summary, layout, "validation", where)
    if rejected:
        kept = (layout.rejected / "rows.csv").relative_to(layout.root).as_posix()
        first = "" if fault else f"; the first: {rejected[0].text()}"
        aside = f"{len(rejected):,} of {total:,}, kept with their reasons in {kept}{first}"
        sys.stderr.write(f"{where}: rows set aside: {aside}\n")
    if fault:
        raise ValidationError(f"{where}: {fault}")
    require(report, where)
    store.write_table(target, table[~report.refused])
    return report


def validate_prepared(prepared: "Check", layout: Layout) -> Report:
    """Judge the facts about a task's prepared data; write the result, raise ValidationError if a critical one fails.

    A frame of one row of facts is written to the metrics as it is. Nothing can be set aside here.
    """
    refusing = [expectation.type for expectation in prepared.expectations if expectation.refuse_rows]
    if refusing:
        raise ConfigError(f"{refusing[0]}: refuse_rows is set; prepared data has no rows that could be set aside")
    where = layout.prepared.relative_to(layout.root).as_posix()
    report = check(
        prepared.facts, prepared.expectations, title=f"{layout.task} prepared", docs=layout.state / "prepared"
    )
    facts = plain(prepared.facts.iloc[0].to_dict()) if len(prepared.facts) == 1 else {}
    _publish(report, {"facts": facts, **report.summary()}, layout, "prepared", where)
    require(report, where)
    return report


def _publish(report: Report, summary: Mapping[str, Any], layout: Layout, name: str, where: str) -> None:
    """To DVC's metrics, to the state folder (DVC keeps no output of a stage that fails), and warnings to the screen."""
    store.write_json(layout.reports / f"{name}.json", summary)
    store.write_json(layout.state / name / "result.json", summary)
    for outcome in report.failed("warning"):
        sys.stderr.write(f"{where}: warning: {outcome.text()}\n")
    if not summary["success"]:
        page = layout.state / name / "index.html"
        sys.stderr.write(f"{where}: all findings: {page.relative_to(layout.root).as_posix()}\n")
