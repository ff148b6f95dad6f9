"""Raw input of a task on files of one's own: read as the block reads them, without what is asked for.

Shapes: N rows.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll import reading, store
from unroll.datasets._files import cells
from unroll.datasets._files.cells import Marks
from unroll.datasets._files.config import identifier
from unroll.datasets._files.labelled import read_text
from unroll.datasets._files.labels import text_of
from unroll.datasets._files.look import reading_of
from unroll.datasets._files.rows import Sieve, require_columns
from unroll.datasets._files.series import SeriesReader, named
from unroll.datasets.base import Rejected
from unroll.datasets.files import FilesConfig, Plan
from unroll.errors import DataError, StoreError
from unroll.prediction.questions import MAX_BYTES, Questions, chunks, joined, numbers, sniffed
from unroll.reading import Reading
from unroll.reading.sniffing import SUFFIXES
from unroll.serving import Predictor
from unroll.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

DELIMITED = ("csv", "ucr")


def read(task: Task, predictor: Predictor, source: Path) -> Questions:
    """The file as the problem's ``predict`` takes it."""
    config = block(task)
    told = _reading(source, config)
    return _READERS[config.kind](source, told, config, predictor)


def block(task: Task) -> FilesConfig:
    """The block with all that was found: as the stage ingest left it, else by another look at the task's files."""
    _, given = task.dataset()
    assert isinstance(given, FilesConfig)  # noqa: S101 - of the dataset files alone
    try:
        manifest: Any = store.read_json(task.layout.raw / "manifest.json")
        return FilesConfig.model_validate(manifest["found"]["block"])
    except (StoreError, KeyError):
        return Plan.of(given, task.layout.root).config


def _reading(source: Path, config: FilesConfig) -> Reading:
    """As the task's own files are read, where this one is of their kind; else as it looks."""
    own = sniffed(source)
    told = reading_of(config).model_copy(update={"max_bytes": MAX_BYTES})
    named_so = SUFFIXES.get(source.suffix.lower())
    alike = own.format == told.format or (told.format in DELIMITED and own.format in (*DELIMITED, "text"))
    if told.format == "text":
        alike = named_so is None and own.format in (*DELIMITED, "text")
    if not alike:
        return own
    encoding = own.encoding if own.encoding == "utf-8" else told.encoding or own.encoding
    return reading.sniff(source, told.model_copy(update={"encoding": encoding}))


def _series(source: Path, told: Reading, config: FilesConfig, predictor: Predictor) -> Questions:
    """The rows of the variables and categories that the model knows."""
    import pandas as pd

    meta = predictor.trained.meta
    known = {*meta["variables"], *(each["name"] for each in meta.get("categories", ()))}
    update = {
        "values": tuple(column for column, name in named(config).items() if name in known),
        "categories": tuple(column for column in config.categories or () if identifier(column) in known),
        "static": None,
    }
    reader = SeriesReader(config.model_copy(update=update), _marks(config, told))
    require_columns(source.name, reading.columns(source, told), reader.columns())
    tables = []
    for chunk in chunks(source, told, reader.columns()):
        for part in reader.parts(chunk, "", ()):
            _refuse(part.rejected)
            tables.append(part.table)
    tables += [part.table for part in reader.end()]
    filled = [table for table in tables if len(table)]
    if not filled:
        raise DataError(f"{source.name}: no rows; expected at least {meta['lag']} of each site")
    return Questions(source.name, pd.concat(filled, ignore_index=True))


