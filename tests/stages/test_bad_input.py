"""Bad input of each kind ends in one clear line, from the command to the message."""

import gzip
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from projects import ROOT, change_params, copy_project, own_code, run, run_cli
from small_samples import small, write

from unroll import datasets
from unroll.core import store
from unroll.core.errors import UnrollError
from unroll.core.layout import Layout
from unroll.stages.ingest import ingest
from unroll.stages.validate import validate

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
        r"LondonAQ.npz: array GEltham holds Python objects \(pickle\), which are never loaded",
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
    ("household_power", TRAIN, spoil_byte, r"ElectricDevices_TRAIN.csv row 2: byte 0xff is not UTF-8"),
    (
        "household_power",
        TRAIN,
        lambda path: path.write_text("a;b\n"),
        r"no readable row \(row 1, 1 columns\); expected",
    ),
    (
        "tweets",
        CSV,
        spoil_line(1, lambda line: line.replace("text", "tweet")),
        r"Airlines.csv row 1: no column 'text' in",
    ),
    ("tweets", CSV, spoil_byte, r"Airlines.csv row 2: byte 0xff is not UTF-8; expected UTF-8 text"),
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
        ingest.fetch(dataset, config, "disk", folder, root)
        ingest.read(dataset, config, "disk", folder, root)
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
            r"1 of 280 rows set aside.*ElectricDevices_TRAIN.csv row 9, t001 '.*letters.*': not a finite number",
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
        validate.validate(dataset, config, layout)
    assert "\n" not in str(error.value)
    assert not (layout.validated / "table.parquet").exists()


def many_letters(path: Path) -> None:
    path.write_text("".join(line.replace(",", ",x", 1) for line in path.read_text().splitlines(keepends=True)))


def no_labels(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("negative,", "neutral,"), encoding="utf-8")


def file_instead(place: str) -> Spoil:
    """A plain file in the place of a folder of the project."""

    def spoil(path: Path) -> None:
        target = path.parents[2] / place
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("a file in the place of a folder")

    return spoil


def letters(array: np.ndarray) -> np.ndarray:
    words = array.astype("U12")
    words[6, 0] = "high"
    return words


