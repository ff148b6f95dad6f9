"""The prepared data of each point of a grid: the project's own where they are up to date, else made anew, elsewhere.

Everything is made in a temporary folder; nothing of the project's own data is written.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unroll.core import store
from unroll.core.errors import UnrollError
from unroll.core.layout import Layout
from unroll.pipeline import chain
from unroll.problems.common.base import Prepared
from unroll.stages import fingerprint
from unroll.stages.common.task import Task
from unroll.stages.ingest import ingest
from unroll.stages.validate import validate

Tell = Callable[[str], None]


class Preparing:
    """Prepared data by the blocks ``data`` and ``prepare``: points that share them share the data.

    What the project itself has is linked, not read in place: a stage that replaces it meanwhile cannot mix the two.
    """

    def __init__(self, task: Task, folder: Path, tell: Tell) -> None:
        """``folder`` is empty and takes what is made; ``tell`` is called with each thing that is begun."""
        self._base, self._folder, self._tell = task, folder, tell
        self._fresh = fresh_stages(task)
        self._made: dict[str, Path | UnrollError] = {}

    def of(self, task: Task) -> Path:
        """The folder of the data that a point's networks learn from.

        Raises UnrollError for data that cannot be made, the same one each time.
        """
        return self._once([_data(task), _prepare(task)], lambda: self._prepare(task))

    def is_own(self, task: Task, stage: str) -> bool:
        """Whether what ``stage`` made in the project is up to date, and made with the parameters of ``task``."""
        same = _data(task) == _data(self._base)
        if stage != "validate":
            same = same and _prepare(task) == _prepare(self._base)
        return same and stage in self._fresh

    def _once(self, blocks: Any, make: Callable[[], Path]) -> Path:
        key = json.dumps(blocks, sort_keys=True)
        if key not in self._made:
            try:
                self._made[key] = make()
            except UnrollError as error:
                self._made[key] = error
        made = self._made[key]
        if isinstance(made, UnrollError):
            raise made
        return made

    def _prepare(self, task: Task) -> Path:
        layout = Layout(self._folder / f"prepared-{len(self._made)}", task.name)
        if self.is_own(task, "prepare"):
            _link(self._base.layout.prepared, layout.prepared)
            return layout.prepared
        table = self._once(_data(task), lambda: self._validate(task)) / "table.parquet"
        self._tell("prepare")
        problem, config = task.problem(), task.prepare_config()
        with store.atomic_folder(layout.prepared) as folder:
            frame = store.read_table(table, problem.preparation.columns(config), problem.preparation.coded(config))
            store.write_json(folder / "meta.json", problem.preparation.prepare(frame, config, folder))
            validate.validate_prepared(problem.preparation.check(Prepared.load(folder), config), layout)
        return layout.prepared

    def _validate(self, task: Task) -> Path:
        """The folder of the rows that may be learned from."""
        layout = Layout(self._folder / f"validated-{len(self._made)}", task.name)
        if self.is_own(task, "validate"):
            _link(self._base.layout.validated, layout.validated)
            return layout.validated
        dataset, config = task.dataset()
        source = task.source(config)
        self._tell("ingest")
        with store.atomic_folder(layout.raw) as folder:
            ingest.fetch(dataset, config, source, folder, self._base.layout.root, task.name)
            ingest.read(dataset, config, source, folder, self._base.layout.root, task.name)
        self._tell("validate")
        validate.validate(dataset, config, layout)
        return layout.validated


def fresh_stages(task: Task) -> set[str]:
    """The stages before register that are up to date, as DVC sees it; none where DVC cannot tell."""
    stages = chain.STAGES[:-1]
    try:
        if not fingerprint.is_current(task):
            return set()
        targets = [f"{stage}@{task.name}" for stage in stages]
        changed = chain.changed(task.layout.root, *targets).get(task.name, [])
    except (UnrollError, ValueError):
        return set()
    stale = [number for number, stage in enumerate(stages) if stage in changed]
    return set(stages[: min(stale, default=len(stages))])  # what comes after a stale stage is stale, too


def _data(task: Task) -> Any:
    _, config = task.dataset()
    return [config.model_dump(mode="json"), task.source(config)]


def _prepare(task: Task) -> Any:
    return task.prepare_config().model_dump(mode="json")


def _link(source: Path, target: Path) -> None:
    """The same folder under another name; a copy where the disk has no links."""

    def link(path: str, place: str) -> None:
        try:
            os.link(path, place)
        except OSError:
            shutil.copyfile(path, place)

    shutil.copytree(source, target, copy_function=link)
