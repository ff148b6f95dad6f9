"""The gate before training, and the one importer of Great Expectations.

``check`` judges a table and hands back plain data, ``validate`` is the body of the stage of that name, and
``validate_prepared`` the same gate after preparing. What goes to an output of DVC carries no times and no run ids; the
page for people does, and lies in the task's state folder. Rows are named by their place in the table, from 1, and
refused ones also by what tells them in the source.
"""

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from unroll.core import store
from unroll.core.config import DataConfig
from unroll.core.errors import ConfigError, ValidationError
from unroll.core.expectation import Expectation
from unroll.core.layout import Layout
from unroll.stages.validate import rejected as rejections
from unroll.stages.validate.outcome import SHOWN, Outcome, Report, columns, plain, share_fault

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation as Native
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    from unroll.datasets.common.base import Dataset
    from unroll.problems.common.preparation import Check

D = TypeVar("D", bound=DataConfig)
Facts = Callable[["pd.DataFrame"], "pd.DataFrame"]
Results = dict[int, "ExpectationValidationResult"]
"""By the expectation's place in the suite."""


def check(
    frame: "pd.DataFrame",
    expectations: Sequence[Expectation],
    *,
    title: str,
    docs: Path | None = None,
    facts: Facts | None = None,
) -> Report:
    """Judge ``frame``, joined with the columns that ``facts`` derives from it, by a suite named ``title``.

    Expectations with ``refuse_rows`` see every row. The others, and those that refused some once more, see the rows
    that remain, with facts derived anew: a refused row leaves a gap, and may have been the last of its class. With
    ``docs`` a page for people is written to that folder. Raises ConfigError for an expectation that Great Expectations
    does not know or whose arguments are wrong.
    """
    report, results = _judge(frame, expectations, title, facts)
    if docs is not None:
        _write_page(report, results, docs, [])
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
    report, results = _judge(table, suite, f"{layout.task} raw", lambda rows: dataset.facts(rows, config))
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
    _write_page(report, results, layout.state / "validation", faults)
    rejections.write(layout.rejected / "rows.csv", rejected)
    where = source.relative_to(layout.root).as_posix()
    _publish(report, summary, layout, "validation", where)
    if rejected:
        kept = (layout.rejected / "rows.csv").relative_to(layout.root).as_posix()
        first = "" if fault else f"; the first: {rejected[0].text()}"
        told = f"{len(rejected):,} of {total:,}, kept with their reasons in {kept}{first}"
        sys.stderr.write(f"{where}: rows set aside: {told}\n")
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


def _judge(
    frame: "pd.DataFrame", expectations: Sequence[Expectation], title: str, facts: Facts | None
) -> "tuple[Report, list[ExpectationValidationResult]]":
    """The two passes of ``check``."""
    suite = [_native(expectation, number) for number, expectation in enumerate(expectations)]
    frame = frame.reset_index(drop=True)
    whole = _join(frame, facts)
    first = _run(whole, [n for n, e in zip(suite, expectations, strict=True) if e.refuse_rows], title, complete=True)
    against = {number: rows for number, result in first.items() if len(rows := _rows(result))}
    rejected = rejections.reject(whole, expectations, against)
    refused = np.zeros(len(frame), dtype=bool)
    refused[[row.row - 1 for row in rejected]] = True
    rest = _join(frame[~refused], facts) if rejected else whole
    second = _run(rest, [n for i, n in enumerate(suite) if i not in first or i in against], title, complete=False)
    outcomes, results = [], []
    for number, expectation in enumerate(expectations):
        aside = number in against and bool(second[number].success)
        seen, result = (rest, second[number]) if number in second and not aside else (whole, first[number])
        outcomes.append(_outcome(expectation, result, seen, aside))
        results.append(result)
    return Report(title, tuple(outcomes), refused, tuple(rejected)), results


def _publish(report: Report, summary: Mapping[str, Any], layout: Layout, name: str, where: str) -> None:
    """To DVC's metrics, to the state folder (DVC keeps no output of a stage that fails), and warnings to the screen."""
    store.write_json(layout.reports / f"{name}.json", summary)
    store.write_json(layout.state / name / "result.json", summary)
    for outcome in report.failed("warning"):
        sys.stderr.write(f"{where}: warning: {outcome.text()}\n")
    if not summary["success"]:
        page = layout.state / name / "index.html"
        sys.stderr.write(f"{where}: all findings: {page.relative_to(layout.root).as_posix()}\n")


def _join(frame: "pd.DataFrame", facts: Facts | None) -> "pd.DataFrame":
    """``frame`` beside its facts, which are derived from rows counted from 0, under its own row numbers."""
    if facts is None:
        return frame
    import pandas as pd

    derived = facts(frame.reset_index(drop=True))
    return pd.concat([frame, derived.set_axis(frame.index, axis=0)], axis=1)


