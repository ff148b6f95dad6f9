"""Raw input of a task on the user's own files: read as the block reads them, without what the model is to predict.

Shapes: N rows.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.common.base import Part, Rejected
from unroll.datasets.files import FilesConfig, reading
from unroll.datasets.files.columns import parsing
from unroll.datasets.files.columns.parsing import Marks
from unroll.datasets.files.config import identifier
from unroll.datasets.files.labels import text_of
from unroll.datasets.files.reading import Reading
from unroll.datasets.files.tables.labelled_builder import read_text
from unroll.datasets.files.tables.order import BackwardsError
from unroll.datasets.files.tables.series_builder import SeriesReader, named
from unroll.datasets.files.tables.sifting import Sieve
from unroll.model.predictor import Predictor
from unroll.serving.predict import series_parts
from unroll.serving.predict.input_file import Input
from unroll.serving.predict.own_reading import block, column_of_texts, require, written
from unroll.serving.predict.raw_input import CHUNK, Rows, chunks, numbers, rows_at_a_time
from unroll.serving.predict.series_parts import UnorderedError
from unroll.stages.common.task import Task

if TYPE_CHECKING:
    import pandas as pd


def read(task: Task, predictor: Predictor, source: Input, reader: Path | None, *, held: bool = False) -> Iterator[Rows]:
    """The file as the problem's ``predict`` takes it, part by part.

    Raises UnorderedError for rows of a series that must be put into the order of time, unless they may be ``held`` in
    memory for that.
    """
    config = block(task, reader)
    how = written(source, config, predictor.inputs.line)
    if config.sort and not held and config.resample is None:  # most files are in order, whatever train's were
        return _in_order(_READERS[config.kind](source, how, config.model_copy(update={"sort": False}), predictor))
    return _READERS[config.kind](source, how, config, predictor)


def _in_order(parts: Iterator[Rows]) -> Iterator[Rows]:
    try:
        yield from parts
    except BackwardsError:
        raise UnorderedError from None


def _series(source: Input, how: Reading, config: FilesConfig, predictor: Predictor) -> Iterator[Rows]:
    """The rows of the variables and categories that the model knows."""
    known = predictor.inputs.columns
    update = {
        "values": tuple(column for column, name in named(config).items() if name in known),
        "categories": tuple(column for column in config.categories or () if identifier(column) in known),
        "static": None,
    }
    reader = SeriesReader(config.model_copy(update=update), _marks(config, how))
    require(source, how, reader.columns())

    def parts() -> Iterator[Part]:
        bytes_held = 0
        for chunk in chunks(source, how, reader.columns(), CHUNK):
            if config.sort:
                bytes_held += int(chunk.frame.memory_usage(index=False).sum())
                series_parts.require_few(source.name, bytes_held)
            yield from reader.parts(chunk, "", ())
        yield from reader.end()

    for part in parts():
        _refuse(part.rejected)
        for low in range(0, len(part.table), CHUNK):
            yield Rows(source.name, part.table.iloc[low : low + CHUNK].reset_index(drop=True))


def _labelled_series(source: Input, how: Reading, config: FilesConfig, predictor: Predictor) -> Iterator[Rows]:
    """The values of each series; a label beside them is left out."""
    import pandas as pd

    steps, uneven, label = list(predictor.inputs.columns), _is_uneven(predictor), None
    labels = {*predictor.inputs.about.get("classes", ()), *config.label_map, *(config.drop_labels or ())}
    if how.format == "ucr":
        how = how.model_copy(update={"format": "csv", "header": False, "label_place": None})
        values = reading.columns(source.path, how, source.name)
        first = next(chunks(source, how, values, CHUNK), None)
        label = _label(first.frame, config, labels, len(steps), uneven) if first else None
        values = [name for name in values if name != label]
    else:
        values = _value_columns(source, how, config, uneven)
    if len(values) > len(steps):
        raise DataError(f"{source.name}: series of {len(values)} values; expected at most {len(steps)}, as in train")
    marks = _marks(config, how)
    for chunk in chunks(source, how, [*values, *([label] if label else [])], CHUNK):
        sieve, columns = Sieve(source.name, chunk.rows_N), {}
        if label:
            bad_N = np.array([text_of(value) not in labels for value in chunk.frame[label]], dtype=bool)
            sieve.refuse(bad_N, label, chunk.frame[label], "not a label of train; expected one, as in the first rows")
        for step, name in zip(steps, values, strict=False):
            cell_N = chunk.frame[name]
            columns[step], bad_N = parsing.numbers(cell_N, marks, f"{source.name}, column {name}")
            sieve.refuse(bad_N, name, cell_N, parsing.reason(marks, cell_N))
        _refuse(sieve.rejected)
        yield Rows(source.name, pd.DataFrame(columns), chunk.rows_N, dict(zip(steps, values, strict=False)))


def _is_uneven(predictor: Predictor) -> bool:
    """Whether a series may end early."""
    return not all(column.required for column in predictor.inputs.columns.values())


def _value_columns(source: Input, how: Reading, config: FilesConfig, uneven: bool) -> list[str]:
    """The file's columns of steps: those of the block, as far as they must be there."""
    there = reading.columns(source.path, how, source.name)
    if how.format in ("ts", "arff"):
        return [name for name in there if name != config.label]
    assert isinstance(config.values, tuple)  # noqa: S101 - a settled block names them
    require(source, how, config.values[:1] if uneven else config.values)
    return [name for name in config.values if name in there]


