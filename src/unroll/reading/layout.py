"""The columns of delimited text: their names, how many cells a row has, and which of them nobody named or filled."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """``names`` of the columns that are handed out, and their ``places`` among the ``width`` cells of a row."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    width: int


def layout(rows: Sequence[Sequence[str]], *, header: bool) -> Layout:
    """What the first rows of a file tell about all of them; a column without a name is called by its place.

    >>> layout([["time", "no2", "", ""], ["1", "40", "", ""]], header=True).names
    ('time', 'no2')
    >>> layout([["1", "40"]], header=False).names
    ('column_1', 'column_2')
    """
    body = rows[1:] if header else rows
    width = Counter(map(len, body)).most_common(1)[0][0] if body else len(rows[0])
    named = [cell.strip() for cell in rows[0]] if header else []
    filled = [any(place < len(row) and row[place].strip() for row in body) for place in range(width)]
    if header and len(named) == width - 1 and filled[-1]:
        named = ["", *named]  # names of rows that have no name themselves, as R writes them
    if header and len(named) > width:
        width = len(named)
        filled += [False] * (width - len(filled))
    named += [""] * (width - len(named))
    last = width
    while last > 1 and not named[last - 1] and not filled[last - 1] and (header or last == width):
        last -= 1
    return Layout(_unique(named[:last]), tuple(range(last)), width)


def _unique(named: Sequence[str]) -> tuple[str, ...]:
    """A second column of one name gets .1 after it, as pandas has it."""
    taken: dict[str, None] = {}
    for place, name in enumerate(named, start=1):
        name = name or f"column_{place}"
        unique, again = name, 0
        while unique in taken or (again and unique in named):
            again += 1
            unique = f"{name}.{again}"
        taken[unique] = None
    return tuple(taken)
