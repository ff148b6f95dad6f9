"""``unroll ci plan``: which tasks a change concerns, from DVC alone, without any data."""

from collections.abc import Sequence
from pathlib import Path

from unroll.core.params import Params
from unroll.pipeline import chain, dvc_console
from unroll.stages import fingerprint
from unroll.stages.common.task import Task


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
    lines = chain.dvc(root, "repro", "--dry", "--allow-missing", *(f"register@{name}" for name in tasks)).splitlines()
    stale = set(dvc_console.stages_to_run(lines))
    stages = {name: [stage for stage in chain.STAGES if (stage, name) in stale] for name in tasks}
    return {name: of_task for name, of_task in stages.items() if of_task}
