"""Expectations and facts that several datasets share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from unroll.core.expectation import Expectation, Severity

if TYPE_CHECKING:
    import pandas as pd

ODD = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ue000-\uf8ff]"
"""Control characters, the mark of a lost character, and private ones: signs of a broken encoding."""


def schema(types: Mapping[str, str], min_rows: int) -> list[Expectation]:
    """The columns are there with these types (as pandas names them), and the table holds at least ``min_rows``."""
    return [
        Expectation("expect_table_columns_to_match_set", {"column_set": list(types), "exact_match": False}),
        *(Expectation("expect_column_type_to_be", {"column": name, "type_": kind}) for name, kind in types.items()),
        Expectation("expect_table_row_count_to_be_between", {"min_value": min_rows}),
    ]


def between(
    column: str,
    low: float | None,
    high: float | None,
    reason: str,
    severity: Severity = "critical",
    *,
    refuse_rows: bool = False,
) -> Expectation:
    """Each value of ``column`` lies from ``low`` to ``high``; missing values are not judged."""
    bounds = {key: value for key, value in (("min_value", low), ("max_value", high)) if value is not None}
    kind = "expect_column_values_to_be_between"
    return Expectation(kind, {"column": column, **bounds}, severity, reason, refuse_rows)


def text_facts(text: "pd.Series[str]") -> "pd.DataFrame":
    """Of each text: ``characters``, ``odd_characters``, and whether it ``repeats`` an earlier one."""
    import pandas as pd

    return pd.DataFrame(
        {
            "characters": text.str.len().astype("int64"),
            "odd_characters": text.str.count(ODD).astype("int64"),
            "repeats": text.duplicated(),
        }
    )
