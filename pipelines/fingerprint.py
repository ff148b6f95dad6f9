"""Fingerprint: note the files that lie where DVC does not look, and the libraries."""

from typing import TYPE_CHECKING

from unroll.stages.common.entry import main

if TYPE_CHECKING:
    from unroll.stages.common.task import Task


def fingerprint(task: "Task") -> None:
    """Bring ``data/fingerprints/<task>.json`` up to date."""
    from unroll.stages import fingerprint as fingerprints

    fingerprints.write(task)


if __name__ == "__main__":
    main(fingerprint)
