"""Files: written whole or not at all, the same bytes for the same content, and one line for a damaged one."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from problems import tables

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.core.layout import project_root

TABLES = [tables.series, tables.labelled_series, tables.labelled_text, tables.text, tables.pairs]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(StoreError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_appears_only_when_its_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "x.txt"
    with store.atomic_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["x.txt"]


def test_a_file_stays_as_it_was_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write_half() -> None:
        with store.atomic_file(path) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with store.atomic_folder(path) as temporary:
        (temporary / "new.txt").write_text("new")
        assert names(path) == ["old.txt"]
    assert names(path) == ["new.txt"]
    assert names(tmp_path) == ["out"]


def test_a_folder_stays_as_it_was_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")

    def write_half() -> None:
        with store.atomic_folder(path) as temporary:
            (temporary / "half.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert names(path) == ["old.txt"]
    assert names(tmp_path) == ["out"]


WRITES = {
    "text": lambda path: store.write_text(path, "x"),
    "json": lambda path: store.write_json(path, {}),
    "csv": lambda path: store.write_csv(path, pd.DataFrame({"a": [1]})),
    "table": lambda path: store.write_table(path, pd.DataFrame({"a": [1]})),
    "array": lambda path: store.write_array(path, np.zeros(2)),
    "parts": lambda path: store.write_parts(path, (2,), np.float32, [np.zeros(2)]),
    "empty array": lambda path: store.create_array(path, (2,), np.float32),
    "tensors": lambda path: store.write_tensors(path, {"a": torch.zeros(2)}),
    "folder": lambda path: store.atomic_folder(path).__enter__(),
}


@pytest.mark.parametrize("kind", WRITES)
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("in the way")
    message = refusal(lambda: WRITES[kind](tmp_path / "file" / "folder" / "x"))
    assert message.startswith(f"{tmp_path / 'file' / 'folder'}: cannot be written: ")


@pytest.mark.parametrize("kind", sorted(WRITES.keys() - {"folder", "empty array"}))
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x").mkdir()
    assert refusal(lambda: WRITES[kind](tmp_path / "x")) == f"{tmp_path / 'x'}: cannot be written: Is a directory"
    assert names(tmp_path) == ["x"]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")

    def fill() -> None:
        with store.atomic_folder(tmp_path / "x"):
            pass

    assert refusal(fill) == f"{tmp_path / 'x'}: cannot be written: Not a directory"
    assert (tmp_path / "x").read_text() == "old"


@pytest.mark.parametrize("make", TABLES)
def test_a_table_comes_back_as_it_was_and_twice_the_same(tmp_path: Path, make: Callable[[], pd.DataFrame]) -> None:
    table = make()
    store.write_table(tmp_path / "a" / "table.parquet", table)
    store.write_table(tmp_path / "b" / "table.parquet", table.copy())
    pd.testing.assert_frame_equal(store.read_table(tmp_path / "a" / "table.parquet"), table)
    assert digest(tmp_path / "a" / "table.parquet") == digest(tmp_path / "b" / "table.parquet")
    # A table with an index left over from a selection is the same table.
    store.write_table(tmp_path / "c.parquet", table.set_axis(range(7, 7 + len(table))))
    assert digest(tmp_path / "c.parquet") == digest(tmp_path / "a" / "table.parquet")


def test_a_table_of_many_groups_of_rows_is_read_as_pandas_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ROW_GROUP", 64)
    table = tables.series(200)
    table["count"], table["flag"] = np.arange(len(table)), np.arange(len(table)) % 3 == 0
    table["wide"] = np.where(table["flag"], np.nan, 0.1)
    store.write_table(tmp_path / "t.parquet", table)
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 7
    pd.testing.assert_frame_equal(store.read_table(tmp_path / "t.parquet"), pd.read_parquet(tmp_path / "t.parquet"))
    some = store.read_table(tmp_path / "t.parquet", ["wide", "time"])
    pd.testing.assert_frame_equal(some, table[["wide", "time"]])
    coded = store.read_table(tmp_path / "t.parquet", None, ("site", "no such"))
    assert list(coded["site"].cat.categories) == ["north", "south"]
    pd.testing.assert_frame_equal(coded.astype({"site": "str"}), table)


def test_times_without_a_zone_and_missing_times_come_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"time": pd.to_datetime(["2020-01-01", None, "1965-05-05 05:05:05.5"], format="ISO8601")})
    table["utc"] = table["time"].dt.tz_localize("UTC").dt.as_unit("ns")
    store.write_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(store.read_table(tmp_path / "t.parquet"), table)


@pytest.mark.parametrize("make", TABLES)
def test_a_table_without_rows_comes_back(tmp_path: Path, make: Callable[[], pd.DataFrame]) -> None:
    table = make().iloc[:0]
    store.write_table(tmp_path / "t.parquet", table)
    read = store.read_table(tmp_path / "t.parquet")
    assert list(read.columns) == list(table.columns)
    assert read.dtypes.equals(table.dtypes)
    assert len(read) == 0
    coded = store.read_table(tmp_path / "t.parquet", None, ("site", "label"))
    assert {str(coded[name].dtype) for name in coded.columns.intersection(["site", "label"])} <= {"category"}
    assert len(coded) == 0


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    store.write_table(tmp_path / "t.parquet", tables.pairs())
    message = refusal(lambda: store.read_table(tmp_path / "t.parquet", ["source", "traget"]))
    assert message == f"{tmp_path / 't.parquet'}: column 'traget' is missing; expected one of source, target"


def test_an_array_in_parts_is_the_array_as_numpy_writes_it(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    store.write_parts(tmp_path / "parts.npy", array.shape, np.float32, (array[low : low + 4] for low in (0, 4, 8)))
    store.write_array(tmp_path / "whole.npy", array)
    np.save(tmp_path / "numpy.npy", array)
    assert digest(tmp_path / "parts.npy") == digest(tmp_path / "whole.npy") == digest(tmp_path / "numpy.npy")


def test_arrays_come_back_read_only_by_name(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6).reshape(2, 3),
        "b": np.zeros((0, 4), dtype=np.uint8),
        "c": np.array(["x", "yz"]),
        "d": np.array(5.0),
    }
    for name, array in arrays.items():
        store.write_array(tmp_path / f"{name}.npy", array)
    store.create_array(tmp_path / "e.npy", (3, 2), np.float32)[:] = 7
    (tmp_path / "meta.json").write_text("{}")
    read = store.read_arrays(tmp_path)
    assert list(read) == ["a", "b", "c", "d", "e"]
    for name, array in {**arrays, "e": np.full((3, 2), 7, dtype=np.float32)}.items():
        np.testing.assert_array_equal(read[name], array, strict=True)
    with pytest.raises(ValueError, match="read-only"):
        read["a"][0, 0] = 1


def test_no_pickle_in_arrays(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        store.write_array(tmp_path / "o.npy", np.array([{}, None], dtype=object))
    np.save(tmp_path / "o.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    assert str(tmp_path / "o.npy") in refusal(lambda: store.read_arrays(tmp_path))


def test_json_keeps_order_and_letters_and_refuses_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    store.write_json(path, {"b": "Grüße", "a": [1, None, 2.5]})
    assert path.read_text(encoding="utf-8") == '{\n  "b": "Grüße",\n  "a": [\n    1,\n    null,\n    2.5\n  ]\n}\n'
    assert store.read_json(path) == {"b": "Grüße", "a": [1, None, 2.5]}
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            store.write_json(path, {"r2": value})
    assert json.loads(path.read_text(encoding="utf-8"))["a"] == [1, None, 2.5]


def test_csv_has_no_carriage_returns_and_no_index(tmp_path: Path) -> None:
    store.write_csv(tmp_path / "x.csv", pd.DataFrame({"a": [1, 2], "b": ["x,y", "z"]}))
    assert (tmp_path / "x.csv").read_bytes() == b'a,b\n1,"x,y"\n2,z\n'


def test_tensors_come_back_with_their_metadata_and_the_same_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.tensor(3), "c": torch.ones(2, dtype=torch.bfloat16)}
    tensors["same"] = tensors["b"]  # shared memory is written twice, not refused
    store.write_tensors(tmp_path / "x.safetensors", tensors, {"k": "v"})
    store.write_tensors(tmp_path / "y.safetensors", dict(reversed(tensors.items())), {"k": "v"})
    read, metadata = store.read_tensors(tmp_path / "x.safetensors")
    assert metadata == {"k": "v"}
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)
    assert digest(tmp_path / "x.safetensors") == digest(tmp_path / "y.safetensors")


READS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "x.json": (lambda path: store.write_json(path, {"a": [1, 2, 3]}), store.read_json),
    "x.parquet": (lambda path: store.write_table(path, tables.series()), store.read_table),
    "x.npy": (lambda path: store.write_array(path, np.arange(100)), lambda path: store.read_arrays(path.parent)),
    "x.safetensors": (lambda path: store.write_tensors(path, {"a": torch.arange(100)}), store.read_tensors),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    write, read = READS[name]
    path = tmp_path / name
    write(path)
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) * 2 // 3], "empty": b"", "garbage": b"\x93garbage" * 9}[damage])
    assert refusal(lambda: read(path)).startswith(f"{path}: ")


def test_a_table_damaged_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    store.write_table(path, tables.series())
    whole = bytearray(path.read_bytes())
    whole[100:400] = b"\xff" * 300
    path.write_bytes(whole)
    message = refusal(lambda: store.read_table(path))
    assert message.startswith(f"{path}: no valid Parquet: ")
    assert "checksum" in message


@pytest.mark.parametrize("name", ["x.json", "x.parquet", "x.safetensors"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    assert refusal(lambda: READS[name][1](tmp_path / name)).startswith(f"{tmp_path / name}: ")


def test_the_root_is_the_nearest_folder_with_both_files(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "project" / "params.yaml").touch()
    assert refusal(lambda: project_root(inner)).startswith(f"{inner}: no params.yaml and dvc.yaml here or above")
    (tmp_path / "project" / "dvc.yaml").touch()
    (tmp_path / "project" / "a" / "params.yaml").touch()
    assert project_root(inner) == tmp_path / "project"


def test_a_fingerprint_changes_with_names_bytes_and_parts_alone(tmp_path: Path) -> None:
    def fill(folder: str, name: str = "x", text: str = "1") -> Path:
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "sub" / name).write_text(text)
        return tmp_path / folder

    first = store.fingerprint(fill("a"), {"k": 1, "l": 2})
    assert first == store.fingerprint(fill("b"), {"l": 2, "k": 1})
    others = [
        store.fingerprint(fill("c", name="y"), {"k": 1, "l": 2}),
        store.fingerprint(fill("d", text="2"), {"k": 1, "l": 2}),
        store.fingerprint(fill("e"), {"k": 1, "l": 3}),
        store.fingerprint(fill("f"), {"k": 1, "l": 2}, None),
    ]
    assert len({first, *others}) == 5
    assert store.sha256(tmp_path / "a" / "sub" / "x") == hashlib.sha256(b"1").hexdigest()
