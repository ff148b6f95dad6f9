"""Labels as text, and their order: one label is one text, however its file spells it."""

import re
from collections.abc import Iterable

from unroll.core.text import natural

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+")
_LARGEST_WHOLE = 1e15
"""Beyond it a float has no place for every whole number."""


def text_of(value: object) -> str:
    """A label as text: a number that is whole has no point, a truth value is a word, blanks around it fall away.

    >>> [text_of(value) for value in (1, 1.0, "1", " 1.0", "1.0e+00", -1, "-1.0", 1.5, "01", True, "positive ")]
    ['1', '1', '1', '1', '1', '-1', '-1', '1.5', '01', 'true', 'positive']
    """
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).strip()
    if _WHOLE.fullmatch(text):
        return text.removeprefix("+")
    if _NUMBER.fullmatch(text) and float(text).is_integer() and abs(float(text)) < _LARGEST_WHOLE:
        return str(int(float(text)))
    return text


def in_order(labels: Iterable[str]) -> list[str]:
    """The distinct labels in their natural order."""
    return sorted(set(labels), key=natural)


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Labels that differ in nothing but their case, group by group.

    >>> alike(["yes", "no", "Yes", "maybe"])
    [['Yes', 'yes']]
    """
    groups: dict[str, list[str]] = {}
    for label in in_order(labels):
        groups.setdefault(label.casefold(), []).append(label)
    return [group for group in groups.values() if len(group) > 1]
