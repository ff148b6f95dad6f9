"""English verse in four sizes: a text to be modelled character by character.

Public source: four gzipped UTF-8 files, each with a byte order mark and Windows line ends.
"""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from unroll.core.config import DataConfig
from unroll.core.errors import DataError
from unroll.core.expectation import Expectation
from unroll.datasets.common import raw
from unroll.datasets.common.base import MAX_BYTES, Dataset, Parsed, RemoteFile
from unroll.datasets.common.suite import between, schema, text_facts

if TYPE_CHECKING:
    import pandas as pd

BASE = "https://raw.githubusercontent.com/bejar/DLMAI/017573fc41a20d23b1093a71a56f7120723374b4/TextGeneration/"
HASHES = {
    "poetry1": "915e8accd9e3ebe2526fa804f02c735dbb1f9d117f5393916302ad23c20f9f31",
    "poetry2": "4c29584e855d0426d31ec61e6f86ad05b58995edffd6da21239424ba4dab810f",
    "poetry3": "667c0661aa0e653544d2685dec8a09af3dec04a92f31f386b87eff3ca228b32d",
    "poetry4": "8a47172ee68083a0c39c2d418013b4a649fd826acef84ecf46f63722c4344656",
}


class PoetryConfig(DataConfig):
    """The ``data`` block of a poetry task."""

    text: Literal["poetry1", "poetry2", "poetry3", "poetry4"] = Field(description="Which of the texts, by size")
    sample_characters: int = Field(ge=2000, le=10_000_000, description="Least length of the embedded sample")


class Poetry(Dataset[PoetryConfig]):
    """One text, line by line; empty lines are the breaks between stanzas."""

    Config = PoetryConfig
    kind = "text"
    small = MappingProxyType({"text": "poetry2", "sample_characters": 6000})

    def files(self, config: PoetryConfig) -> Sequence[RemoteFile]:
        """The one text that ``text`` names."""
        name = f"{config.text}.txt.gz"
        return (RemoteFile(name, BASE + name, f"sha256:{HASHES[config.text]}", "not stated by the source"),)

    def sample(self, folder: Path, config: PoetryConfig, rng: np.random.Generator) -> None:
        """Verse from a grammar of our own, with metre and rhyme."""
        from unroll.datasets.poetry import sample as poetry

        verse = poetry.write(config.sample_characters, rng).replace("\n", "\r\n")
        with (
            (folder / self.files(config)[0].name).open("wb") as handle,
            gzip.GzipFile(filename="", mode="wb", fileobj=handle, mtime=0) as packed,
        ):
            packed.write(verse.encode("utf-8-sig"))

    def table(self, folder: Path, config: PoetryConfig) -> Parsed:
        """Every line in order, the empty ones too, without its line end."""
        import pandas as pd

        path = raw.find(folder, self.files(config)[0].name)
        text = raw.decode(path.name, _unpack(path))
        if not text.strip():
            raise DataError("no text in it; expected lines of verse", file=path.name)
        return Parsed(pd.DataFrame({"text": raw.lines(text)}, dtype="str"), [])

    def facts(self, table: "pd.DataFrame", config: PoetryConfig) -> "pd.DataFrame":
        """Lengths, odd characters, repeats; ``blank`` lines, and how many of them stand in a row."""
        facts = text_facts(table["text"])
        facts["blank"] = ~table["text"].str.contains(r"\S")
        facts["blank_run"] = facts["blank"].groupby((~facts["blank"]).cumsum()).cumsum()
        facts["repeats"] &= ~facts["blank"]
        facts["foreign_characters"] = table["text"].str.count(r"[^\x20-\x7e\u00a0-\u024f\u2010-\u2026\t]")
        return facts

    def expectations(self, config: PoetryConfig) -> Sequence[Expectation]:
        """Text enough, lines of a bounded length, hardly a character outside Latin script, few repeats."""
        total, share = "expect_column_sum_to_be_between", "expect_column_mean_to_be_between"
        return [
            *schema({"text": "str"}, min_rows=20),
            Expectation("expect_column_values_to_not_be_null", {"column": "text"}, reason="no text"),
            Expectation(total, {"column": "characters", "min_value": 1000}, reason="too little text to learn from"),
            between("characters", None, 10_000, "endless line"),
            between("characters", None, 200, "long line", "warning"),
            between("odd_characters", None, 0, "control characters or lost ones"),
            Expectation(share, {"column": "foreign_characters", "max_value": 1}, reason="not in Latin script"),
            between("foreign_characters", None, 0, "characters outside Latin script", "warning"),
            Expectation(share, {"column": "blank", "max_value": 0.9}, reason="hardly a line that is not blank"),
            between("blank_run", None, 10, "many blank lines in a row", "warning"),
            Expectation(share, {"column": "repeats", "max_value": 0.2}, "warning", "share of repeated lines"),
        ]


DATASET = Poetry()


def _unpack(path: Path) -> bytes:
    """The unpacked bytes; raises DataError for what is not gzip, is cut off, or unpacks to too much."""
    try:
        with gzip.open(path) as packed:
            data = packed.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"no readable gzip: {error}; expected gzipped UTF-8 text", file=path.name) from None
    if len(data) > MAX_BYTES:
        raise DataError(f"more than {MAX_BYTES:,} bytes unpacked; expected at most that", file=path.name)
    return data
