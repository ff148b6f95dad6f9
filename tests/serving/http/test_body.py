"""Bodies of requests: what is taken, and what is refused with which place."""

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unroll import problems
from unroll.core.errors import TableError
from unroll.problems.common.inputs import Column, Inputs
from unroll.serving.http.body import Records, of_many, read
from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits

LIMITS = Limits(rows=3, cell_characters=8)
TEXTS = Inputs(
    {
        "text": Column("text", "text", "A text", longest=8),
        "length": Column("length", "number", "", False, whole=True, low=1, high=100, default=20),
        "temperature": Column("temperature", "number", "", False, low=0, high=10, default=0.5),
    },
    {},
)
VALUES = Inputs({"a": Column("a", "number", "", nullable=True), "b": Column("b", "number", "")}, {})


def asked(body: bytes, wanted: Inputs = TEXTS) -> Records:
    return of_many(body, wanted, LIMITS)


def test_records_become_columns() -> None:
    found = asked(b'{"records": [{"text": "caf\\u00e9", "length": 5.0}, {"text": "b"}]}')
    assert (found.rows, dict(found.columns)) == (2, {"text": ["café", "b"], "length": [5, 20]})
    pd.testing.assert_frame_equal(found.frame(), pd.DataFrame({"text": ["café", "b"], "length": [5, 20]}))


def test_null_is_a_missing_number_where_one_may_be_missing() -> None:
    found = asked(b'{"records": [{"a": null, "b": 2}, {"a": -1e15, "b": 0.5}]}', VALUES)
    assert math.isnan(found.columns["a"][0])
    assert (found.columns["a"][1], found.columns["b"]) == (-1e15, [2.0, 0.5])


FAULTY = [
    (b"", "bad_request", "body: empty; expected JSON", None, None),
    (b"{", "bad_request", "body: line 1 column 2: .*; expected JSON", None, None),
    (b'{"records": [{"text": "a\xff"}]}', "bad_request", "body: byte 24 is not UTF-8", None, None),
    (b'{"records": [{"text": "a", "length": NaN}]}', "bad_request", "NaN is not JSON", None, None),
    (b'{"records": [{"text": "a", "length": -Infinity}]}', "bad_request", "-Infinity is not JSON", None, None),
    (b"[" * 100_000, "bad_request", "body: nested too deeply", None, None),
    (b'{"records":' * 50_000, "bad_request", "body: nested too deeply", None, None),
    (b"9" * 5000, "bad_request", "body: a number with too many digits", None, None),
    (b"[]", "invalid", "body: a list of 0; expected an object", None, None),
    (b"null", "invalid", "body: None; expected an object", None, None),
    (b"{}", "invalid", "records: missing", "records", None),
    (b'{"recods": []}', "invalid", "body: 'recods' is not a column; expected records", "recods", None),
    (b'{"records": []}', "invalid", "records: a list of 0; expected a list of at least one object", "records", None),
    (b'{"records": {"text": "a"}}', "invalid", "records: an object of 1; expected a list", "records", None),
    (b'{"records": [{},{},{},{}]}', "invalid", "records: 4 rows; expected at most 3", "records", None),
    (b'{"records": ["a"]}', "invalid", "row 1: 'a'; expected an object", None, 1),
    (b'{"records": [{"text": "a"}, {}]}', "invalid", "row 2: column 'text' is missing", "text", 2),
    (b'{"records": [{"text": "a", "x": 1}]}', "invalid", "row 1: 'x' is not a column; expected length", "x", 1),
    (b'{"records": [{"text": 5}]}', "invalid", "row 1, column text: 5; expected a text", "text", 1),
    (b'{"records": [{"text": null}]}', "invalid", "row 1, column text: None; expected a text", "text", 1),
    (b'{"records": [{"text": ["a"]}]}', "invalid", "row 1, column text: a list of 1; expected a text", "text", 1),
    (b'{"records": [{"text": "123456789"}]}', "invalid", "column text: 9 characters; expected at most 8", "text", 1),
    (b'{"records": [{"text": "\\ud800"}]}', "invalid", "row 1, column text: .*surrogate", "text", 1),
    (b'{"records": [{"text": "a", "length": true}]}', "invalid", "column length: True; expected a number", "length", 1),
    (b'{"records": [{"text": "a", "length": "5"}]}', "invalid", "column length: '5'; expected a number", "length", 1),
    (b'{"records": [{"text": "a", "length": 1.5}]}', "invalid",
     "column length: 1.5; expected a whole number from 1 to 100", "length", 1),
    (b'{"records": [{"text": "a"}, {"text": "a", "length": 0}]}', "invalid", "row 2, column length: 0;", "length", 2),
    (b'{"records": [{"text": "a", "length": 1e999}]}', "invalid", "column length: inf; expected", "length", 1),
    (b'{"records": [{"text": "a", "length": %s}]}' % (b"9" * 4000), "invalid",
     "a whole number of 13288 bits; expected", "length", 1),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "message", "field", "row"), FAULTY, ids=range(len(FAULTY)))
def test_what_is_wrong_is_named(body: bytes, kind: str, message: str, field: str | None, row: int | None) -> None:
    with pytest.raises(RequestError) as caught:
        asked(body)
    error = caught.value
    assert (error.kind, error.field, error.row) == (kind, field, row), str(error)
    assert re.search(message, str(error)), str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 300


def test_numbers_that_nobody_measures_are_refused() -> None:
    with pytest.raises(
        RequestError, match=r"row 1, column b: 2000000000000000\.0; expected a number from -1e\+15 to 1e\+15"
    ):
        asked(b'{"records": [{"a": 1, "b": 2e15}]}', VALUES)
    with pytest.raises(RequestError, match=r"row 1, column b: None; expected a number"):
        asked(b'{"records": [{"a": 1, "b": null}]}', VALUES)


def test_what_a_problem_says_of_a_row_is_told_apart() -> None:
    error = RequestError.of(TableError("'much'; expected a number", row=3, column="no_ug_m3"))
    assert (error.status, error.field, error.row) == (422, "no_ug_m3", 3)
    error = RequestError.of(TableError("column 'text' is missing; expected a column of texts", column="text"))
    assert (error.status, error.field, error.row) == (422, "text", None)


@pytest.mark.parametrize("name", problems.names())
def test_made_up_records_fit_the_columns_of_every_problem(name: str, tmp_path: Path) -> None:
    from problems import tables  # type: ignore[attr-defined]  # that of the tests

    case = tables.CASES[name]
    problem, _, _ = case.open()
    meta = case.run(tmp_path).meta
    rows = problem.answering.made_up(meta)
    assert read(rows, problem.answering.inputs(meta, LIMITS.cell_characters * 1000)).rows == len(rows) > 0


def schema(**changes: Any) -> dict[str, Any]:
    return Column("a", "number", "what", **changes).schema()


def test_a_column_is_described_with_its_bounds() -> None:
    assert schema() == {"type": "number", "description": "what"}
    assert schema(nullable=True)["type"] == ["number", "null"]
    assert schema(whole=True, low=1, high=9, default=3) == {
        "type": "integer", "description": "what", "minimum": 1, "maximum": 9, "default": 3,
    }  # fmt: skip
