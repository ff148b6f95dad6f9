"""``unroll compare``: the same task with other values, each with several seeds, side by side.

A comparison trains through the library, beside the pipeline: it reads the project's prepared data where they are up to
date, and writes runs to MLflow and a folder of reports, nothing that DVC keeps.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.core import store
from unroll.core.errors import TrackingError, UnrollError
from unroll.pipeline.repro import default_jobs, processors
from unroll.stages.common.entry import NO_TELEMETRY
from unroll.workbench.compare import prepared_data, workers
from unroll.workbench.compare.grid import Grid, plan
from unroll.workbench.compare.jobs import SPLITS, Baselines, Training
from unroll.workbench.compare.recording import Group
from unroll.workbench.compare.summary import Comparison, Run
from unroll.workbench.compare.table_views import frame, history_frame, markdown, table
from unroll.workbench.compare.watching import Watching
from unroll.workbench.compare.workers import Answer, Failure, Message, News

if TYPE_CHECKING:
    from rich.console import Console

FILES = ("comparison.png", "comparison.md", "runs.csv", "epochs.csv")


def main(
    root: Path,
    task: str,
    given: Sequence[str],
    seeds: int,
    jobs: int | None,
    output: Path | None,
    baselines: bool,
    progress: "Console",
    console: "Console",
) -> bool:
    """All of ``unroll compare``: run, show, write. Returns whether every run failed.

    Raises ConfigError before anything runs. Ctrl-C shows what there is, and goes on as KeyboardInterrupt.
    """
    os.environ.update(NO_TELEMETRY)
    grid = plan(root, task, given, seeds)
    folder = output or grid.task.layout.reports / "compare" / grid.folder
    watching = Watching(grid, progress)
    comparison = Comparison(grid, "")
    group = Group(grid, watching)
    try:
        with watching:
            for line in grid.left_out:
                watching.note(line)
            run(comparison, jobs, baselines, group, watching)
    except BaseException as error:
        if comparison.runs:
            console.print(table(comparison))
        with suppress(UnrollError):
            group.finish(comparison, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", [])
        raise
    console.print(table(comparison))
    files = write(comparison, folder)
    failed = all(run.trained is None for run in comparison.runs)
    try:
        group.finish(comparison, "FAILED" if failed else "FINISHED", files)
    except TrackingError as error:
        watching.note(f"not in MLflow: {error}")
    console.print(
        f"written: {_near(folder)}: {', '.join(FILES)}; runs: make ui", markup=False, highlight=False, soft_wrap=True
    )
    return failed


def run(comparison: Comparison, jobs: int | None, baselines: bool, group: Group, watching: Watching) -> None:
    """Prepare what is not there, then train every point with every seed; results come into ``comparison``."""
    grid = comparison.grid
    threads = max(grid.at(point).train_config().threads for point in grid.points)
    count = min(jobs or _default_jobs(grid, threads), len(grid.points) * len(grid.seeds))
    comparison.threads = f"{threads} thread{'s' * (threads > 1)} each, {count} at a time on {processors()} processors"
    group.start()
    state = grid.task.layout.state
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state, prefix="compare-") as folder:
        data = prepared_data.Preparing(grid.task, Path(folder), watching.note)
        prepared: dict[int, Path] = {}
        for point in grid.points:
            try:
                prepared[point.number] = data.of(grid.at(point))
            except UnrollError as error:
                for seed in grid.seeds:
                    _add(comparison, Run(point, seed, None, str(error)), group, watching)
        queue: list[Training | Baselines] = [  # seeds outside: what is stopped halfway has every point all the same
            Training(point.number, seed, grid.at(point, seed), prepared[point.number])
            for seed in grid.seeds
            for point in grid.points
            if point.number in prepared
        ]
        if baselines:
            queue += _baselines(grid, data, prepared)
        watching.begin()
        for message in workers.run(queue, count, threads):
            if isinstance(message.job, Baselines):
                _take_baselines(comparison, message, prepared, watching)
            else:
                _take_training(comparison, message, group, watching)


def _take_baselines(comparison: Comparison, message: Message, prepared: Mapping[int, Path], watching: Watching) -> None:
    match message:
        case Answer(job, value):
            scores = _joined(comparison.grid, job, value)
            comparison.baselines |= {number: scores for number, folder in prepared.items() if folder == job.prepared}
        case Failure():
            watching.note(f"baselines: failed: {message.reason}", message.trace)


def _take_training(comparison: Comparison, message: Message, group: Group, watching: Watching) -> None:
    point, seed = comparison.grid.points[message.job.point], message.job.seed
    match message:
        case News():
            watching.epoch(point, seed, *message.value)
        case Answer():
            _add(comparison, Run(point, seed, message.value), group, watching)
        case Failure():
            watching.fault(message.trace)
            _add(comparison, Run(point, seed, None, message.reason), group, watching)


def _add(comparison: Comparison, run: Run, group: Group, watching: Watching) -> None:
    comparison.runs.append(run)
    watching.done(run, comparison.headline)
    group.add(run)


def _baselines(grid: Grid, data: prepared_data.Preparing, prepared: Mapping[int, Path]) -> list[Baselines]:
    """One job for each set of data; what the project has up to date of its own test part is not computed again."""
    jobs: dict[Path, Baselines] = {}
    for number, folder in prepared.items():
        if folder not in jobs:
            task = grid.at(grid.points[number])
            jobs[folder] = Baselines(task, folder, ("validation",) if data.is_own(task, "evaluate") else SPLITS)
    return list(jobs.values())


def _joined(grid: Grid, job: Baselines, answer: Any) -> Any:
    """The baselines, with those of the test part from the project's own report where they were not computed."""
    if "test" in job.splits:
        return answer
    reported = store.read_json(grid.task.layout.reports / "metrics.json")["baselines"]
    known = {name: {k: v for k, v in values.items() if v is not None} for name, values in reported.items()}
    return {name: {**by_split, "test": known.get(name, {})} for name, by_split in answer.items()}


def _default_jobs(grid: Grid, threads: int) -> int:
    """As many as the processors have threads for; one where a graphics processor does the work."""
    import torch

    devices = {grid.at(point).train_config().device for point in grid.points}
    other = devices & {"cuda", "mps"} or (
        "auto" in devices and (torch.cuda.is_available() or torch.backends.mps.is_available())
    )
    return 1 if other else default_jobs(threads)


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """The picture, the table as Markdown, every run and every epoch as CSV; the paths."""
    from unroll.workbench.compare import picture

    folder.mkdir(parents=True, exist_ok=True)
    png, text, runs, epochs = paths = [folder / name for name in FILES]
    store.write_text(text, markdown(comparison) + f"\n![{comparison.grid.title}]({png.name})\n")
    store.write_csv(runs, frame(comparison))
    store.write_csv(epochs, history_frame(comparison))
    picture.write(comparison, png)
    return paths


def _near(path: Path) -> str:
    """A path from the working folder, where it is below that."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
