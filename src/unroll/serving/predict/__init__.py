"""``unroll predict``: answers of a task's model to raw input, read, answered and written part by part."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from unroll.core.errors import DataError
from unroll.model.predictor import Predictor
from unroll.registry import versions
from unroll.serving import loading
from unroll.serving.predict import input_file, output_file, own_files, own_reading, raw_input, series_parts
from unroll.serving.predict.input_file import Input
from unroll.serving.predict.output_file import Format
from unroll.serving.predict.raw_input import Rows
from unroll.stages.common.task import Task

if TYPE_CHECKING:
    import pandas as pd

    from unroll.datasets.files.reading import Reading

__all__ = ["Request", "main"]


@dataclass(frozen=True)
class Request:
    """A task's model, an input (``-``: standard input), and where the answers go."""

    task: str
    source: str
    model: str | None = None
    output: Path | None = None
    format: Format | None = None


def main(root: Path, request: Request, out: TextIO) -> None:
    """Answer the input and write to ``request.output``, or to ``out``; which model answers goes to stderr.

    Raises DataError that names file, row and column of a faulty input, ConfigError for an output that cannot be
    written, StoreError and TrackingError for a model that is not there. Then nothing is written.
    """
    output_file.require_possible(request.output, request.format, request.source)
    task = Task.open(root, request.task)
    with input_file.opened(request.source) as source:
        located = versions.choose(root, task.name, request.model)
        sys.stderr.write(f"unroll: {versions.describe(task.name, request.model, located)}\n")
        work = _Work(task, loading.load(task, located.folder), source, located.reader)
        takes_texts = bool(work.predictor.inputs.line)
        kind = output_file.format_of(request.output, request.format, work.reading().format, takes_texts)
        try:
            output_file.write(work.answers(held=False), kind, request.output, out)
        except series_parts.UnorderedError:
            output_file.write(work.answers(held=True), kind, request.output, out)


@dataclass(frozen=True)
class _Work:
    """One input and the model that answers it; ``reader`` tells how a task on its own files reads them."""

    task: Task
    predictor: Predictor
    source: Input
    reader: Path | None

    @property
    def reads_own_files(self) -> bool:
        """Whether the task is on files of the user's own: then the input is read as those are."""
        return self.task.dataset()[0].in_place

    def reading(self) -> "Reading":
        """How the input is written."""
        if self.reads_own_files:
            return own_reading.written(
                self.source, own_reading.block(self.task, self.reader), self.predictor.inputs.line
            )
        return raw_input.written(self.source, self.predictor)

    def answers(self, *, held: bool) -> "Iterator[pd.DataFrame]":
        """The answers part by part, with progress on the screen; ``held``: rows are put into the order of time first.

        Raises UnorderedError where a series has to be.
        """
        count = 0
        with input_file.share(f"predict {self.task.name}", self.source.path.stat().st_size) as update:
            for part in self._parts(held):
                output_file.require_finite(part, count, self.source.name)
                count += len(part)
                update(self.source.position, count)
                yield part

    def _parts(self, held: bool) -> "Iterator[pd.DataFrame]":
        rows = self._rows(held)
        series = self.predictor.trained.problem.series_parts
        if series is None:
            return (part.answered(self.predictor.predict) for part in rows)
        answers = series_parts.answers(series_parts.in_order(rows, series) if held else rows, self.predictor, series)
        if self.reads_own_files and not own_reading.names_zone(self.task, self.source, self.reader):
            return map(output_file.without_zone, answers)
        return answers

    def _rows(self, held: bool) -> Iterator[Rows]:
        """The input as the problem's ``predict`` takes it; raises DataError where it has no row."""
        if self.reads_own_files:
            parts = own_files.read(self.task, self.predictor, self.source, self.reader, held=held)
        else:
            parts = raw_input.read(self.predictor, self.source)
        count = 0
        for part in parts:
            if len(part.frame):
                count += len(part.frame)
                yield part
        if not count:
            raise DataError("no rows; expected at least one", file=self.source.name)
