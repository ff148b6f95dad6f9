"""``unroll doctor`` finds what is wrong, says it in words, and says what to do."""

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from projects import ROOT, change_params, init_git, run
from rich.console import Console
from serving.predict import made

from unroll.core import store
from unroll.core.errors import ConfigError
from unroll.datasets.files import FilesConfig, Plan
from unroll.pipeline import chain
from unroll.stages.common.task import Task
from unroll.stages.ingest import ingest
from unroll.stages.validate import validate
from unroll.workbench import doctor
from unroll.workbench.doctor import environment, raw_files
from unroll.workbench.doctor.findings import Finding


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a task on a pollution file, carried to a network, in a repository of git and DVC."""
    root = made.make(tmp_path_factory.mktemp("doctor") / "project", "pollution").layout.root
    for name in ("pyproject.toml", "requirements.lock"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    init_git(root)
    run(root, sys.executable, "-m", "dvc", "init", "-q")
    return root


@pytest.fixture
def root(ingested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it in which DVC calls nothing stale: these tests do not wait for DVC."""
    import shutil

    monkeypatch.setattr(chain, "changed", lambda _: {})
    return Path(shutil.copytree(ingested, tmp_path / "project"))


def found(root: Path, name: str | None = made.NAME) -> list[Finding]:
    return [finding for _, finding in doctor.examine(root, name)]


def faults(root: Path) -> dict[str, str]:
    return {f.area: f"{f.what} → {f.advice}" for f in found(root) if f.level == "fault"}


def notes(root: Path) -> dict[str, str]:
    return {f.area: f"{f.what} → {f.advice}" for f in found(root) if f.level == "note"}


def test_a_sound_task_has_no_faults(root: Path) -> None:
    assert faults(root) == {}
    areas = {finding.area for finding in found(root) if finding.level == "fine"}
    assert areas >= {
        "python",
        "disk",
        "git",
        "dvc",
        "tracking",
        "parameters",
        "files",
        "first look",
        "rows",
        "device",
        "stages",
    }


def test_a_faulty_key_is_told_and_the_rest_is_not_judged(root: Path) -> None:
    change_params(root, {"tasks.mine.prepare.lags": 3})
    assert "tasks.mine.prepare.lags: unknown key (value 3); did you mean 'lag'?" in faults(root)["parameters"]
    assert "files" not in {finding.area for finding in found(root)}


def test_a_file_of_vectors_that_does_not_fit_is_found_before_anything_ran(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "vectors.txt").write_text("late 1 2 3\nlost 4 5 6\n", encoding="utf-8")
    vectors = {"prepare.vectors": "vectors.txt", "model.vectors": "tuned", "model.embedding": 50}
    change_params(tmp_path, {f"tasks.tweets.{key}": value for key, value in vectors.items()})
    told = [finding.what for finding in found(tmp_path, "tweets") if finding.area == "parameters"]
    wanted = "tasks.tweets.model.embedding: 50 is not allowed; expected 3, the width of prepare.vectors"
    assert told == [f"{tmp_path / 'params.yaml'}: {wanted}"]


def test_a_broken_params_file_is_a_finding(root: Path) -> None:
    (root / "params.yaml").write_text("tasks: [")
    assert "no valid YAML" in faults(root)["parameters"]


def test_a_missing_file_is_told(root: Path) -> None:
    (root / "pollution.csv").rename(root / "polution.csv")
    told = faults(root)["files"]
    assert told.startswith("path 'pollution.csv': missing")
    assert "near names: polution.csv" in told


def test_a_column_that_went_away_is_told(root: Path) -> None:
    path = root / "pollution.csv"
    path.write_text(path.read_text().replace("TEMP", "TMP", 1))
    assert "pollution.csv: no column 'TEMP'; did you mean 'TMP'?" in faults(root)["files"]


def test_a_changed_file_is_a_note(root: Path) -> None:
    with (root / "pollution.csv").open("a") as file:
        file.write("1501,2014,3,4,12,70,10.0,SE\n")
    assert notes(root)["files"] == "pollution.csv: changed since they were ingested → unroll repro mine"


def test_rows_that_were_set_aside_and_warnings_are_notes(root: Path) -> None:
    path = root / "pollution.csv"
    lines = path.read_text().splitlines()
    lines[9] = lines[9].replace("2014", "year")
    path.write_text("\n".join(lines) + "\n")
    task = Task.open(root, made.NAME)
    dataset, config = task.dataset()
    with store.atomic_folder(task.layout.raw) as folder:
        ingest.read(dataset, config, "", folder, root, made.NAME)
    validate.validate(dataset, config, task.layout)
    told = notes(root)
    assert told["rows"].startswith(
        "1 of 1,500 set aside (0.067 %); the first: pollution.csv row 10, year+month+day+hour"
    )
    assert told["rows"].endswith("→ see data/rejected/mine/rows.csv, which has them with their reasons")
    warned = [finding.what for finding in found(root) if finding.area == "validation"]
    assert [line.split(":")[1:3] for line in warned] == [
        [" column 'step_s'", " a gap in time, or another step than 3600 s"],
        [" column 'pm2_5'", " missing values"],
    ]


def test_a_first_look_that_says_something_else_is_a_note(root: Path) -> None:
    change_params(root, {"tasks.mine.data.step": "2h"})
    assert notes(root)["first look"].startswith("step: 2h now, 1h when ingested")


def test_a_target_that_the_table_lacks_is_told(root: Path) -> None:
    change_params(root, {"tasks.mine.prepare.target": "pm25", "tasks.mine.prepare.categories": ["wind"]})
    told = [finding.what for finding in found(root) if finding.level == "fault"]
    assert told == [
        "prepare.target: the table has no column 'pm25'",
        "prepare.categories: the table has no column 'wind'",
    ]


