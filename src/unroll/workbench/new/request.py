"""What a person asks for: which files, which problem, which columns; as the beginning of a ``data`` block."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unroll import problems
from unroll.core.errors import ConfigError
from unroll.core.params import BLOCKS
from unroll.datasets.files.config import KINDS

COLUMNS: dict[str, tuple[str, ...]] = {
    "series": ("time", "site"),
    "labelled_series": ("label",),
    "labelled_text": ("text", "label"),
    "text": ("text",),
    "pairs": ("source", "target"),
}
"""The keys of the ``data`` block that name columns, by the table."""
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
        """The table that the problem takes, as a block names it; raises ConfigError for an unknown problem."""
        if self.problem not in (known := problems.names()):
            raise ConfigError(f"{self.problem!r} is not allowed; expected one of {', '.join(known)}", key="--problem")
        takes = problems.load(self.problem).takes
        return next(table for table, kind in KINDS.items() if kind == takes)

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
        options = {
            "target": self.target, "label": self.label, "text": self.text,
            "source": self.source, "time": self.time, "site": self.site,
        }  # fmt: skip
        useful = {*COLUMNS[self.table], *(["target"] if self.table in ("series", *CLASSIFIED) else [])}
        for option, value in options.items():
            if value is not None and option not in useful:
                expected = ", ".join(f"--{name}" for name in sorted(useful))
                raise ConfigError(f"of no use to {self.problem}; expected {expected}", key=f"--{option}")
        if self.table in CLASSIFIED:
            options["label"] = self.label or self.target
        return {key: options[key] for key in COLUMNS[self.table]}


def relative(name: str, root: Path) -> str:
    """A path from where the command was started as one from the project's root; outside of it an absolute one."""
    if name.startswith(("http://", "https://")):
        raise ConfigError(f"--from: {name!r} is an address; expected a file (addresses: data.path with data.sha256)")
    given = Path.cwd() / Path(name).expanduser()
    path = Path(given.as_posix()) if glob.has_magic(name) and not given.exists() else given.resolve()
    base = root.resolve()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def parse(settings: list[str]) -> dict[str, Any]:
    """``--set KEY=VALUE``, the value as YAML has it; a single sign, such as a comma, is itself.

    >>> parse(["data.sort=true", "prepare.horizon=[1, 6]", "data.thousands=,"])
    {'data.sort': True, 'prepare.horizon': [1, 6], 'data.thousands': ','}
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    values: dict[str, Any] = {}
    for setting in settings:
        key, equal, value = setting.partition("=")
        block, dot, rest = key.partition(".")
        if not (equal and dot and rest) or block not in BLOCKS or "." in rest:
            raise ConfigError(f"--set: {setting!r} is not allowed; expected BLOCK.KEY=VALUE, as data.sort=true")
        if len(value) == 1 and value != "~" and not value.isalnum():
            values[key] = value  # a mark such as a comma, which means something else in YAML
            continue
        try:
            values[key] = YAML(typ="safe", pure=True).load(value)
        except YAMLError as error:
            raise ConfigError(f"--set: {setting!r}: no valid YAML: {' '.join(str(error).split())}") from None
    return values
