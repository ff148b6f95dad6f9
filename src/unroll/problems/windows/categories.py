"""Words of a series as inputs: a small code a row, expanded when a batch is made.

Shapes: … any leading dimensions, T rows, N words of a column, C columns of codes.

Code 0 is a word that train does not have, or none at all: it expands to zeros, so that it adds nothing to an input.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MOST = 1000
"""Distinct words of a column at most: more are no category."""


def encode(column: "pd.Series[Any]", name: str) -> tuple[np.ndarray, list[str]]:
    """Codes (N,) int16 from 1 on of the words in alphabetical order, 0 for none, and the words."""
    category = column.astype("category").cat
    words = [str(word) for word in category.categories]
    if len(words) > MOST:
        raise DataError(f"column {name}: {len(words):,} distinct words; expected a category, of at most {MOST:,}")
    order = np.argsort(np.array(words, dtype=object), kind="stable") if words else np.zeros(0, np.int64)
    place = np.zeros(len(words) + 1, dtype=np.int16)  # the last is that of code -1, no word
    place[order] = np.arange(1, len(words) + 1)
    return place[category.codes.to_numpy()], [words[number] for number in order]


def keep_known(codes_TC: np.ndarray, train: slice, words: Sequence[str]) -> list[str]:
    """Number the words that train has anew, in place, and give all others code 0; the words kept."""
    there = np.zeros(len(words) + 1, dtype=bool)
    there[np.unique(np.asarray(codes_TC[train]))] = True
    there[0] = False
    renewed = np.where(there, np.cumsum(there), 0).astype(codes_TC.dtype)
    codes_TC[:] = renewed[np.asarray(codes_TC)]
    return [word for number, word in enumerate(words, start=1) if there[number]]


def renumber(codes_TC: np.ndarray, words: Sequence[str], known: Sequence[str]) -> list[str]:
    """Number the ``words`` as a model does that knows others, in place, 0 for what it does not know; those it knows."""
    number = {word: code for code, word in enumerate(known, start=1)}
    renewed = np.array([0, *(number.get(word, 0) for word in words)], dtype=codes_TC.dtype)
    codes_TC[:] = renewed[np.asarray(codes_TC)]
    return list(known)


def look_up(column: "pd.Series[Any]", words: Sequence[str]) -> np.ndarray:
    """Codes (N,) of a raw input; a word that train does not have is 0."""
    number = {word: code for code, word in enumerate(words, start=1)}
    return np.array(
        [0 if one is None or one != one else number.get(str(one).strip(), 0) for one in column.tolist()], dtype=np.int16
    )


def width(words: Sequence[Sequence[str]]) -> int:
    """Number of inputs that ``expand`` makes."""
    return sum(map(len, words))


def expand(codes_C: np.ndarray, words: Sequence[Sequence[str]]) -> np.ndarray:
    """Inputs (…, ``width``), float32, of codes (…, C): 1 for the word that is there, 0 for all others."""
    parts = []
    for column, known in enumerate(words):
        table = np.concatenate([np.zeros((1, len(known)), np.float32), np.eye(len(known), dtype=np.float32)])
        parts.append(table[codes_C[..., column]])
    return np.concatenate(parts, axis=-1) if parts else np.empty((*codes_C.shape[:-1], 0), dtype=np.float32)
