"""What a check showed, and what to do about it."""

from typing import Literal, NamedTuple

Level = Literal["fine", "note", "fault"]


class Finding(NamedTuple):
    """One thing that was checked; a fault stops a run or spoils its results, a note does not."""

    level: Level
    area: str
    what: str
    advice: str = ""


def fine(area: str, what: str) -> Finding:
    """All is well."""
    return Finding("fine", area, what)


def note(area: str, what: str, advice: str = "") -> Finding:
    """Worth knowing."""
    return Finding("note", area, what, advice)


def fault(area: str, what: str, advice: str) -> Finding:
    """To be fixed."""
    return Finding("fault", area, what, advice)


def size(count: float) -> str:
    """Bytes for people.

    >>> size(512), size(3_400_000), size(12.3e9)
    ('512 B', '3.4 MB', '12 GB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.2g} {unit}" if 0 < count < 10 and unit != "B" else f"{count:.0f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")
