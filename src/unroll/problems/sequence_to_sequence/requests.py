"""What a request to a model of pairs asks for: its sources, and how an answer is drawn, or the row that is faulty."""

import difflib
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.errors import TableError
from unroll.problems.common.base import Meta
from unroll.problems.sequence_to_sequence import number_vectors, pairs

if TYPE_CHECKING:
    import pandas as pd

SAMPLING: dict[str, tuple[float, float]] = {"temperature": (0.0, 10.0), "seed": (0, 2**31 - 1)}
"""Columns that a request may have beside its sources, and their range."""


def sources(frame: "pd.DataFrame", meta: Meta) -> list[str]:
    """The sources of a raw input, or TableError for a row."""
    if "source" not in frame:
        raise TableError(
            f"column 'source' is missing; expected it among {', '.join(map(str, frame.columns))}", column="source"
        )
    found: list[str] = frame["source"].tolist()
    if pairs.unit(meta) == "numbers":
        number_vectors.rows(found, lambda row, fault: _fault(row + 1, fault), meta["longest_source"])
        return found
    check = _require_known if pairs.whole_sources(meta) else _require_readable
    for row, text in enumerate(found, start=1):
        check(row, text, meta)
    return found


def _fault(row: int, fault: str) -> TableError:
    return TableError(fault, row=row, column="source")


def _require_readable(row: int, text: object, meta: Meta) -> None:
    known, most = meta["source_characters"], meta["longest_source"]
    if not isinstance(text, str) or not text:
        raise _fault(row, f"{text!r:.60}; expected a text of at most {most} characters among {known!r}")
    unknown = next((character for character in text if character not in known), None)
    if unknown is not None:
        raise _fault(row, f"{text!r:.60}: character {unknown!r} is unknown; expected only {known!r}")
    if len(text) > most:
        raise _fault(row, f"{text!r:.60}: {len(text)} characters; expected at most {most}, the longest in train")


def _require_known(row: int, text: object, meta: Meta) -> None:
    known: list[str] = meta["sources"]
    if text not in known:
        near = difflib.get_close_matches(text, known, n=1) if isinstance(text, str) else []
        first = ", ".join(map(repr, near or known[:8])) + ("" if near or len(known) <= 8 else ", …")
        raise _fault(row, f"{text!r:.60}: no source of train; expected one of its {len(known)}, such as {first}")


def sampling(frame: "pd.DataFrame") -> tuple[np.ndarray, list[int]]:
    """Temperature and seed of each row, 0 where none is told; at temperature 0 nothing is drawn."""
    asked = {}
    for name, (low, high) in SAMPLING.items():
        values = frame[name].where(frame[name].notna(), 0).tolist() if name in frame else [0] * len(frame)
        for row, value in enumerate(values, start=1):
            number = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
            if not number or (name == "seed" and value != int(value)):
                kind = "a whole number" if name == "seed" else "a number"
                expected = f"expected {kind} from {low:g} to {high:g}"
                raise TableError(f"{value!r:.60}; {expected}", row=row, column=name)
        asked[name] = values
    return np.array(asked["temperature"], dtype=np.float64), [int(seed) for seed in asked["seed"]]
