"""Bad input of each kind ends in one clear line, from the command to the message."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from projects import ROOT
from small_samples import SMALL, small, write

from unroll import ingestion, store, validation
from unroll.errors import UnrollError
from unroll.store import Layout

Spoil = Callable[[Path], object]


def spoil_npz(**arrays: np.ndarray) -> Spoil:
    def spoil(path: Path) -> None:
        with np.load(path) as archive:
            whole = {name: archive[name] for name in archive.files}
        np.savez(path, allow_pickle=True, **{**whole, **arrays})

    return spoil


def spoil_arrays(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(path: Path) -> None:
        with np.load(path) as archive:
            np.savez(path, allow_pickle=False, **{name: change(archive[name]) for name in archive.files})

    return spoil


def spoil_line(number: int, change: Callable[[str], str]) -> Spoil:
    def spoil(path: Path) -> None:
        lines = path.read_text(encoding="utf-8").split("\n")
        lines[number - 1] = change(lines[number - 1])
        path.write_text("\n".join(lines), encoding="utf-8")

    return spoil


def spoil_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"\n") + 3] = 0xFF
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def set_calendar(array: np.ndarray) -> np.ndarray:
    return np.column_stack([array[:, :5], np.zeros((len(array), 4))])


def set_missing(array: np.ndarray) -> np.ndarray:
    return np.column_stack([np.full((len(array), 1), np.nan), array[:, 1:]])


def without_class_3(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("3,")))


NPZ, TRAIN, CSV, GZ = "LondonAQ.npz", "ElectricDevices_TRAIN.csv", "Airlines.csv", "poetry2.txt.gz"
OBJECTS = np.array([{"a": 1}], dtype=object)
CASES: list[tuple[str, str, Spoil, str]] = [
    ("air_quality", NPZ, Path.unlink, r"disk/air_quality/LondonAQ.npz: missing, and .*LondonAQ.npz too; expected"),
    ("air_quality", NPZ, lambda path: path.write_bytes(b""), r"LondonAQ.npz: 0 bytes; expected 1 to"),
    ("air_quality", NPZ, cut, r"LondonAQ.npz: no readable npz: File is not a zip file; expected arrays GEltham, "),
    ("air_quality", NPZ, lambda path: path.write_bytes(b"garbage"), r"LondonAQ.npz: no readable npz"),
    (
        "air_quality",
        NPZ,
        spoil_npz(GEltham=OBJECTS),
        r"no readable npz: Object arrays cannot be loaded when allow_pickle",
    ),
    ("air_quality", NPZ, spoil_npz(GLewisham=np.zeros((2, 9))), r"LondonAQ.npz: arrays GEltham, .*GLewisham; expected"),
    ("air_quality", NPZ, spoil_arrays(lambda a: a[:, :8]), r"array GEltham has shape \(1000, 8\) and type float64"),
    ("air_quality", NPZ, spoil_arrays(lambda a: a.astype("U9")), r"array GEltham has shape \(1000, 9\) and type <U9"),
    (
        "air_quality",
        NPZ,
        spoil_arrays(set_calendar),
        r"npz row 1, month: 0; GEltham: expected month 1 at 2012-01-01T00:00",
    ),
    ("household_power", TRAIN, Path.unlink, r"ElectricDevices_TRAIN.csv: missing, and "),
    (
        "household_power",
        TRAIN,
        lambda path: path.write_bytes(b""),
        r"ElectricDevices_TRAIN.csv: 0 bytes; expected 1 to",
    ),
    ("household_power", TRAIN, spoil_byte, r"ElectricDevices_TRAIN.csv row 2: byte 0xff is no UTF-8"),
    (
        "household_power",
        TRAIN,
        lambda path: path.write_text("a;b\n"),
        r"no readable row \(row 1,  '1 columns'\); expected",
    ),
    (
        "tweets",
        CSV,
        spoil_line(1, lambda line: line.replace("text", "tweet")),
        r"Airlines.csv row 1: no column 'text' in",
    ),
    ("tweets", CSV, spoil_byte, r"Airlines.csv row 2: byte 0xff is no UTF-8; expected UTF-8 text"),
    ("tweets", CSV, lambda path: path.write_bytes(b"\xef\xbb\xbf"), r"Airlines.csv: no readable row; expected a label"),
    (
        "poetry",
        GZ,
        lambda path: path.write_bytes(b"plain text"),
        r"poetry2.txt.gz: no readable gzip: Not a gzipped file",
    ),
    ("poetry", GZ, cut, r"poetry2.txt.gz: no readable gzip: Compressed file ended before"),
    ("poetry", GZ, lambda path: path.write_bytes(gzip.compress(b"")), r"poetry2.txt.gz: no text in it; expected lines"),
]


def ingest_spoilt(name: str, file: str, spoil: Spoil, root: Path) -> Layout:
    """Ingest a sample from a folder in which one file was spoilt."""
    dataset, config = write(name, root / "disk" / name)
    spoil(root / "disk" / name / file)
    layout = Layout(root, name)
    with store.atomic_folder(layout.raw) as folder:
        ingestion.fetch(dataset, config, "disk", folder, root)
        ingestion.read(dataset, config, "disk", folder)
    return layout


@pytest.mark.parametrize(("name", "file", "spoil", "message"), CASES)
def test_a_file_that_cannot_be_read_is_one_line_and_leaves_nothing(
    name: str, file: str, spoil: Spoil, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnrollError, match=message) as error:
        ingest_spoilt(name, file, spoil, tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "data/raw" / name).exists()


@pytest.mark.parametrize(
    ("name", "file", "spoil", "message"),
    [
        (
            "household_power",
            TRAIN,
            spoil_line(9, lambda line: line[:20] + "letters" + line[20:]),
            r"1 of 280 rows set aside.*ElectricDevices_TRAIN.csv row 9, t001 '.*letters.*': no finite number",
        ),
        (
            "tweets",
            CSV,
            spoil_line(2, lambda line: "furious" + line[line.index(",") :]),
            r"1 of 400 rows set aside.*Airlines.csv row 2, twsentiment 'furious': unknown label",
        ),
        ("household_power", TRAIN, without_class_3, r"a class is missing from train .*\['train 3'\]"),
        ("air_quality", NPZ, spoil_arrays(set_missing), r"column 'pm10_ug_m3': too many missing values"),
    ],
)
def test_faulty_rows_and_faulty_data_stop_at_validation(
    name: str, file: str, spoil: Spoil, message: str, tmp_path: Path
) -> None:
    layout = ingest_spoilt(name, file, spoil, tmp_path)
    dataset, config = small(name, max_rejected_share=0.0)
    with pytest.raises(UnrollError, match=message) as error:
        validation.validate(dataset, config, layout)
    assert "\n" not in str(error.value)
    assert not (layout.validated / "table.parquet").exists()


def run_stage(root: Path, task: str) -> "subprocess.CompletedProcess[str]":
    keys = {"dataset": task, "seed": 7, "max_rejected_share": 0.0, **SMALL[task]}
    block = ", ".join(f"{key}: {str(value).lower()}" for key, value in keys.items())
    (root / "params.yaml").write_text(f"source: disk\ntasks:\n  {task}: {{data: {{{block}}}}}\n")
    (root / "dvc.yaml").write_text("stages: {}\n")
    command = [sys.executable, str(ROOT / "pipelines/ingest.py"), task]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_the_stage_ends_with_one_line_and_no_traceback(tmp_path: Path) -> None:
    failed = run_stage(tmp_path, "tweets")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr == (
        f"ingest tweets: source 'disk': {tmp_path}/disk is no folder; "
        "expected sample, lab or a folder with the raw files\n"
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    write("tweets", tmp_path / "disk")
    (tmp_path / "data").write_text("a file in the place of the folder")
    failed = run_stage(tmp_path, "tweets")
    assert failed.returncode == 1
    assert failed.stderr == f"ingest tweets: {tmp_path}/data/raw: cannot be written: Not a directory\n"


def test_a_good_run_puts_everything_in_place(tmp_path: Path) -> None:
    write("tweets", tmp_path / "disk")
    assert run_stage(tmp_path, "tweets").stderr == ""
    assert sorted(path.name for path in (tmp_path / "data/raw/tweets").iterdir()) == [
        "Airlines.csv",
        "manifest.json",
        "rejected.csv",
        "table.parquet",
    ]
