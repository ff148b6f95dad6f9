"""Tweets: texts kept as they stand, faulty records found by their line, a sample that needs word order."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_samples import small, table

from unroll.core.errors import DataError
from unroll.datasets.common.base import Rejected
from unroll.datasets.tweets import DATASET
from unroll.stages.validate import validate
from unroll.stages.validate.outcome import Report

FILE = "Airlines.csv"
HEADER = "twsentiment,text,tweet_coord,tweet_created,tweet_location,user_timezone,,,,,,\n"
REST = ",,,,,,,,,,\n"


def read(folder: Path, content: str) -> tuple[pd.DataFrame, list[Rejected]]:
    (folder / FILE).write_text(content, encoding="utf-8", newline="")
    return DATASET.table(folder, small("tweets")[1])


def judge(frame: pd.DataFrame) -> Report:
    _, config = small("tweets")
    return validate.check(
        frame, DATASET.expectations(config), title="tweets", facts=lambda rows: DATASET.facts(rows, config)
    )


def test_the_sample_is_what_a_csv_reader_sees(tmp_path: Path) -> None:
    frame = table("tweets", tmp_path).table
    with (tmp_path / FILE).open(encoding="utf-8", newline="") as handle:
        header, *rows = csv.reader(handle)
    assert ",".join(header) + "\n" == HEADER
    assert {len(row) for row in rows} == {12}
    assert frame["label"].tolist() == [row[0] for row in rows]
    assert frame["text"].tolist() == [row[1] for row in rows]


def test_quotes_newlines_and_marks_are_kept(tmp_path: Path) -> None:
    frame, rejected = read(tmp_path, HEADER + 'positive,"@a said ""né"",\nthanks"' + REST + "neutral, 👍 " + REST)
    assert rejected == []
    assert frame["text"].tolist() == ['@a said "né",\nthanks', " 👍 "]


def test_faulty_records_are_set_aside_by_the_line_on_which_they_start(tmp_path: Path) -> None:
    content = HEADER + 'negative,"two\nlines"' + REST + "postive,typo" + REST + "neutral,  " + REST + "neutral,short\n"
    frame, rejected = read(tmp_path, content)
    assert frame["text"].tolist() == ["two\nlines"]
    assert rejected == [
        Rejected(FILE, 4, "twsentiment", "postive", "unknown label; expected negative, neutral, positive"),
        Rejected(FILE, 5, "text", "  ", "empty text"),
        Rejected(FILE, 6, "", "2 columns", "wrong number of columns; expected 12"),
    ]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    frame, _ = read(tmp_path, "id,text,twsentiment\n1,fine,neutral\n")
    assert frame.to_dict("records") == [{"text": "fine", "label": "neutral"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sentiment,text\nneutral,fine\n", "row 1: no column 'twsentiment' in 'sentiment,text'; expected columns"),
        (HEADER + 'neutral,"never closed' + REST, "row 2: unexpected end of data; expected comma-separated values"),
        (HEADER, "no readable row; expected a label and a text in each"),
        (HEADER + "fine,x" + REST, "no readable row; .* row 2: unknown label"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"^{FILE}.*{message}"):
        read(tmp_path, content)


def test_bad_rows_are_refused_and_oddities_reported(tmp_path: Path) -> None:
    frame = table("tweets", tmp_path).table
    frame.loc[1, "text"] = "x" * 1001
    frame.loc[2, "label"] = "angry"
    frame.loc[3, "text"] = "a lost \ufffd character"
    frame.loc[4:30, "text"] = "the same @text again and again"
    report = judge(frame)
    assert [(row.row, row.reason) for row in report.rejected] == [(2, "longer than any tweet"), (3, "unknown label")]
    assert report.failed("critical") == []
    assert {outcome.reason for outcome in report.failed("warning")} >= {
        "control characters or lost ones",
        "share of repeated texts",
    }


def test_facts_of_a_few_texts() -> None:
    frame = pd.DataFrame(
        {"text": ["ab1!", "ab1!", "ab1!", "\x07"], "label": ["neutral", "neutral", "positive", "neutral"]}
    )
    facts = DATASET.facts(frame.astype("str"), small("tweets")[1])
    assert facts["characters"].tolist() == [4, 4, 4, 1]
    assert facts["letter_share"].tolist() == [0.5, 0.5, 0.5, 0]
    assert facts["repeats"].tolist() == [False, True, True, False]
    assert facts["two_labels"].tolist() == [True, True, True, False]
    assert facts["odd_characters"].tolist() == [0, 0, 0, 1]
    assert facts["rows_of_label"].tolist() == [3, 3, 1, 3]


def test_a_label_that_is_missing_or_rare_is_critical(tmp_path: Path) -> None:
    frame = table("tweets", tmp_path).table
    neutral = frame["label"] == "neutral"
    for kept, reason in ((0, "a label is missing"), (3, "a label is too rare")):
        report = judge(frame[~neutral | (neutral.cumsum() <= kept)].reset_index(drop=True))
        assert reason in {outcome.reason for outcome in report.failed("critical")}


def test_the_sample_has_the_shares_the_slips_and_the_repeats_of_real_tweets() -> None:
    from unroll.datasets.tweets.sample import GRAMMAR, SLOT, simulate

    rows = simulate(3000, np.random.default_rng(1))
    shares = Counter(row[0] for row in rows)
    assert abs(shares["negative"] / 3000 - 0.63) < 0.04
    assert abs(shares["neutral"] / 3000 - 0.21) < 0.04
    texts = [row[1] for row in rows]
    assert 0.005 < 1 - len(set(texts)) / 3000 < 0.05
    assert not any("{" in text or "}" in text or "|" in text for text in texts)
    assert {slot for phrases in GRAMMAR.values() for phrase in phrases for slot in SLOT.findall(phrase)} <= {
        *GRAMMAR,
        "number",
        "time",
        "link",
    }


def test_words_tell_much_about_the_label_but_not_all() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    from unroll.datasets.tweets.sample import simulate

    rows = simulate(2500, np.random.default_rng(2))
    order = np.random.default_rng(0).permutation(len(rows))
    texts, labels = [rows[at][1] for at in order], [rows[at][0] for at in order]
    words = TfidfVectorizer(min_df=2)
    model = LogisticRegression(C=3, max_iter=300).fit(words.fit_transform(texts[:2000]), labels[:2000])
    accuracy = model.score(words.transform(texts[2000:]), labels[2000:])
    assert 0.72 < accuracy < 0.9
