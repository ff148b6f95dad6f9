"""Lines of text and of JSON."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.core.errors import DataError
from unroll.datasets.files.reading import NoCells, Reading, chunks, columns, left_out, utf8

VERSE = "Roses are red,\n\n  violets, blue;\n\u201csugar\u201d\u2028is sweet\n\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_line_in_order(encoding, packed, put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put(packed(VERSE.encode(encoding)), "verse.txt")
    numbers, cells, rejected = everything(path)
    assert [cell for (cell,) in cells] == VERSE.removesuffix("\n").split("\n")
    assert (numbers, rejected, columns(path, Reading())) == ([1, 2, 3, 4, 5], [], ["text"])


def test_a_million_characters_in_one_line_or_many(put, everything) -> None:  # type: ignore[no-untyped-def]
    words = "to be or not to be, that is the question: " * 24_000
    assert everything(put(words, "a.txt"))[1] == [[words]]
    many = words.replace(": ", ":\n")
    assert [cell for (cell,) in everything(put(many, "a.txt"))[1]] == many.removesuffix("\n").split("\n")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.sampled_from([1, 2, 3, 1 << 22]))
def test_any_text_comes_back(tmp_path_factory, content, block) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(b"x" + content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utf8, "BLOCK", block)
        found = [
            line for chunk in chunks(path, Reading(format="text", encoding="utf-8")) for line in chunk.frame["text"]
        ]
    expected = ("x" + content).replace("\r\n", "\n").replace("\r", "\n")
    assert found == expected.removesuffix("\n").split("\n")


RECORDS = [
    {"id": 1, "x": 0.1, "text": "caf\u00e9\nau lait", "ok": True},
    {"id": 2**70, "x": -1e-9, "text": "", "ok": False},
]


def test_json_lines_as_the_json_module_writes_them(packed, put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put(packed("".join(json.dumps(record) + "\r\n" for record in RECORDS).encode()), "a.jsonl")
    _, cells, rejected = everything(path)
    assert (cells, rejected) == ([["1", "0.1", "caf\u00e9\nau lait", "true"], [str(2**70), "-1e-09", "", "false"]], [])


def test_json_lines_as_pandas_writes_them(put, everything) -> None:  # type: ignore[no-untyped-def]
    frame = pd.DataFrame({"t": pd.date_range("2020", periods=3, freq="h"), "y": [1.5, None, 2]})
    path = put(frame.to_json(orient="records", lines=True, date_format="iso"), "a.json")
    numbers, cells, _ = everything(path)
    assert numbers == [1, 2, 3]
    assert [pd.Timestamp(cell[0]) for cell in cells] == frame["t"].tolist()
    assert [cells[0][1], cells[2][1]] == ["1.5", "2.0"]
    assert pd.isna(cells[1][1])


def test_each_broken_line_is_set_aside(put, everything) -> None:  # type: ignore[no-untyped-def]
    lines = [
        '{"a":1,"b":"x"}',
        '{"a":2,"b":"y"}',
        "",
        '{"a":3,"b":"z"}',
        '{"a":{"z":1},"b":"q"}',
        "[1]",
        "{bad",
        '{"b":"\\ud800"}',
        '{"a":[],"b":null}',
        '{"b":"z"}',
    ]
    path = put("\n".join(lines), "a.jsonl")
    numbers, cells, rejected = everything(path)
    assert (numbers, cells[0], cells[3][1], pd.isna(cells[3][0])) == ([1, 2, 4, 10], ["1", "x"], "z", True)
    nested = "a nested value; expected text, a number, true, false or null"
    assert [(row, column, value, reason) for row, column, value, reason in rejected if row != 7] == [
        (5, "a", '{"z": "1"}', nested),
        (6, "", "[1]", "not a JSON object; expected an object a line"),
        (8, "b", "?", "half a surrogate pair; expected characters"),
        (9, "a", "[]", nested),
    ]
    (broken,) = (fault for fault in rejected if fault[0] == 7)
    assert broken[2] == "{bad"
    assert broken[3].startswith("not JSON (Expecting property name")
    assert everything(path, ["b"])[0] == [1, 2, 4, 5, 9, 10]


def test_keys_of_objects_and_lists_are_left_out_and_refused_where_they_are_asked_for(put, everything) -> None:  # type: ignore[no-untyped-def]
    lines = [{"id": n, "meta": {"stars": n}, "tags": None if n else ["x"], "text": "t"} for n in range(3)]
    path = put("\r\n".join(map(json.dumps, lines)), "a.jsonl")
    assert everything(path)[1:] == ([["0", "t"], ["1", "t"], ["2", "t"]], [])
    assert left_out(path, Reading()) == {
        "meta": NoCells("nested", '{"stars": "0"} in row 1'),
        "tags": NoCells("nested", '["x"] in row 1'),
    }
    with pytest.raises(DataError) as error:
        everything(path, ["text", "tags"])
    expected = "expected numbers, times, text, true or false"
    assert str(error.value) == f"a.jsonl: column 'tags' is nested: [\"x\"] in row 1; {expected}"
    with pytest.raises(DataError) as error:
        everything(put('{"a": {"b": 1}}\n', "b.jsonl"))
    assert str(error.value) == f"b.jsonl: every key holds objects or lists, as 'a'; {expected}"


def test_a_key_that_comes_late(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put(
        '{"a": "' + "x" * 200 + '"}\n' + ('{"a": "' + "x" * 2000 + '"}\n') * 600 + '{"late": 3}\n{"a": 4}\n', "a.jsonl"
    )
    _, cells, rejected = everything(path)
    assert rejected == [(602, "late", "3", "a key that no earlier object has; expected those of the first rows")]
    assert cells[-1] == ["4"]
    assert len(everything(path, ["a"])[1]) == 603


def test_deep_nesting_is_a_row_set_aside(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put('{"a": 1}\n' + '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}\n", "a.jsonl")
    numbers, _, ((row, *_, reason),) = everything(path)
    assert (numbers, row) == ([1], 2)
    assert "expected an object a line" in reason


ARRAY = (
    "a.jsonl: a JSON array in its first rows; expected JSON lines, an object a line (pandas.read_json(FILE).to_json("
    "'FILE.jsonl', orient='records', lines=True) writes them)"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1}]', ARRAY),
        ('[\n{"a": 1},\n{"a": 2}\n]\n', ARRAY),
        ("1\n2\n", "a.jsonl: not a JSON object with a key in its first rows; expected an object a line"),
        ("{}\n{}\n", "a.jsonl: not a JSON object with a key in its first rows; expected an object a line"),
    ],
)
def test_json_that_is_no_lines_of_objects(content, message, put, everything) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError) as error:
        everything(put(content, "a.jsonl"))
    assert str(error.value) == message
