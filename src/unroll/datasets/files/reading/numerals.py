"""How numbers are written in cells of text: the decimal mark, and the mark between groups of three digits."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

BLANKS = " \u00a0\u202f"
MARKS = ",.'\u2019" + BLANKS
"""What stands between groups of three digits somewhere in the world."""
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_GROUPED = rf"[1-9]\d{{0,2}}(?P<mark>[{MARKS}])\d{{3}}(?P<again>(?P=mark)\d{{3}})*(?!(?P=mark))(?P<behind>[.,]\d*)?"
_CELL = re.compile(rf"[+-]?((?P<whole>\d+)|{_GROUPED}|(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?)")
NUMERIC = 0.9
"""Share of a column's filled cells that must be numbers, however they are written."""
STRAY = 0.1
"""Cells with a mark as decimal mark for each in which it stands between groups, at most."""
SEVERAL = 20
"""Cells of one group that must stand among whole numbers below a thousand, to be taken for thousands."""


def group_mark(cell: str) -> str | None:
    """The mark between the groups of three digits of a number; None where it has no groups.

    >>> group_mark("1,041.60"), group_mark("-12'345"), group_mark("1,05"), group_mark("0,123")
    (',', "'", None, None)
    """
    match = _CELL.fullmatch(cell.strip())
    return match["mark"] if match else None


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, with either decimal mark, with or without groups."""
    return _CELL.fullmatch(cell.strip()) is not None


def marks(
    columns: Iterable[Iterable[str]],
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
) -> tuple[str, str | None]:
    """The decimal mark of most numbers, and the mark of thousands where there is one, of columns of filled cells.

    A point or a comma before three digits may be either. It stands between thousands where a cell has two such groups,
    or the other mark behind it; or else where no cell has it as decimal mark and the other one is that elsewhere, cells
    are separated by commas (who writes decimal commas takes another delimiter), or many such cells stand among whole
    numbers below a thousand alone. ``delimiter`` separates cells; a given ``decimal`` or ``thousands`` stays.

    >>> marks([["1,041.60", "2,003.20"], ["646,778", "12"]])
    ('.', ',')
    >>> marks([["1,041", "2,003"]]), marks([["1,041", "2,003"]], delimiter=",")
    ((',', None), ('.', ','))
    """
    every = [_Tally.of(column) for column in columns]
    seen = [tally for tally in every if tally.is_numeric]
    if thousands is None:
        between = [mark for mark in MARKS if mark != decimal and _between(mark, seen, delimiter)]
        thousands = max(between, key=lambda mark: sum(tally.grouped[mark] for tally in seen), default=None)
    if decimal is None:
        decimal = {",": ".", ".": ","}.get(thousands or "")
    points, commas = (sum(tally.written_with(mark) for tally in every) for mark in ".,")
    return decimal or ("," if commas > points else "."), thousands


@dataclass
class _Tally:
    """How many cells of a column are written in each way; ``few`` are whole numbers below a thousand, ``many`` others.

    ``grouped`` and ``sure`` count by the mark of groups, ``decimals`` and ``behind`` by the decimal mark of cells
    without and with groups.
    """

    filled: int = 0
    few: int = 0
    many: int = 0
    decimals: Counter[str] = field(default_factory=Counter)
    grouped: Counter[str] = field(default_factory=Counter)
    sure: Counter[str] = field(default_factory=Counter)
    behind: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, cells: Iterable[str]) -> "_Tally":
        tally = cls()
        for cell in cells:
            tally.add(cell.strip())
        return tally

    def add(self, cell: str) -> None:
        """Count a cell."""
        self.filled += 1
        match = _CELL.fullmatch(cell)
        if match is None:
            return
        if whole := match["whole"]:
            self.few += len(whole) <= 3
            self.many += len(whole) > 3
        elif mark := match["mark"]:
            self.grouped[mark] += 1
            self.sure[mark] += bool(match["again"] or match["behind"] or mark not in ".,")
            if match["behind"]:
                self.behind[match["behind"][0]] += 1
        elif "." in cell or "," in cell:
            self.decimals["," if "," in cell else "."] += 1
        else:
            self.many += 1  # 1e5

    @property
    def is_numeric(self) -> bool:
        """Whether nearly all cells are numbers."""
        numbers = self.few + self.many + self.decimals.total() + self.grouped.total()
        return self.filled > 0 and numbers >= NUMERIC * self.filled

    def written_with(self, mark: str) -> int:
        """Cells with a decimal mark, or with one before three digits that may be it."""
        return self.decimals[mark] + self.behind[mark] + self.grouped[mark] - self.sure[mark]


def _between(mark: str, seen: Sequence[_Tally], delimiter: str | None) -> bool:
    """Whether ``mark`` stands between thousands in these columns."""
    grouped = sum(tally.grouped[mark] for tally in seen)
    stray = sum(tally.decimals[mark] for tally in seen)
    if not grouped or stray > STRAY * grouped:
        return False
    if any(tally.sure[mark] for tally in seen):
        return True
    other = {",": ".", ".": ","}[mark]
    if stray or any(tally.many for tally in seen if tally.grouped[mark]):
        return False
    elsewhere = any(tally.decimals[other] for tally in seen)
    alone = any(tally.grouped[mark] >= SEVERAL and tally.few for tally in seen)
    return elsewhere or alone or (mark == "," and delimiter == ",")


def example(columns: Iterable[tuple[str, Iterable[str]]], mark: str) -> str:
    """The first column and cell in which ``mark`` stands between groups of digits; empty where none does."""
    examples = (f"{name}: {cell}" for name, cells in columns for cell in cells if group_mark(cell) == mark)
    return next(examples, "")
