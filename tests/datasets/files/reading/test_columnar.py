"""Parquet and npz beside what pandas, pyarrow and NumPy put into them."""

import datetime
import decimal
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unroll.core.errors import DataError
from unroll.datasets.files.reading import Reading, chunks, columns, npz, parquet, sniff

FRAME = pd.DataFrame(
    {
        "time": pd.date_range("2020-01-01", periods=500, freq="h"),
        "x": np.random.default_rng(0).normal(size=500),
        "n": np.arange(500, dtype=np.int32),
        "text": [f"row {row}" if row % 7 else None for row in range(500)],
        "kind": pd.Categorical(["a", "b"] * 250),
        "ok": [True, False] * 250,
    }
)


def whole(path: Path, columns: list[str] | None = None, rows: int = 1 << 18) -> pd.DataFrame:
    found = list(chunks(path, Reading(), columns, rows))
    numbers = np.concatenate([chunk.rows_N for chunk in found])
    assert numbers.tolist() == list(range(1, len(numbers) + 1))
    assert all(len(chunk.frame) <= rows and not chunk.rejected for chunk in found)
    return pd.concat([chunk.frame for chunk in found], ignore_index=True)


@pytest.mark.parametrize("compression", ["snappy", "gzip", "zstd", "none"])
@pytest.mark.parametrize("group", [64, 10_000])
def test_parquet(compression, group, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(parquet, "ROWS", 100)
    path = tmp_path / "a.parquet"
    FRAME.to_parquet(path, compression=compression, row_group_size=group)
    found = whole(path, rows=90)
    pd.testing.assert_frame_equal(found, FRAME.astype({"kind": "str"}))
    assert whole(path, ["n", "x"]).columns.tolist() == ["n", "x"]
    assert columns(path, Reading()) == FRAME.columns.tolist()
    assert sniff(path, Reading()).format == "parquet"


def test_parquet_of_other_types(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.pq"
    table = pa.table(
        {
            "day": pa.array([datetime.date(2020, 2, 3)]),
            "price": pa.array([decimal.Decimal("1.25")]),
            "bytes": pa.array([b"caf\xc3\xa9"]),
            "clock": pa.array([datetime.time(1, 2, 3)]),
            "here": pa.array([datetime.datetime(2020, 1, 1)], pa.timestamp("us", "Europe/Madrid")),
            "nothing": pa.nulls(1),
            "half": pa.array([np.float16(0.5)]),
        }
    )
    pq.write_table(table, path)
    row = whole(path).iloc[0]
    assert row["day"] == pd.Timestamp("2020-02-03")
    assert row["here"] == pd.Timestamp("2020-01-01", tz="UTC")
    assert (row["price"], row["bytes"], row["clock"][:8], row["half"]) == (1.25, "caf\u00e9", "01:02:03", 0.5)
    assert pd.isna(row["nothing"])


def test_parquet_has_lists_left_out_and_refused_where_they_are_asked_for(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1, 2], "series": [[1.0], [2.0]]}), path)
    assert whole(path, ["x"])["x"].tolist() == [1, 2]
    assert whole(path).columns.tolist() == ["x"]
    expected = "expected numbers, times, text, true or false"
    with pytest.raises(DataError, match=rf"^a.parquet: column 'series' is nested: list<.*>; {expected}$"):
        whole(path, ["series"])
    pq.write_table(pa.table({"series": [[1.0], [2.0]]}), path)
    with pytest.raises(DataError, match=rf"^a.parquet: no column of cells: 'series' is nested: list<.*>; {expected}$"):
        whole(path)


def test_damaged_parquet(tmp_path, everything) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.parquet"
    FRAME.to_parquet(path)
    data = path.read_bytes()
    for damaged in (data[:-10], data[:100], b"PAR1", data[:40] + b"\xff" * 2000 + data[2040:]):
        path.write_bytes(damaged)
        with pytest.raises(
            DataError, match=r"^a.parquet( row \d+ or later)?: damaged or cut off \(parquet\): .*; expected a whole"
        ):
            everything(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(
        DataError, match=r"^a.parquet: no parquet \(plain\); expected parquet, which is compressed inside"
    ):
        everything(path)


def test_parquet_of_more_rows_than_allowed(tmp_path, everything) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array(np.zeros(5_000_000, np.int8))}), path)
    with pytest.raises(
        DataError, match=r"^a.parquet: 5,000,000 bytes unpacked; expected at most max_bytes, 1,000,000$"
    ):
        everything(path, max_bytes=1_000_000)


def save(path: Path, how=np.savez, **arrays) -> Path:  # type: ignore[no-untyped-def]
    with path.open("wb") as file:
        how(file, **arrays)
    return path


