"""Tweets to American airlines in February 2015: is a tweet negative, neutral or positive.

Public source: CrowdFlower's collection, as a CSV with a header; of its columns only the label and the text are kept.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from unroll.core.config import DataConfig
from unroll.core.errors import DataError
from unroll.core.expectation import Expectation
from unroll.core.text import shorten
from unroll.datasets.common import raw
from unroll.datasets.common.base import Dataset, Parsed, Rejected, RemoteFile
from unroll.datasets.common.suite import between, schema, text_facts

if TYPE_CHECKING:
    import pandas as pd

FILE = RemoteFile(
    "Airlines.csv",
    "https://raw.githubusercontent.com/bejar/DLMAI/017573fc41a20d23b1093a71a56f7120723374b4/Sentiment/Airlines.csv",
    "sha256:5c6c7b3d8dc421000734b3ce6e016bd996adbbb681d4fcb065177016d5b43217",
    "CrowdFlower: CC BY-NC-SA",
)
HEADER = ("twsentiment", "text", "tweet_coord", "tweet_created", "tweet_location", "user_timezone", *[""] * 6)
LABEL, TEXT = "twsentiment", "text"
LABELS = ("negative", "neutral", "positive")
MIN_OF_LABEL = 10


class TweetsConfig(DataConfig):
    """The ``data`` block of a tweets task."""

    sample_rows: int = Field(ge=100, le=1_000_000, description="Rows of the embedded sample")


class Tweets(Dataset[TweetsConfig]):
    """Texts with one of three labels, in the order of the file."""

    Config = TweetsConfig
    kind = "labelled text"
    small = MappingProxyType({"sample_rows": 400})

    def files(self, config: TweetsConfig) -> Sequence[RemoteFile]:
        """One CSV."""
        return (FILE,)

    def sample(self, folder: Path, config: TweetsConfig, rng: np.random.Generator) -> None:
        """Tweets from a grammar of our own: negation, irony, slips of the keyboard, and labels given in haste."""
        from unroll.datasets.tweets import sample as tweets

        with (folder / FILE.name).open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows([*row, *[""] * 6] for row in tweets.simulate(config.sample_rows, rng))

    def table(self, folder: Path, config: TweetsConfig) -> Parsed:
        """Label and text as they stand; a row with no text, an unknown label or missing columns is set aside."""
        import pandas as pd

        texts: list[str] = []
        labels: list[str] = []
        rejected: list[Rejected] = []
        for row, cells, width, (label_at, text_at) in _rows(raw.find(folder, FILE.name)):
            if len(cells) != width:
                wrong = f"wrong number of columns; expected {width}"
                rejected.append(Rejected(FILE.name, row, "", f"{len(cells)} columns", wrong))
            elif cells[label_at] not in LABELS:
                wrong = f"unknown label; expected {', '.join(LABELS)}"
                rejected.append(Rejected(FILE.name, row, LABEL, shorten(cells[label_at]), wrong))
            elif not cells[text_at].strip():
                rejected.append(Rejected(FILE.name, row, TEXT, cells[text_at], "empty text"))
            else:
                labels.append(cells[label_at])
                texts.append(cells[text_at])
        if not texts:
            first = f"; row {rejected[0].row}: {rejected[0].reason}" if rejected else ""
            raise DataError(f"no readable row; expected a label and a text in each{first}", file=FILE.name)
        return Parsed(pd.DataFrame({"text": texts, "label": labels}, dtype="str"), rejected)

    def facts(self, table: "pd.DataFrame", config: TweetsConfig) -> "pd.DataFrame":
        """Lengths, odd characters and repeats; share of letters; whether a text has two labels; a label's rows."""
        facts = text_facts(table["text"])
        letters = table["text"].str.replace(r"[^A-Za-z]+", "", regex=True).str.len()  # quicker than to count each one
        facts["letter_share"] = letters / facts["characters"].clip(lower=1)
        repeated = table[table["text"].duplicated(keep=False)]
        labels = repeated.groupby("text")["label"].nunique()
        facts["two_labels"] = table["text"].isin(labels.index[labels > 1])
        facts["rows_of_label"] = table["label"].map(table["label"].value_counts())
        return facts

    def expectations(self, config: TweetsConfig) -> Sequence[Expectation]:
        """Three labels, each often enough; texts that are neither empty, endless nor garbled; few repeats."""
        share = "expect_column_mean_to_be_between"
        blank = {"column": "text", "regex": r"\S"}
        known = {"column": "label", "value_set": list(LABELS)}
        return [
            *schema({"text": "str", "label": "str"}, min_rows=3 * MIN_OF_LABEL),
            Expectation("expect_column_values_to_not_be_null", {"column": "text"}, reason="no text", refuse_rows=True),
            Expectation("expect_column_values_to_match_regex", blank, reason="empty text", refuse_rows=True),
            Expectation("expect_column_values_to_be_in_set", known, reason="unknown label", refuse_rows=True),
            Expectation("expect_column_distinct_values_to_contain_set", known, reason="a label is missing"),
            between("rows_of_label", MIN_OF_LABEL, None, "a label is too rare"),
            between("characters", None, 1000, "longer than any tweet", refuse_rows=True),
            between("characters", 3, 400, "unusual length of a tweet", "warning"),
            Expectation(share, {"column": "characters", "min_value": 20, "max_value": 280}, reason="mean length"),
            between("odd_characters", None, 0, "control characters or lost ones", "warning"),
            Expectation(share, {"column": "letter_share", "min_value": 0.5}, reason="share of Latin letters"),
            between("letter_share", 0.2, None, "hardly any letters", "warning"),
            Expectation(share, {"column": "repeats", "max_value": 0.05}, "warning", "share of repeated texts"),
            Expectation(share, {"column": "two_labels", "max_value": 0.01}, "warning", "texts under two labels"),
        ]


DATASET = Tweets()


def _rows(path: Path) -> Iterator[tuple[int, list[str], int, tuple[int, int]]]:
    """Line on which each record starts, its cells, how many are expected, and where label and text stand."""
    text = raw.decode(path.name, path.read_bytes())
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    width, places, start = 0, (0, 0), 1
    try:
        for cells in reader:
            if not width:
                width, places = len(cells), _header(path.name, cells)
            elif cells:
                yield start, cells, width, places
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{error}; expected comma-separated values, quotes closed", file=path.name, row=start) from None


def _header(name: str, cells: list[str]) -> tuple[int, int]:
    missing = [column for column in (LABEL, TEXT) if column not in cells]
    if missing:
        seen = shorten(",".join(cells))
        raise DataError(f"no column {missing[0]!r} in {seen!r}; expected columns {LABEL} and {TEXT}", file=name, row=1)
    return cells.index(LABEL), cells.index(TEXT)
