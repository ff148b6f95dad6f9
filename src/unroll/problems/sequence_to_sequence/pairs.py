"""Sources and targets as numbers, and back. Shapes: N pairs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unroll.features import strings
from unroll.features.strings import UNKNOWN, Flat
from unroll.problems.common.base import Meta, Prepared
from unroll.problems.sequence_to_sequence import number_vectors
from unroll.problems.sequence_to_sequence.config import SourceUnit

if TYPE_CHECKING:
    pass

COLUMNS = ("source", "target")


def whole_sources(meta: Meta) -> bool:
    """Whether a source is one symbol."""
    return unit(meta) == "whole"


def unit(meta: Meta) -> SourceUnit:
    """What a source is made of."""
    source_unit: SourceUnit = meta.get("source_unit", "character")
    return source_unit


def encode_sources(sources: Sequence[str], meta: Meta) -> Flat:
    """Sources as the network reads them: their characters, from the end if the task says so, one number each, or the
    numbers that they are the text of.
    """
    if unit(meta) == "numbers":
        found_ND = number_vectors.rows(sources, number_vectors.in_table("pairs", "source"), meta["longest_source"])
        return Flat(found_ND.ravel(), np.arange(len(found_ND) + 1, dtype=np.int64) * found_ND.shape[1])
    if not whole_sources(meta):
        inputs = [source[::-1] for source in sources] if meta["reverse_source"] else sources
        return strings.encode(inputs, meta["source_characters"])
    number = {source: place for place, source in enumerate(meta["sources"])}
    ids_N = np.array([number.get(source, UNKNOWN) for source in sources], dtype=np.int32)
    return Flat(ids_N, np.arange(len(sources) + 1, dtype=np.int64))


def flat(prepared: Prepared, column: str) -> Flat:
    """All texts of a column as numbers."""
    ids_C, offsets = (np.asarray(prepared.arrays[f"{column}_{part}"]) for part in ("ids", "offsets"))
    return Flat(ids_C, offsets)


def texts_of(prepared: Prepared, column: str, index: np.ndarray) -> list[str]:
    """Texts as the table has them."""
    meta = prepared.meta
    if column == "source" and whole_sources(meta):
        named = [*meta["sources"], "\N{REPLACEMENT CHARACTER}"]  # UNKNOWN, -1, is the last
        return [named[number] for number in flat(prepared, column).ids_C[index].tolist()]
    if column == "source" and unit(meta) == "numbers":
        return [number_vectors.text(row_D) for row_D in flat(prepared, column).padded(index)[0]]
    texts = strings.decode(flat(prepared, column), index, meta[f"{column}_characters"])
    back = column == "source" and meta["reverse_source"]
    return [text[::-1] for text in texts] if back else texts
