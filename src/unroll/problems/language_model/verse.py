"""Lines of text, and what a character is in them. Shapes: N characters."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unroll.core.errors import TableError, UnrollError

if TYPE_CHECKING:
    import pandas as pd

LOST = "\N{REPLACEMENT CHARACTER}"
"""Stands for an unknown character."""
LAST_PLACE = 10


class Options(NamedTuple):
    """How a text is gone on with.

    ``top_k`` 0, ``top_p`` 1 and ``repetition_penalty`` 1 leave all tokens as they are.
    """

    length: int = 200
    temperature: float = 0.6
    seed: int = 0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0


DEFAULTS = Options()._asdict()
LIMITS = {
    "length": (1, 10_000),
    "temperature": (0.0, 10.0),
    "seed": (0, 2**53),
    "top_k": (0, 10**9),
    "top_p": (0.001, 1.0),
    "repetition_penalty": (1.0, 100.0),
}


def join(lines: Sequence[str], lower_case: bool) -> str:
    """One text of all lines, in order."""
    text = "\n".join(lines)
    return text.lower() if lower_case else text


def first_line(text: str) -> str:
    """The first whole line that is not blank, with its end; a text without one, as it is.

    >>> first_line("f a line\\n\\nThe next one\\nand the last")
    'The next one\\n'
    """
    whole = [line for line in text.split("\n")[1:-1] if line.strip()]
    return f"{whole[0]}\n" if whole else text


def kinds(characters: Sequence[str]) -> np.ndarray:
    """What each character is: letter, space, line break, unknown or other mark, (N,) of str.

    >>> kinds("a \\n!").tolist()
    ['letter', 'space', 'line break', 'mark']
    """
    names = {character: _kind(character) for character in set(characters)}
    return np.array([names[character] for character in characters], dtype=object)


def places(characters: Sequence[str]) -> np.ndarray:
    """Which letter of its word each character is, from 1, at most LAST_PLACE; 0 for what is no letter, (N,).

    >>> places("an oak").tolist()
    [1, 2, 0, 1, 2, 3]
    """
    letters_N = np.array([character.isalpha() for character in characters], dtype=bool)
    here_N = np.arange(1, len(letters_N) + 1)
    before_N = np.maximum.accumulate(np.where(letters_N, 0, here_N))
    places_N: np.ndarray = np.minimum(here_N - before_N, LAST_PLACE)
    return places_N


def options(frame: "pd.DataFrame", row: int) -> Options:
    """The options of one row of a request, DEFAULTS where the column is not there or its cell is missing.

    Raises TableError for row and column of a value out of LIMITS.
    """
    checked = {}
    for name, default in DEFAULTS.items():
        is_given = name in frame and bool(frame[name].notna().iloc[row])
        (value,) = frame[name].iloc[[row]].tolist() if is_given else [default]
        checked[name] = option(name, value, functools.partial(TableError, row=row + 1, column=name))
    return Options(**checked)


def option(name: str, value: Any, fault: Callable[[str], UnrollError]) -> Any:
    """One option as a number of its type; raises ``fault(message)`` for one out of LIMITS."""
    kind, (low, high) = type(DEFAULTS[name]), LIMITS[name]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high or (kind is int and not number.is_integer()):
        expected = "a whole number" if kind is int else "a number"
        raise fault(f"{value!r}; expected {expected} from {low} to {high}")
    return kind(number)


def _kind(character: str) -> str:
    if character.isalpha():
        return "letter"
    return {" ": "space", "\n": "line break", LOST: "unknown"}.get(character, "mark")
