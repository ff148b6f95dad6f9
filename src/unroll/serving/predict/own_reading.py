"""How a raw input of a task on the user's own files is written: as the task's files are, or as it looks."""

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unroll.core import store
from unroll.core.errors import DataError, StoreError
from unroll.datasets.files import FilesConfig, Plan, reading
from unroll.datasets.files.columns import times
from unroll.datasets.files.config import TimeColumns
from unroll.datasets.files.first_look import reading_of
from unroll.datasets.files.infer import named_columns
from unroll.datasets.files.reading import Reading, require_columns
from unroll.datasets.files.reading.sniffing import SUFFIXES
from unroll.serving.predict.input_file import Input
from unroll.serving.predict.raw_input import CHUNK, sniffed
from unroll.stages.common.task import Task

DELIMITED = ("csv", "ucr")
OF_TEXTS: dict[str, Callable[[FilesConfig], str | None]] = {
    "labelled_text": lambda config: config.text,
    "text": lambda config: config.text,
    "pairs": lambda config: config.source,
}
"""The column of texts in the task's own files, of the kinds that a model takes texts of."""
ANSWERED = ("labelled_text", "pairs")
"""Those of them whose own files also have a column of answers, which an input may lack."""


def block(task: Task, reader: Path | None) -> FilesConfig:
    """The complete block: as it came with the model, as ingest left it, or inferred again.

    ``reader`` is the file that comes with a registered model.
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
    """Whether the times in a file of a series have a zone, or the block names one other than UTC."""
    config = block(task, reader)
    if not isinstance(config.time, TimeColumns):
        return False
    if config.time.timezone != "UTC":
        return True
    how, names = written(source, config, ""), times.columns(config.time)
    require(source, how, names)
    first = next(reading.chunks(source.path, how, list(names), CHUNK, source.name), None)
    return first is None or times.name_zone(first.frame, config.time)


def written(source: Input, config: FilesConfig, line: str) -> Reading:
    """As the task's own files are read, where this one is of their kind; else as it looks.

    ``line`` is the model's column of texts, if any: the input may call it so, whatever the task's own files call it.
    """
    own, how = sniffed(source, max_bytes=config.max_bytes), reading_of(config)
    named_so = SUFFIXES.get(source.suffix)
    alike = own.format == how.format or (how.format in DELIMITED and own.format in (*DELIMITED, "text"))
    if how.format == "text":
        alike = named_so is None and own.format in (*DELIMITED, "text")
    if not alike:
        return own
    if _is_lines(source, how, own, config, line):
        return own
    encoding = own.encoding if own.encoding == "utf-8" else how.encoding or own.encoding
    how = how.model_copy(update={"encoding": encoding})
    if how.format in DELIMITED and _is_cut_otherwise(source, how, own, {*named_columns(config), line}):
        how = how.model_copy(update={"delimiter": own.delimiter, "quote": None, "decimal": None})
    return reading.sniff(source.path, how, source.name)


def _is_lines(source: Input, how: Reading, own: Reading, config: FilesConfig, line: str) -> bool:
    """Whether these are lines of text for a task whose texts stand in tables, by the name or else by the columns."""
    if config.kind not in OF_TEXTS or how.format not in DELIMITED or own.format != "text":
        return False
    as_table = how.model_copy(update={"format": "csv", "encoding": own.encoding})
    there = {*reading.columns(source.path, as_table, source.name)}
    return SUFFIXES.get(source.suffix, "text") == "text" and not there & {OF_TEXTS[config.kind](config), line}


def _is_cut_otherwise(source: Input, how: Reading, own: Reading, columns: Set[str]) -> bool:
    """Whether the file has some of the columns by the delimiter that it seems to have, and none of them by the block's.

    Without a header: whether it has several columns, and one.
    """
    if own.delimiter is None or own.delimiter == how.delimiter:
        return False
    by_block, by_look = (
        reading.columns(source.path, how.model_copy(update={"format": "csv", **change}), source.name)
        for change in ({}, {"delimiter": own.delimiter, "quote": own.quote})
    )
    if not how.header:
        return len(by_block) == 1 < len(by_look)
    return not columns & {*by_block} and bool(columns & {*by_look})


def column_of_texts(config: FilesConfig, line: str, there: Sequence[str], how: Reading) -> str:
    """What the column of texts is called in a file of the columns ``there``: as in the task's files, or ``line``.

    Without a header columns are called by their places: the last one stands a place earlier where that of the answers,
    before it, is away.
    """
    column = OF_TEXTS[config.kind](config) or line
    is_a_place_earlier = how.header is False and config.kind in ANSWERED and column == f"column_{len(there) + 1}"
    if how.format == "text" or is_a_place_earlier:
        return there[-1]
    return line if column not in there and line in there else column


def require(source: Input, how: Reading, columns: Sequence[str]) -> list[str]:
    """All columns of the file; raises DataError where one of ``columns`` is missing, with how its cells were cut."""
    there = reading.columns(source.path, how, source.name)
    if set(columns) <= set(there):
        return there
    try:
        require_columns(source.name, there, columns, reading.left_out(source.path, how, source.name))
    except DataError as error:
        own = sniffed(source).delimiter
        if how.format not in DELIMITED or own in (None, how.delimiter):
            raise
        raise DataError(
            f"{error}; cells seem to end at {own!r}, those of the task's files at {how.delimiter!r}"
        ) from None
    return there
