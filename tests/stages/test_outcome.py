"""Plain data and words, checked against JSON and against counting by hand."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unroll.datasets.common.base import Rejected
from unroll.stages.validate.outcome import plain, share_fault


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), 0.1),
        (np.float64("nan"), None),
        (float("-inf"), "-inf"),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timestamp("2012-01-01", tz="UTC"), "2012-01-01T00:00:00+00:00"),
        ({"a": {3, 1, 2}, "b": (np.array([1, 2]),)}, {"a": [1, 2, 3], "b": [[1, 2]]}),
    ],
)
def test_values_become_plain(value: Any, expected: Any) -> None:
    got = plain(value)
    assert got == expected
    assert type(got) is type(expected)
    json.dumps(got, allow_nan=False)


@pytest.mark.parametrize(
    ("rejected", "total", "limit", "start"),
    [
        (0, 10, 0.0, ""),
        (29, 100, 0.29, ""),  # in binary 0.29 × 100 is less than 29
        (
            30,
            100,
            0.29,
            "30 of 100 rows set aside; expected at most 29 (data.max_rejected_share 0.29); a.csv row 1 (a=1), x '': ",
        ),
        (1, 2000, 0.0, "1 of 2,000 rows set aside; expected at most 0 "),
        (
            4,
            4,
            1.0,
            "4 of 4 rows set aside; expected some rows to be left; a.csv row 1 (a=1), x '': empty; a.csv row 2",
        ),
        (0, 0, 1.0, "0 of 0 rows set aside; expected some rows to be left"),
    ],
)
def test_the_share_of_rejected_rows(rejected: int, total: int, limit: float, start: str) -> None:
    fault = share_fault(
        [Rejected("a.csv", row + 1, "x", "", "empty", f"a={row + 1}") for row in range(rejected)], total, limit
    )
    assert fault.startswith(start)
    assert bool(fault) == bool(start)
    assert fault.count("a.csv") <= 5


def test_a_row_that_is_wrong_as_a_whole_has_no_column() -> None:
    row = Rejected("a.csv", 3, "", "96 columns", "wrong number of columns; expected 97")
    assert row.text() == "a.csv row 3, 96 columns: wrong number of columns; expected 97"
