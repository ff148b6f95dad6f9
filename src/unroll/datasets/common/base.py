"""What a dataset is: where its files come from, how they become a canonical table, and what is expected of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from unroll.core.config import DataConfig
from unroll.core.expectation import Expectation

if TYPE_CHECKING:
    import pandas as pd

D = TypeVar("D", bound=DataConfig)
MAX_BYTES = 1 << 30
"""The most that one raw file may hold, packed or unpacked: more is a mistake or an attack."""


@dataclass(frozen=True)
class RemoteFile:
    """One public file, pinned by hash.

    ``hash`` is ``sha256:<hex>`` or ``git-blob:<hex>`` (the SHA-1 of ``blob <size>\\0`` and the content, as git has it).
    """

    name: str
    url: str
    hash: str
    licence: str


class Rejected(NamedTuple):
    """One row that could not be read or was refused: it is set aside with this reason, never dropped silently."""

    file: str
    row: int  # counted from 1: in a text file as an editor shows it, header included
    column: str
    value: str
    reason: str
    key: str = ""  # what tells the row in the source, such as its site and time

    def text(self) -> str:
        """Where, what and why, for a message."""
        place = f"{self.file} row {self.row}" + (f" ({self.key})" if self.key else "")
        return f"{place}, {self.what()}: {self.reason}"

    def what(self) -> str:
        """The column and its value; of a row that is wrong as a whole, what it is."""
        return f"{self.column} {self.value!r}" if self.column else self.value


class Parsed(NamedTuple):
    """The canonical table of the readable rows, and the others."""

    table: "pd.DataFrame"
    rejected: list[Rejected]


class Part(NamedTuple):
    """Consecutive rows of a table, the others, and findings about the files for the manifest."""

    table: "pd.DataFrame"
    rejected: list[Rejected]
    findings: Mapping[str, Any] = MappingProxyType({})


class Dataset(ABC, Generic[D]):
    """One dataset. Subclasses are final, one package each, with an instance named ``DATASET`` in it."""

    Config: ClassVar[type[DataConfig]]
    """Type of the task's ``data`` block."""
    kind: ClassVar[str]
    """Which canonical table it yields: series, labelled series, labelled text, text or pairs."""
    small: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """The keys of its own that a ``data`` block must have, with values of a small sample: tests begin with these."""
    in_place: ClassVar[bool] = False
    """Whether its files are the user's own, read where they lie: ``folder`` is then the project's, for all methods."""

    def gives(self, config: D) -> str:
        """Which canonical table it yields under ``config``."""
        return self.kind

    @abstractmethod
    def files(self, config: D) -> Sequence[RemoteFile]:
        """The public files needed under ``config``; empty for a dataset that is always generated."""

    @abstractmethod
    def sample(self, folder: Path, config: D, rng: np.random.Generator) -> None:
        """Write the embedded sample into ``folder``: the source's own file names and raw format, made by us."""

    @abstractmethod
    def table(self, folder: Path, config: D) -> Parsed:
        """Read the raw files into the canonical table.

        Raises DataError that names file, row or column, the value seen and what was expected, when the file as a
        whole cannot be read; single unreadable rows go to ``rejected``.
        """

    def parts(self, folder: Path, config: D) -> Iterator[Part]:
        """The same table in consecutive parts, where it may be larger than memory; all at once by default.

        A part without rows has no columns. The findings of a later part add to those of the earlier ones.
        """
        yield Part(*self.table(folder, config))

    def own_files(self, config: D, root: Path) -> Mapping[str, Path]:
        """The files that are read where they lie, by the name that messages give them; none by default.

        Raises DataError for one that is not there.
        """
        return {}

    def settled(self, config: D, findings: Mapping[str, Any]) -> D:
        """The block with the ``findings`` of ingest, which facts and expectations may need."""
        return config

    def facts(self, table: "pd.DataFrame", config: D) -> "pd.DataFrame":
        """Columns derived from ``table``, row by row, that expectations speak about (such as the step in time)."""
        return table.iloc[:, :0]

    @abstractmethod
    def expectations(self, config: D) -> Sequence[Expectation]:
        """What must hold for the table joined with its facts."""
