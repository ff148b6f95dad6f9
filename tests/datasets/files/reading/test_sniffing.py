"""How a file is written, told from its first part, the hard cases in between."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from unroll.core.errors import DataError
from unroll.datasets.files.reading import Reading, columns, sniff

TWEETS = [
    ["sentiment", "tweet", "user"],
    ["neg", "late again; 3,5 hours, \u201cthanks\u201d | really", "ann"],
    ["pos", "great flight, caf\xe9 was \xa320\nwould fly again", "bob"],
    ["neg", "lost my bag, again; why?", "cy"],
    ["pos", 'they said "sorry", and meant it', "dee"],
]


def csv_text(rows: list[list[str]], delimiter: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


def told(path, **known) -> dict[str, object]:  # type: ignore[no-untyped-def]
    found = sniff(path, Reading(**known))
    assert sniff(path, Reading(**known)) == found
    keys = ("format", "delimiter", "encoding", "decimal", "quote", "header")
    return {key: getattr(found, key) for key in keys}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("encoding", "name"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("cp1252", "cp1252")]
)
def test_tweets_full_of_other_delimiters(delimiter, encoding, name, put) -> None:  # type: ignore[no-untyped-def]
    found = told(put(csv_text(TWEETS, delimiter).encode(encoding)))
    assert found == {
        "format": "csv",
        "delimiter": delimiter,
        "encoding": name,
        "decimal": ".",
        "quote": '"',
        "header": True,
    }


@pytest.mark.parametrize(
    ("content", "delimiter", "decimal", "header"),
    [
        ("value\n1.5\n2.5\n", ",", ".", True),
        ("value\n1,5\n2,5\n", ";", ",", True),
        ("1,5\n2,05\n13,25\n", ";", ",", False),
        ("1.5\n2.5\n", ",", ".", False),
        ("1,5;2,5;3\n2,5;1,0;4\n", ";", ",", False),
        ("Datum;Wert;Ort\n01.02.2020;1,5;Ulm\n02.02.2020;;Bonn\n", ";", ",", True),
        ("Date;Time;CO(GT);;\n10/03/2004;18.00.00;2,6;;\n11/03/2004;19.00.00;-200;;\n", ";", ",", True),
        ('a,b\n"1,5","2,5"\n"3,5","4,5"\n', ",", ",", True),
        ("year,month,day,hour,pm2.5,cbwd\n2010,1,1,0,NA,NW\n2010,1,1,1,129,cv\n", ",", ".", True),
        ("1 2 3\n4 5 6\n", " ", ".", False),
        ("time value\n2020 1.5\n2021 2.5\n", " ", ".", True),
        ("2020-01-01 00:00,5\n2020-01-01 01:00,6\n", ",", ".", False),
        ("2020-01-01 00:00,NA\n2020-01-01 01:00,6\n", ",", ".", False),
        ("timestamp\n2020-01-01 00:00\n2020-01-01 01:00\n", ",", ".", True),
        ("a|b\n1|x,y\n2|z,w\n", "|", ".", True),
        ("0,2019\n1,2020\n", ",", ".", False),
        ("t,2019\n1,5\n2,6\n", ",", ".", True),
        ("label,text\npos,hi\nneg,you there\npos,x\n", ",", ".", True),
        ("pos,hi\nneg,you there\npos,x\n", ",", ".", False),
        ("0,hello world\n1,good bye\n0,ok\n", ",", ".", False),
        ("go\tva\nrun\tcours\nhi\tsalut\n", "\t", ".", False),
        ("a;b\n1.234,5;2\n2,5;3\n", ";", ",", True),
    ],
)
def test_small_tables(content, delimiter, decimal, header, put) -> None:  # type: ignore[no-untyped-def]
    found = told(put(content))
    assert (found["format"], found["delimiter"], found["decimal"], found["header"]) == (
        "csv",
        delimiter,
        decimal,
        header,
    )


def test_what_is_told_stays(put) -> None:  # type: ignore[no-untyped-def]
    path = put("value\n1,5\n2,5\n")
    known = {"delimiter": ",", "decimal": ".", "header": False, "encoding": "latin-1", "quote": ""}
    assert told(path, **known) == {"format": "csv", **known}


def test_quotes_that_enclose_nothing(put) -> None:  # type: ignore[no-untyped-def]
    loud = "".join(f"{'neg' if row % 3 else 'pos'}\t{chr(34) * (row % 4 == 0)}so {row} they say\n" for row in range(50))
    assert told(put("label\ttext\n" + loud, "a.tsv"))["quote"] == ""
    sizes = "".join(f'{row},{row}.5" disk,"x, {row}"\n' for row in range(50))
    assert told(put("id,size,note\n" + sizes))["quote"] == '"'
    assert told(put('id,note\n1,"a, b"\n2,c\n3,"d" e\n4,"f, g"\n5,"h, i"\n6,"j, k, l"\n'))["quote"] == '"'


def test_quotes_that_tell_more_than_no_quotes(put) -> None:  # type: ignore[no-untyped-def]
    assert told(put("a,b\n1,'x, y'\n2,'z, w, v'\n3,'u'\n"))["quote"] == "'"
    assert told(put("a\tb\nneg\t'tis so\npos\tit's fine\n", "a.tsv"))["quote"] == '"'


@pytest.mark.parametrize(
    ("name", "content", "format_"),
    [
        ("a.txt", "Roses are red,\nviolets are blue,\n\nsugar is sweet\nand so are you.\n" * 20, "text"),
        ("a.txt", "It was the best of times, it was the worst of times.", "text"),
        ("a.txt", "1.5\n2.5\n", "csv"),
        ("a", '{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a", "% made by hand\n@RELATION x\n@attribute a real\n@data\n1\n", "arff"),
        ("a", "#x\n@problemName x\n@data\n1:a\n", "ts"),
        ("a.JSONL", '{"a": 1}\n', "jsonl"),
        ("a.csv", '{"a": 1}\n', "csv"),
    ],
)
def test_formats(name, content, format_, put) -> None:  # type: ignore[no-untyped-def]
    assert told(put(content, name))["format"] == format_


def ucr(rows: int, times: int, labels: list[str], delimiter: str, *, last: bool = False) -> str:
    rng = np.random.default_rng(0)
    lines = []
    for row in range(rows):
        cells = [f"{value:.6f}" for value in rng.normal(size=times)]
        cells.insert(times if last else 0, labels[row % len(labels)])
        lines.append(delimiter.join(cells))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("delimiter", ["\t", ",", " "])
@pytest.mark.parametrize(
    "labels", [["-1", "1"], [str(label) for label in range(1, 15)], ["1.0000000e+00", "2.0000000e+00"]]
)
@pytest.mark.parametrize("times", [80, 720])
def test_series_with_a_label(delimiter, labels, times, put) -> None:  # type: ignore[no-untyped-def]
    found = sniff(put(ucr(40, times, labels, delimiter), "Any_TRAIN.txt"), Reading())
    assert (found.format, found.label_place, found.delimiter, found.header) == ("ucr", "first", delimiter, False)


def test_a_label_at_the_end_and_tables_that_only_look_alike(put) -> None:  # type: ignore[no-untyped-def]
    assert sniff(put(ucr(40, 24, ["1", "2"], ",", last=True)), Reading()).label_place == "last"
    measured = "\n".join(",".join(f"{row * place / 7:.3f}" for place in range(1, 12)) for row in range(1, 30))
    assert sniff(put(measured), Reading()).format == "csv"
    named = ",".join(f"x{place}" for place in range(81)) + "\n" + ucr(40, 80, ["1", "2"], ",")
    assert sniff(put(named), Reading()).format == "csv"
    assert sniff(put(ucr(40, 80, ["1", "2"], ",")), Reading(format="csv")).label_place is None


def test_only_the_first_part_is_looked_at(put) -> None:  # type: ignore[no-untyped-def]
    start = "a,b\n" + "1,2\n" * 300_000
    assert sniff(put(start + "\xe9,2\n"), Reading()) == sniff(put(start), Reading())


def test_a_wrong_byte_in_utf8_is_no_other_encoding(put) -> None:  # type: ignore[no-untyped-def]
    data = "text\nüber\nstraße\nétude\n".encode() + b"bro\x92ken\n"
    with pytest.raises(DataError, match=r"^a.csv row 5: byte 0x92 is not UTF-8, as most of the file is; expected"):
        sniff(put(data), Reading())
    assert sniff(put(b"text\nbro\x92ken\n"), Reading()).encoding == "cp1252"
    assert sniff(put(b"text\nbro\x81ken\n"), Reading()).encoding == "latin-1"


def test_a_character_cut_in_two_at_the_end_of_the_first_part_is_no_fault(put) -> None:  # type: ignore[no-untyped-def]
    for length in (1, 2, 3, 4):
        data = b"text\n" + b"x" * ((1 << 20) - 5 - length) + "\U0001f600\n".encode() * 10
        assert sniff(put(data), Reading()).encoding == "utf-8"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_its_mark(encoding, put) -> None:  # type: ignore[no-untyped-def]
    assert told(put("a,b\n1,2\n3,4\n".encode(encoding)))["encoding"] == encoding


@pytest.mark.parametrize(
    ("head", "comment", "names"),
    [
        ("# by hand, at noon\n# again\ntime,temp\n", "#", ["time", "temp"]),
        ("#time,temp\n", None, ["#time", "temp"]),
        ("# made in 2020\n", "#", ["column_1", "column_2"]),
        ("# by hand, at noon\n#time,temp\ntime,temp\n", "#", ["time", "temp"]),
    ],
)
def test_lines_above_the_table_are_a_comment_unless_they_name_the_columns(
    head: str, comment: str | None, names: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(head + "".join(f"{row},{row / 7:.2f}\n" for row in range(20)))
    found = sniff(path, Reading())
    assert (found.comment, columns(path, Reading())) == (comment, names)
