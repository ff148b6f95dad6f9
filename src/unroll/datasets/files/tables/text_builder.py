"""Chunks of lines, and of pairs of texts, to their canonical tables. Shapes: N rows."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.datasets.common.base import Part
from unroll.datasets.files.config import FilesConfig
from unroll.datasets.files.tables.builder import TableReader
from unroll.datasets.files.tables.labelled_builder import read_text
from unroll.datasets.files.tables.sifting import Sieve
from unroll.datasets.files.tables.tallies import Splits

if TYPE_CHECKING:
    from unroll.datasets.files.reading import Chunk


class TextReader(TableReader):
    """One block's files of text, row by row: empty lines of a plain text are its breaks, empty cells are refused."""

    def __init__(self, config: FilesConfig) -> None:
        self.config, self.characters = config, 0

    def columns(self) -> list[str]:
        """The text."""
        return [self.config.text or "text"]

    def parts(self, chunk: "Chunk", part: str, values: Sequence[str]) -> Iterator[Part]:
        """The lines of a chunk."""
        import pandas as pd

        sieve, column = Sieve.of(chunk), self.columns()[0]
        if self.config.format == "text":
            text_N = np.asarray(chunk.frame[column], dtype=object)
        else:
            text_N = read_text(chunk.frame[column], column, sieve)
        kept = pd.DataFrame({"text": pd.array(text_N[sieve.kept_N], dtype="str")})
        self.characters += int(kept["text"].str.len().sum())
        yield Part(kept, sieve.rejected)

    def findings(self) -> dict[str, Any]:
        """How much text there is."""
        return {"characters": self.characters}


class PairsReader(TableReader):
    """One block's files of pairs."""

    def __init__(self, config: FilesConfig) -> None:
        self.config, self.splits = config, Splits(config)

    def columns(self) -> list[str]:
        """Source and target, and what tells splits and groups."""
        config = self.config
        return [c for c in (config.source, config.target, self.splits.column, config.group) if c is not None]

    def parts(self, chunk: "Chunk", part: str, values: Sequence[str]) -> Iterator[Part]:
        """The pairs of a chunk."""
        import pandas as pd

        sieve, frame, config = Sieve.of(chunk), chunk.frame, self.config
        columns = {
            name: read_text(frame[column], column, sieve)
            for name, column in (("source", config.source), ("target", config.target), ("group", config.group))
            if column is not None
        }
        part_N = self.splits.read(frame, part, sieve)
        if part_N is not None:
            columns["split"] = part_N
            self.splits.count(part_N[sieve.kept_N])
        kept = {name: pd.array(values_N[sieve.kept_N], dtype="str") for name, values_N in columns.items()}
        yield Part(pd.DataFrame(kept), sieve.rejected)

    def findings(self) -> dict[str, Any]:
        """The rows of each part of the source's own split."""
        return self.splits.findings()