def _native(expectation: Expectation, number: int) -> "Native":
    """The expectation in Great Expectations' own class; ``number`` leads from its result back to it."""
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations import expectation as base
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    kind, place = expectation.type, f"expectation {number + 1} ({expectation.type})"
    try:
        implementation = get_expectation_impl(kind)
        severity = FailureSeverity(expectation.severity)
        native = implementation(**expectation.kwargs, severity=severity, meta={"number": number})
    except ExpectationNotFoundError:
        near = difflib.get_close_matches(kind, list_registered_expectation_implementations(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{place}: Great Expectations has none of this type{hint}") from None
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{place}: {plain(expectation.kwargs)}: {' '.join(str(error).split())}") from None
    by_row = (base.ColumnMapExpectation, base.ColumnPairMapExpectation, base.MulticolumnMapExpectation)
    if expectation.refuse_rows and not isinstance(native, by_row):
        raise ConfigError(f"{place}: refuse_rows is set; expected a type that judges single rows")
    return native


def _run(frame: "pd.DataFrame", natives: Sequence["Native"], title: str, *, complete: bool) -> Results:
    """Judge ``frame`` in a context that writes nothing; ``complete``: with the numbers of all rows against it."""
    if not natives:
        return {}
    import great_expectations as gx
    from great_expectations.data_context.types import base

    quiet = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=base.ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=quiet)
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset(title)
    batch = asset.add_batch_definition_whole_dataframe("all rows").get_batch(batch_parameters={"dataframe": frame})
    detail = {"result_format": "COMPLETE" if complete else "SUMMARY", "return_unexpected_index_query": False}
    results = batch.validate(gx.ExpectationSuite(name=title, expectations=list(natives)), result_format=detail)
    return {_config(result).meta["number"]: result for result in results.results}


def _config(result: "ExpectationValidationResult") -> "ExpectationConfiguration":
    config = result.expectation_config
    assert config is not None  # noqa: S101
    return config


def _rows(result: "ExpectationValidationResult") -> np.ndarray:
    found = result.result.get("unexpected_index_list") or result.result.get("partial_unexpected_index_list") or []
    return np.asarray(found, dtype=np.int64)


def _outcome(
    expectation: Expectation, result: "ExpectationValidationResult", frame: "pd.DataFrame", aside: bool
) -> Outcome:
    found = result.result
    rows, judged = _rows(result)[:SHOWN], int(found.get("element_count", len(frame)))
    unexpected = int(found.get("unexpected_count", 0)) if "element_count" in found else 0
    error = _error(result)
    if error and not set(columns(expectation.kwargs)).issubset(frame.columns):
        error = f"no such column among {', '.join(map(str, frame.columns[:20]))}"
    return Outcome(
        type=expectation.type,
        kwargs=plain(expectation.kwargs),
        severity=expectation.severity,
        reason=expectation.reason,
        success=bool(result.success),
        set_aside=aside,
        judged=judged,
        unexpected=unexpected,
        share=unexpected / max(judged, 1),
        rows=(rows + 1).tolist(),
        values=rejections.values(frame, expectation.kwargs, rows) if len(rows) else [],
        observed=_observed(found),
        error=error,
    )


def _observed(found: Mapping[str, Any]) -> Any:
    """What was seen in the column or table as a whole, sorted where Great Expectations lists it by chance."""
    seen = found.get("observed_value")
    mismatched = found.get("details", {}).get("mismatched")
    if isinstance(mismatched, Mapping):
        seen = mismatched
    elif seen is None and "element_count" not in found:
        lists = {"missing": found.get("partial_missing_list"), "unexpected": found.get("partial_unexpected_list")}
        seen = {name: set(values) for name, values in lists.items() if values} or None
    return plain(seen)


def _error(result: "ExpectationValidationResult") -> str:
    """Why it could not be judged; Great Expectations says so once, or once for each of its metrics."""
    info = result.exception_info
    raised = info if "raised_exception" in info else next(iter(info.values()), {})
    return " ".join(str(raised["exception_message"]).split()) if raised.get("raised_exception") else ""


def _write_page(
    report: Report, results: Sequence["ExpectationValidationResult"], folder: Path, faults: Sequence[str]
) -> None:
    """The Data Docs page of a validation as ``index.html``, fit to be opened from disk without a network."""
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    from unroll.stages.validate import datadocs

    for outcome, result in zip(report.outcomes, results, strict=True):
        for name in ("unexpected_list", "unexpected_index_list"):  # long, and the page does not show them
            result.result.pop(name, None)
        if "unexpected_count" in result.result and "element_count" not in result.result:
            result.result = {
                "observed_value": str(outcome.observed or "as expected")
            }  # it has no drawing of its own for a set that differs
        result.result = datadocs.escaped(plain(result.result))  # and none for numbers of NumPy
    met = sum(bool(result.success) for result in results)
    statistics = {
        "evaluated_expectations": len(results),
        "successful_expectations": met,
        "unsuccessful_expectations": len(results) - met,
        "success_percent": 100 * met / max(len(results), 1),
    }
    failed = bool(faults or report.failed("critical"))
    whole = ExpectationSuiteValidationResult(
        success=not failed, results=list(results), suite_name=report.title, statistics=statistics
    )
    document = ValidationResultsPageRenderer(run_info_at_end=True).render(whole)
    page = DefaultJinjaPageView().render(document)  # type: ignore[no-untyped-call]
    aside = [f"set aside: {outcome.text()}" for outcome in report.outcomes if outcome.set_aside]
    store.write_text(
        folder / "index.html",
        datadocs.offline(page, report.title, [*faults, *report.failures(), *aside], failed=failed),
    )
