"""Verse: every line kept, bad archives named, a sample whose lines scan and rhyme."""

import gzip
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_samples import small, table, write

from unroll.core.errors import DataError
from unroll.datasets import poetry
from unroll.datasets.poetry import DATASET
from unroll.stages.validate import validate
from unroll.stages.validate.outcome import Report

FILE = "poetry2.txt.gz"


def judge(frame: pd.DataFrame) -> Report:
    _, config = small("poetry")
    return validate.check(
        frame, DATASET.expectations(config), title="verse", facts=lambda rows: DATASET.facts(rows, config)
    )


def test_lines_are_those_of_the_text_in_order_with_the_empty_ones(tmp_path: Path) -> None:
    frame = table("poetry", tmp_path).table
    raw = gzip.decompress((tmp_path / FILE).read_bytes())
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\r\n") == raw.count(b"\n") == len(frame)
    assert "\r\n".join(frame["text"]) + "\r\n" == raw.decode("utf-8-sig")
    assert (frame["text"] == "").sum() > 10
    assert len(raw.decode("utf-8-sig")) >= 6000


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(gzip.compress("née\u2028one\x0cstill\n\nlast".encode()))
    found = DATASET.table(tmp_path, small("poetry")[1]).table["text"].tolist()
    assert found == ["née\u2028one\x0cstill", "", "last"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip at all", "no readable gzip: Not a gzipped file"),
        (gzip.compress(b"cut off" * 100, mtime=0)[:-9], "no readable gzip: Compressed file ended before"),
        (gzip.compress(b"\n \r\n", mtime=0), "no text in it; expected lines of verse"),
        (gzip.compress(b"one\ntw\xff\n", mtime=0), "row 2: byte 0xff is not UTF-8; expected UTF-8 text"),
    ],
)
def test_what_is_no_text_is_an_error(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DataError, match=f"^{FILE}:? ?{message}"):
        DATASET.table(tmp_path, small("poetry")[1])


def test_a_bomb_is_not_unpacked_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poetry, "MAX_BYTES", 1000)
    (tmp_path / FILE).write_bytes(gzip.compress(b"a" * 100_000))
    with pytest.raises(DataError, match="more than 1,000 bytes unpacked"):
        DATASET.table(tmp_path, small("poetry")[1])


def test_facts_of_a_few_lines() -> None:
    frame = pd.DataFrame({"text": ["Añ “x” …", "", " ", "", "Ж", "Ж"]}, dtype="str")
    facts = DATASET.facts(frame, small("poetry")[1])
    assert facts["characters"].tolist() == [8, 0, 1, 0, 1, 1]
    assert facts["blank_run"].tolist() == [0, 1, 2, 3, 0, 0]
    assert facts["repeats"].tolist() == [False] * 5 + [True]
    assert facts["foreign_characters"].tolist() == [0, 0, 0, 0, 1, 1]


def test_control_characters_are_critical_and_a_foreign_one_is_reported(tmp_path: Path) -> None:
    frame = table("poetry", tmp_path).table
    frame.loc[3, "text"] = "Ж alone"
    assert [outcome.reason for outcome in judge(frame).failed("warning")] == ["characters outside Latin script"]
    frame.loc[3, "text"] = "bell \x07"
    assert [outcome.reason for outcome in judge(frame).failed("critical")] == ["control characters or lost ones"]


def test_a_handful_of_lines_is_too_little(tmp_path: Path) -> None:
    frame = table("poetry", tmp_path).table.head(25)
    assert [outcome.reason for outcome in judge(frame).failed("critical")] == ["too little text to learn from"]


def stresses() -> dict[str, set[str]]:
    """Every stress pattern of every word that the sample may use."""
    from unroll.datasets.poetry.sample import LEXICON, PHRASES

    found: dict[str, set[str]] = {}
    for (_, stress), words in LEXICON.items():
        for word in words:
            found.setdefault(word.lower(), set()).add(stress)
    for part in (part for parts in PHRASES.values() for part in parts):
        for word in part:
            found.setdefault(word.lower(), set()).add("x")
    found["an"] = {"0"}
    return found


def iambic(line: str, patterns: dict[str, set[str]]) -> bool:
    """Whether some reading of the words has weak and strong syllables by turns, 6 or 8 of them."""
    words = "".join(letter for letter in line.lower() if letter.isalpha() or letter == " ").split()
    for reading in product(*(sorted(patterns[word]) for word in words)):
        beat = "".join(reading)
        wanted = ("01" * 4)[: len(beat)]
        if len(beat) in (6, 8) and all(a in ("x", b) for a, b in zip(beat, wanted, strict=True)):
            return True
    return False


def test_every_line_of_the_sample_scans_and_every_stanza_rhymes(tmp_path: Path) -> None:
    from unroll.datasets.poetry.sample import RHYMES

    _, config = write("poetry", tmp_path, sample_characters=30_000)
    lines = DATASET.table(tmp_path, config).table["text"].tolist()
    patterns = stresses()
    assert [line for line in lines if line and not iambic(line, patterns)] == []
    stanzas = [stanza.split("\n") for stanza in "\n".join(lines).split("\n\n") if stanza.strip()]
    for stanza in (list(filter(None, stanza)) for stanza in stanzas):
        assert len(stanza) == 4
        ends = [line.rstrip(",.;:!?").split()[-1].lower() for line in stanza]
        families = [
            next(number for number, family in enumerate(RHYMES) if end in map(str.lower, family)) for end in ends
        ]
        assert len(set(ends)) == 4
        assert len(set(families)) in (2, 3), stanza
    assert "an " in "\n".join(lines)
    assert "è" in "\n".join(lines)


def test_poems_differ() -> None:
    from unroll.datasets.poetry.sample import write as write_verse

    lines = list(filter(None, write_verse(40_000, np.random.default_rng(1)).split("\n")))
    assert len(set(lines)) > 0.75 * len(lines)
    assert len({word for line in lines for word in line.lower().strip(",.;:!?").split()}) > 400
