"""The raw files of a task: there, readable, unchanged since they were ingested, and what a first look shows."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unroll.core import store
from unroll.core.errors import StoreError, UnrollError
from unroll.core.text import few, shorten
from unroll.datasets.files import FilesConfig, Plan
from unroll.datasets.files.config import identifier, paths, plain
from unroll.datasets.files.first_look import ROWS
from unroll.datasets.files.tables.series_builder import named
from unroll.stages.common.task import Task
from unroll.stages.ingest import ingest
from unroll.workbench.doctor.findings import Finding, fault, fine, note, size

ROOM = 3
"""Times the size of raw files that a run needs on the disk, about."""


def look(task: Task) -> Iterator[Finding]:
    """The files of one task, whose parameters are in order."""
    dataset, config = task.dataset()
    if isinstance(config, FilesConfig):
        yield from _own_files(task, config)
        return
    source = task.source(config)
    try:
        hashes = ingest.source_fingerprint(dataset, config, source, task.layout.root)
    except (UnrollError, OSError) as error:
        yield fault("files", _line(error), "fix source in params.yaml, or put the files there")
        return
    if hashes is None:
        yield fine("files", f"source {source}")
    else:
        yield _changed(task, hashes) or fine("files", f"{len(hashes)} of source {source}")


def _own_files(task: Task, config: FilesConfig) -> Iterator[Finding]:
    dataset, _ = task.dataset()
    root = task.layout.root
    try:
        files = dataset.own_files(config, root)
        closed = [name for name, path in files.items() if not os.access(path, os.R_OK)]
        if closed:
            yield fault("files", f"{closed[0]}: may not be read", "give yourself read permission")
            return
        plan = Plan.of(config, root)
        hashes = ingest.source_fingerprint(dataset, config, "", root) or {}
    except (UnrollError, OSError) as error:
        yield fault("files", _line(error), "fix the block data of the task, or the file")
        return
    whole = sum(path.stat().st_size for path in files.values())
    yield _changed(task, hashes) or fine("files", f"{', '.join(list(files)[:4])}: {size(whole)}")
    yield from _elsewhere(config)
    if (free := shutil.disk_usage(root).free) < ROOM * whole:
        what = f"{size(free)} free; a run on {size(whole)} of files needs some {size(ROOM * whole)}"
        yield fault("disk", what, "make room")
    yield from _first_look(task, plan)


def _first_look(task: Task, plan: Plan) -> Iterator[Finding]:
    """What the files say now against what ingest found, and against the block ``prepare``."""
    for key, (value, why) in plan.inferred.proposals.items():
        yield note("first look", few(why), f"if so, set data.{key}: {value}")
    ingested = dict(_manifest(task).get("found", {}).get("block", {}))
    now = plain(plan.config)
    moved = [key for key in sorted({*ingested, *now}) if ingested and ingested.get(key) != now.get(key)]
    for key in moved:
        new, old = (shorten(str(block.get(key)), 80) for block in (now, ingested))
        yield note(
            "first look", f"{key}: {new} now, {old} when ingested", f"unroll repro {task.name}, or set data.{key}"
        )
    if not moved:
        yield fine("first look", f"{_shape(plan)}, as the block says")
    if plan.config.kind == "series":
        prepare = task.prepare_config().model_dump()
        yield from _unknown_columns(prepare, plan.config)
        yield from _constant_target(prepare, plan)


def _shape(plan: Plan) -> str:
    if plan.config.format == "text":
        return "lines of text"
    columns = len(plan.look.columns)
    return "one column" if columns == 1 else f"{columns:,} columns"


def _elsewhere(config: FilesConfig) -> Iterator[Finding]:
    """Paths that no other machine has."""
    given = [path for part in paths(config).values() for path in part if Path(path).expanduser().is_absolute()]
    if given:
        more = f" and {len(given) - 1} more" if len(given) > 1 else ""
        what = f"{given[0]}{more}: an absolute path, which is there on this machine alone"
        yield note("files", what, "put the files into the project's folder and name them from there")


def _unknown_columns(prepare: Mapping[str, Any], config: FilesConfig) -> Iterator[Finding]:
    """Names in ``prepare``, as far as its problem has such keys, that the table will not have."""
    numbers = list(named(config).values())
    words = [identifier(column) for column in config.categories or ()]
    for key, columns in (("target", numbers), ("variables", numbers), ("categories", words)):
        value = prepare.get(key) or ()
        names = () if value == "all" else (value,) if isinstance(value, str) else value
        for name in names:
            if name not in columns:
                expected = ", ".join(columns) or "none"
                yield fault("parameters", f"prepare.{key}: the table has no column {name!r}", f"one of {expected}")


def _constant_target(prepare: Mapping[str, Any], plan: Plan) -> Iterator[Finding]:
    """A target that has one value in the rows of the first look: a fault where these are all."""
    target = prepare.get("target")
    column = next((old for old, new in named(plan.config).items() if new == target), None)
    if column is None:
        return
    number_N = plan.inferred.columns[column].number_N
    there_N = number_N[np.isfinite(number_N)]
    if len(there_N) and there_N.min() < there_N.max():
        return
    whole = len(number_N) < ROWS
    value = f"{there_N[0]:g}" if len(there_N) else "nothing"
    rows = f"{'' if whole else 'first '}{len(number_N):,} rows"
    what = f"prepare.target: {target!r} holds {value} in all of the {rows}"
    if whole:
        yield fault("parameters", what, "choose a column that changes: prepare stops at one that does not")
    else:
        yield note("parameters", what, "it must change in the part that trains, or prepare stops")


def _changed(task: Task, hashes: Mapping[str, str]) -> Finding | None:
    """A note where the files are not those that were ingested; None where they are, or nothing was ingested."""
    ingested = {name: file["sha256"] for name, file in _manifest(task).get("files", {}).items()}
    changed = [name for name in sorted({*hashes, *ingested}) if hashes.get(name) != ingested.get(name)]
    if not ingested or not changed or not hashes:
        return None
    return note("files", f"{', '.join(changed[:4])}: changed since they were ingested", f"unroll repro {task.name}")


def _manifest(task: Task) -> dict[str, Any]:
    """What ingest noted; empty where it has not run."""
    try:
        return dict(store.read_json(task.layout.raw / ingest.MANIFEST))
    except StoreError:
        return {}


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, UnrollError):
        return f"{Path(error.filename).name if error.filename else 'file'}: {error.strerror or error}"
    return str(error)
