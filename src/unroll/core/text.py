"""Small things about words: the order that a person expects of them, and how much of them a line can take."""

import re
from collections.abc import Sequence

SHOWN = 60
"""Characters of a value that a message quotes."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def natural(name: str) -> tuple[int, float, str]:
    """A key that sorts numbers as numbers, before other names.

    >>> sorted(["10", "9", "b", "-1", "a"], key=natural)
    ['-1', '9', '10', 'a', 'b']
    """
    return (0, float(name), name) if _NUMBER.fullmatch(name) else (1, 0.0, name)


def shorten(text: str, width: int = SHOWN) -> str:
    """At most ``width`` characters, the last one an ellipsis where some were left out."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def few(items: Sequence[object], most: int = 4, between: str = "; ") -> str:
    """The first ``most`` items, and an ellipsis where there are more.

    >>> few(["a", "b", 3], most=2)
    'a; b; …'
    """
    return between.join([*map(str, items[:most]), *["…"] * (len(items) > most)])
