"""Cells to numbers, words and texts, a column of a chunk at a time. Shapes: N rows."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files.config import Scalar
from unroll.datasets.files.reading.numerals import group_mark

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST = float(np.finfo(np.float32).max)
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
NUMBER = re.compile(_NUMBER)


@dataclass(frozen=True)
class Marks:
    """What stands for nothing, and how numbers are written."""

    words: frozenset[str] = frozenset()
    numbers: tuple[float, ...] = ()
    decimal: str = "."
    thousands: str = ""

    @classmethod
    def of(cls, missing: Iterable[Scalar], decimal: str | None = ".", thousands: str | None = None) -> "Marks":
        """Markers as a block has them: a number counts however it is written, a word as it is."""
        words = {str(one).strip() for one in missing}
        numbers = {float(word) for word in words if NUMBER.match(word)}
        return cls(frozenset(words), tuple(sorted(numbers)), decimal or ".", thousands or "")


def numbers(column: "pd.Series[Any]", marks: Marks, where: str) -> tuple[np.ndarray, np.ndarray]:
    """The column as float32 (N,), NaN for nothing, and which cells (N,) hold something else than a number.

    ``where`` is the file and column, for the DataError of a column that holds no numbers as a whole.
    """
    import pandas as pd

    kind = column.dtype
    if pd.api.types.is_datetime64_any_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        raise DataError(f"{where}: times; expected numbers")
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        double_N = column.to_numpy(dtype=np.float64, na_value=np.nan)
        bad_N = np.isinf(double_N)
    else:
        double_N, bad_N = _from_text(words(column), marks)
    for marker in marks.numbers:
        marked_N = (double_N == marker) | (double_N == float(np.float32(marker)))  # 999.9 of 32 bits is another number
        double_N = np.where(marked_N, np.nan, double_N)
    bad_N = bad_N | (np.abs(double_N) > MOST)
    with np.errstate(over="ignore"):  # reported as bad
        return np.where(bad_N, np.nan, double_N).astype(np.float32), bad_N


def reason(marks: Marks, column: "pd.Series[Any]") -> Callable[[int], str]:
    """Why the cell at a place of ``column`` is bad, for the row that is set aside."""
    return lambda place: _reason(marks, column.iloc[place])


def _reason(marks: Marks, cell: object) -> str:
    text = str(cell).strip()
    group = group_mark(text)
    plain = text.replace(marks.thousands, "") if group and group == marks.thousands else text
    if (marks.decimal == "." or "." not in plain) and NUMBER.match(plain.replace(marks.decimal, ".")):
        return "too large for a number of 32 bits"
    expected, other = ("comma", "point") if marks.decimal == "," else ("point", "comma")
    between = f", or data.thousands: {group!r} for the mark between groups of three digits" if group else ""
    if NUMBER.match(text.replace(",", ".")):
        return f"a decimal {other}; expected a decimal {expected} (data.decimal){between}"
    if group and group != marks.thousands:
        return f"not a number; expected one without groups{between}"
    return f"not a number; expected one{' with a decimal comma' if marks.decimal == ',' else ''}"


def words(column: "pd.Series[Any]") -> "pa.Array":
    """The column's cells as text without blanks around them, null for nothing; whole numbers have no point."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if pd.api.types.is_float_dtype(column.dtype):
        double_N = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if (np.isnan(double_N) | ((double_N == np.round(double_N)) & (np.abs(double_N) < 1e15))).all():
            column = pd.Series(double_N).astype("Int64")
    if not isinstance(column.dtype, pd.StringDtype):
        gone_N = column.isna().to_numpy()
        said = column.astype(object).map(lambda value: str(value).lower() if isinstance(value, bool) else str(value))
        texts = pa.array(said.to_numpy(), pa.large_string(), mask=gone_N)
    else:
        texts = pa.array(column, pa.large_string(), from_pandas=True)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def without(cells: "pa.Array", missing: Iterable[str]) -> "pa.Array":
    """The cells with null for each of the markers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    markers = pa.array(sorted(missing), pa.large_string())
    return pc.if_else(pc.is_in(cells, value_set=markers), None, cells) if len(markers) else cells


def _from_text(cells: "pa.Array", marks: Marks) -> tuple[np.ndarray, np.ndarray]:
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = without(cells, marks.words)
    if marks.thousands:
        point, group = re.escape(marks.decimal), re.escape(marks.thousands)
        grouped = pc.match_substring_regex(cells, rf"^[+-]?[1-9]\d{{0,2}}({group}\d{{3}})+({point}\d*)?$")
        cells = pc.if_else(grouped, pc.replace_substring(cells, marks.thousands, ""), cells)
    if marks.decimal != ".":
        dotted = pc.match_substring(cells, ".")
        pointed = pc.replace_substring(cells, marks.decimal, ".")
        cells = pc.if_else(dotted, "no number", pointed)  # a point is no part of a number with a decimal comma
    try:
        double, bad_N = pc.cast(cells, pa.float64()), np.zeros(len(cells), dtype=bool)
    except pa.ArrowInvalid:
        good = pc.match_substring_regex(cells, _NUMBER)
        plain = pc.replace_substring_regex(cells, r"^\+", "")  # Arrow takes no plus sign
        double = pc.cast(pc.if_else(good, plain, None), pa.float64())
        bad_N = pc.invert(good).fill_null(False).to_numpy(zero_copy_only=False)
    double_N = double.to_numpy(zero_copy_only=False)
    there_N = double.is_valid().to_numpy(zero_copy_only=False)
    return double_N, bad_N | (there_N & ~np.isfinite(double_N))  # Arrow takes inf and nan for numbers
