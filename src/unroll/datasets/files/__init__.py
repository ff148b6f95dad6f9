"""Any CSV, Parquet, JSON lines, npz, .ts, .arff or text file of the user's own, described by its ``data`` block alone.

The files are read where they lie and in parts; what the block leaves out is inferred from the first rows, and shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from unroll.core.errors import DataError
from unroll.core.expectation import Expectation
from unroll.datasets.common.base import Dataset, Parsed, Part, RemoteFile
from unroll.datasets.common.suite import text_facts
from unroll.datasets.files import expectations as expect
from unroll.datasets.files import first_look
from unroll.datasets.files.config import KINDS, FilesConfig, file_name, paths
from unroll.datasets.files.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DATASET", "Files", "FilesConfig", "Plan", "Settled"]


class Settled(FilesConfig):
    """A block with nothing left open, and the findings of ingest."""

    findings: dict[str, Any] = Field(description="What ingest wrote into the manifest")


class Files(Dataset[FilesConfig]):
    """The user's own files, as any of the five tables."""

    Config = FilesConfig
    kind = ""  # as the block has it
    in_place = True

    def gives(self, config: FilesConfig) -> str:
        """The table that the block names, or that its columns make plain."""
        return KINDS[config.kind]

    def files(self, config: FilesConfig) -> Sequence[RemoteFile]:
        """The files of the network, each with the hash that the block gives it."""
        hashes = first_look.hashes(config)
        return [RemoteFile(file_name(url, h), url, f"sha256:{h}", "not stated") for url, h in hashes.items()]

    def sample(self, folder: Path, config: FilesConfig, rng: np.random.Generator) -> None:
        """There is none: the files are the user's own."""
        raise DataError("dataset files has no sample; expected data.path to name files")

    def own_files(self, config: FilesConfig, root: Path) -> Mapping[str, Path]:
        """The files of the block but those of the network: these are pinned by their hashes."""
        kept = first_look.DOWNLOADS.as_posix()
        return {file.name: file.path for file in first_look.locate(config, root) if not file.name.startswith(kept)}

    def table(self, folder: Path, config: FilesConfig) -> Parsed:
        """All parts at once."""
        import pandas as pd

        parts = list(self.parts(folder, config))
        tables = [part.table for part in parts if len(part.table)]
        whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
        return Parsed(whole, [row for part in parts for row in part.rejected])

    def parts(self, folder: Path, config: FilesConfig) -> Iterator[Part]:
        """The rows as they are read; ``folder`` is the project's."""
        return Plan.of(config, folder).parts()

    def settled(self, config: FilesConfig, findings: Mapping[str, Any]) -> FilesConfig:
        """The completed block of the manifest, which knows all columns."""
        return Settled.model_validate({**findings["block"], "findings": dict(findings)})

    def facts(self, table: "pd.DataFrame", config: FilesConfig) -> "pd.DataFrame":
        """What the expectations of the table speak about."""
        match config.kind:
            case "series":
                return expect.series_facts(table)
            case "labelled_series":
                return expect.labelled_series_facts(table)
            case "labelled_text":
                return expect.labelled_text_facts(table)
            case "text":
                return text_facts(table["text"])
            case "pairs":
                return expect.pairs_facts(table)

    def expectations(self, config: FilesConfig) -> Sequence[Expectation]:
        """What the block says of its columns, and what every such table must hold."""
        if not isinstance(config, Settled):
            raise DataError(f"{', '.join(sum(paths(config).values(), ()))}: not read yet; expected a settled block")
        match config.kind:
            case "series":
                return expect.series(config, config.findings)
            case "labelled_series":
                return expect.labelled_series(config, config.findings)
            case "labelled_text":
                return expect.labelled_text(config, config.findings)
            case "text":
                return expect.text()
            case "pairs":
                return expect.pairs(config, config.findings)


DATASET = Files()
