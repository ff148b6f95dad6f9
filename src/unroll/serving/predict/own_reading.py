"""How a raw input of a task on files of one's own is written: as the task's files are, or as it looks."""

from collections.abc import Callable, Sequence
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
TEXTS = ("text", "source")
"""What columns of texts may be called whatever the task's own files call them."""
OF_TEXTS: dict[str, Callable[[FilesConfig], str | None]] = {
    "labelled_text": lambda config: config.text,
    "text": lambda config: config.text,
    "pairs": lambda config: config.source,
}
"""The column of texts in the task's own files, of the kinds whose questions are texts."""
ANSWERED = ("labelled_text", "pairs")
"""Those of them whose own files also have a column of answers, which may be away."""


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
    told, names = written(source, config), times.columns(config.time)
    require(source, told, names)
    first = next(reading.chunks(source.path, told, list(names), CHUNK, source.name), None)
    return first is None or times.name_zone(first.frame, config.time)


def written(source: Input, config: FilesConfig) -> Reading:
    """As the task's own files are read, where this one is of their kind; else as it looks."""
    own, told = sniffed(source, max_bytes=config.max_bytes), reading_of(config)
    named_so = SUFFIXES.get(source.suffix)
    alike = own.format == told.format or (told.format in DELIMITED and own.format in (*DELIMITED, "text"))
    if told.format == "text":
        alike = named_so is None and own.format in (*DELIMITED, "text")
    if not alike:
        return own
    if _is_lines(source, told, own, config):
        return own
    encoding = own.encoding if own.encoding == "utf-8" else told.encoding or own.encoding
    told = told.model_copy(update={"encoding": encoding})
    if told.format in DELIMITED and _is_cut_otherwise(source, told, own, config):
        told = told.model_copy(update={"delimiter": own.delimiter, "quote": None, "decimal": None})
    return reading.sniff(source.path, told, source.name)


def _is_lines(source: Input, told: Reading, own: Reading, config: FilesConfig) -> bool:
    """Whether these are lines of text for a task whose texts stand in tables: a name may tell, else the columns do."""
    if config.kind not in OF_TEXTS or told.format not in DELIMITED or own.format != "text":
        return False
    as_table = told.model_copy(update={"format": "csv", "encoding": own.encoding})
    there = {*reading.columns(source.path, as_table, source.name)}
    return SUFFIXES.get(source.suffix, "text") == "text" and not there & {OF_TEXTS[config.kind](config), *TEXTS}


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


def column_of_texts(config: FilesConfig, canonical: str, there: Sequence[str], told: Reading) -> str:
    """What the column of texts is called in a file of the columns ``there``: as in the task's files, or ``canonical``.

    Without a header columns are called by their places: the last one stands a place earlier where that of the answers,
    before it, is away.
    """
    column = OF_TEXTS[config.kind](config) or canonical
    is_a_place_earlier = told.header is False and config.kind in ANSWERED and column == f"column_{len(there) + 1}"
    if told.format == "text" or is_a_place_earlier:
        return there[-1]
    return canonical if column not in there and canonical in there else column


def require(source: Input, told: Reading, wanted: Sequence[str]) -> list[str]:
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