@pytest.mark.parametrize("how", [np.savez, np.savez_compressed])
def test_npz(how, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(npz, "PART", 1000)
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=300),
        "n": rng.integers(0, 9, 300).astype(">i2"),
        "flag": rng.random(300) < 0.5,
        "word": rng.choice(["a", "b\u00e9", ""], 300),
        "raw": rng.choice([b"u", b"vw"], 300),
        "day": np.datetime64("2020-01-01") + np.arange(300),
        "wide": rng.normal(size=(300, 3)).astype(np.float32),
        "turned": np.asfortranarray(rng.normal(size=(300, 2))),
        "deep": rng.normal(size=(300, 1, 2)),
        "single": np.float64(3),
    }
    path = save(tmp_path / "a.npz", how, **arrays)
    found = whole(path, rows=77)
    assert found.columns.tolist() == [
        *("x", "n", "flag", "word", "raw", "day"),
        *("wide_1", "wide_2", "wide_3", "turned_1", "turned_2", "deep_1", "deep_2"),
    ]
    for name in ("x", "n", "flag", "word"):
        assert found[name].tolist() == arrays[name].tolist()
    assert found["raw"].tolist() == [value.decode() for value in arrays["raw"].tolist()]
    assert np.array_equal(found["day"].to_numpy().astype("datetime64[D]"), arrays["day"])
    assert np.array_equal(found[["wide_1", "wide_2", "wide_3"]].to_numpy(), arrays["wide"])
    assert found["wide_1"].dtype == np.float32
    assert np.array_equal(found[["turned_1", "turned_2"]].to_numpy(), arrays["turned"])
    assert np.array_equal(found[["deep_1", "deep_2"]].to_numpy(), arrays["deep"][:, 0])
    assert whole(path, ["turned_2", "n"]).columns.tolist() == ["turned_2", "n"]


def test_npz_whose_columns_have_names(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = save(tmp_path / "a.npz", data=np.arange(8).reshape(4, 2), columns=np.array(["no2", "o3"]))
    assert whole(path).to_dict("list") == {"no2": [0, 2, 4, 6], "o3": [1, 3, 5, 7]}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.array([{}], dtype=object)}, "array 'a.npy' holds objects; expected numbers, times or text"),
        ({"a": np.zeros(3), "b": np.zeros(4)}, "array 'b' has 4 rows, 'a' has 3; expected arrays of equal length"),
        ({"a": np.zeros((2, 2, 2))}, "array 'a.npy' is 3-dimensional; expected one or two"),
        ({"a": np.zeros(2, complex)}, "array 'a.npy' is complex128; expected numbers, times or text"),
        ({"a": np.zeros(2, [("u", "f8")])}, "array 'a.npy' is [('u', '<f8')]; expected numbers, times or text"),
        ({"a": np.float64(1)}, "no array in it; expected arrays of equal length"),
        ({"a_1": np.zeros(2), "a": np.zeros((2, 2))}, "column 'a_1' stands twice; expected each name once"),
        ({"a": np.zeros((3, 0))}, "array 'a.npy': 0 values a row; expected 1 to 100,000"),
    ],
)
def test_npz_that_is_no_table(arrays, message, tmp_path, everything) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError) as error:
        everything(save(tmp_path / "a.npz", **arrays))
    assert str(error.value) == f"a.npz: {message}"


def npy(shape: str, kind: str = "<f8", body: bytes = b"") -> bytes:
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npy("(1000000000000,)"), "array 'a.npy' has 0 bytes; its head says 8,000,000,000,000; expected a whole one"),
        (npy("(-1,)"), "array 'a.npy' has the shape (-1,); expected no negative length"),
        (npy("(10,)", "<U0"), "array 'a.npy': 1 values a row; expected 1 to 100,000"),
        (npy("(10,)", "nonsense"), "array 'a.npy': no readable head: descr is not a valid dtype descriptor"),
        (npy("(" * 5000), "array 'a.npy': no readable head: "),
        (b"\x93NUMPY\x09\x00", "array 'a.npy' is of version (9, 0); expected 1.0 or 2.0"),
        (b"", "array 'a.npy': no readable head: EOF: reading magic string"),
    ],
)
def test_npz_with_a_head_that_lies(data, message, tmp_path, everything) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", data)
    with pytest.raises(DataError) as error:
        everything(path)
    assert str(error.value).startswith(f"a.npz: {message}")


def test_npz_that_unpacks_to_too_much(tmp_path, everything) -> None:  # type: ignore[no-untyped-def]
    path = save(tmp_path / "a.npz", np.savez_compressed, a=np.zeros(100_000))
    with pytest.raises(DataError, match=r"^a.npz: more than 1,000 bytes unpacked; expected at most max_bytes$"):
        everything(path, max_bytes=1000)


def test_damaged_npz(tmp_path, everything) -> None:  # type: ignore[no-untyped-def]
    data = io.BytesIO()
    np.savez(data, a=np.arange(1000.0))
    path = tmp_path / "a.npz"
    path.write_bytes(data.getvalue()[:-100])
    with pytest.raises(
        DataError, match=r"^a.npz: damaged or cut off \(npz\): File is not a zip file; expected a whole file"
    ):
        everything(path)
    flipped = bytearray(data.getvalue())
    flipped[4000] ^= 255
    path.write_bytes(bytes(flipped))
    with pytest.raises(
        DataError, match=r"^a.npz row 1 or later: damaged or cut off \(npz\): Bad CRC-32.*; expected a whole file"
    ):
        everything(path)


def test_an_archive_whose_member_has_no_name(tmp_path, everything) -> None:  # type: ignore[no-untyped-def]
    path = save(tmp_path / "a.npz", a=np.arange(3))
    path.write_bytes(path.read_bytes().replace(b"a.npy", b"\0.npy"))
    with pytest.raises(DataError, match=r"^a.npz: (damaged or cut off|0 files|.* in it is not an array)"):
        everything(path)
