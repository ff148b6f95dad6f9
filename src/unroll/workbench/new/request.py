"""What a person asks for: which files, which problem, which columns; as the beginning of a ``data`` block."""

import contextlib
import glob
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unroll.core.errors import ConfigError, DataError, MissingColumnError
from unroll.core.params import BLOCKS, Params
from unroll.datasets.files import FilesConfig, Plan
from unroll.datasets.files import first_look as looking

TABLES = {
    "forecasting": "series",
    "rise_or_fall": "series",
    "series_classification": "labelled_series",
    "text_classification": "labelled_text",
    "language_model": "text",
    "sequence_to_sequence": "pairs",
}
"""The canonical table of each problem, as a block names it."""
CLASSIFIED = ("labelled_series", "labelled_text")


@dataclass(frozen=True)
class Request:
    """The options of ``unroll new``; ``given`` are keys below the task, such as ``data.sort``, with their values."""

    problem: str
    files: tuple[str, ...]
    target: str | None = None
    label: str | None = None
    text: str | None = None
    source: str | None = None
    time: str | None = None
    site: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """The canonical table; raises ConfigError for a problem that is none."""
        if self.problem not in TABLES:
            raise ConfigError(f"--problem: {self.problem!r} is not allowed; expected one of {', '.join(TABLES)}")
        return TABLES[self.problem]

    def block(self, root: Path) -> dict[str, Any]:
        """The keys of the ``data`` block that are settled before any file is read."""
        paths = [relative(name, root) for name in self.files]
        block: dict[str, Any] = {"dataset": "files", "table": self.table}
        block["path"] = paths[0] if len(paths) == 1 else paths
        block |= {key: value for key, value in self._columns().items() if value is not None}
        given = {key.partition(".")[2]: value for key, value in self.given.items() if key.startswith("data.")}
        split = given.get("split")
        if isinstance(split, Mapping) and "column" not in split:
            del block["path"]  # the parts of the split are the files
        return block | given

    def later(self) -> dict[str, Any]:
        """The given keys of the other blocks."""
        return {key: value for key, value in self.given.items() if not key.startswith("data.")}

    def _columns(self) -> dict[str, str | None]:
        """The keys that name columns; raises ConfigError for an option that the table has no use for."""
        allowed: dict[str, dict[str, str | None]] = {
            "series": {"time": self.time, "site": self.site},
            "labelled_series": {"label": self.label or self.target},
            "labelled_text": {"text": self.text, "label": self.label or self.target},
            "text": {"text": self.text},
            "pairs": {"source": self.source, "target": self.target},
        }
        found = allowed[self.table]
        used = {*found, *({"target"} if self.table in ("series", *CLASSIFIED) else set())}
        for option in ("target", "label", "text", "source", "time", "site"):
            if getattr(self, option) is not None and option not in used:
                useful = ", ".join(f"--{name}" for name in sorted(used))
                raise ConfigError(f"--{option}: of no use to {self.problem}; expected {useful}")
        return found


def relative(name: str, root: Path) -> str:
    """A path from where the command was started as one from the project's root; outside of it an absolute one."""
    if name.startswith(("http://", "https://")):
        raise ConfigError(f"--from: {name!r} is an address; expected a file (addresses: data.path with data.sha256)")
    path = Path.cwd() / Path(name).expanduser()
    found = Path(path.as_posix()) if glob.has_magic(name) and not path.exists() else path.resolve()
    base = root.resolve()
    return found.relative_to(base).as_posix() if found.is_relative_to(base) else found.as_posix()


def parse(settings: list[str]) -> dict[str, Any]:
    """``--set KEY=VALUE``, the value as YAML has it; a single sign, such as a comma, is itself.

    >>> parse(["data.sort=true", "prepare.horizon=[1, 6]", "data.thousands=,"])
    {'data.sort': True, 'prepare.horizon': [1, 6], 'data.thousands': ','}
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    found: dict[str, Any] = {}
    for setting in settings:
        key, equal, value = setting.partition("=")
        block, dot, rest = key.partition(".")
        if not (equal and dot and rest) or block not in BLOCKS or "." in rest:
            raise ConfigError(f"--set: {setting!r} is not allowed; expected BLOCK.KEY=VALUE, as data.sort=true")
        if len(value) == 1 and value != "~" and not value.isalnum():
            found[key] = value  # a mark such as a comma, which YAML has other plans for
            continue
        try:
            found[key] = YAML(typ="safe", pure=True).load(value)
        except YAMLError as error:
            raise ConfigError(f"--set: {setting!r}: no valid YAML: {' '.join(str(error).split())}") from None
    return found


def plan(params: Params, name: str, block: Mapping[str, Any], root: Path) -> Plan:
    """A look at the files of a block; one that names columns of words may need to be told that there is a header.

    Columns of a table without one may be named by their numbers, from 1.

    Raises ConfigError that names a faulty key, DataError for files that are not there or lack a column.
    """
    try:
        return Plan.of(_config(params, name, block), root)
    except MissingColumnError:
        if "header" in block:
            raise
    try:  # a name that no column has by its place either is then the one that is told
        return Plan.of(_config(params, name, {**block, **_placed(block, _config(params, name, block), root)}), root)
    except DataError:
        with contextlib.suppress(DataError):
            return Plan.of(_config(params, name, {**block, "header": True}), root)
        raise


def _placed(block: Mapping[str, Any], config: FilesConfig, root: Path) -> dict[str, str]:
    """The keys that name a column by its place, with the name that it has in a table without a header."""
    keys = ("label", "text", "source", "target", "time", "site")
    columns = looking.take(looking.locate(config, root), config).columns
    named = {key: place_name(value) for key in keys if isinstance(value := block.get(key), str)}
    return {key: column for key, column in named.items() if column in columns}


def place_name(column: str) -> str:
    """How a column that is asked for by its place is called where no row names the columns.

    >>> place_name("3"), place_name("label")
    ('column_3', 'label')
    """
    return f"column_{int(column)}" if column.isdecimal() else column


def _config(params: Params, name: str, block: Mapping[str, Any]) -> FilesConfig:
    return params.replaced({f"tasks.{name}": {"data": dict(block)}}).block(name, "data", FilesConfig)
