"""A text as words and marks, and back. Shapes: N tokens."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from unroll.problems.language_model import verse

BREAK = "\n"
LAST_PLACE = 10
_END = ""  # of a word that is spelled
_TOKEN = re.compile(r"\n|\w+(?:['’-]\w+)*|([^\w\s])\1*")


def split(text: str) -> tuple[list[str], np.ndarray]:
    """Words, runs of the same mark and line ends, and how many characters of the text each accounts for, (N,).

    These are its own and the blanks before it; blanks at the end belong to the last token.

    >>> tokens, counts = split("Don't stop -- go on, well-read one.\\n")
    >>> tokens
    ["Don't", 'stop', '--', 'go', 'on', ',', 'well-read', 'one', '.', '\\n']
    >>> counts.tolist()
    [5, 5, 3, 3, 3, 1, 10, 4, 1, 1]
    """
    matches = list(_TOKEN.finditer(text))
    ends = np.array([0, *(match.end() for match in matches)])
    if matches:
        ends[-1] = len(text)
    return [match.group() for match in matches], np.diff(ends)


def tight(tokens: Sequence[str], counts_N: np.ndarray) -> tuple[list[str], list[str]]:
    """The tokens that mostly stand without a blank before them, and those without one behind them, each sorted.

    Blanks at the ends of lines do not count.

    >>> tight(*split("(one, two) and three, (four"))
    ([')', ','], ['('])
    """
    before: Counter[str] = Counter()
    behind: Counter[str] = Counter()
    for (left, right), count in zip(pairwise(tokens), counts_N[1:].tolist(), strict=True):
        if BREAK not in (left, right):
            sign = 1 if count == len(right) else -1
            before[right] += sign
            behind[left] += sign
    closing = {token for token, sign in before.items() if sign > 0 and not token[0].isalnum()}
    opening = {token for token, sign in behind.items() if sign > 0 and not token[0].isalnum()}
    return sorted(closing), sorted(opening)


def pieces(
    tokens: Iterable[str], last: str | None, tight_before: frozenset[str], tight_behind: frozenset[str]
) -> Iterator[str]:
    """Each token as it is written after ``last`` and those before it: with a blank in front of it, or without.

    >>> "".join(pieces(["(", "one", ",", "two", ")", BREAK, "and"], None, frozenset("),"), frozenset("(")))
    '(one, two)\\nand'
    """
    for token in tokens:
        bare = last in (None, BREAK) or token == BREAK or token in tight_before or last in tight_behind
        yield token if bare else f" {token}"
        last = token


def kinds(tokens: Sequence[str]) -> np.ndarray:
    """What each token is: word, mark, line break, or unknown for ``verse.LOST``, (N,) of str.

    >>> kinds(["late", ",", BREAK]).tolist()
    ['word', 'mark', 'line break']
    """
    return np.array([_kind(token) for token in tokens], dtype=object)


def places(tokens: Sequence[str]) -> np.ndarray:
    """Which word of its line each is, from 1, at most LAST_PLACE; 0 for marks and line ends, (N,).

    >>> places(["a", ",", "b", BREAK, "c"]).tolist()
    [1, 0, 2, 0, 1]
    """
    places_N, place = np.zeros(len(tokens), dtype=np.int64), 0
    for number, kind in enumerate(_kind(token) for token in tokens):
        if kind in ("word", "unknown"):
            place += 1
            places_N[number] = min(place, LAST_PLACE)
        elif kind == "line break":
            place = 0
    return places_N


def spelling(tokens: Sequence[str], train: Iterable[str]) -> np.ndarray:
    """Bits to spell each token: its characters and an end, by how often they stand in the distinct tokens of ``train``.

    One is added to each count, and all characters that train does not have count as one more of them (N,).

    >>> spelling(["a", "zz"], ["a", "a"]).round(3).tolist()
    [2.644, 5.966]
    """
    counts = Counter(character for token in set(train) for character in [*token, _END])
    total = counts.total() + len(counts) + 1
    bits = {character: float(np.log2(total / (count + 1))) for character, count in counts.items()}
    other = float(np.log2(total))
    return np.array([sum(bits.get(character, other) for character in [*token, _END]) for token in tokens])


def _kind(token: str) -> str:
    if token == verse.LOST:
        return "unknown"
    if token == BREAK:
        return "line break"
    return "word" if token[0].isalnum() or token[0] == "_" else "mark"
