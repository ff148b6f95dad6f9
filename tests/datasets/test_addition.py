"""Additions: every pair once and right, whichever way round it is written."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_samples import small, table, write

from unroll.core.errors import ConfigError, DataError
from unroll.core.params import Params
from unroll.datasets.addition import DATASET, AdditionConfig, possible
from unroll.datasets.addition.sample import draw
from unroll.datasets.common.base import Rejected
from unroll.stages.validate import validate
from unroll.stages.validate.outcome import Report

FILE = "addition.csv"


def judge(frame: pd.DataFrame) -> Report:
    _, config = small("addition")
    return validate.check(
        frame, DATASET.expectations(config), title="sums", facts=lambda rows: DATASET.facts(rows, config)
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_every_sum_is_right_and_there_once(reverse: bool, tmp_path: Path) -> None:
    frame = table("addition", tmp_path, count=2000, reverse=reverse).table
    seen = Counter()
    for source, target in frame.itertuples(index=False):
        text = source[::-1] if reverse else source
        a, b = text.split("+")
        assert str(int(a)) == a
        assert str(int(b)) == b
        assert int(a) + int(b) == int(target)
        assert max(len(a), len(b)) <= 3
        seen[frozenset((a, b))] += 1
    assert len(seen) == 2000
    assert {len(part) for source in frame["source"] for part in source.split("+")} == {1, 2, 3}


def test_operands_of_every_length_are_equally_frequent_while_there_are_enough() -> None:
    pairs = draw(6, 3000, np.random.default_rng(1))
    lengths = np.bincount(np.char.str_len(pairs.astype(str)).ravel(), minlength=7)[1:]
    assert (lengths[3:] > 0.12 * pairs.size).all()
    assert lengths[0] > 0.1 * pairs.size


def test_all_sums_can_be_drawn() -> None:
    assert possible(1) == len({frozenset((a, b)) for a in range(10) for b in range(10)})
    for digits in (1, 2):
        pairs = draw(digits, possible(digits), np.random.default_rng(1))
        assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == possible(digits)
        assert pairs.max() == 10**digits - 1


def test_more_sums_than_there_are_is_an_error_that_names_how_many_there_are(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(
        "source: sample\ntasks: {sums: {data: {dataset: addition, seed: 1, max_rejected_share: 0.0, digits: 1, "
        "count: 56, reverse: true}}}\n"
    )
    with pytest.raises(ConfigError, match=r"tasks.sums.data.count: 56 is not allowed; .*at most 55 different sums"):
        Params(path).block("sums", "data", AdditionConfig)


def test_rows_that_are_no_sums_are_set_aside(tmp_path: Path) -> None:
    _, config = write("addition", tmp_path)
    (tmp_path / FILE).write_text("source,target\n1+2,3\n1+x,3\n1+2,three\n1-2,3\n1+2\n1234+1,1235\n7+8,15\n")
    found, rejected = DATASET.table(tmp_path, config)
    assert found.to_dict("list") == {"source": ["1+2", "7+8"], "target": ["3", "15"]}
    assert [row[:4] for row in rejected] == [
        (FILE, 3, "source", "1+x"),
        (FILE, 4, "target", "three"),
        (FILE, 5, "source", "1-2"),
        (FILE, 6, "", "1 columns"),
        (FILE, 7, "source", "1234+1"),
    ]
    assert isinstance(rejected[0], Rejected)


def test_only_a_line_end_ends_a_row(tmp_path: Path) -> None:
    _, config = write("addition", tmp_path)
    (tmp_path / FILE).write_text(
        "source,target\r\n1+2,3\x0b\x0c\u2028\r\n1+2,3\r\n1+x,3\r\n", newline="", encoding="utf-8"
    )
    found, rejected = DATASET.table(tmp_path, config)
    assert found.to_dict("list") == {"source": ["1+2"], "target": ["3"]}
    assert [row.row for row in rejected] == [2, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1+2,3\n", "row 1: 'a,b'; expected the columns source,target"),
        ("source,target\n", "no readable row"),
        ("source,target\nx,y\n", "no readable row; .* row 2: source 'x'"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(content: str, message: str, tmp_path: Path) -> None:
    _, config = small("addition")
    (tmp_path / FILE).write_text(content)
    with pytest.raises(DataError, match=f"^{FILE}.*{message}"):
        DATASET.table(tmp_path, config)


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("21+5", "18", "wrong sum"),  # read from right to left: 5+12
        ("21+50", "17", "needless zeros"),
        ("21+5", "017", "needless zeros"),
    ],
)
def test_wrong_sums_and_needless_zeros_are_critical(source: str, target: str, reason: str, tmp_path: Path) -> None:
    frame = table("addition", tmp_path).table
    frame.loc[9] = [source, target]
    assert reason in {outcome.reason for outcome in judge(frame).failed("critical")}


def test_a_sum_with_its_operands_swapped_is_a_repeat(tmp_path: Path) -> None:
    frame = table("addition", tmp_path).table
    first, _, second = frame.loc[0, "source"].partition("+")
    frame.loc[9] = [f"{second}+{first}", frame.loc[0, "target"]]
    (outcome,) = judge(frame).failed("critical")
    assert outcome.reason == "the same sum twice, or the operands swapped"
    assert outcome.rows == [10]
