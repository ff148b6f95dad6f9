"""Many strings as one flat array of character numbers. Shapes: N strings, C characters in all, B batch, T time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

UNKNOWN = -1
"""The number of a character outside the alphabet, and of padding: neither is ever an input or an answer."""
LOST = "\N{REPLACEMENT CHARACTER}"
"""What ``decode`` writes for it."""


class Flat(NamedTuple):
    """String ``n`` is ``ids_C[offsets[n]:offsets[n + 1]]``; ``offsets`` has N + 1 entries.

    Rows of real numbers, all of one length, can stand there as well.
    """

    ids_C: np.ndarray
    offsets: np.ndarray

    def characters(self, index: np.ndarray) -> np.ndarray:
        """The numbers of all characters of the strings ``index``, in the array's order."""
        chosen_N = np.zeros(len(self.offsets) - 1, dtype=bool)
        chosen_N[index] = True
        ids: np.ndarray = self.ids_C[np.repeat(chosen_N, np.diff(self.offsets))]
        return ids

    def padded(self, index_B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The strings ``index_B`` as (B, T), filled up with UNKNOWN at the end, and their lengths."""
        starts_B = self.offsets[index_B]
        lengths_B = self.offsets[np.asarray(index_B) + 1] - starts_B
        steps_T = np.arange(lengths_B.max(initial=0))
        inside_BT = steps_T < lengths_B[:, None]
        ids_BT = np.full(inside_BT.shape, UNKNOWN, dtype=np.int64 if self.ids_C.dtype.kind in "iu" else np.float32)
        ids_BT[inside_BT] = self.ids_C[(starts_B[:, None] + steps_T)[inside_BT]]
        return ids_BT, lengths_B


def alphabet(strings: Sequence[str]) -> str:
    """Every character of ``strings`` once, sorted.

    >>> alphabet(["12+3", "4+1"])
    '+1234'
    """
    return "".join(sorted(set().union(*strings)))


def encode(strings: Sequence[str], characters: str) -> Flat:
    """Each character as its place in the sorted ``characters``, or UNKNOWN.

    >>> encode(["1+2", "9"], "+123").ids_C.tolist()
    [1, 0, 2, -1]
    """
    known = _codes(characters)
    codes_C = _codes("".join(strings))
    places_C = np.minimum(np.searchsorted(known, codes_C), max(len(known) - 1, 0))
    found_C = known[places_C] == codes_C if len(known) else np.zeros(len(codes_C), dtype=bool)
    offsets = np.zeros(len(strings) + 1, dtype=np.int64)
    np.cumsum([len(string) for string in strings], out=offsets[1:])
    return Flat(np.where(found_C, places_C, UNKNOWN).astype(np.int16), offsets)


def decode(flat: Flat, index: np.ndarray, characters: str) -> list[str]:
    """The strings ``index``; an unknown character reads as U+FFFD."""
    letters = [*characters, LOST]  # UNKNOWN, -1, is the last
    bounds = zip(flat.offsets[index].tolist(), flat.offsets[np.asarray(index) + 1].tolist(), strict=True)
    return ["".join([letters[number] for number in flat.ids_C[low:high].tolist()]) for low, high in bounds]


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
