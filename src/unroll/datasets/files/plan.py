"""The files of a block, its completed block, and the rows of all files as parts of the canonical table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from unroll.core.errors import DataError
from unroll.core.text import few
from unroll.datasets.common.base import Part
from unroll.datasets.files import first_look as looking
from unroll.datasets.files import reading
from unroll.datasets.files.columns.parsing import Marks
from unroll.datasets.files.columns.watch import Watch
from unroll.datasets.files.config import FilesConfig, plain
from unroll.datasets.files.first_look import Look
from unroll.datasets.files.infer import Inferred, infer
from unroll.datasets.files.reading import Reading, require_columns
from unroll.datasets.files.tables.builder import TableReader
from unroll.datasets.files.tables.labelled_builder import LabelledReader
from unroll.datasets.files.tables.series_builder import SeriesReader
from unroll.datasets.files.tables.text_builder import PairsReader, TextReader


@dataclass(frozen=True)
class Plan:
    """What is read, and how."""

    look: Look
    inferred: Inferred
    open_values: bool = True  # whether the block left open which columns are the values

    @classmethod
    def of(cls, config: FilesConfig, root: Path) -> "Plan":
        """Look at the files of ``config``; raises DataError where they, or their columns, are not there.

        What cannot be read comes first: columns may be away for no other reason.
        """
        files = looking.locate(config, root)
        look = looking.take(files, config)
        try:
            return cls(look, infer(look, config), not isinstance(config.values, tuple))
        except DataError as error:
            if not look.rejected:
                raise
            raise DataError(f"{look.fault()}; and then {error}") from None

    @property
    def config(self) -> FilesConfig:
        """The block with nothing left open."""
        return self.inferred.config

    def parts(self, watch: Watch | None = None) -> Iterator[Part]:
        """The table of all files, part by part; what was inferred comes with the first, the findings with the last.

        ``watch`` looks on.
        """
        import pandas as pd

        notes = [
            *self.inferred.notes,
            *(f"{key}? {few(why)}: {value}" for key, (value, why) in self.inferred.proposals.items()),
        ]
        yield Part(pd.DataFrame(), [], {"block": plain(self.config), "told": notes})
        reader, hashes = self._reader(watch), {}
        for file in self.look.files:
            there = self._columns[file.name]
            values = [name for name in self._steps if name in there]
            columns = list(dict.fromkeys([*reader.columns(), *values]))
            if not set(columns) <= set(there):
                own = reading.left_out(file.path, self._readings[file.name], file.name)
                require_columns(file.name, there, columns, own)
            chunks = reading.chunks(file.path, self._readings[file.name], columns, name=file.name)
            for chunk in chunks:
                whole = chunk if len(chunk.frame) else _with_columns(chunk, columns)
                yield from reader.parts(whole, file.part, values)
            if file.sha256 is not None and chunks.sha256 != file.sha256:
                raise DataError(f"sha256 {chunks.sha256}; expected {file.sha256}: it is another file", file=file.name)
            hashes[file.name] = {"sha256": chunks.sha256, "bytes": chunks.bytes}
        yield from reader.end()
        yield Part(pd.DataFrame(), [], {"files": hashes, **reader.findings()})

    @cached_property
    def _readings(self) -> dict[str, Reading]:
        """How each file is read, by its name."""
        first, *others = self.look.files
        own = {file.name: looking.alike(file, self.config, self.look.reading) for file in others}
        return {first.name: self.look.reading, **own}

    @cached_property
    def _columns(self) -> dict[str, Sequence[str]]:
        """The columns of each file, by its name."""
        first, *others = self.look.files
        own = {file.name: reading.columns(file.path, self._readings[file.name], file.name) for file in others}
        return {first.name: self.look.columns, **own}

    @cached_property
    def _steps(self) -> list[str]:
        """The steps of a labelled series: the first file's columns of them, and what other files have beyond.

        Where the block names them there are no others. Raises DataError where each file has columns that the other
        lacks: series of the same steps have the same names.
        """
        if self.config.kind != "labelled_series":
            return []
        assert isinstance(self.config.values, tuple)  # noqa: S101 - infer fills it in
        first, *others = (self._columns[file.name] for file in self.look.files)
        for file, names in zip(self.look.files[1:], others, strict=True):
            own = [name for name in names if name not in first]
            lacking = [name for name in self.config.values if name not in names]
            if (own and lacking) if self.open_values else len(lacking) == len(self.config.values):
                raise DataError(
                    f"columns {_some(own) or 'without a value'}, and no {_some(lacking)}; expected the "
                    f"columns of {self.look.file}",
                    file=file.name,
                )
        beyond = [name for names in others for name in names if name not in first]
        return list(dict.fromkeys([*self.config.values, *(beyond if self.open_values else [])]))

    def _reader(self, watch: Watch | None) -> TableReader:
        config = self.config
        marks = Marks.of(config.missing or (), config.decimal, config.thousands)
        match config.kind:
            case "series":
                return SeriesReader(config, marks, watch)
            case "labelled_series" | "labelled_text":
                return LabelledReader(config, marks, len(self._steps), watch)
            case "text":
                return TextReader(config)
            case "pairs":
                return PairsReader(config)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def _with_columns(chunk: Any, columns: Sequence[str]) -> Any:
    """A chunk without a readable row, with the columns that it lacks."""
    import pandas as pd

    return reading.Chunk(
        chunk.file, chunk.rows_N[:0], pd.DataFrame({name: pd.array([], "str") for name in columns}), chunk.rejected
    )
