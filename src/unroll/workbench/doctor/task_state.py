"""What has become of a task so far: its rows, its device, its stages, its last run, its model."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unroll.core import store
from unroll.core.config import TrainConfig
from unroll.core.errors import StoreError, TrainingError, UnrollError
from unroll.pipeline.chain import STAGES, last_failure
from unroll.pipeline.repro import processors
from unroll.registry import register
from unroll.stages.common.task import Task
from unroll.stages.validate import rejected
from unroll.workbench.doctor.findings import Finding, fault, fine, note

SHOWN = 3
"""Findings of a validation that are shown one by one."""


def rows(task: Task) -> Iterator[Finding]:
    """Nothing where no validation has ended, well or not."""
    layout = task.layout
    try:
        result: Any = store.read_json(layout.state / "validation" / "result.json")
        rows, aside, failures = int(result["rows"]), int(result["rejected_rows"]), list(result["failures"])
        critical = len(failures) - int(result["expectations"]["failed"]["warning"])  # which come first
    except (StoreError, KeyError, TypeError):
        return
    if aside:
        path = layout.rejected / "rows.csv"
        kept = path.relative_to(layout.root).as_posix()
        what = f"{aside:,} of {rows:,} set aside ({100 * aside / max(rows, 1):.2g} %){_first(path)}"
        yield note("rows", what, f"see {kept}, which has them with their reasons")
    else:
        yield fine("rows", f"{rows:,}, none set aside")
    for number, line in enumerate(failures[:SHOWN]):
        yield note("validation", line, "fix the files or the block" if number < critical else "")
    if len(failures) > SHOWN:
        page = (layout.state / "validation" / "index.html").relative_to(layout.root).as_posix()
        yield note("validation", f"{len(failures) - SHOWN} more findings", f"see {page}")


def _first(path: Path) -> str:
    """The first of the rows set aside; nothing where the list is missing."""
    try:
        listed = rejected.read(path)
    except StoreError:
        return ""
    return f"; the first: {listed[0].text()}" if listed else ""


def device(train: TrainConfig) -> Iterator[Finding]:
    """The chosen device, and threads against processors; torch is loaded only where one device is named."""
    cores = processors()
    if train.threads > cores:
        what = f"train.threads: {train.threads}, and there are {cores} processors"
        yield note("device", what, f"train.threads: {cores} or fewer is faster")
    if train.device in ("auto", "cpu"):
        yield fine("device", f"{train.device}, {train.threads} of {cores} threads")
        return
    from unroll.stages.train.loop import choose_device

    try:
        choose_device(train.device)
    except TrainingError as error:
        yield fault("device", str(error), "train.device: auto takes what there is")
        return
    yield fine("device", train.device)


def stages(task: Task, stale: Sequence[str]) -> Iterator[Finding]:
    """Which stages are up to date, whether the last run failed, and the gate's verdict on the model."""
    again = f"unroll repro {task.name}"
    if failure := last_failure(task.layout) if stale else None:
        yield fault("last run", f"{failure.stage} failed: {failure.reason}", f"fix it, then {again}")
    waiting = [stage for stage in STAGES if stage in stale]
    if waiting:
        made = [stage for stage in STAGES if stage not in waiting]
        yield note("stages", f"to be run: {', '.join(waiting)}" + (f"; done: {', '.join(made)}" * bool(made)), again)
        return
    yield fine("stages", "all up to date")
    yield from _model(task)


def _model(task: Task) -> Iterator[Finding]:
    try:
        verdict: Any = store.read_json(task.layout.reports / "gate.json")
        known = register.is_published(task.layout.root, task.name)
    except (StoreError, KeyError):
        yield note("model", "not registered", f"unroll publish {task.name}")
        return
    except UnrollError as error:
        yield note("model", str(error), "unroll ui shows the tracking store")
        return
    text = f"{verdict['alias']}: {verdict['reason']}"
    if not known:
        yield note("model", f"{text}; the tracking store does not know it", f"unroll publish {task.name}")
    elif verdict["alias"] == "champion":
        yield fine("model", text)
    else:
        yield note("model", text, "another model, more data, or another gate; see the model card")
