"""The one importer of Great Expectations: judges tables by it, and draws its page.

Its results (``result.result``, ``exception_info``) and the HTML of its page are not a public interface. This module
knows them as they are in the version CHECKED; ``tests/stages/test_gx.py`` fails for any other until it was looked at.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.core.errors import ConfigError
from unroll.core.expectation import Expectation
from unroll.stages.validate import datadocs
from unroll.stages.validate import rejected as rejections
from unroll.stages.validate.outcome import SHOWN, Outcome, Report, columns, plain

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation as Native

Facts = Callable[["pd.DataFrame"], "pd.DataFrame"]
Results = dict[int, "ExpectationValidationResult"]
"""By the expectation's place in the suite."""
CHECKED = "1.24"
"""The version, up to its minor number, whose results and HTML this module knows."""


def judge(
    frame: "pd.DataFrame", expectations: Sequence[Expectation], title: str, facts: Facts | None
) -> "tuple[Report, list[ExpectationValidationResult]]":
    """Judge ``frame`` as ``validate.check`` says; the results are for ``write_page``.

    Raises ConfigError for an unknown expectation, and where another version is installed.
    """
    if not (installed := version("great_expectations")).startswith(f"{CHECKED}."):
        raise ConfigError(
            f"great_expectations {installed} is installed; expected {CHECKED}: pip install -r requirements.lock"
        )
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


def write_page(
    report: Report, results: Sequence["ExpectationValidationResult"], folder: Path, faults: Sequence[str]
) -> None:
    """The Data Docs page of a validation as ``index.html``, fit to be opened from disk without a network."""
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    for outcome, result in zip(report.outcomes, results, strict=True):
        for name in ("unexpected_list", "unexpected_index_list"):  # long, and the page does not show them
            result.result.pop(name, None)
        if "unexpected_count" in result.result and "element_count" not in result.result:
            # the page cannot draw a set that differs, nor numbers of NumPy
            result.result = {"observed_value": str(outcome.observed or "as expected")}
        result.result = datadocs.escaped(plain(result.result))
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
    return {_number(result): result for result in results.results}


def _number(result: "ExpectationValidationResult") -> int:
    config = result.expectation_config
    assert config is not None  # noqa: S101
    return int(config.meta["number"])


def _rows(result: "ExpectationValidationResult") -> np.ndarray:
    places = result.result.get("unexpected_index_list") or result.result.get("partial_unexpected_index_list") or []
    return np.asarray(places, dtype=np.int64)


def _outcome(
    expectation: Expectation, result: "ExpectationValidationResult", frame: "pd.DataFrame", aside: bool
) -> Outcome:
    detail = result.result
    rows, judged = _rows(result)[:SHOWN], int(detail.get("element_count", len(frame)))
    unexpected = int(detail.get("unexpected_count", 0)) if "element_count" in detail else 0
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
        observed=_observed(detail),
        error=error,
    )


def _observed(detail: Mapping[str, Any]) -> Any:
    """What was seen in the column or table as a whole, sorted where Great Expectations lists it by chance."""
    seen = detail.get("observed_value")
    mismatched = detail.get("details", {}).get("mismatched")
    if isinstance(mismatched, Mapping):
        seen = mismatched
    elif seen is None and "element_count" not in detail:
        lists = {"missing": detail.get("partial_missing_list"), "unexpected": detail.get("partial_unexpected_list")}
        seen = {name: set(values) for name, values in lists.items() if values} or None
    return plain(seen)


def _error(result: "ExpectationValidationResult") -> str:
    """Why it could not be judged; Great Expectations says so once, or once for each of its metrics."""
    info = result.exception_info
    raised = info if "raised_exception" in info else next(iter(info.values()), {})
    return " ".join(str(raised["exception_message"]).split()) if raised.get("raised_exception") else ""
