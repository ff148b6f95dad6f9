"""What has become of a task so far: its device, its stages, its last run, its model."""

from collections.abc import Iterator, Sequence
from typing import Any

from unroll.core import store
from unroll.core.config import TrainConfig
from unroll.core.errors import StoreError, TrainingError, UnrollError
from unroll.pipeline.chain import STAGES, last_failure
from unroll.pipeline.repro import processors
from unroll.registry import register
from unroll.stages.common.task import Task
from unroll.workbench.doctor.findings import Finding, fault, fine, note


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
