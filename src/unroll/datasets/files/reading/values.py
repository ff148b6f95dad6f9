"""Cells of text as numbers: series as float32, those faulty named one by one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unroll.datasets.files.reading.delimited import Part, Unread
from unroll.datasets.files.reading.missing import is_missing

if TYPE_CHECKING:
    import pyarrow as pa

FLOAT32_MAX = float(np.finfo(np.float32).max)


class Fault(NamedTuple):
    """A cell that is not a number, with its row and column among those given."""

    row: int
    column: int
    value: str


def times(count: int) -> tuple[str, ...]:
    """Names of the steps of a series.

    >>> times(2)
    ('t000', 't001')
    """
    return tuple(f"t{time:03d}" for time in range(count))


def number(cell: str) -> float | None:
    """The number that a cell holds, NaN for a missing one, None for anything else.

    >>> number(" 1e-3 "), number("?"), number("1_000"), number("1e99")
    (0.001, nan, None, None)
    """
    cell = cell.strip()
    if is_missing(cell):
        return np.nan
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) <= FLOAT32_MAX and cell.isascii() and "_" not in cell else None


def row(cells: Sequence[str]) -> np.ndarray | int:
    """The float32 values of one series, or the place of the first cell that is not a number."""
    try:
        values = np.array([float(cell) for cell in cells])
        if np.isfinite(values).all() and np.abs(values).max() <= FLOAT32_MAX and "_" not in "".join(cells):
            return values.astype(np.float32)
    except ValueError:
        pass
    numbers = [number(cell) for cell in cells]
    if None in numbers:
        return numbers.index(None)
    return np.array(numbers, dtype=np.float32)


def matrix(table: "pa.Table", mark: str) -> tuple[np.ndarray, list[Fault]]:
    """The float32 values of all cells (rows, columns) with the decimal ``mark``; NaN where they miss or are faulty."""
    import pyarrow.compute as pc

    values_NT = np.empty((len(table), table.num_columns), dtype=np.float32)
    faults: list[Fault] = []
    for place, column in enumerate(table.columns):
        cells = pc.utf8_trim_whitespace(column)
        cells = pc.replace_substring(cells, ",", ".") if mark == "," else cells
        quick = _quick(cells)
        if quick is None:
            numbers = [number(cell) for cell in cells.to_pylist()]
            faults += [Fault(at, place, column[at].as_py()) for at, value in enumerate(numbers) if value is None]
            quick = np.array([np.nan if value is None else value for value in numbers])
        values_NT[:, place] = quick
    return values_NT, faults


def _quick(cells: "pa.ChunkedArray") -> np.ndarray | None:
    """All at once, where every cell is a finite number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values_N: np.ndarray = pc.cast(cells, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    whole = np.isfinite(values_N).all() and (np.abs(values_N) <= FLOAT32_MAX).all()
    return values_N if whole else None


def labelled(labels: Sequence[str] | None, values_NT: np.ndarray) -> "pa.Table":
    """A table of a label (if there are any) and the steps of a series in each row."""
    import pyarrow as pa

    columns = {} if labels is None else {"label": pa.array(labels, pa.string())}
    names = times(values_NT.shape[1])
    return pa.table(columns | {name: pa.array(values_NT[:, time]) for time, name in enumerate(names)})


def series(part: Part, label: int, mark: str, columns: Sequence[str] | None) -> Part:
    """The rows of a ``part`` whose cells are a label, in one place, and the values of a series.

    Those with a cell that is neither a number nor a sign for a missing one are set aside.
    """
    labels = [cell.strip() for cell in part.table.column(label).to_pylist()]
    values_NT, faults = matrix(part.table.remove_column(label), mark)
    first = {fault.row: fault for fault in sorted(faults, key=lambda fault: -fault.column)}
    aside = [
        Unread(int(part.rows_N[row]), f"t{fault.column:03d}", fault.value, "not a finite number")
        for row, fault in first.items()
    ]
    keep_N = np.ones(len(part.rows_N), dtype=bool)
    keep_N[list(first)] = False
    table = labelled([labels[at] for at in np.flatnonzero(keep_N)], values_NT[keep_N])
    chosen = table if columns is None else table.select(list(columns))
    return Part(part.rows_N[keep_N], chosen, sorted([*part.rejected, *aside]))
