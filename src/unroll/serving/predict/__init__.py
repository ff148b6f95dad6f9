"""``unroll predict``: answers of a task's model to raw input, read, answered and written part by part."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from unroll.core.errors import ConfigError, DataError
from unroll.datasets.files.reading import Reading
from unroll.model.predictor import Predictor
from unroll.registry import versions
from unroll.serving.predict import input_file, output_file, own_files, own_reading, raw_input, series_parts
from unroll.serving.predict.input_file import Input, Share
from unroll.serving.predict.output_file import Format
from unroll.serving.predict.raw_input import Questions
from unroll.stages.common.task import Task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Asked", "load", "main"]


@dataclass(frozen=True)
class Asked:
    """What a person asks for: a task's model, an input (``-``: standard input), and where the answers go."""

    task: str
    source: str
    model: str | None = None
    output: Path | None = None
    format: Format | None = None


def main(root: Path, asked: Asked, out: TextIO) -> None:
    """Answer the input and write the answers to ``asked.output``, or to ``out``; which model answers goes to stderr.

    Raises DataError that names file, row and column of a faulty input, ConfigError for what cannot be written to,
    StoreError and TrackingError for a model that is not there. Then nothing is written.
    """
    output_file.require_possible(asked.output, asked.format, asked.source)
    task = Task.open(root, asked.task)
    with input_file.opened(asked.source) as source:
        located = versions.choose(root, task.name, asked.model)
        sys.stderr.write(f"unroll: {versions.describe(task.name, asked.model, located)}\n")
        predictor = load(task, located.folder)
        told, of_texts = _written(task, predictor, source, located.reader), bool(raw_input.text_column(predictor))
        kind = output_file.format_of(asked.output, asked.format, told.format, of_texts)
        try:
            output_file.write(_answered(task, predictor, source, located.reader), kind, asked.output, out)
        except series_parts.UnorderedError:
            found = _answered(task, predictor, source, located.reader, held=True)
            output_file.write(found, kind, asked.output, out)


def load(task: Task, folder: Path) -> Predictor:
    """The model; raises ConfigError for one of another problem than the task's."""
    predictor = Predictor.load(folder)
    asked, found = task.params.value(task.name, "prepare.problem"), predictor.trained.config["problem"]
    if found != asked:
        raise ConfigError(
            f"{folder}: a model of problem {found!r}; expected one of {asked!r}, the problem of {task.name}"
        )
    return predictor


def _answered(
    task: Task, predictor: Predictor, source: Input, reader: Path | None, *, held: bool = False
) -> "Iterator[pd.DataFrame]":
    """The answers part by part, and how far they have come on the screen; ``held``: put rows into order first."""
    count = 0
    with ExitStack() as stack:
        shown = stack.enter_context(Share(f"predict {task.name}", source.path.stat().st_size))
        asked = _some(_read(task, predictor, source, reader, held), source)
        if predictor.trained.problem.takes == "series":
            found = series_parts.answers(series_parts.in_order(asked) if held else asked, predictor)
            if task.dataset()[0].in_place and not own_reading.names_zone(task, source, reader):
                found = map(output_file.without_zone, found)
        else:
            found = (part.answered(predictor.predict) for part in asked)
        for part in found:
            output_file.require_finite(part, count, source.name)
            count += len(part)
            shown.update(source.position, count)
            yield part


def _written(task: Task, predictor: Predictor, source: Input, reader: Path | None) -> Reading:
    """How the input is written."""
    if task.dataset()[0].in_place:
        return own_reading.written(source, own_reading.block(task, reader))
    return raw_input.written(source, predictor)


def _read(task: Task, predictor: Predictor, source: Input, reader: Path | None, held: bool) -> Iterator[Questions]:
    """The input as the problem's ``predict`` takes it; a task on files of one's own reads it as it read its own."""
    dataset, _ = task.dataset()
    if dataset.in_place:
        return own_files.read(task, predictor, source, reader, held=held)
    return raw_input.read(predictor, source)


def _some(parts: Iterator[Questions], source: Input) -> Iterator[Questions]:
    """Those that hold rows; raises DataError where none does."""
    rows = 0
    for part in parts:
        if len(part.frame):
            rows += len(part.frame)
            yield part
    if not rows:
        raise DataError(f"{source.name}: no rows; expected at least one")
