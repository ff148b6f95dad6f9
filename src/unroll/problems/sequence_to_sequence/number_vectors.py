"""Rows of numbers written as text, such as ``0.5 -2 1e3``, and back. Shapes: N rows, D numbers of a row."""

from collections.abc import Callable, Sequence

import numpy as np

from unroll.core.errors import DataError, TableError

LARGEST = float(np.finfo(np.float32).max)


def rows(texts: Sequence[object], fault: Callable[[int, str], DataError], width: int | None = None) -> np.ndarray:
    """Numbers (N, D) float32 of texts with blanks between them; D is ``width``, or that of the first row.

    Raises ``fault(n, message)`` for row n: what is no text, no finite number, or of another width.

    >>> rows(["0.5 -2", "1e3 7"], in_table("pairs", "source")).tolist()
    [[0.5, -2.0], [1000.0, 7.0]]
    """
    vectors: list[list[float]] = []
    as_many = ", as the first row has" if width is None else ""
    for number, text in enumerate(texts):
        parts = text.split() if isinstance(text, str) else []
        if not parts:
            raise fault(number, f"{text!r:.60}; expected numbers separated by blanks")
        for place, part in enumerate(parts, start=1):
            if not _is_number(part):
                raise fault(number, f"number {place} is {part!r:.60}; expected a finite number like 0.25")
        width = width or len(parts)
        if len(parts) != width:
            raise fault(number, f"{len(parts)} numbers; expected {width}{as_many}")
        vectors.append([float(part) for part in parts])
    return np.array(vectors, dtype=np.float32).reshape(len(vectors), width or 0)


def in_table(table: str, column: str) -> Callable[[int, str], DataError]:
    """Makes the error of a row of a dataset's table, for ``rows``."""
    return lambda row, fault: TableError(fault, row=row, column=column, table=table)


def text(row_D: np.ndarray) -> str:
    """The shortest text that ``rows`` reads as the same numbers.

    >>> text(np.array([0.1, -2, 1e-5], dtype=np.float32))
    '0.1 -2 1e-05'
    """
    return " ".join(str(number).removesuffix(".0") for number in row_D.astype(np.float32))


def _is_number(part: str) -> bool:
    try:  # Python takes 1_0 for a 10, and digits of any script
        return abs(float(part)) <= LARGEST and "_" not in part and part.isascii()
    except ValueError:
        return False