def _label(first: "pd.DataFrame", config: FilesConfig, labels: Collection[str], steps: int, uneven: bool) -> str | None:
    """The column of labels of a table without a header, by its first rows; None where it has none."""
    if not len(first.columns):
        return None
    label = str(first.columns[-1 if config.label_place == "last" else 0])
    holds_labels = uneven and all(text_of(value) in labels for value in first[label].dropna())
    return label if holds_labels or len(first.columns) > steps else None


def _texts(source: Input, how: Reading, config: FilesConfig, predictor: Predictor) -> Iterator[Rows]:
    """Texts of one column, called as in the task's files or as in ``predict``; with a request's options."""
    import pandas as pd

    line = predictor.inputs.line
    there = reading.columns(source.path, how, source.name)
    column = column_of_texts(config, line, there, how)
    require(source, how, [column])
    options = [name for name in predictor.optional_inputs if name in there and name != column]
    for chunk in chunks(source, how, [column, *options], rows_at_a_time(predictor)):
        frame, rows_N = chunk.frame, chunk.rows_N
        if how.format == "text":
            blank_N = (frame[column].str.strip() == "").to_numpy(dtype=bool)
            frame, rows_N = frame[~blank_N].reset_index(drop=True), rows_N[~blank_N]
        sieve = Sieve(source.name, rows_N)
        text_N = read_text(frame[column], column, sieve)
        _refuse(sieve.rejected)
        rows = Rows(source.name, frame, rows_N)
        columns: dict[str, Any] = {line: pd.array(text_N, dtype="str")}
        columns |= {name: numbers(rows, name) for name in options}
        yield Rows(source.name, pd.DataFrame(columns), rows_N)


def _marks(config: FilesConfig, how: Reading) -> Marks:
    thousands = config.thousands if config.thousands != how.decimal else None
    return Marks.of(config.missing or (), how.decimal, thousands)


def _refuse(rejected: Sequence[Rejected]) -> None:
    """Raise DataError for the first row that cannot be used: an answer for another row would stand in its place."""
    if rejected:
        first = min(rejected, key=lambda row: row.row)
        raise DataError(f"{first.text()} (mend the row or leave it out: every row is answered, in its place)")


_READERS: dict[str, Callable[[Input, Reading, FilesConfig, Predictor], Iterator[Rows]]] = {
    "series": _series,
    "labelled_series": _labelled_series,
    "labelled_text": _texts,
    "text": _texts,
    "pairs": _texts,
}
"""By the kind of table that the files hold."""
