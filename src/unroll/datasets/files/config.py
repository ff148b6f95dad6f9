"""The ``data`` block of ``dataset: files``: which files, how they are read, and what their columns are."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from unroll.core.config import Config, DataConfig, Share
from unroll.datasets.files.labels import text_of
from unroll.datasets.files.reading.options import Reading

Table = Literal["series", "labelled_series", "labelled_text", "text", "pairs"]
KINDS: dict[Table, str] = {
    "series": "series",
    "labelled_series": "labelled series",
    "labelled_text": "labelled text",
    "text": "text",
    "pairs": "pairs",
}
"""The canonical table of each word."""
PARTS = ("train", "validation", "test")
_SERIES = {
    *("time", "start", "step", "site", "values", "units", "categories", "static", "resample", "sort", "ranges"),
    *("missing", "thousands", "max_missing_share"),
}
_LABELLED = {"label", "label_map", "labels", "drop_labels", "split", "group", "missing"}
_OWN: dict[Table, set[str]] = {
    "series": _SERIES,
    "labelled_series": {*_LABELLED, "values", "thousands"},
    "labelled_text": {*_LABELLED, "text"},
    "text": {"text"},
    "pairs": {"source", "target", "split", "group"},
}
"""Keys that make sense for some tables only."""
_UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+) ?(s|min|h|d|w)")
_NO_NAME = re.compile(r"\W+")


def _duration(value: object) -> object:
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)) and int(match[1]) > 0:
        return value
    raise ValueError(f"expected a number and one of {', '.join(_UNITS_S)}, such as 15min or 1h")


def _label(value: object) -> object:
    return text_of(value) if isinstance(value, str | int | float) else value


def _label_map(value: object) -> object:
    return {_label(key): _label(new) for key, new in value.items()} if isinstance(value, Mapping) else value


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str | int | float) else value


Scalar = str | int | float
Duration = Annotated[str, BeforeValidator(_duration, str)]
Label = Annotated[str, BeforeValidator(_label, Scalar)]
Labels = Annotated[tuple[Label, ...], Field(strict=False, min_length=1), BeforeValidator(_listed)]
Columns = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
SomeColumns = Annotated[tuple[str, ...], Field(strict=False)]
Paths = str | Columns
Bounds = Annotated[tuple[float | int | None, float | int | None], Field(strict=False)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class TimeColumns(Config):
    """Where a row's time stands, and how it is written."""

    columns: Columns | str = Field(description="The column, or several that are joined with a blank between them")
    formats: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Tried in order for each row: iso, epoch_s, epoch_ms, epoch_us, or one such as %d/%m/%Y %H:%M",
    )
    timezone: str = Field(
        default="UTC", description="Of times that name none, such as Europe/London; the table is in UTC"
    )


class Resample(Config):
    """A regular step made of rows that come as they like."""

    every: Duration = Field(description="The step, such as 1h")
    how: Literal["mean", "sum", "first", "last", "min", "max"] = Field(
        default="mean", description="What becomes of its rows"
    )


class SourceSplit(Config):
    """The source's own split: by the values of a column, or by files."""

    column: str | None = Field(
        default=None, description="Column that says it; null: train, validation and test are files"
    )
    train: Labels | None = Field(default=None, description="Values of the column, or path of files")
    validation: Labels | None = None
    test: Labels | None = None

    @model_validator(mode="after")
    def _names_parts(self) -> "SourceSplit":
        if self.column is None and not (self.train and self.test):
            raise ValueError("split needs a column, or the files of train and of test")
        return self

    def given(self) -> dict[str, tuple[str, ...]]:
        """The parts that are named, with their values or paths."""
        return {part: match for part in PARTS if (match := getattr(self, part))}


