"""Answers as JSON: plain values, times as ISO 8601 in UTC, what is undefined as null."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

TIME = "%Y-%m-%dT%H:%M:%SZ"


def rows(answer: "pd.DataFrame") -> list[dict[str, Any]]:
    """A dict for each row.

    >>> import pandas as pd
    >>> rows(pd.DataFrame({"label": ["late"], "probability": [float("nan")]}))
    [{'label': 'late', 'probability': None}]
    """
    columns = [_values(answer[name]) for name in answer]
    names = [str(name) for name in answer]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def encode(value: Any) -> bytes:
    """As JSON in UTF-8; raises ValueError for a number that JSON has not."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def _values(column: "pd.Series[Any]") -> list[Any]:
    if column.dtype.kind == "M":
        return list(column.dt.strftime(TIME))
    values = column.tolist()
    if column.dtype.kind == "f":
        return [value if value - value == 0 else None for value in values]  # inf - inf and nan - nan are nan
    return values
