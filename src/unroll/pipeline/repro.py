"""``unroll repro``: bring every task up to date, several side by side, and say what came of it."""

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.core.errors import ConfigError, UnrollError
from unroll.core.params import Params
from unroll.pipeline import chain as workflow
from unroll.pipeline import check, results
from unroll.pipeline.chain import Chain
from unroll.registry import register
from unroll.stages.common.task import Task
from unroll.stages.ingest import ingest
from unroll.tracking import backend

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_MARKS = {"waiting": "·", "running": "▸", "done": "[green]✓[/]", "failed": "[red]✗[/]"}


def main(
    root: Path, names: Sequence[str], jobs: int | None, force: bool, progress: "Console", output: "Console"
) -> bool:
    """All of ``unroll repro``: run, publish, show. Returns whether a task failed, or could not be run."""
    params, broken = check.judge(root)
    wanted = choose(params, names)
    for task in broken:
        if task not in wanted:
            progress.print(f"warning: {broken[task][0]}: left alone", markup=False, highlight=False, soft_wrap=True)
    chains = reproduce(root, names, jobs, force, progress)
    failed = [chain for chain in chains if chain.state == "failed"]
    faults = [f"{chain.layout.task}: {describe(chain)}" for chain in failed]
    faults += [f"{task}: not run: {fault}" for task in wanted for fault in broken.get(task, ())]
    whole = set(wanted) - {chain.layout.task for chain in failed} - set(broken)
    try:
        for line in publish(root, sorted(whole)) if whole else []:
            progress.print(line, markup=False, highlight=False, soft_wrap=True)
    except UnrollError as error:  # such as a tracking server that is away: what was made stays, and is shown
        faults.append(f"not published: {error}")
    show_results(root, output, names)
    if not chains:
        output.print("nothing to do: every stage is up to date")
    for fault in faults:
        progress.print(fault, style="red", markup=False, highlight=False, soft_wrap=True)
    return bool(faults)


def reproduce(root: Path, names: Sequence[str], jobs: int | None, force: bool, console: "Console") -> list[Chain]:
    """Run what is not up to date of the named tasks (all where none is named); the chains that were run.

    A task that fails does not stop the others, nor does one whose parameters are faulty: it is left out. Raises
    ConfigError before anything runs where no other is left, or where DVC could not read any of them.
    """
    params, broken = check.judge(root)
    wanted = choose(params, names)
    sound = [name for name in wanted if name not in broken]
    if not sound:
        raise ConfigError("\n".join(fault for name in wanted for fault in broken[name]))
    _require_names(params, broken)
    workflow.require_repository(root)
    tasks = [Task.open(root, name) for name in sound]
    moved = [task.name for task in tasks if ingest.source_changed(task)]
    other_files = [task.name for task in tasks if task.name not in moved and task.files_changed()]
    changed = {} if force else workflow.changed(root)
    stale = [task for task in tasks if force or task.name in (*moved, *other_files) or task.name in changed]
    threads = {task.name: task.train_config().threads for task in stale}
    chains = [
        Chain(task.layout, [] if force else _forced(task.name, moved, other_files), force, threads[task.name])
        for task in stale
    ]
    if chains:
        backend.initialise(root)  # once: several processes that create the store at the same time crash
        jobs = jobs or default_jobs(min(threads.values()))  # most stages take one thread, whatever training takes
        run_side_by_side(chains, jobs, console)
    return chains


def _require_names(params: Params, broken: Mapping[str, Sequence[str]]) -> None:
    """Raise ConfigError for a task without the two names that dvc.yaml makes paths of: DVC reads all tasks or none."""
    for task in broken:
        for key in ("data.dataset", "prepare.problem"):
            try:
                params.value(task, key)
            except ConfigError as error:
                raise ConfigError(f"{error} (DVC can run no other task until it is mended)") from None


def _forced(task: str, moved: Sequence[str], other_files: Sequence[str]) -> list[str]:
    """Stages whose input changed where DVC does not look: files that params.yaml names."""
    return ["ingest"] * (task in moved) + ["prepare"] * (task in other_files)


