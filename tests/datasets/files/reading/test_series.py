"""Labelled series as .ts, as UCR's plain files and as ARFF, beside NumPy's own numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import arff as scipy_arff

from unroll.core.errors import DataError
from unroll.datasets.files.reading import Reading, chunks, columns, utf8
from unroll.datasets.files.reading.values import FLOAT32_MAX, number, row

HEAD = "# made here\n@problemName Any\n@timeStamps false\n@missing false\n@univariate true\n@equalLength true\n"
RNG = np.random.default_rng(5)
LABELS = ["-1", "1", "1", "-1", "1", "-1", "1", "-1"]
VALUES_NT = RNG.normal(scale=100, size=(8, 90))


def lines(delimiter: str = ",") -> list[str]:
    return [delimiter.join(repr(float(value)) for value in values_T) for values_T in VALUES_NT]


def frame(path, **told):  # type: ignore[no-untyped-def]
    import pandas as pd

    return pd.concat([chunk.frame for chunk in chunks(path, Reading(**told))], ignore_index=True)


def expect_series(found) -> None:  # type: ignore[no-untyped-def]
    assert found.columns.tolist() == ["label", *(f"t{time:03d}" for time in range(90))]
    assert found["label"].tolist() == LABELS
    assert (found.dtypes[1:] == np.float32).all()
    assert np.array_equal(found.iloc[:, 1:].to_numpy(), VALUES_NT.astype(np.float32))


@pytest.mark.parametrize("headers", ["", "@seriesLength 90\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_ts(headers, newline, packed, put) -> None:  # type: ignore[no-untyped-def]
    body = "".join(f"{line}:{label}\n" for line, label in zip(lines(), LABELS, strict=True))
    content = (HEAD + headers + "@classLabel true -1 1\n@data\n" + body).replace("\n", newline)
    expect_series(frame(put(packed(content.encode()), "Any_TRAIN.ts")))


@pytest.mark.parametrize("delimiter", [",", "\t", "  ", ";"])
@pytest.mark.parametrize("last", [False, True])
def test_ucr(delimiter, last, packed, put) -> None:  # type: ignore[no-untyped-def]
    pairs = zip(lines(delimiter), LABELS, strict=True)
    content = "\n".join(delimiter.join((line, label) if last else (label, line)) for line, label in pairs)
    expect_series(frame(put(packed(content.encode()), "Any_TEST.txt")))


def test_ucr_with_decimal_commas_and_signs_for_missing_values(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put("1;0,5;NaN;?;+2\n2;1e2;;NA;-3\n2;x;y;0;0\n1;1e99;0;0;0\n1;1_0;0;0;0\n", "a.csv")
    numbers, cells, rejected = everything(path, format="ucr", decimal=",")
    np.testing.assert_array_equal(
        np.array([cell[1:] for cell in cells], float), [[0.5, np.nan, np.nan, 2], [100, np.nan, np.nan, -3]]
    )
    assert (numbers, [cell[0] for cell in cells]) == ([1, 2], ["1", "2"])
    assert rejected == [
        (3, "t000", "x", "not a finite number"),
        (4, "t000", "1e99", "not a finite number"),
        (5, "t000", "1_0", "not a finite number"),
    ]


def test_ts_of_unequal_lengths_with_missing_values_and_faulty_rows(put, everything) -> None:  # type: ignore[no-untyped-def]
    head = "@problemName x\n@univariate true\n@equalLength false\n@classLabel true a b\n@data\n"
    path = put(head + "1,2,3:a\n# no row\n\n4,?:b\n5:c\n6,x:a\n1:2:a\n7\n9,NaN,8:a\n,1:b\n", "a.ts")
    numbers, cells, rejected = everything(path)
    assert numbers == [6, 9, 14, 15]
    assert [cell[0] for cell in cells] == ["a", "b", "a", "b"]
    nan = np.nan
    np.testing.assert_array_equal(
        np.array([cell[1:] for cell in cells], float), [[1, 2, 3], [4, nan, nan], [9, nan, 8], [nan, 1, nan]]
    )
    assert rejected == [
        (10, "label", "c", "unknown label; expected one of those that @classLabel lists"),
        (11, "t001", "x", "not a finite number"),
        (12, "", "3 parts between colons", "wrong number of dimensions; expected one and a label"),
        (13, "", "1 parts between colons", "wrong number of dimensions; expected one and a label"),
    ]


def test_ts_whose_rows_are_not_as_long_as_it_says(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put(HEAD + "@seriesLength 2\n@classLabel false\n@data\n1,2\n1\n1,2,3\n", "a.ts")
    numbers, cells, rejected = everything(path)
    assert (numbers, cells, columns(path, Reading())) == ([10], [[1, 2]], ["t000", "t001"])
    assert rejected == [
        (11, "", "1 values", "wrong number of values; expected 2"),
        (12, "", "3 values", "wrong number of values; expected 2"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("@univariate false\n@data\n1:2:a\n", "a.ts: series of several dimensions; expected univariate ones"),
        ("@dimensions 3\n@data\n1:2:a\n", "a.ts: series of several dimensions; expected univariate ones"),
        ("@timestamps true\n@data\n(0,1):a\n", "a.ts: @timestamps true; expected values without time stamps"),
        ("@problemname x\n1,2:a\n", "a.ts row 2: '1,2:a'; expected a header line or @data"),
        ("@problemname x\n", "a.ts: no line @data; expected it after the headers"),
        ("@problemname x\n@data\n", "a.ts: series of 0 values; expected 1 to 100,000"),
        ("@equallength true\n@serieslength 999999999999\n@data\n1\n", "a.ts: series of 999,999,999,999 values"),
        ("@data\n" + "1," * 100_001, "a.ts: series of 100,002 values; expected 1 to 100,000"),
    ],
)
def test_ts_that_cannot_be_read(content, message, put, everything) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError) as error:
        everything(put(content, "a.ts"))
    assert str(error.value).startswith(message)


def arff_text(quote: str = "") -> str:
    head = "% made here\n@RELATION 'any name'\n\n" + "".join(f"@attribute att{time} NUMERIC\n" for time in range(1, 91))
    body = "".join(f"{line},{quote}{label}{quote}\n" for line, label in zip(lines(", "), LABELS, strict=True))
    return head + f"@attribute target {{{quote}-1{quote}, {quote}1{quote}}}\n\n@DATA\n% rows\n" + body


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_arff_of_series(quote, packed, put) -> None:  # type: ignore[no-untyped-def]
    expect_series(frame(put(packed(arff_text(quote).encode()), "Any_TRAIN.arff")))


def test_arff_of_series_as_scipy_reads_it(put) -> None:  # type: ignore[no-untyped-def]
    path = put(arff_text().replace(", ", ","), "a.arff")
    theirs, _ = scipy_arff.loadarff(path)
    found = frame(path)
    assert [label.decode() for label in theirs["target"]] == found["label"].tolist()
    assert np.array_equal(
        np.array(theirs.tolist(), dtype=object)[:, :90].astype(np.float32), found.iloc[:, 1:].to_numpy()
    )


def test_arff_of_any_attributes_is_a_table(put, everything) -> None:  # type: ignore[no-untyped-def]
    head = "@relation x\n@attribute 'no 2' real\n@attribute \"it's\" {x, y}\n"
    head += "@attribute note string\n@attribute d date 'yyyy'\n"
    path = put(head + "@data\n1.5,x,'it\\'s, ok',2020\n% no row\n?, y , plain , ?\n\n2,x\n", "a.arff")
    assert columns(path, Reading()) == ["no 2", "it's", "note", "d"]
    assert everything(path) == (
        [7, 9],
        [["1.5", "x", "it's, ok", "2020"], ["", "y", "plain", ""]],
        [(11, "", "2 columns", "wrong number of columns; expected 4")],
    )
    assert everything(path, ["d", "no 2"])[1] == [["2020", "1.5"], ["", ""]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("@relation x\n@attribute a\n@data\n1\n", "a.arff row 2: '@attribute a'; expected @attribute with a name and"),
        ("@relation x\n@attribute a relational\n@data\n1\n", "a.arff row 2: a relational attribute"),
        ("@relation x\n@attribute a real\n@data\n{0 1}\n", "a.arff row 4: a sparse row; expected a value for each"),
        (
            "@relation x\n@attribute a real\n@data\n1\n2\\",
            "a.arff: the last row does not end; expected no \\ before its",
        ),
        ("@relation x\n@attribute a real\n1\n", "a.arff row 3: '1'; expected @attribute with a name and a type"),
        ("@relation x\n@data\n1\n", "a.arff row 2: '@data'; expected @attribute"),
        ("@relation x\n@attribute a real\n", "a.arff: no attributes and a line @data after them; expected both"),
        ("@relation x\n@attribute a real\n@attribute a real\n@data\n", "a.arff: attribute 'a' stands twice"),
    ],
)
def test_arff_that_cannot_be_read(content, message, put, everything) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError) as error:
        everything(put(content, "a.arff"))
    assert str(error.value).startswith(message)


@given(st.lists(st.floats(allow_nan=False, width=32) | st.sampled_from([1e39, -1e300]), min_size=1, max_size=5))
def test_numbers_are_those_of_python(numbers) -> None:  # type: ignore[no-untyped-def]
    found = row([repr(value) for value in numbers])
    faulty = [abs(value) > FLOAT32_MAX for value in numbers]
    assert np.array_equal(found, np.array(numbers, np.float32)) if not any(faulty) else found == faulty.index(True)


@settings(max_examples=300)
@given(st.text(st.sampled_from("0123456789.eE+-_ naif?\u0661"), max_size=6))
def test_a_cell_is_a_number_or_none(cell) -> None:  # type: ignore[no-untyped-def]
    found = number(cell)
    if found is None:
        with pytest.raises(ValueError, match="could not convert"):
            float(cell.strip() if cell.isascii() and "_" not in cell and not _is_infinite(cell) else "no")
    elif not np.isnan(found):
        assert found == float(cell)


def _is_infinite(cell: str) -> bool:
    try:
        return abs(float(cell)) > FLOAT32_MAX
    except ValueError:
        return False


def test_an_escape_before_a_line_end_keeps_the_row_going(put, everything) -> None:  # type: ignore[no-untyped-def]
    path = put("@relation x\n@attribute a string\n@attribute b string\n@data\nx\\\ny,z\n'it\\'s',w\n", "a.arff")
    assert everything(path) == ([5, 7], [["x\ny", "z"], ["it's", "w"]], [])


def test_a_file_of_several_blocks(put, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(utf8, "BLOCK", 1000)
    body = "".join(f"{line}:{label}\n" for line, label in zip(lines(), LABELS, strict=True))
    expect_series(frame(put(HEAD + "@classLabel true -1 1\n@data\n" + body, "a.ts")))
