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
from unroll.pipeline import chain, check, results, warm
from unroll.pipeline.chain import Chain
from unroll.registry import register
from unroll.stages import fingerprint
from unroll.stages.common import entry
from unroll.stages.common.task import Task
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
    chosen = choose(params, names)
    for task, faults in broken.items():
        if task not in chosen:
            _say(progress, f"warning: {faults[0]}: left alone")
    chains = reproduce(params, broken, names, jobs, force, progress)
    failed = [one for one in chains if one.state == "failed"]
    problems = [f"{one.layout.task}: {describe(one)}" for one in failed]
    problems += [f"{task}: not run: {fault}" for task in chosen for fault in broken.get(task, ())]
    whole = set(chosen) - {one.layout.task for one in failed} - set(broken)
    try:
        for line in publish(root, sorted(whole)) if whole else []:
            _say(progress, line)
    except UnrollError as error:  # such as a tracking server that is away: what was made stays, and is shown
        problems.append(f"not published: {error}")
    results.show(root, output, names)
    if not chains:
        output.print("nothing to do: every stage is up to date")
    for problem in problems:
        _say(progress, problem, style="red")
    return bool(problems)


def reproduce(
    params: Params,
    broken: Mapping[str, Sequence[str]],
    names: Sequence[str],
    jobs: int | None,
    force: bool,
    console: "Console",
) -> list[Chain]:
    """Run what is not up to date of the named tasks (all where none is named); the chains that were run.

    A task that fails does not stop the others; one that is ``broken``, by its faulty parameters, is left out. Raises
    ConfigError before anything runs where no other is left, or where DVC could not read any of them.
    """
    root, chosen = params.path.parent, choose(params, names)
    sound = [name for name in chosen if name not in broken]
    if not sound:
        raise ConfigError("\n".join(fault for name in chosen for fault in broken[name]))
    _require_names(params, broken)
    chain.require_repository(root)
    tasks = [Task.open(root, name) for name in sound]
    for task in tasks:
        fingerprint.write(task)
    changed = {} if force else chain.changed(root)
    stale = [task for task in tasks if force or task.name in changed]
    threads = {task.name: task.train_config().threads for task in stale}
    chains = [Chain(task.layout, force, threads[task.name]) for task in stale]
    if chains:
        backend.initialise(root)  # once: several processes that create the store at the same time crash
        jobs = jobs or default_jobs(min(threads.values()))  # most stages take one thread, whatever training takes
        with warm.server(chain.environment(1) | entry.short_waits()):
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


def publish(root: Path, names: Sequence[str]) -> list[str]:
    """Fill the tracking store with what it lacks of the named tasks (all where none is named); a line for each.

    A stage that was restored from DVC's cache ran no command, and the store may be a new one: both leave models that
    it does not know. A task whose files do not belong together, as after a failure, is left alone.
    """
    lacking = set(register.unpublished(root)) & set(choose(Params(root / "params.yaml"), names))
    if not lacking:
        return []
    stale = {task for task, stages in chain.changed(root).items() if set(stages) - {"register"}}
    verdicts = register.publish_all(root, sorted(lacking - stale))
    return [f"{task}: published as {verdict.alias}: {verdict.reason}" for task, verdict in verdicts.items()]


def choose(params: Params, names: Sequence[str]) -> list[str]:
    """The tasks meant by ``names``, in file order; raises ConfigError for one that does not exist."""
    params.require_tasks(names)
    return [name for name in params.tasks() if not names or name in names]


def processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def default_jobs(threads: int) -> int:
    """As many at a time as there are processors for, each on ``threads`` of them."""
    return max(1, processors() // threads)


def run_side_by_side(chains: Sequence[Chain], jobs: int, console: "Console") -> None:
    """Run the chains, at most ``jobs`` at a time, and show where each is: a live line on a terminal, else plain lines.

    Whatever interrupts it (Ctrl-C) ends all of them first.
    """
    from rich.live import Live

    live = console.is_terminal

    def report(one: Chain) -> None:
        if not live:
            _say(console, f"{one.layout.task}: {describe(one)}")

    def run(one: Chain) -> None:
        one.run(report)
        report(one)

    display = Live(get_renderable=lambda: _table(chains), console=console) if live else nullcontext()
    with ThreadPoolExecutor(jobs) as pool, display:
        futures = [pool.submit(run, one) for one in chains]
        try:
            while wait(futures, timeout=0.2).not_done:  # woken now and then: a signal may have gone to another thread
                pass
        except BaseException:
            for future in futures:
                future.cancel()
            chain.stop(chains)
            raise
    for future in futures:
        future.result()  # a fault of ours in a thread is not lost


def describe(one: Chain) -> str:
    """Where a chain is, in a few words."""
    match one.state:
        case "waiting":
            return "waiting"
        case "running":
            return one.stage + (" (restored from the cache)" if one.stage in one.restored else "")
        case "done":
            return f"done in {one.seconds:.0f} s"
        case _:
            return f"{one.stage or 'repro'} failed: {one.reason} (log: {one.log.relative_to(one.layout.root)})"


def _table(chains: Sequence[Chain]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for one in chains:
        seconds = f"{one.elapsed_s:.0f} s" if one.state != "waiting" else ""
        words = " · ".join(filter(None, [describe(one), one.text if one.state == "running" else ""]))
        table.add_row(_MARKS[one.state], one.layout.task, seconds, Text(words))
    return table


def _say(console: "Console", line: str, style: str | None = None) -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
