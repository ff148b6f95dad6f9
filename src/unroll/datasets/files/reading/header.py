"""The columns of delimited text: their names, how many cells a row has, and which of them nobody named or filled."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from unroll.core.errors import DataError


@dataclass(frozen=True)
class Layout:
    """``names`` of the columns that are handed out, and their ``places`` among the ``width`` cells of a row."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    width: int


def layout(rows: Sequence[Sequence[str]], *, header: bool, file: str) -> Layout:
    """What the first rows of a ``file`` tell about all of them; a column without a name is called by its place.

    Raises DataError for two columns of one name: which of them is meant, nobody could say.

    >>> layout([["time", "no2", "", ""], ["1", "40", "", ""]], header=True, file="air.csv").names
    ('time', 'no2')
    >>> layout([["1", "40"]], header=False, file="air.csv").names
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
    _require_once(named[:last], file)
    return Layout(_unique(named[:last]), tuple(range(last)), width)


def _require_once(named: Sequence[str], file: str) -> None:
    first: dict[str, int] = {}
    for place, name in enumerate(named, start=1):
        if name and first.setdefault(name, place) != place:
            raise DataError(
                f"columns {first[name]} and {place} are both called {name!r}; expected each name once (without "
                "the row of names, by `header: false` and `skip_rows: 1`, columns are called by their places)",
                file=file,
            )


def _unique(named: Sequence[str]) -> tuple[str, ...]:
    """A column without a name is called by its place, with .1 behind where another one has that name."""
    taken = dict.fromkeys(filter(None, named))
    names = []
    for place, name in enumerate(named, start=1):
        unique, again = name or f"column_{place}", 0
        while not name and unique in taken:
            again += 1
            unique = f"column_{place}.{again}"
        taken[unique] = None
        names.append(unique)
    return tuple(names)
