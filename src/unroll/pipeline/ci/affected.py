"""``unroll ci plan``: which tasks a change concerns, from DVC alone, without any data."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unroll.core.params import Params
from unroll.pipeline import chain
from unroll.stages import fingerprint
from unroll.stages.common.task import Task
from unroll.tracking import dvc_lock


def plan(root: Path, names: Sequence[str] = ()) -> dict[str, list[str]]:
    """The stages of each of the named tasks (of all where none is named) that are stale by themselves, in order.

    What comes after one of them may have to run too. Outputs that are not here, as in a fresh clone, do not count:
    ``dvc.lock`` says what they were made from. The fingerprints are brought up to date first.
    """
    params = Params(root / "params.yaml")
    params.require_tasks(names)
    tasks = [name for name in params.tasks() if not names or name in names]
    chain.require_repository(root)
    for name in tasks:
        fingerprint.write(Task.open(root, name))
    made = {path for outs in dvc_lock.outs(root).values() for path in outs}
    status = json.loads(chain.dvc(root, "status", "--json", *(f"{s}@{t}" for t in tasks for s in chain.STAGES)) or "{}")
    stale = {stage for stage, changes in status.items() if any(_concerns(change, made) for change in changes)}
    stages = {name: [stage for stage in chain.STAGES if f"{stage}@{name}" in stale] for name in tasks}
    return {name: of_task for name, of_task in stages.items() if of_task}


def _concerns(change: str | Mapping[str, Mapping[str, Any]], made: set[str]) -> bool:
    """Whether the stage has to run for this, however much of what stages have ``made`` is here."""
    if isinstance(change, str):  # another command
        return True
    return any(
        state != "deleted" or not {path, str(Path(path).parent)} & made
        for path, state in change.get("changed deps", {}).items()
    )