def publish(root: Path, names: Sequence[str]) -> list[str]:
    """Fill the tracking store with what it lacks of the named tasks (all where none is named); a line for each.

    A stage that was restored from DVC's cache ran no command, and the store may be a new one: both leave models that
    it does not know. A task whose files do not belong together, as after a failure, is left alone.
    """
    lacking = set(register.unpublished(root)) & set(choose(Params(root / "params.yaml"), names))
    if not lacking:
        return []
    stale = {task for task, stages in workflow.changed(root).items() if set(stages) - {"register"}}
    verdicts = register.publish_all(root, sorted(lacking - stale))
    return [f"{task}: published as {verdict.alias}: {verdict.reason}" for task, verdict in verdicts.items()]


def show_results(root: Path, output: "Console", names: Sequence[str] = ()) -> None:
    """The table of results of all tasks, and where to look next; of tasks beside those named, where there are any,
    only those that have results."""
    every = Params(root / "params.yaml").tasks()
    shown = [task for task in every if not names or task in names or results.is_evaluated(root, task)]
    output.print(results.results_table(root, shown))
    output.print(
        "next: reports/<task>/model_card.md (one a task), make ui (runs, models), dvc metrics show (numbers)",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def results_markdown(root: Path) -> str:
    """The table of results as Markdown, such as for the summary of a CI job."""
    table = results.results_table(root, Params(root / "params.yaml").tasks())
    rows = zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True)
    heads = [str(column.header) for column in table.columns]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])


def choose(params: Params, names: Sequence[str]) -> list[str]:
    """The tasks meant by ``names``, in file order; raises ConfigError for one that is none."""
    known = params.tasks()
    for name in names:
        if name not in known:
            raise ConfigError(f"{params.path}: tasks.{name}: no such task; expected one of {', '.join(known)}")
    return [name for name in known if not names or name in names]


def default_jobs(threads: int) -> int:
    """As many at a time as there are processors for, each on ``threads`` of them."""
    processors = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, processors // threads)


def run_side_by_side(chains: Sequence[Chain], jobs: int, console: "Console") -> None:
    """Run the chains, at most ``jobs`` at a time, and show where each is: a live line on a terminal, else plain lines.

    Whatever interrupts it (Ctrl-C) ends all of them first.
    """
    from rich.live import Live

    live = console.is_terminal

    def tell(chain: Chain) -> None:
        if not live:
            console.print(f"{chain.layout.task}: {describe(chain)}", markup=False, highlight=False, soft_wrap=True)

    def run(chain: Chain) -> None:
        chain.run(tell)
        tell(chain)

    display = Live(get_renderable=lambda: _table(chains), console=console) if live else nullcontext()
    with ThreadPoolExecutor(jobs) as pool, display:
        futures = [pool.submit(run, chain) for chain in chains]
        try:
            while wait(futures, timeout=0.2).not_done:  # woken now and then: a signal may have gone to another thread
                pass
        except BaseException:
            for future in futures:
                future.cancel()
            workflow.stop(chains)
            raise
    for future in futures:
        future.result()  # a fault of ours in a thread is not lost


def describe(chain: Chain) -> str:
    """Where a chain is, in a few words."""
    match chain.state:
        case "waiting":
            return "waiting"
        case "running":
            return chain.stage + (" (restored from the cache)" if chain.stage in chain.restored else "")
        case "done":
            return f"done in {chain.seconds:.0f} s"
        case _:
            log = chain.log.relative_to(chain.layout.root)
            return f"{chain.stage or 'repro'} failed: {chain.reason} (log: {log})"


def _table(chains: Sequence[Chain]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for chain in chains:
        seconds = f"{chain.elapsed_s:.0f} s" if chain.state != "waiting" else ""
        words = " · ".join(filter(None, [describe(chain), chain.text if chain.state == "running" else ""]))
        table.add_row(_MARKS[chain.state], chain.layout.task, seconds, Text(words))
    return table
