"""``unroll doctor``: what stands between a task and a good run, and what to do about it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.core.errors import ConfigError, StoreError
from unroll.core.params import Params
from unroll.pipeline import chain, check
from unroll.stages.common.task import Task
from unroll.workbench.doctor import environment, raw_files, task_state
from unroll.workbench.doctor.findings import Finding, fault, fine

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["Finding", "examine", "main"]
_MARKS = {"fine": "[green]✓[/]", "note": "[yellow]![/]", "fault": "[red]✗[/]"}


def main(root: Path, name: str | None, output: "Console") -> bool:
    """Show all findings; whether there is a fault among them. Raises ConfigError for an unknown task."""
    findings = list(examine(root, name))
    output.print(_table(findings))
    faults, notes = (sum(finding.level == level for _, finding in findings) for level in ("fault", "note"))
    output.print(f"{faults} to fix, {notes} to know" if faults or notes else "all is well", highlight=False)
    return bool(faults)


def examine(root: Path, name: str | None) -> Iterator[tuple[str, Finding]]:
    """Findings with the task that they are of, "" for all: one task's, or those of every task."""
    for finding in environment.look(root):
        yield "", finding
    try:
        params = Params(root / "params.yaml")
        params.check_top_keys()
        names = params.tasks()
        params.source()
    except ConfigError as error:
        yield "", fault("parameters", str(error), "fix the file; unroll schema prints what is allowed")
        return
    sound = []
    for task in [Task.open(root, each) for each in ([name] if name else names)]:
        faults = check.faults_of(task)
        for line in faults:
            yield task.name, fault("parameters", line, "unroll schema prints what is allowed")
        if not faults:
            yield task.name, fine("parameters", "all keys and values are allowed")
            sound.append(task)
    try:
        stale = chain.changed(root) if sound and (root / ".dvc").is_dir() else {}
    except StoreError as error:
        yield "", fault("dvc", str(error), "fix dvc.yaml or params.yaml; dvc status tells more")
        return
    for task in sound:
        yield from ((task.name, finding) for finding in _task(task, stale.get(task.name, [])))


def _task(task: Task, stale: list[str]) -> Iterator[Finding]:
    yield from raw_files.look(task)
    yield from task_state.rows(task)
    yield from task_state.device(task.train_config())
    if (task.layout.root / ".dvc").is_dir():
        yield from task_state.stages(task, stale)


def _table(findings: list[tuple[str, Finding]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    order = {name: number for number, name in enumerate(dict.fromkeys(name for name, _ in findings))}
    last = None
    for name, finding in sorted(findings, key=lambda pair: order[pair[0]]):
        text = Text(finding.what)
        if finding.advice:
            text.append(f" → {finding.advice}", style="italic")
        table.add_row(_MARKS[finding.level], "" if name == last else name, finding.area, text)
        last = name
    return table
