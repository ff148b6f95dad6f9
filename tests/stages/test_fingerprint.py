"""What DVC does not see by itself: files that params.yaml names, and versions of libraries."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from projects import ROOT, change_params, own_code, run, write_yaml
from small_samples import write

from unroll.core import store
from unroll.stages import fingerprint
from unroll.stages.common.task import Task

FILE = "Airlines.csv"
ROW = "neutral,one more" + "," * 10 + "\n"
DATA = {"dataset": "tweets", "seed": 7, "max_rejected_share": 0.0, "sample_rows": 400}


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A task of tweets that lie in a folder, prepared with word vectors."""
    write("tweets", tmp_path / "disk")
    (tmp_path / "vectors.txt").write_text("late 1 2\n", encoding="utf-8")
    prepare = {**Task.open(ROOT, "tweets").prepare_config().model_dump(mode="json"), "vectors": "vectors.txt"}
    write_yaml(tmp_path / "params.yaml", {"source": "disk", "tasks": {"texts": {"data": DATA, "prepare": prepare}}})
    return Task.open(tmp_path, "texts")


def taken(task: Task) -> Any:
    fingerprint.write(task)
    return json.loads(task.layout.fingerprint.read_text(encoding="utf-8"))


def test_it_has_the_hashes_of_the_files_that_are_read(task: Task) -> None:
    root = task.layout.root
    assert taken(task)["files"] == {
        "ingest": {FILE: store.sha256(root / "disk" / FILE)},
        "prepare": {"vectors.txt": store.sha256(root / "vectors.txt")},
    }


def test_a_file_that_is_not_there_is_missing_until_it_is(task: Task) -> None:
    before, root = taken(task), task.layout.root
    (root / "disk" / FILE).rename(root / FILE)
    (root / "vectors.txt").rename(root / "other.txt")
    assert taken(task)["files"] == {"ingest": {"disk": "missing"}, "prepare": {"vectors.txt": "missing"}}
    (root / FILE).rename(root / "disk" / FILE)
    (root / "other.txt").rename(root / "vectors.txt")
    assert taken(task) == before


def test_the_users_own_files_count_and_a_sample_has_none(task: Task, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("text,label\nlate,bad\n", encoding="utf-8")
    own = {"dataset": "files", "path": "own.csv", "text": "text", "label": "label"}
    for block, files in ((own, {"own.csv": store.sha256(tmp_path / "own.csv")}), ({**DATA, "source": "sample"}, {})):
        change_params(tmp_path, {"tasks.texts.data": block})
        assert taken(Task.open(tmp_path, "texts"))["files"]["ingest"] == files


def test_versions_are_those_that_are_installed_however_the_wheel_was_built(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert taken(task)["libraries"]["numpy"] == version("numpy")
    monkeypatch.setattr(fingerprint, "version", lambda name: "2.13.0+cpu")
    assert set(taken(task)["libraries"].values()) == {"2.13.0"}


def test_it_is_current_until_a_file_changes(task: Task) -> None:
    assert not fingerprint.is_current(task)  # there is none
    taken(task)
    assert fingerprint.is_current(task)
    (task.layout.root / "vectors.txt").write_text("late 1 3\n", encoding="utf-8")
    assert not fingerprint.is_current(task)


def test_a_fingerprint_that_has_not_changed_is_not_written_again(task: Task) -> None:
    taken(task)
    os.utime(task.layout.fingerprint, (1, 1))
    taken(task)
    assert task.layout.fingerprint.stat().st_mtime == 1
    task.layout.fingerprint.write_text("{", encoding="utf-8")
    assert taken(task)["files"]["ingest"]


def dvc(root: Path, *arguments: str) -> str:
    done = run(root, sys.executable, "-m", "dvc", *arguments, **own_code(root))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(root: Path) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "all"], cwd=root, check=True)


@pytest.mark.slow
def test_dvc_alone_notices_other_files_here_and_in_a_clone_with_the_cache(project: Path, tmp_path: Path) -> None:
    """The run cache gives outputs back by the stage's key: the bytes of the source must be in it."""
    write("tweets", project / "disk")
    (project / ".gitignore").write_text((ROOT / ".gitignore").read_text(encoding="utf-8"), encoding="utf-8")
    change_params(project, {"source": "disk", "tasks.tweets.data": DATA})
    running = "Running stage 'ingest@tweets'"
    assert running in dvc(project, "repro", "ingest@tweets")
    assert running not in dvc(project, "repro", "ingest@tweets")
    commit(project)

    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(project), str(clone)], check=True)
    shutil.copytree(project / ".dvc" / "cache", clone / ".dvc" / "cache")
    assert "Stage 'ingest@tweets' is cached" in dvc(clone, "repro", "ingest@tweets")
    shutil.rmtree(clone / "data" / "raw")
    for root in (project, clone):
        with (root / "disk" / FILE).open("a", encoding="utf-8") as handle:
            handle.write(ROW)
        assert running in dvc(root, "repro", "ingest@tweets")
        manifest = json.loads((root / "data/raw/tweets/manifest.json").read_text(encoding="utf-8"))
        assert manifest["files"][FILE]["sha256"] == store.sha256(root / "disk" / FILE)


@pytest.mark.slow
def test_another_library_makes_stale_what_it_makes(reproduced: Path) -> None:
    project = reproduced / "project"
    path = project / "data/fingerprints/addition.json"
    before = path.read_bytes()
    known = json.loads(before)
    path.write_text(json.dumps(known | {"libraries": known["libraries"] | {"torch": "0.1"}}), encoding="utf-8")
    status = json.loads(dvc(project, "status", "--json"))
    path.write_bytes(before)
    named = {"train@addition", "evaluate@addition"}
    assert {name for name in status if not name.startswith("fingerprint@")} == named