class FilesConfig(Reading, DataConfig):
    """The ``data`` block of a task on the user's own files. What it leaves out is inferred from the first rows."""

    table: Table | None = Field(None, description="The canonical table; null: what the columns given make plain")
    path: Paths | None = Field(None, description="A file, a list, a pattern, a folder or a URL; null: split has files")
    sha256: Sha256 | Annotated[tuple[Sha256, ...], Field(strict=False)] | None = Field(
        None, description="Of the file or of each of a list; needed for a URL"
    )
    seed: int = Field(default=0, ge=0, description="Nothing is drawn: of no use here")
    max_rejected_share: Share = Field(default=0.01, description="Share of rows that may be set aside")
    missing: tuple[Scalar, ...] | None = Field(
        default=None, strict=False, description="Markers of missing values beside the empty cell; null: NA and the like"
    )
    thousands: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="Mark between groups of three digits; null: none, unless the first rows have one"
    )
    # a series
    time: str | TimeColumns | None = Field(None, description="Column of the time; null: start and step number the rows")
    start: str | None = Field(None, description="Time of the first row, where rows have none, such as 2020-01-01")
    step: Duration | None = Field(None, description="Regular step, such as 1h; null: the most frequent difference")
    site: str | None = Field(None, description="Column that tells several series in one file apart")
    values: Literal["all"] | Columns | None = Field(
        default=None,
        description="Columns of numbers; all, or null: those that hold numbers. Of a labelled series its steps",
    )
    units: dict[str, str] = Field({}, description="Unit of a column, which its name gets: {PM2.5: ug_m3}")
    categories: SomeColumns | None = Field(None, description="Columns of few distinct words that are inputs")
    static: SomeColumns | None = Field(None, description="Columns that are constant a site")
    resample: Resample | None = Field(None, description="Make a regular step of the rows")
    sort: bool = Field(False, description="Whether rows may stand out of the order of time, and are put into it")
    # labelled series and labelled text
    label: str | None = Field(None, description="Column of the label")
    label_map: Annotated[dict[str, str], BeforeValidator(_label_map, dict[str, Scalar])] = Field(
        {}, description="Labels to rename; others stay"
    )
    labels: Labels | None = Field(None, description="The labels allowed, as renamed; null: those that are there")
    drop_labels: Labels | None = Field(None, description="Labels, as they stand there, whose rows are left out")
    # texts
    text: str | None = Field(None, description="Column of the text")
    source: str | None = Field(None, description="Column of the sources, of pairs")
    target: str | None = Field(None, description="Column of the targets, of pairs")
    # for all
    split: SourceSplit | None = Field(None, description="The source's own split")
    group: str | None = Field(None, description="Column whose equal values never part in a split")
    ranges: dict[str, Bounds] = Field({}, description="Bounds of columns of numbers: a row beyond them is set aside")
    max_missing_share: Share = Field(default=0.5, description="Share of missing values of a column that stops the task")

    @model_validator(mode="after")
    def _agree(self) -> "FilesConfig":
        by_files = self.split is not None and self.split.column is None
        if (self.path is None) != by_files:
            raise ValueError(
                "path is missing; expected a file, a list, a pattern, a folder or a URL"
                if self.path is None
                else "path and the files of split are both given; expected one of them"
            )
        missing = [url for url in urls(self) if self.sha256 is None]
        if missing:
            raise ValueError(f"sha256 is missing; expected the hash of {missing[0]}")
        if self.thousands is not None and self.thousands == self.decimal:
            raise ValueError(f"thousands: {self.thousands!r} is the decimal mark too; expected another one")
        table = self.kind
        for key in sorted(self.model_fields_set & (set().union(*_OWN.values()) - _OWN[table])):
            raise ValueError(f"{key}: not a key of table {table}; it has {', '.join(sorted(_OWN[table]))}")
        return self

    @property
    def kind(self) -> Table:
        """The table given, or the one that the columns given make plain; raises ValueError where neither does."""
        if self.table is not None:
            return self.table
        if self.source or self.target:
            return "pairs"
        if self.text:
            return "labelled_text" if self.label else "text"
        if self.label or self.format in ("ts", "arff"):
            return "labelled_series"
        if self.time or self.site or self.resample:
            return "series"
        if self.format == "text":
            return "text"
        raise ValueError(f"table is missing; expected one of {', '.join(KINDS)}")


def paths(config: FilesConfig) -> dict[str, tuple[str, ...]]:
    """What is to be read, by the part of the split that it is of; ``""`` where files are of none."""
    if config.path is not None:
        return {"": (config.path,) if isinstance(config.path, str) else config.path}
    assert config.split is not None  # noqa: S101 - the config's own check saw to it
    return config.split.given()


def urls(config: FilesConfig) -> list[str]:
    """Those of the paths that lie in the network, in order."""
    if config.path is None and config.split is None:
        return []
    return [path for part in paths(config).values() for path in part if path.startswith(("http://", "https://"))]


def seconds(duration: str) -> int:
    """A duration in seconds.

    >>> seconds("15min"), seconds("1 h")
    (900, 3600)
    """
    match = _DURATION.fullmatch(duration)
    assert match  # noqa: S101 - the config's own check saw to it
    return int(match[1]) * _UNITS_S[match[2]]


def identifier(column: str, units: Mapping[str, str] | None = None) -> str:
    """The name that a column of a file has in the table: lower case, digits and _, its unit behind.

    >>> identifier("PM2.5", {"PM2.5": "ug_m3"}), identifier("C6H6(GT)"), identifier("2 m temperature")
    ('pm2_5_ug_m3', 'c6h6_gt', 'x2_m_temperature')
    """
    name = _NO_NAME.sub("_", column.lower()).strip("_") or "column"
    name = f"x{name}" if name[0].isdigit() else name
    return f"{name}_{units[column]}" if units and column in units else name


def file_name(url: str, sha256: str) -> str:
    """Under which a file of the network is kept: two may have the same last part."""
    return f"{sha256[:12]}-{PurePosixPath(url.split('?')[0]).name or 'data'}"


def plain(config: FilesConfig) -> dict[str, Any]:
    """The keys of a block that were given or inferred, as YAML has them."""
    return config.model_dump(mode="json", exclude_defaults=True)
