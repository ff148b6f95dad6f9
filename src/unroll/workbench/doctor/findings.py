"""What a check showed, and what to do about it."""

from functools import partial
from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One thing that was checked; a fault stops a run or spoils its results, a note is worth knowing."""

    level: Literal["fine", "note", "fault"]
    area: str
    what: str
    advice: str = ""


fine, note, fault = partial(Finding, "fine"), partial(Finding, "note"), partial(Finding, "fault")


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
