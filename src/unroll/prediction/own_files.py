"""Raw input of a task on files of one's own: read as the block reads them, without what is asked for.

Shapes: N rows.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from unroll import reading, store
from unroll.datasets._files import cells, times
from unroll.datasets._files.cells import Marks
from unroll.datasets._files.config import TimeColumns, identifier
from unroll.datasets._files.infer import named_columns
from unroll.datasets._files.labelled import read_text
from unroll.datasets._files.labels import text_of
from unroll.datasets._files.look import reading_of
from unroll.datasets._files.rows import Sieve, require_columns
from unroll.datasets._files.series import SeriesReader, named
from unroll.datasets.base import Part, Rejected
from unroll.datasets.files import FilesConfig, Plan
from unroll.errors import DataError, StoreError
from unroll.prediction.inputs import MAX_BYTES, Input
from unroll.prediction.questions import CHUNK, Questions, chunks, numbers, rows_at_a_time, sniffed
from unroll.reading import Reading
from unroll.reading.sniffing import SUFFIXES
from unroll.serving import Predictor
from unroll.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

DELIMITED = ("csv", "ucr")
TEXTS = ("text", "source")
"""What columns of texts may be called whatever the task's own files call them."""


def read(task: Task, predictor: Predictor, source: Input, reader: Path | None) -> Iterator[Questions]:
    """The file as the problem's ``predict`` takes it, part by part."""
    config = block(task, reader)
    told = _reading(source, config)
    return _READERS[config.kind](source, told, config, predictor)


def block(task: Task, reader: Path | None) -> FilesConfig:
    """The block with all that was found: as it came with the model, as ingest left it, or by another look.

    ``reader`` is the file that a registered model brings along.
    """
    _, given = task.dataset()
    assert isinstance(given, FilesConfig)  # noqa: S101 - of the dataset files alone
    if reader is not None:
        try:
            return FilesConfig.model_validate(store.read_json(reader))
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(map(str, fault["loc"]))
            raise StoreError(
                f"{reader}: {key}: {fault['input']!r:.60} is not allowed; {fault['msg'].lower()}"
            ) from None
    try:
        manifest: Any = store.read_json(task.layout.raw / "manifest.json")
        return FilesConfig.model_validate(manifest["found"]["block"])
    except (StoreError, KeyError):
        return Plan.of(given, task.layout.root).config


def names_zone(task: Task, source: Input, reader: Path | None) -> bool:
    """Whether the times of a series' file tell the zone that they are in, or the block tells one beside UTC."""
    config = block(task, reader)
    if not isinstance(config.time, TimeColumns):
        return False
    if config.time.timezone != "UTC":
        return True
    told, names = _reading(source, config), times.columns(config.time)
    _require(source, told, names)
    first = next(reading.chunks(source.path, told, list(names), CHUNK, source.name), None)
    return first is None or times.name_zone(first.frame, config.time)


def _reading(source: Input, config: FilesConfig) -> Reading:
    """As the task's own files are read, where this one is of their kind; else as it looks."""
    own = sniffed(source)
    told = reading_of(config).model_copy(update={"max_bytes": MAX_BYTES})
    named_so = SUFFIXES.get(source.suffix)
    alike = own.format == told.format or (told.format in DELIMITED and own.format in (*DELIMITED, "text"))
    if told.format == "text":
        alike = named_so is None and own.format in (*DELIMITED, "text")
    if not alike:
        return own
    encoding = own.encoding if own.encoding == "utf-8" else told.encoding or own.encoding
    told = told.model_copy(update={"encoding": encoding})
    if told.format in DELIMITED and _is_cut_otherwise(source, told, own, config):
        told = told.model_copy(update={"delimiter": own.delimiter, "quote": None, "decimal": None})
    return reading.sniff(source.path, told, source.name)


def _is_cut_otherwise(source: Input, told: Reading, own: Reading, config: FilesConfig) -> bool:
    """Whether the file has the block's columns by the delimiter that it seems to have, and none of them by the block's.

    Without a header: whether it has several columns, and one.
    """
    if own.delimiter is None or own.delimiter == told.delimiter:
        return False
    by_block, by_look = (
        reading.columns(source.path, told.model_copy(update={"format": "csv", **found}), source.name)
        for found in ({}, {"delimiter": own.delimiter, "quote": own.quote})
    )
    if not told.header:
        return len(by_block) == 1 < len(by_look)
    columns = {*named_columns(config), *TEXTS}
    return not columns & {*by_block} and bool(columns & {*by_look})


def _require(source: Input, told: Reading, wanted: Sequence[str]) -> list[str]:
    """The columns of the file, all wanted ones among them; raises DataError that also says how its cells were cut."""
    there = reading.columns(source.path, told, source.name)
    if set(wanted) <= set(there):
        return there
    try:
        require_columns(source.name, there, wanted, reading.left_out(source.path, told, source.name))
    except DataError as error:
        own = sniffed(source).delimiter
        if told.format not in DELIMITED or own in (None, told.delimiter):
            raise
        raise DataError(
            f"{error}; cells seem to end at {own!r}, those of the task's files at {told.delimiter!r}"
        ) from None
    return there


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
    _require(source, told, reader.columns())

    def parts() -> Iterator[Part]:
        for chunk in chunks(source, told, reader.columns(), CHUNK):
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
    _require(source, told, config.values[:1] if uneven else config.values)
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


def _texts(canonical: str, key: Callable[[FilesConfig], str | None]) -> "Callable[..., Iterator[Questions]]":
    """Texts of one column, which is called as in the task's files or ``canonical``; with a request's options."""

    def read_texts(source: Input, told: Reading, config: FilesConfig, predictor: Predictor) -> Iterator[Questions]:
        import pandas as pd

        there = reading.columns(source.path, told, source.name)
        column = key(config) or canonical
        column = canonical if column not in there and canonical in there else column
        if told.format == "text":
            column = there[0]
        _require(source, told, [column])
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
        raise DataError(first.text())


_READERS: dict[str, Callable[[Input, Reading, FilesConfig, Predictor], Iterator[Questions]]] = {
    "series": _series,
    "labelled_series": _labelled_series,
    "labelled_text": _texts("text", lambda config: config.text),
    "text": _texts("text", lambda config: config.text),
    "pairs": _texts("source", lambda config: config.source),
}