def _labelled_series(source: Path, told: Reading, config: FilesConfig, predictor: Predictor) -> Questions:
    """The values of each series; a label that stands beside them is passed over."""
    import pandas as pd

    meta = predictor.trained.meta
    if told.format == "ucr":
        told = told.model_copy(update={"format": "csv", "header": False, "label_place": None})
        frame, rows_N = joined(chunks(source, told, reading.columns(source, told)))
        frame = _without_label(frame, config, meta)
        values = list(frame.columns)
    else:
        values = _value_columns(source, told, config, "shortest" in meta)
        frame, rows_N = joined(chunks(source, told, values))
    if len(values) > meta["steps"]:
        raise DataError(f"{source.name}: series of {len(values)} values; expected at most {meta['steps']}, as in train")
    marks, sieve = _marks(config, told), Sieve(source.name, rows_N)
    columns = {}
    for number, name in enumerate(values):
        columns[f"t{number:03d}"], bad_N = cells.numbers(frame[name], marks, f"{source.name}, column {name}")
        sieve.refuse(bad_N, name, frame[name], cells.reason(marks, frame[name]))
    _refuse(sieve.rejected)
    return Questions(source.name, pd.DataFrame(columns), rows_N, values)


def _value_columns(source: Path, told: Reading, config: FilesConfig, uneven: bool) -> list[str]:
    """The file's columns of steps: those of the block, as far as they must be there."""
    there = reading.columns(source, told)
    if told.format in ("ts", "arff"):
        return [name for name in there if name != config.label]
    assert isinstance(config.values, tuple)  # noqa: S101 - a settled block names them
    require_columns(source.name, there, config.values[:1] if uneven else config.values)
    return [name for name in config.values if name in there]


def _without_label(frame: "pd.DataFrame", config: FilesConfig, meta: Any) -> "pd.DataFrame":
    """A table without a header, without its column of labels if it has one."""
    if not len(frame.columns):
        return frame
    label = frame.columns[-1 if config.label_place == "last" else 0]
    known = {*meta["classes"], *config.label_map, *(config.drop_labels or ())}
    if len(frame.columns) > meta["steps"] or (
        "shortest" in meta and {text_of(value) for value in frame[label].dropna()} <= known
    ):
        return frame.drop(columns=label)
    return frame


def _texts(canonical: str, key: Callable[[FilesConfig], str | None]) -> "Callable[..., Questions]":
    """Texts of one column, which is called as in the task's files or ``canonical``; with a request's options."""

    def read_texts(source: Path, told: Reading, config: FilesConfig, predictor: Predictor) -> Questions:
        import pandas as pd

        there = reading.columns(source, told)
        column = key(config) or canonical
        column = canonical if column not in there and canonical in there else column
        require_columns(source.name, there, [column])
        options = [name for name in predictor.optional_inputs if name in there and name != column]
        frame, rows_N = joined(chunks(source, told, [column, *options]))
        sieve = Sieve(source.name, rows_N)
        if told.format == "text" and len(frame):
            blank_N = (frame[column].str.strip() == "").to_numpy(dtype=bool)
            frame, rows_N = frame[~blank_N].reset_index(drop=True), rows_N[~blank_N]
            sieve = Sieve(source.name, rows_N)
        if not len(frame):
            raise DataError(f"{source.name}: no rows; expected at least one {canonical}")
        text_N = read_text(frame[column], column, sieve)
        _refuse(sieve.rejected)
        where = Questions(source.name, frame, rows_N)
        columns: dict[str, Any] = {canonical: pd.array(text_N, dtype="str")}
        columns |= {name: numbers(frame[name], name, where) for name in options}
        return Questions(source.name, pd.DataFrame(columns), rows_N)

    return read_texts


def _marks(config: FilesConfig, told: Reading) -> Marks:
    return Marks.of(config.missing or (), told.decimal, config.thousands)


def _refuse(rejected: Sequence[Rejected]) -> None:
    """Raise DataError for the first row that cannot be used: an answer for another row would stand in its place."""
    if rejected:
        first = min(rejected, key=lambda row: row.row)
        raise DataError(first.text())


_READERS: dict[str, Callable[[Path, Reading, FilesConfig, Predictor], Questions]] = {
    "series": _series,
    "labelled_series": _labelled_series,
    "labelled_text": _texts("text", lambda config: config.text),
    "text": _texts("text", lambda config: config.text),
    "pairs": _texts("source", lambda config: config.source),
}
