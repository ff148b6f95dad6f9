"""Raw input of a task on files of one's own: read as the block reads them, without what is asked for.

Shapes: N rows.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.common.base import Part, Rejected
from unroll.datasets.files import FilesConfig, reading
from unroll.datasets.files.columns import cells
from unroll.datasets.files.columns.cells import Marks
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
from unroll.serving.predict.raw_input import CHUNK, Questions, chunks, numbers, rows_at_a_time
from unroll.serving.predict.series_parts import UnorderedError
from unroll.stages.common.task import Task

if TYPE_CHECKING:
    import pandas as pd


def read(
    task: Task, predictor: Predictor, source: Input, reader: Path | None, *, held: bool = False
) -> Iterator[Questions]:
    """The file as the problem's ``predict`` takes it, part by part.

    Raises UnorderedError for rows of a series that the block puts into the order of time, unless they may be ``held``
    in memory for that.
    """
    config = block(task, reader)
    told = written(source, config)
    if config.sort and not held and config.resample is None:  # most files are in order, whatever train's were
        return _in_order(_READERS[config.kind](source, told, config.model_copy(update={"sort": False}), predictor))
    return _READERS[config.kind](source, told, config, predictor)


def _in_order(parts: Iterator[Questions]) -> Iterator[Questions]:
    try:
        yield from parts
    except BackwardsError:
        raise UnorderedError from None


def _series(source: Input, told: Reading, config: FilesConfig, predictor: Predictor) -> Iterator[Questions]:
    """The rows of the variables and categories that the model knows."""
    meta = predictor.trained.meta
    known = {*meta["variables"], *(each["name"] for each in meta.get("categories", ()))}
    update = {
        "values": tuple(column for column, name in named(config).items() if name in known),
        "categories": tuple(column for column in config.categories or () if identifier(column) in known),
        "static": None,
    }
    reader = SeriesReader(config.model_copy(update=update), _marks(config, told))
    require(source, told, reader.columns())

    def parts() -> Iterator[Part]:
        bytes_held = 0
        for chunk in chunks(source, told, reader.columns(), CHUNK):
            if config.sort:
                bytes_held += int(chunk.frame.memory_usage(index=False).sum())
                series_parts.require_few(source.name, bytes_held)
            yield from reader.parts(chunk, "", ())
        yield from reader.end()

    rows = 0
    for part in parts():
        _refuse(part.rejected)
        for low in range(0, len(part.table), CHUNK):
            yield Questions(source.name, part.table.iloc[low : low + CHUNK].reset_index(drop=True))
        rows += len(part.table)
    if not rows:
        raise DataError(f"{source.name}: no rows; expected at least {meta['lag']} of each site")


def _labelled_series(source: Input, told: Reading, config: FilesConfig, predictor: Predictor) -> Iterator[Questions]:
    """The values of each series; a label that stands beside them is passed over."""
    import pandas as pd

    meta, label = predictor.trained.meta, None
    if told.format == "ucr":
        told = told.model_copy(update={"format": "csv", "header": False, "label_place": None})
        values = reading.columns(source.path, told, source.name)
        first = next(chunks(source, told, values, CHUNK), None)
        label = _label(first.frame, config, meta) if first else None
        values = [name for name in values if name != label]
    else:
        values = _value_columns(source, told, config, "shortest" in meta)
    if len(values) > meta["steps"]:
        raise DataError(f"{source.name}: series of {len(values)} values; expected at most {meta['steps']}, as in train")
    marks = _marks(config, told)
    for chunk in chunks(source, told, [*values, *([label] if label else [])], CHUNK):
        sieve, columns = Sieve(source.name, chunk.rows_N), {}
        if label:
            bad_N = np.array([text_of(value) not in _labels(config, meta) for value in chunk.frame[label]], dtype=bool)
            sieve.refuse(bad_N, label, chunk.frame[label], "no label of train; expected one, as in the first rows")
        for number, name in enumerate(values):
            cell_N = chunk.frame[name]
            columns[f"t{number:03d}"], bad_N = cells.numbers(cell_N, marks, f"{source.name}, column {name}")
            sieve.refuse(bad_N, name, cell_N, cells.reason(marks, cell_N))
        _refuse(sieve.rejected)
        yield Questions(source.name, pd.DataFrame(columns), chunk.rows_N, values)


def _value_columns(source: Input, told: Reading, config: FilesConfig, uneven: bool) -> list[str]:
    """The file's columns of steps: those of the block, as far as they must be there."""
    there = reading.columns(source.path, told, source.name)
    if told.format in ("ts", "arff"):
        return [name for name in there if name != config.label]
    assert isinstance(config.values, tuple)  # noqa: S101 - a settled block names them
    require(source, told, config.values[:1] if uneven else config.values)
    return [name for name in config.values if name in there]


def _label(first: "pd.DataFrame", config: FilesConfig, meta: Any) -> str | None:
    """The column of labels of a table without a header, by its first rows; None where it has none."""
    if not len(first.columns):
        return None
    label = str(first.columns[-1 if config.label_place == "last" else 0])
    known = _labels(config, meta)
    told = "shortest" in meta and all(text_of(value) in known for value in first[label].dropna())
    return label if told or len(first.columns) > meta["steps"] else None


def _labels(config: FilesConfig, meta: Any) -> set[str]:
    return {*meta["classes"], *config.label_map, *(config.drop_labels or ())}


def _texts(canonical: str) -> "Callable[..., Iterator[Questions]]":
    """Texts of one column, which is called as in the task's files or ``canonical``; with a request's options."""

    def read_texts(source: Input, told: Reading, config: FilesConfig, predictor: Predictor) -> Iterator[Questions]:
        import pandas as pd

        there = reading.columns(source.path, told, source.name)
        column = column_of_texts(config, canonical, there, told)
        require(source, told, [column])
        options = [name for name in predictor.optional_inputs if name in there and name != column]
        rows = 0
        for chunk in chunks(source, told, [column, *options], rows_at_a_time(predictor)):
            frame, rows_N = chunk.frame, chunk.rows_N
            if told.format == "text":
                blank_N = (frame[column].str.strip() == "").to_numpy(dtype=bool)
                frame, rows_N = frame[~blank_N].reset_index(drop=True), rows_N[~blank_N]
            sieve = Sieve(source.name, rows_N)
            text_N = read_text(frame[column], column, sieve)
            _refuse(sieve.rejected)
            where = Questions(source.name, frame, rows_N)
            columns: dict[str, Any] = {canonical: pd.array(text_N, dtype="str")}
            columns |= {name: numbers(frame[name], name, where) for name in options}
            rows += len(frame)
            yield Questions(source.name, pd.DataFrame(columns), rows_N)
        if not rows:
            raise DataError(f"{source.name}: no rows; expected at least one {canonical}")

    return read_texts


def _marks(config: FilesConfig, told: Reading) -> Marks:
    thousands = config.thousands if config.thousands != told.decimal else None
    return Marks.of(config.missing or (), told.decimal, thousands)


def _refuse(rejected: Sequence[Rejected]) -> None:
    """Raise DataError for the first row that cannot be used: an answer for another row would stand in its place."""
    if rejected:
        first = min(rejected, key=lambda row: row.row)
        raise DataError(f"{first.text()} (mend the row or leave it out: every row is answered, in its place)")


_READERS: dict[str, Callable[[Input, Reading, FilesConfig, Predictor], Iterator[Questions]]] = {
    "series": _series,
    "labelled_series": _labelled_series,
    "labelled_text": _texts("text"),
    "text": _texts("text"),
    "pairs": _texts("source"),
}
