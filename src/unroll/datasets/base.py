"""What a dataset is: where its files come from, how they become a canonical table, and what is expected of it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from unroll.config import DataConfig
from unroll.expectation import Expectation

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
    """One row that could not be read: it is set aside with this reason, never dropped silently."""

    file: str
    row: int  # counted from 1 as an editor shows it, header included
    column: str
    value: str
    reason: str


class Parsed(NamedTuple):
    """The canonical table of the readable rows, and the others."""

    table: "pd.DataFrame"
    rejected: list[Rejected]


class Dataset(ABC, Generic[D]):
    """One dataset. Subclasses are final, one module each, with an instance named ``DATASET`` in it."""

    Config: ClassVar[type[DataConfig]]
    """Type of the task's ``data`` block."""
    kind: ClassVar[str]
    """Which canonical table it yields: series, labelled series, labelled text, text or pairs."""

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

    def facts(self, table: "pd.DataFrame", config: D) -> "pd.DataFrame":
        """Columns derived from ``table``, row by row, that expectations speak about (such as the step in time)."""
        return table.iloc[:, :0]

    @abstractmethod
    def expectations(self, config: D) -> Sequence[Expectation]:
        """What must hold for the table joined with its facts."""
