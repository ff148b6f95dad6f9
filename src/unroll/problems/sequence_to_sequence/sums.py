"""Additions written as text: which way round they stand, and how hard they are. Pure functions of strings."""

import re
from collections.abc import Sequence
from typing import Literal

Reading = Literal["forward", "backward"]
READINGS: tuple[Reading, ...] = ("forward", "backward")
_SUM = re.compile(r"(\d+)\+(\d+)", re.ASCII)


def parse(source: str, reading: Reading) -> tuple[int, int] | None:
    """The two numbers of ``a+b``, or None where it is no sum.

    >>> parse("12+345", "forward"), parse("12+345", "backward"), parse("twelve", "forward")
    ((12, 345), (543, 21), None)
    """
    match = _SUM.fullmatch(source if reading == "forward" else source[::-1])
    return (int(match[1]), int(match[2])) if match else None


def find_reading(sources: Sequence[str], targets: Sequence[str]) -> Reading | None:
    """The way to read ``sources`` under which every target is the sum; None where there is none."""
    return next((reading for reading in READINGS if _all_sums(sources, targets, reading)), None)


def _all_sums(sources: Sequence[str], targets: Sequence[str], reading: Reading) -> bool:
    pairs = zip(sources, targets, strict=True)
    return all((numbers := parse(source, reading)) and str(sum(numbers)) == target for source, target in pairs)


def unordered(source: str) -> str:
    """The same text for ``a+b`` and ``b+a``, whichever way they are read; any other source as it is.

    >>> unordered("9+12"), unordered("12+9")
    ('12+9', '12+9')
    """
    return "+".join(sorted(source.split("+"))) if _SUM.fullmatch(source) else source


def digits(a: int, b: int) -> int:
    """Digits of the longer operand."""
    return len(str(max(a, b)))


def carries(a: int, b: int) -> int:
    """Carries when a and b are added by hand: each one turns ten units into one, so the digit sum falls by 9.

    >>> carries(999, 1), carries(123, 456)
    (3, 0)
    """
    return (_digit_sum(a) + _digit_sum(b) - _digit_sum(a + b)) // 9


def _digit_sum(number: int) -> int:
    return sum(map(int, str(number)))