def test_a_device_that_is_not_there_is_told(root: Path) -> None:
    import torch

    wanted = "mps" if torch.cuda.is_available() else "cuda"
    change_params(root, {"tasks.mine.train.device": wanted, "tasks.mine.train.threads": 4096})
    assert f"train.device: {wanted!r} is not on this machine" in faults(root)["device"]
    assert notes(root)["device"].startswith("train.threads: 4096, and there are ")


def test_a_tracking_server_that_is_away_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9: cannot be reached" in faults(root)["tracking"]


def test_a_tracking_store_that_is_none_is_told(root: Path) -> None:
    (root / "mlflow.db").write_text("no database at all, but longer than its header would be" * 30)
    assert "expected MLflow's SQLite store" in faults(root)["tracking"]


def test_packages_are_compared_with_the_lock(root: Path) -> None:
    (root / "requirements.lock").write_text("numpy==0.1\nnot-there-at-all==1.0\n")
    told = [f"{f.level}: {f.what}" for f in environment.look(root) if f.area == "packages"]
    assert told[0] == "note: 1 of requirements.lock are not installed: not-there-at-all"
    assert told[1].startswith("note: other versions than in requirements.lock: numpy ")


def test_a_package_that_the_project_asks_for_must_be_there(root: Path) -> None:
    (root / "pyproject.toml").write_text('[project]\nrequires-python = ">=99"\ndependencies = ["Not_There>=1"]\n')
    (root / "requirements.lock").write_text("not-there==1.0\n")
    told = faults(root)
    assert told["packages"] == "not installed: not-there → pip install -r requirements.lock"
    assert "the project needs >=99" in told["python"]


def test_little_room_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Usage(50_000))
    told = [f"{f.area}: {f.what}" for f in found(root) if f.level == "fault"]
    assert told[0] == "disk: 50 kB free; expected 200 MB or more"
    assert "files needs some" in told[1]


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_held_lock_of_dvc_is_a_note(root: Path) -> None:
    with held(root / ".dvc" / "tmp" / "lock"):
        assert notes(root)["dvc"].startswith("another process holds DVC's lock: a run waits for it")
    assert "dvc" not in notes(root)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process that holds the lock, as DVC does."""
    path.parent.mkdir(exist_ok=True)
    path.touch()
    code = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True)"
    code += "; input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.communicate("\n")


def test_a_folder_that_is_no_project_of_dvc_is_told(root: Path) -> None:
    import shutil

    shutil.rmtree(root / ".dvc")
    assert faults(root)["dvc"] == "no folder .dvc: this is not a DVC project → dvc init"


def test_stale_stages_and_a_failed_run_are_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "changed", lambda _: {"mine": ["train", "evaluate", "register"]})
    note = Task.open(root, "mine").layout.state / "failure.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text('{"stage": "train", "reason": "the loss is no number"}')
    told = {finding.area: finding for finding in found(root)}
    assert told["stages"].what == "to be run: train, evaluate, register; done: ingest, validate, prepare"
    assert told["last run"][2:] == ("train failed: the loss is no number", "fix it, then unroll repro mine")


def test_a_model_that_nobody_published_is_a_note(root: Path) -> None:
    assert notes(root)["model"] == "not registered → unroll publish mine"


def test_a_file_of_a_folder_source_is_looked_for(root: Path) -> None:
    change_params(root, {"source": "raw"})
    told = [f.what for f in found(root, "tweets") if f.area == "files"]
    assert told == [
        f"source 'raw': {root / 'raw'} is not a folder; expected sample, lab or a folder with the raw files"
    ]


def test_an_unknown_task_is_an_error(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"tasks\.mein: no such task; expected one of air_quality"):
        found(root, "mein")


def test_what_is_shown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "pollution.csv").unlink()
    out = io.StringIO()
    assert doctor.main(root, None, Console(file=out, width=160)) is True
    said: Any = out.getvalue()
    assert next(line for line in said.splitlines() if "missing" in line).startswith("✗")
    assert "1 to fix" in said
    assert all(task in said for task in ("air_quality", "poetry", "addition"))


def test_an_absolute_path_is_a_note(root: Path) -> None:
    path = root / "pollution.csv"
    change_params(root, {"tasks.mine.data.path": str(path)})
    assert notes(root)["files"] == (
        f"{path}: an absolute path, which is there on this machine alone → put the files into the project's folder and "
        "name them from there"
    )


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [("lines.txt", "the late train\n" * 400, "lines of text"), ("one.csv", "x\n1.5\n2.5\n", "one column")],
)
def test_columns_are_counted_in_words(name: str, text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    block = FilesConfig.model_validate({"dataset": "files", "table": "text", "path": name})
    assert raw_files._shape(Plan.of(block, tmp_path)) == told


@pytest.mark.parametrize(("rows", "level"), [(1500, "fault"), (6000, "note")])
def test_a_target_that_never_changes_is_told(rows: int, level: str, root: Path) -> None:
    lines = (root / "pollution.csv").read_text().splitlines()
    start = datetime(2014, 1, 1)
    flat = [f"{n + 1},{at.year},{at.month},{at.day},{at.hour},5,{n % 9},NW"
            for n in range(rows) if (at := start + timedelta(hours=n))]  # fmt: skip
    (root / "pollution.csv").write_text("\n".join([lines[0], *flat]) + "\n")
    told = [finding for finding in found(root) if finding.what.startswith("prepare.target")]
    first = "" if level == "fault" else "first "
    assert [(each.level, each.what) for each in told] == [
        (level, f"prepare.target: 'pm2_5' holds 5 in all of the {first}{min(rows, 5000):,} rows")
    ]
