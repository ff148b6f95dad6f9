"""What ``gx`` and ``datadocs`` take for granted of Great Expectations, beyond its public interface."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unroll.core.errors import ConfigError
from unroll.core.expectation import Expectation
from unroll.stages.validate import datadocs, gx

SUITE = [
    Expectation(
        "expect_column_values_to_be_between", {"column": "no2", "max_value": 2}, refuse_rows=True, reason="high"
    ),
    Expectation("expect_column_max_to_be_between", {"column": "no2", "max_value": 0}),
    Expectation("expect_column_max_to_be_between", {"column": "none", "max_value": 0}),
]


def test_the_insides_are_those_of_the_version_that_was_looked_at() -> None:
    assert ".".join(version("great_expectations").split(".")[:2]) == gx.CHECKED, (
        "read gx.py and datadocs.py beside the new version's results and page, then raise gx.CHECKED"
    )


def test_another_version_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gx, "version", lambda _: "1.25.0")
    with pytest.raises(ConfigError, match=r"^great_expectations 1\.25\.0 is installed; expected 1\.24"):
        gx.judge(pd.DataFrame({"no2": [1.0]}), SUITE, "tiny", None)


def test_results_have_the_keys_that_are_read() -> None:
    _, (by_row, whole, lost) = gx.judge(pd.DataFrame({"no2": [1.0, 2.0, 3.0]}), SUITE, "tiny", None)
    assert by_row.result["unexpected_index_list"] == [2]
    assert (by_row.result["element_count"], by_row.result["unexpected_count"]) == (3, 1)
    assert whole.result["observed_value"] == 2
    info: Mapping[str, Any] = lost.exception_info
    (raised,) = [info] if "raised_exception" in info else info.values()
    assert raised["raised_exception"]
    assert "none" in raised["exception_message"]


def test_the_page_has_what_is_rewritten_and_dressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []
    monkeypatch.setattr(datadocs, "offline", lambda page, *_, **__: pages.append(page) or "")
    report, results = gx.judge(pd.DataFrame({"no2": [1.0, 2.0, 3.0]}), SUITE[:2], "tiny", None)
    gx.write_page(report, results, tmp_path, [])
    (page,) = pages
    for mark in ("<head>", "</head>", "<body>", "<script", "<link", "<title>"):
        assert mark in page, mark
    for name in ("container-fluid", "sticky", "card-header", "alert-secondary", "fa-times", "ge-section", "option2"):
        assert name in page, f"the style's .{name} dresses nothing"


def test_a_page_that_is_built_otherwise_is_no_page() -> None:
    with pytest.raises(ValueError, match="without <head>"):
        datadocs.offline("<html><body></body></html>", "tiny", [], failed=False)
