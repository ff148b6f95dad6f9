"""What continuous integration calls: the plan of a change, and ``dvc.lock`` of two branches."""

import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from projects import TASKS, change_params, read_yaml, run, run_cli, write_toy, write_yaml

from unroll.core.errors import StoreError
from unroll.pipeline.ci import affected, merge_lock

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")


def git(root: Path, *arguments: str) -> str:
    done = run(root, "git", *IDENTITY, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "a change")


# ---- the plan


@pytest.fixture(scope="module")
def clone(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of a project whose results were made elsewhere: code, parameters and ``dvc.lock``, and no data."""
    folder = tmp_path_factory.mktemp("plan")
    made = ("raw", "validated", "rejected", "prepared", "models", "reports", "cache", "tmp", ".unroll", "mlflow.db*")
    shutil.copytree(
        reproduced / "project", folder / "origin", ignore=shutil.ignore_patterns(*made, "mlartifacts", ".git")
    )
    git(folder, "init", "--quiet", "origin")
    commit(folder / "origin")
    git(folder, "clone", "--quiet", "origin", "clone")
    return folder / "clone"


def planned(root: Path) -> dict[str, list[str]]:
    """What the command says, and the tree as it was committed again."""
    done = run_cli(root, "ci", "plan")
    names = json.loads(run_cli(root, "ci", "plan", "--json").stdout)
    git(root, "reset", "--quiet", "--hard")
    git(root, "clean", "--quiet", "--force", "-d")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(": ") for line in done.stdout.splitlines()]
    if lines == [["nothing to do", "no stage is stale"]]:
        lines = []
    assert names == [task for task, _ in lines]
    return {task: stages.split(", ") for task, stages in lines}


@pytest.mark.slow
def test_a_change_of_docs_or_of_what_only_shows_concerns_no_task(clone: Path) -> None:
    for name in ("README.md", "src/unroll/display/progress.py", "src/unroll/cli/app.py"):
        with (clone / name).open("a", encoding="utf-8") as handle:
            handle.write("\n# more\n")
    assert planned(clone) == {}


@pytest.mark.slow
def test_a_parameter_concerns_its_task_from_the_stage_that_reads_it(clone: Path) -> None:
    change_params(clone, {"tasks.addition.train.epochs": 3, "tasks.poetry.gate.threshold": 9.0})
    assert planned(clone) == {"poetry": ["register"], "addition": ["train"]}


@pytest.mark.slow
def test_code_of_one_problem_concerns_its_tasks(clone: Path) -> None:
    with (clone / "src/unroll/problems/language_model/network.py").open("a", encoding="utf-8") as handle:
        handle.write("\n# more\n")
    assert planned(clone) == {"poetry": ["prepare", "train", "evaluate", "register"]}


@pytest.mark.slow
def test_a_new_block_is_a_new_task(clone: Path) -> None:
    params = read_yaml(clone / "params.yaml")
    params["tasks"]["sums"] = params["tasks"]["addition"]
    write_yaml(clone / "params.yaml", params)
    stale = planned(clone)
    assert set(stale) == {"sums"}
    assert stale["sums"][0] == "ingest"


@pytest.mark.slow
def test_a_name_that_is_no_task_is_refused(clone: Path) -> None:
    done = run_cli(clone, "ci", "plan", "adition")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("unroll: ")
    assert "tasks.adition: no such task; expected one of " in done.stderr
    assert set(TASKS) > set(affected.plan(clone, ["tweets"])) or affected.plan(clone, ["tweets"]) == {}


# ---- two branches


def test_every_case_of_one_entry_on_two_sides() -> None:
    """Against the rule itself: what one side changed counts; what both changed alike counts; else there is no entry."""
    for base, ours, theirs in product((None, 1, 2, 3), repeat=3):
        sides = [{} if value is None else {"train@a": value} for value in (base, ours, theirs)]
        merged, conflicts = merge_lock.three_way(*sides)
        changed = {value for value in (ours, theirs) if value != base}
        expected = base if not changed else changed.pop() if len(changed) == 1 else None
        both = ours != base and theirs != base and ours != theirs
        assert merged == ({} if expected is None or both else {"train@a": expected})
        assert conflicts == (["train@a"] if both else [])


def status(root: Path) -> dict[str, object]:
    done = run(root, sys.executable, "-m", "dvc", "status", "--json")
    return dict(json.loads(done.stdout))


def test_branches_that_changed_two_tasks_merge_and_all_is_up_to_date(toy: Path) -> None:
    write_toy(toy, 2)
    change_params(toy, {"between": "some lines"})
    repro = (sys.executable, "-m", "dvc", "repro", "--quiet")
    assert run(toy, *repro).returncode == 0
    (toy / ".gitattributes").write_text("dvc.lock merge=dvc-lock\n", encoding="utf-8")
    git(toy, "config", "merge.dvc-lock.driver", f"{sys.executable} -m unroll ci merge-lock %O %A %B")
    commit(toy)
    git(toy, "branch", "other")
    for branch, key in (("-", "task0"), ("other", "task1")):
        if branch != "-":
            git(toy, "checkout", "--quiet", branch)
        change_params(toy, {f"tasks.{key}.value": 7})
        assert run(toy, *repro).returncode == 0
        commit(toy)
    git(toy, "merge", "--quiet", "--no-edit", "-")
    assert read_yaml(toy / "params.yaml")["tasks"] == {"task0": {"value": 7}, "task1": {"value": 7}}
    assert run(toy, sys.executable, "-m", "dvc", "checkout", "--quiet").returncode == 0
    assert status(toy) == {}
    before = (toy / "dvc.lock").read_bytes()
    assert run(toy, *repro, "--force", "--single-item", "train@task0").returncode == 0
    assert (toy / "dvc.lock").read_bytes() == before  # it is written as DVC writes it


def test_what_both_changed_has_no_entry_and_is_told(tmp_path: Path) -> None:
    for name, value in (("base", "1"), ("ours", "2"), ("theirs", "3")):
        write_yaml(tmp_path / name, {"schema": "2.0", "stages": {"train@a": {"cmd": value}, "train@b": {"cmd": "4"}}})
    done = subprocess.run(
        [sys.executable, "-m", "unroll", "ci", "merge-lock", "base", "ours", "theirs"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == "train@a: changed on both sides, so its entry is dropped: unroll repro runs it\n"
    assert read_yaml(tmp_path / "ours") == {"schema": "2.0", "stages": {"train@b": {"cmd": "4"}}}


@pytest.mark.parametrize("content", ["stages: [", "- a list", "stages: 3"])
def test_a_file_that_is_no_lock_is_named_and_ours_stays(tmp_path: Path, content: str) -> None:
    for name in ("base", "ours", "theirs"):
        write_yaml(tmp_path / name, {"stages": {}})
    (tmp_path / "theirs").write_text(content, encoding="utf-8")
    before = (tmp_path / "ours").read_bytes()
    with pytest.raises(StoreError, match="theirs: no "):
        merge_lock.merge(*(tmp_path / name for name in ("base", "ours", "theirs")))
    assert (tmp_path / "ours").read_bytes() == before
