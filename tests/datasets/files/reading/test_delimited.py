"""Delimited text beside the csv module: every cell, and the row that each record starts on."""

import csv
import io
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.core.errors import DataError
from unroll.datasets.files.reading import Reading, chunks, columns, utf8

ROWS = [
    ["name", "note", "value"],
    ["a", "plain", "1"],
    ["b", 'two\nlines and a "quote"', "2,5"],
    ["c", "windows\r\nline; tab\t and | and 'single'", ""],
    ["d", "", "-1e3"],
    ["", "", ""],
    ["é", "über £", "3"],
]


def written(rows: list[list[str]], delimiter: str = ",", newline: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(rows)
    return out.getvalue()


def starts(rows: list[list[str]], **how: str) -> list[int]:
    """On which row each record starts: one more than the line ends before it."""
    return [1 + len(re.findall("\r\n|\r|\n", written(rows[:count], **how))) for count in range(len(rows))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_what_the_csv_module_writes(delimiter, encoding, newline, put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put(written(ROWS, delimiter, newline).encode(encoding))
    numbers, cells, rejected = everything(path, delimiter=None if delimiter != "^" else "^")
    assert cells == ROWS[1:]
    assert numbers == starts(ROWS, delimiter=delimiter, newline=newline)[1:]
    assert rejected == []
    assert columns(path, Reading(delimiter=delimiter)) == ROWS[0]


def test_every_packing(packed, put, everything) -> None:  # type: ignore[no-untyped-def]
    assert everything(put(packed(written(ROWS).encode())))[1] == ROWS[1:]


def test_what_pandas_writes(put, everything) -> None:  # type: ignore[no-untyped-def]
    frame = pd.DataFrame({"x": [1.5, np.nan, 3], "t": ["a,b", 'q"', "z"]})
    numbers, cells, _ = everything(put(frame.to_csv(sep=";", decimal=",", index=True)))
    assert cells == [["0", "1,5", "a,b"], ["1", "", 'q"'], ["2", "3,0", "z"]]
    assert numbers == [2, 3, 4]


def test_a_first_cell_that_looks_like_a_comment(put, everything) -> None:  # type: ignore[no-untyped-def]
    assert everything(put('#,"\n"\nend,end\n'), header=False)[1] == [["#", "\n"], ["end", "end"]]


CELL = st.text(st.sampled_from("ab1\"',; \t\r\né#"), max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=8)
    ),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([1, 3, 7, 1 << 22]),
    st.sampled_from([1, 2, 100]),
)
def test_any_cells_cut_at_any_place(rows, delimiter, newline, quoting, block, count) -> None:  # type: ignore[no-untyped-def]
    rows = [*rows, ["end"] * len(rows[0])]  # rows without content at the very end are left out
    if any("\r" in cell for row in rows for cell in row):
        quoting = csv.QUOTE_ALL  # the writer quotes those characters alone that its own line end has
    told = Reading(format="csv", delimiter=delimiter, quote='"', header=False, encoding="utf-8", decimal=".")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(utf8, "BLOCK", block)
        path = Path(folder) / "a.csv"
        path.write_bytes(written(rows, delimiter, newline, quoting).encode())
        found = list(chunks(path, told, rows=count))
    assert [row for chunk in found for row in chunk.frame.to_numpy().tolist()] == rows
    assert [row for chunk in found for row in chunk.rows_N.tolist()] == starts(
        rows, delimiter=delimiter, newline=newline, quoting=quoting
    )
    assert {len(chunk.rows_N) for chunk in found[:-1]} <= {count}


def test_rows_of_another_width_are_set_aside_with_their_row(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put('a,b\n1,2\n\n3\n"x\ny",4\n5,6,7\n   \n8,9\n')
    assert everything(path) == (
        [2, 5, 9],
        [["1", "2"], ["x\ny", "4"], ["8", "9"]],
        [
            (4, "", "1 columns", "wrong number of columns; expected 2"),
            (7, "", "3 columns", "wrong number of columns; expected 2"),
        ],
    )


def test_faulty_rows_in_a_later_block_keep_their_numbers(put, everything, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(utf8, "BLOCK", 1000)
    lines = [f'{row},"note\n{row}"' if row % 5 else f"{row}" for row in range(1000)]
    numbers, cells, rejected = everything(put("id,note\n" + "\n".join(lines) + "\n"), rows=64)
    expected, aside, row = [], [], 2
    for line in lines:
        (expected if "," in line else aside).append(row)
        row += 1 + line.count("\n")
    assert numbers == expected
    assert [fault[0] for fault in rejected] == aside
    assert [cell for cell, _ in cells] == [str(row) for row in range(1000) if row % 5]


def test_nameless_empty_columns_at_the_end_are_left_out(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put("Date;CO(GT);;\n10/03/2004;2,6;;\n11/03/2004;-200;;\n;;;\n12/03/2004;2;;\n;;;\n;;;\n")
    assert columns(path, Reading()) == ["Date", "CO(GT)"]
    numbers, cells, rejected = everything(path)
    assert (numbers, rejected) == ([2, 3, 4, 5], [])
    assert cells == [["10/03/2004", "2,6"], ["11/03/2004", "-200"], ["", ""], ["12/03/2004", "2"]]
    filled = put("Date;CO(GT);;\n10/03/2004;2,6;;\n12/03/2004;2;;x\n")
    assert columns(filled, Reading()) == ["Date", "CO(GT)", "column_3", "column_4"]
    many = put("Date;CO(GT);;\n" + "10/03/2004;2,6;;\n" * 600 + "12/03/2004;2;;x\n13/03/2004;3;;\n;;;\n")
    numbers, cells, rejected = everything(many)
    assert rejected == [(602, "column_4", "x", "a value in a column without a name; expected an empty cell")]
    assert numbers == [*range(2, 602), 603]
    assert everything(many, columns=["Date"])[0] == list(range(2, 604))


def test_a_header_that_is_one_name_short_has_names_of_rows(put) -> None:  # type: ignore[no-untyped-def]
    assert columns(put('"x","y"\n"1",0.5,2\n"2",0.25,3\n'), Reading(header=True)) == ["column_1", "x", "y"]


def test_names_are_trimmed_and_a_column_without_one_is_called_by_its_place(put) -> None:  # type: ignore[no-untyped-def]
    assert columns(put(" a , b,,c\n1,2,3,4\n"), Reading()) == ["a", "b", "column_3", "c"]
    assert columns(put("column_2,,a\n1,2,3\n"), Reading()) == ["column_2", "column_2.1", "a"]


def test_two_columns_of_one_name_are_refused_with_a_way_out(put) -> None:  # type: ignore[no-untyped-def]
    path = put("a,b, a,\n1,2,3,4\n")
    with pytest.raises(DataError, match=r": columns 1 and 3 are both called 'a'; expected each name once \(without"):
        columns(path, Reading())
    reading = Reading(header=False, skip_rows=1)
    assert columns(path, reading) == ["column_1", "column_2", "column_3", "column_4"]


def test_comments_lines_before_the_header_and_blank_lines(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put('made by "us\n\n# one, "two\na,b\n\n1,2\n# x\n3,"#4"\n')
    assert everything(path, skip_rows=2, comment="#") == ([6, 8], [["1", "2"], ["3", "#4"]], [])


def test_runs_of_blanks(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put('  1.0   2.5 "a  b" \n\t-1\t3   c\n   \n 4  5\n', "a.dat")
    numbers, cells, rejected = everything(path, delimiter=" ", header=False)
    assert (numbers, cells) == ([1, 2], [["1.0", "2.5", "a  b"], ["-1", "3", "c"]])
    assert rejected == [(4, "", "2 columns", "wrong number of columns; expected 3")]


def test_blanks_before_quotes(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put('a, b\n1, "x, y"\n2, z\n3,   "two\nlines"\n')
    assert everything(path) == ([2, 3, 4], [["1", "x, y"], ["2", "z"], ["3", "two\nlines"]], [])


def test_quotes_that_are_none(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put('label\ttext\nneg\t"so" bad\npos\tgood "one\nneg\t"open\npos\tx\n', "a.tsv")
    assert everything(path, quote="")[1] == [["neg", '"so" bad'], ["pos", 'good "one'], ["neg", '"open'], ["pos", "x"]]
    with pytest.raises(DataError, match=r'^a.tsv row 4: a quote " is never closed; expected its end$'):
        everything(path, quote='"')


def test_an_empty_cell_of_the_only_column_is_a_row_but_not_at_the_end(put, everything) -> None:  # type: ignore[no-untyped-def]
    assert everything(put("value\n1\n\n3\n\n\n")) == ([2, 3, 4], [["1"], [""], ["3"]], [])


def test_columns_are_picked_in_the_order_asked_for_and_near_names_offered(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put("station,pm10,pm25\nA,1,2\n")
    assert everything(path, ["pm25", "station"])[1] == [["2", "A"]]
    with pytest.raises(
        DataError, match=r"^a.csv: no column 'pm2'; did you mean 'pm25'\?; expected one of station, pm10, pm25$"
    ):
        everything(path, ["pm2"])
    with pytest.raises(DataError, match=r"^a.csv: no column 'x'; expected one of station, pm10, pm25$"):
        everything(path, ["x"])


def test_a_header_alone_has_columns_and_no_rows(put, everything) -> None:  # type: ignore[no-untyped-def]
    assert columns(put("a,b"), Reading()) == ["a", "b"]
    assert everything(put("a,b\r\n")) == ([], [], [])


def test_the_hash_and_size_are_those_of_the_file(packed, put) -> None:  # type: ignore[no-untyped-def]
    import hashlib

    path = put(packed(written(ROWS).encode()))
    found = chunks(path, Reading())
    assert found.sha256 is None
    assert sum(len(chunk.frame) for chunk in found) == 6
    assert (found.sha256, found.bytes) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def test_wide_cells_make_smaller_chunks(put) -> None:  # type: ignore[no-untyped-def]
    path = put("a,b\n" + "".join(f"{row},{'x' * 10**6}\n" for row in range(150)))
    found = list(chunks(path, Reading(), rows=1000))
    assert [row for chunk in found for row in chunk.rows_N.tolist()] == list(range(2, 152))
    assert all(chunk.frame["b"].str.len().sum() <= 80e6 for chunk in found)
    assert len(found) > 1


@pytest.mark.parametrize("block", [1, 1 << 22])
def test_a_byte_order_mark_is_one_at_the_start_alone(block, put, everything, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(utf8, "BLOCK", block)
    path = put("\ufeffa,b\n\ufeffa,b\n\ufeff\n1,2\n")
    assert everything(path, format="csv", delimiter=",", header=False) == (
        [1, 2, 4],
        [["a", "b"], ["\ufeffa", "b"], ["1", "2"]],
        [(3, "", "1 columns", "wrong number of columns; expected 2")],
    )
