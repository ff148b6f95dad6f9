"""Whatever the bytes are, a reader hands out rows or raises one of our errors, and reads no more than there is."""

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unroll.core.errors import DataError
from unroll.datasets.files.reading import Reading, chunks, columns, sniff, utf8

FORMATS = ("csv", "ucr", "ts", "arff", "jsonl", "text", "parquet", "npz", None)
RNG = np.random.default_rng(3)


def saved(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def frame_bytes() -> bytes:
    out = io.BytesIO()
    frame = pd.DataFrame({"a": RNG.normal(size=60), "b": ["x", None, "\u00e9"] * 20, "c": np.arange(60)})
    frame.to_parquet(out, row_group_size=20)
    return out.getvalue()


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", data)
    return out.getvalue()


CSV = 'time;no2;note\n2020-01-01;1,5;"a; ""b""\nc"\n2020-01-02;-200;caf\u00e9\n\n2020-01-03;;x\n'.encode()
VALID = {
    "a.csv": CSV,
    "b.csv": CSV.decode().encode("utf-16"),
    "c.csv.gz": gzip.compress(CSV),
    "d.csv.zip": zipped(CSV),
    "e.parquet": frame_bytes(),
    "f.npz": saved(x=RNG.normal(size=30), y=RNG.choice(["a", "b"], 30), z=RNG.normal(size=(30, 2))),
    "g.jsonl": b'{"a": 1, "b": "x"}\n{"a": 2.5, "b": null}\n{"c": true}\n',
    "h.ts": b"@problemName x\n@univariate true\n@equalLength false\n@classLabel true 1 2\n@data\n1,2,3:1\n4,?:2\n",
    "i.arff": b"@relation x\n@attribute 'a b' real\n@attribute c {x,y}\n@data\n1.5,x\n?,'y'\n",
    "j.txt": "Roses are red,\n\u201cviolets\u201d are blue\n".encode(),
    "k_TRAIN.tsv": b"\n".join(b"\t".join([b"1", *[b"%.3f" % v for v in RNG.normal(size=12)]]) for _ in range(5)),
}


def exhaust(path: Path, told: Reading) -> int:
    """Reads everything; a DataError, in one line that names the file, is as good as rows."""
    try:
        sniff(path, told)
        known = columns(path, told)
        count = 0
        for chunk in chunks(path, told, rows=50):
            assert list(chunk.frame.columns) == known or not len(chunk.frame)
            assert len(chunk.rows_N) == len(chunk.frame) <= 50
            assert all(np.diff(chunk.rows_N) > 0)
            assert all(fault.row > 0 and fault.reason for fault in chunk.rejected)
            count += len(chunk.frame)
    except DataError as error:
        message = str(error)
    else:
        return count
    assert message.startswith(path.name)
    assert "\n" not in message
    assert "by their cells" not in message  # two ways to cut records that do not agree
    return -1


def exhaust_bytes(folder: Path, name: str, data: bytes, told: Reading, block: int = 1 << 22) -> None:
    path = folder / name
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utf8, "BLOCK", block)
        exhaust(path, told)


@pytest.mark.parametrize("name", VALID)
def test_the_valid_files_are_valid(name, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / name).write_bytes(VALID[name])
    assert exhaust(tmp_path / name, Reading()) > 0


LOOSE = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LOOSE
@given(st.binary(max_size=300), st.sampled_from(FORMATS), st.sampled_from([1, 5, 1 << 22]))
def test_random_bytes(tmp_path, data, format_, block) -> None:  # type: ignore[no-untyped-def]
    exhaust_bytes(tmp_path, "any", data, Reading(format=format_), block)


SIGNS = "ab1.5-,;\t| \n\r\"'#:?{}[]%@\\\u00e9\ufeff"


@LOOSE
@given(
    st.text(st.sampled_from(SIGNS), max_size=80),
    st.sampled_from(["csv", "ucr", "ts", "arff", "jsonl", "text", None]),
    st.sampled_from(["@data\n", '{"a":', "@attribute a real\n@data\n", "1,2\n", ""]),
    st.sampled_from([None, ",", ";", " ", "\t"]),
    st.sampled_from([None, '"', "'", ""]),
    st.sampled_from([None, "#", "%"]),
    st.sampled_from([0, 1, 3]),
    st.sampled_from([1, 5, 1 << 22]),
)
def test_random_text(tmp_path, content, format_, start, delimiter, quote, comment, skip, block) -> None:  # type: ignore[no-untyped-def]
    told = Reading(format=format_, delimiter=delimiter, quote=quote, comment=comment, skip_rows=skip)
    exhaust_bytes(tmp_path, "any", (start + content).encode(), told, block)


@LOOSE
@given(st.sampled_from(sorted(VALID)), st.data())
def test_valid_files_with_some_bytes_changed(tmp_path, name, data) -> None:  # type: ignore[no-untyped-def]
    changed = bytearray(VALID[name])
    places = st.lists(st.tuples(st.integers(0, len(changed) - 1), st.integers(0, 255)), min_size=1, max_size=4)
    for at, value in data.draw(places):
        changed[at] = value
    exhaust_bytes(tmp_path, name, bytes(changed), Reading())


@LOOSE
@given(st.sampled_from(sorted(VALID)), st.data())
def test_valid_files_cut_off_or_with_a_part_twice(tmp_path, name, data) -> None:  # type: ignore[no-untyped-def]
    whole = VALID[name]
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole)))))
    exhaust_bytes(tmp_path, name, whole[:end] + whole[start:] * data.draw(st.booleans()), Reading())


@LOOSE
@given(
    st.sampled_from(sorted(VALID)),
    st.sampled_from(FORMATS),
    st.sampled_from(["latin-1", "utf-16", "shift_jis", "utf-7"]),
)
def test_valid_files_read_as_something_else(tmp_path, name, format_, encoding) -> None:  # type: ignore[no-untyped-def]
    exhaust_bytes(tmp_path, name, VALID[name], Reading(format=format_, encoding=encoding))


TOKENS = [*'ab,; \t\n\r"#', '""', ', "', ',     "', "\r\n", "\n\n", "\u00e9", "\ufeff", '"\n', ',"']


@LOOSE
@given(
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=40).map("".join),
    st.sampled_from([",", ";", " ", "\t"]),
    st.sampled_from([None, '"', ""]),
    st.sampled_from([None, "#"]),
    st.sampled_from([1, 2, 3, 5, 8]),
)
def test_where_blocks_end_changes_nothing(tmp_path, content, delimiter, quote, comment, block) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "any.csv"
    path.write_text(content, encoding="utf-8", newline="")
    told = Reading(format="csv", delimiter=delimiter, quote=quote, comment=comment, header=False, encoding="utf-8")
    found = []
    for size in (1 << 22, block):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(utf8, "BLOCK", size)
            try:
                (chunk,) = chunks(path, told)
                found.append((chunk.rows_N.tolist(), chunk.frame.to_numpy().tolist(), chunk.rejected))
            except ValueError:
                found.append("no rows")
            except DataError as error:
                found.append(str(error))
    assert found[0] == found[1]
    assert "by their cells" not in found[0]