AS_A_PERSON: dict[str, tuple[str, str, Spoil, str, str]] = {
    "missing file": ("air_quality", NPZ, Path.unlink, "ingest", r"/disk/air_quality/LondonAQ.npz: missing, and .*"),
    "truncated npz": ("air_quality", NPZ, cut, "ingest", r"LondonAQ.npz: no readable npz: .*; expected arrays .*"),
    "wrong shape": (
        "air_quality",
        NPZ,
        spoil_arrays(lambda a: a[:, :8]),
        "ingest",
        r"LondonAQ.npz: array GEltham has shape \(\d+, 8\) and type float64; expected .* hours × 9",
    ),
    "letters in an array": (
        "air_quality",
        NPZ,
        spoil_arrays(letters),
        "ingest",
        r"LondonAQ.npz: array GEltham row 7, pm10_ug_m3: 'high'; expected a number",
    ),
    "wrong hash": (
        "air_quality",
        NPZ,
        lambda path: None,
        "lab",
        r"/disk/air_quality/LondonAQ.npz: hash sha256:[0-9a-f]{64}; expected sha256:fc2b.*: it is not .*",
    ),
    "all values missing": (
        "air_quality",
        NPZ,
        spoil_arrays(set_missing),
        "validate",
        r"data/raw/air_quality/table.parquet: column 'pm10_ug_m3': too many missing values: expected .*; found 0.0.*",
    ),
    "empty file": ("household_power", TRAIN, lambda path: path.write_bytes(b""), "ingest", rf"{TRAIN}: 0 bytes; .*"),
    "wrong number of columns": (
        "household_power",
        TRAIN,
        spoil_line(9, lambda line: line.rpartition(",")[0]),
        "validate",
        rf".*: 1 of \d+ rows set aside; .*; {TRAIN} row 9, 96 columns: wrong number of columns; expected 97",
    ),
    "letters in one row": (
        "household_power",
        TRAIN,
        spoil_line(9, lambda line: line.replace(",", ",x", 1)),
        "validate",
        rf".*: 1 of \d+ rows set aside; expected at most 0 .*; {TRAIN} row 9, t000 'x.*': not a finite number",
    ),
    "letters in all rows": (
        "household_power",
        TRAIN,
        many_letters,
        "ingest",
        rf"{TRAIN}: no readable row \(row 1, t000 'x.*'\); expected a class 1 to 7 and 96 numbers",
    ),
    "a class missing from train": (
        "household_power",
        TRAIN,
        without_class_3,
        "validate",
        r".*/table.parquet: column 'split_and_label': a class is missing from train or from test: .*\['train 3'\].*",
    ),
    "unknown label": (
        "tweets",
        CSV,
        spoil_line(2, lambda line: "furious" + line[line.index(",") :]),
        "validate",
        r".*: 1 of \d+ rows set aside; .*; Airlines.csv row 2, twsentiment 'furious': unknown label; .*",
    ),
    "a label missing": ("tweets", CSV, no_labels, "validate", r".*column 'label': a label is missing: .*'negative'.*"),
    "unwritable data": ("tweets", CSV, file_instead("data"), "ingest", r"/data/raw: cannot be written: Not a dir.*"),
    "unwritable output": (
        "tweets",
        CSV,
        file_instead("data/validated/tweets"),
        "validate",
        r".*/data/validated/tweets.*: .*[Nn]ot a directory.*",
    ),
    "unwritable state": ("tweets", CSV, file_instead(".unroll/tweets"), "ingest", r".*/\.unroll/tweets.*"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of this project whose source is its folder ``disk``."""
    root = tmp_path_factory.mktemp("bad") / "project"
    copy_project(root)
    no_rejects = {f"tasks.{task}.data.max_rejected_share": 0.0 for task in ("household_power", "tweets")}
    change_params(root, {"source": "disk", **no_rejects})
    return root


def prepare_folders(root: Path, task: str) -> Path:
    """A good source for ``task``, and nothing made from it yet."""
    for place in (".unroll", "data", "disk"):
        if (root / place).is_file():
            (root / place).unlink()
        shutil.rmtree(root / place, ignore_errors=True)
    folder = root / "disk" / task
    write(task, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("case", AS_A_PERSON)
def test_a_person_sees_one_line(case: str, shared: Path) -> None:
    task, file, spoil, stage, message = AS_A_PERSON[case]
    spoil(prepare_folders(shared, task) / file)
    environment = own_code(shared) | {"UNROLL_PROGRESS": "quiet"}  # on a busy machine rows would be counted aloud
    if stage == "lab":
        change_params(shared, {"source": "lab"})
        environment["UNROLL_MIRROR"] = str(shared / "disk")
        stage = "ingest"
    try:
        if stage != "ingest":
            assert run(shared, sys.executable, "pipelines/ingest.py", task, **environment).returncode == 0
        failed = run(shared, sys.executable, f"pipelines/{stage}.py", task, **environment)
    finally:
        change_params(shared, {"source": "disk"})
    assert failed.returncode == 1, failed.stderr
    assert failed.stdout == ""
    assert "Traceback" not in failed.stderr
    start = f"{stage} {task}: "
    (line,) = [each.removeprefix(start) for each in failed.stderr.splitlines() if each.startswith(start)]
    assert re.fullmatch(message, line.removeprefix(str(shared))), line
    others = [each for each in failed.stderr.splitlines() if not each.startswith(start)]
    assert all(re.search(": (warning|all findings|rows set aside): ", each) for each in others), others


@pytest.mark.slow
def test_a_source_file_that_is_gone_stops_repro_and_what_was_made_stays(shared: Path) -> None:
    """After a good ingest, so that only the source has changed."""
    path = prepare_folders(shared, "air_quality") / NPZ
    assert run(shared, sys.executable, "-m", "dvc", "repro", "ingest@air_quality", **own_code(shared)).returncode == 0
    made = (shared / "data/raw/air_quality" / NPZ).read_bytes()
    path.unlink()
    failed = run_cli(shared, "repro", "air_quality")
    told = failed.stdout + failed.stderr
    assert failed.returncode == 1, told
    assert "Traceback" not in told
    assert "LondonAQ.npz: missing, and " in " ".join(told.split())
    assert (shared / "data/raw/air_quality" / NPZ).read_bytes() == made


def run_stage(root: Path, task: str) -> "subprocess.CompletedProcess[str]":
    keys = {"dataset": task, "seed": 7, "max_rejected_share": 0.0, **datasets.load(task).small}
    block = ", ".join(f"{key}: {str(value).lower()}" for key, value in keys.items())
    (root / "params.yaml").write_text(f"source: disk\ntasks:\n  {task}: {{data: {{{block}}}}}\n")
    (root / "dvc.yaml").write_text("stages: {}\n")
    command = [sys.executable, str(ROOT / "pipelines/ingest.py"), task]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "UNROLL_PROGRESS": "quiet"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_the_stage_ends_with_one_line_and_no_traceback(tmp_path: Path) -> None:
    failed = run_stage(tmp_path, "tweets")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr == (
        f"ingest tweets: source 'disk': {tmp_path}/disk is not a folder; "
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
