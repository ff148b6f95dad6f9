"""Which columns of a first look are label, values, text, source and target, and split."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unroll.core.errors import DataError, MissingColumnError
from unroll.datasets.files.columns.column import Column
from unroll.datasets.files.config import SourceSplit
from unroll.datasets.files.infer.seen import Seen
from unroll.datasets.files.labels import text_of
from unroll.datasets.files.tables.tallies import USUAL_PARTS

LABELS = ("label", "class", "sentiment", "category", "target", "polarity", "y", "labels", "classes")
TEXTS = ("text", "tweet", "sentence", "review", "message", "content", "comment", "body", "title")
PAIRS = (("source", "target"), ("src", "tgt"), ("question", "answer"), ("input", "output"), ("prompt", "completion"))
_PART = re.compile(r"_(train|test)(?:_\d+)?$", re.IGNORECASE)
FEW_LABELS = 50
"""Distinct values of a column that may be the label where none is named, and a fifth of the rows."""
MOSTLY = 0.9
"""Share of the rows in which a label must stand, if nothing else says that it is one."""


def labelled_series(seen: Seen) -> Iterator[tuple[str, Any]]:
    """Label, split and steps."""
    look, config = seen.look, seen.config
    _require_one_part(seen)
    split = _split_column(seen)
    label = config.label or _named_label(seen, split)
    if label is None and look.reading.header is False:
        label = look.columns[0]
    label = label or _likely_label(seen, split)
    yield "label", label
    yield "split", SourceSplit(column=split) if split and config.split is None else None
    values = [column.name for column in seen.free(label, split) if column.is_numeric]
    first = next(iter(seen.columns.values()))
    values = [name for name in values if not (name == first.name and first.counts_rows)]
    empty = [name for name, column in seen.columns.items() if column.is_empty]
    yield "values", tuple(name for name in look.columns if name in {*values, *empty})
    if not values:
        message = "no column of numbers beside the label; expected the values of a series"
        raise MissingColumnError(message, file=look.file, available=look.columns)


def labelled_text(seen: Seen) -> Iterator[tuple[str, Any]]:
    """Text, label and split."""
    split = _split_column(seen)
    text = seen.config.text or _text(seen, split)
    yield "text", text
    yield "split", SourceSplit(column=split) if split and seen.config.split is None else None
    yield "label", seen.config.label or _named_label(seen, split, text) or _likely_label(seen, split, text)


def _require_one_part(seen: Seen) -> None:
    """Arrays of a split that lie side by side in one file are not columns of the same rows."""
    if seen.look.reading.format != "npz":
        return
    parts = {match[1].lower(): name for name in seen.look.columns if (match := _PART.search(name))}
    if {"train", "test"} <= set(parts):
        raise DataError(
            f"arrays of {parts['train']!r} and of {parts['test']!r} are parts of a split; expected a "
            "file for each part, named in data.split",
            file=seen.look.file,
        )


def plain_text(seen: Seen) -> Iterator[tuple[str, Any]]:
    """The text."""
    yield "text", seen.config.text or _text(seen, None)


def pairs(seen: Seen) -> Iterator[tuple[str, Any]]:
    """Source and target."""
    config, look = seen.config, seen.look
    names = {name.strip().lower(): name for name in reversed(look.columns)}
    pair = next(((names[s], names[t]) for s, t in PAIRS if s in names and t in names), None)
    free = [column.name for column in seen.free()]
    if pair is None and len(free) == 2 and not (config.source or config.target):
        pair = free[0], free[1]
    for key, column in zip(("source", "target"), pair or (None, None), strict=True):
        if getattr(config, key) is None and column is None:
            message = f"no column of {key}s among {', '.join(look.columns)}; expected data.{key} to name it"
            raise MissingColumnError(message, file=look.file, available=look.columns)
        yield key, column


def _by_name(columns: Sequence[str], usual: Sequence[str]) -> str | None:
    """The column of a usual name, or else the shortest that holds one as a word of it, such as airline_sentiment."""
    names = {name.strip().lower(): name for name in reversed(columns)}
    exact = next((names[name] for name in usual if name in names), None)
    if exact:
        return exact
    parts = [(len(one), one) for one in names for name in usual if len(name) > 2 and name in re.split(r"[^a-z]+", one)]
    return names[min(parts)[1]] if parts else None


def _text(seen: Seen, split: str | None) -> str:
    """The column of a text's name; of several that only hold such a name, or none, the one with the longest texts."""
    columns = seen.free(split)
    if not columns:
        return seen.look.columns[0]
    texts = [column for column in columns if not column.is_numeric and column.distinct > 1] or columns
    names = {column.name.strip().lower(): column.name for column in reversed(texts)}
    exact = next((names[name] for name in TEXTS if name in names), None)
    hinted = [column for column in texts if _by_name([column.name], TEXTS)]
    return exact or max(hinted or texts, key=lambda column: column.mean_length).name


def _few(seen: Seen, *taken: str | None) -> list[Column]:
    """Columns of few distinct values."""
    return [c for c in seen.free(*taken) if c.distinct <= FEW_LABELS and c.distinct <= max(c.rows // 5, 2)]


def _named_label(seen: Seen, *taken: str | None) -> str | None:
    """A column whose name is that of a label, or of few distinct values and with a name that holds one."""
    again = [column.name for column in seen.free(*taken) if column.distinct < column.filled]
    exact = next((name for usual in LABELS for name in again if name.strip().lower() == usual), None)
    return exact or _by_name([column.name for column in _few(seen, *taken)], LABELS)


def _likely_label(seen: Seen, *taken: str | None) -> str:
    """The one column of few distinct values; raises DataError where several are as likely, or none is."""
    few = [column for column in _few(seen, *taken) if column.distinct > 1]
    few = [column for column in few if column.filled >= MOSTLY * column.rows]
    whole = [
        c.name
        for c in few
        if c.numeric_share in (0.0, 1.0) and (np.round(c.number_N) == c.number_N).sum() in (0, c.filled)
    ]
    if len(whole) == 1:
        return whole[0]
    if whole:
        message = f"which column is the label? {', '.join(whole[:8])} could be it; expected data.label to name it"
        raise DataError(message, file=seen.look.file)
    message = "which column is the label? no column of few distinct values; expected data.label to name it"
    raise MissingColumnError(message, file=seen.look.file, available=seen.look.columns)


def _split_column(seen: Seen) -> str | None:
    """The column given, or one named split whose values are parts."""
    if seen.config.split is not None:
        return seen.config.split.column
    name = next((name for name in seen.look.columns if name.strip().lower() in ("split", "subset")), None)
    if name is None:
        return None
    distinct = {text_of(value).lower() for value in seen.look.frame[name].dropna().unique()}
    return name if distinct and distinct <= set(USUAL_PARTS) else None
