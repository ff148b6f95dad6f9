"""What DVC writes on the console, read here alone: the stage that it starts, restores or gives up, and why.

DVC has no public interface to a ``repro`` while it runs. The phrases are those of version ``VERIFIED``; its test runs
the installed DVC, and fails when they change.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

VERIFIED = "3.67"


class Event(NamedTuple):
    """What a line says of a stage; ``command`` repeats the command that the stage runs, and names no stage."""

    kind: Literal["started", "command", "restored", "failed"]
    stage: str = ""


_STARTED = re.compile(r"^Running stage '(\w+)@")
_COMMAND = re.compile(r"^> ()")
_RESTORED = re.compile(r"^Stage '(\w+)@.+' is cached - skipping run")
_FAILED = re.compile(r"^ERROR: failed to reproduce '(\w+)@")
_ERROR = "ERROR: "
_BUSY = ("Unable to acquire lock", "it is being blocked by")


def event(line: str) -> Event | None:
    """What the line says of a stage; None for a line of another kind, such as one that a stage itself wrote."""
    if match := _STARTED.match(line):
        return Event("started", match[1])
    if match := _RESTORED.match(line):
        return Event("restored", match[1])
    if match := _FAILED.match(line):
        return Event("failed", match[1])
    return Event("command") if _COMMAND.match(line) else None


def is_busy(lines: Sequence[str]) -> bool:
    """Whether DVC gave up because another of its processes held a lock."""
    return any(phrase in line for line in lines for phrase in _BUSY)


def error(lines: Sequence[str]) -> str:
    """DVC's error in one line; of a fault in dvc.yaml, which DVC draws over several lines, the first three."""
    errors = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
    reason = errors[:1] or [line.strip() for line in lines if line.strip()][:3]
    return " ".join(reason) or "no reason given"
