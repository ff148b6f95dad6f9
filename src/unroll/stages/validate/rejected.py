"""Rows that were set aside: which, why, their values and what identifies them in the source; read and written."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.core.expectation import Expectation
from unroll.core.text import shorten
from unroll.datasets.common.base import Rejected
from unroll.stages.validate.outcome import columns, expected, plain

if TYPE_CHECKING:
    import pandas as pd


def read(path: Path) -> list[Rejected]:
    """The rows that could not be read, as ingest left them."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            header, *lines = csv.reader(handle)
        if tuple(header) != Rejected._fields:
            raise ValueError(f"columns {', '.join(header)}; expected {', '.join(Rejected._fields)}")
        return [Rejected(file, int(row), *rest) for file, row, *rest in lines]
    except FileNotFoundError:
        raise StoreError(f"{path}: not there; expected the output of an earlier stage (run: unroll repro)") from None
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path}: not a valid list of rejected rows: {error}") from None


def write(path: Path, rejected: Sequence[Rejected]) -> None:
    """The list that ``read`` reads, for a person, too."""
    import pandas as pd

    store.write_csv(path, pd.DataFrame(list(rejected), columns=list(Rejected._fields)))


def values(frame: "pd.DataFrame", kwargs: Mapping[str, Any], rows: np.ndarray) -> list[Any]:
    """What stands in the expectation's column in these rows; in its columns, for one that compares several."""
    names = columns(kwargs) or list(kwargs.get("column_list", []))
    stand = [[plain(value) for value in frame.loc[rows, name].to_numpy()] for name in names]
    return (
        stand[0] if len(names) == 1 else [dict(zip(names, values, strict=True)) for values in zip(*stand, strict=True)]
    )


def reject(
    frame: "pd.DataFrame", expectations: Sequence[Expectation], against: Mapping[int, np.ndarray]
) -> list[Rejected]:
    """One entry for each row against a refusing expectation, by the first in the suite, in the table's order."""
    by_row: dict[int, Rejected] = {}
    for number, rows in against.items():
        expectation = expectations[number]
        names = columns(expectation.kwargs) or expectation.kwargs.get("column_list", [])
        column, reason = (
            "+".join(names),
            expectation.reason or f"expected {expected(expectation.type, expectation.kwargs)}",
        )
        fresh = np.asarray([row for row in rows.tolist() if row not in by_row], dtype=np.int64)
        for row, value in zip(fresh.tolist(), values(frame, expectation.kwargs, fresh), strict=True):
            by_row[row] = Rejected("table.parquet", row + 1, column, "" if value is None else str(value), reason)
    keys = _keys(frame, sorted(by_row))
    return [by_row[row]._replace(key=key) for row, key in zip(sorted(by_row), keys, strict=True)]


def _keys(frame: "pd.DataFrame", rows: Sequence[int]) -> list[str]:
    """What identifies each row in the source: time, site, label, its place in its split; else the start of its text."""
    picked = frame.loc[list(rows)]
    parts = {name: picked[name].to_list() for name in ("site", "time", "label", "split") if name in frame}
    if "time" in parts:
        parts["time"] = [None if time is None else time.replace(":00+00:00", "Z") for time in plain(parts["time"])]
    if "split" in parts:  # how many readable rows of its split come up to it
        parts["row"] = (frame.groupby("split").cumcount() + 1).loc[list(rows)].to_list()
    if "text" in frame:
        parts["text"] = [repr(shorten(text)) if isinstance(text, str) else None for text in picked["text"]]
    values = [dict(zip(parts, map(plain, row), strict=True)) for row in zip(*parts.values(), strict=True)]
    return [" ".join(f"{name}={value}" for name, value in each.items()) for each in values] or [""] * len(rows)
