"""A new problem and a new dataset are one new package each: a toy of both goes through everything, and no other file
of the project is touched."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from projects import ROOT, TASKS, copy_project, own_code, run, run_cli
from serving.http.made import Asked

pytestmark = pytest.mark.slow
TOY = ROOT / "tests" / "toy"
ADDED = {"src/unroll/datasets/coin/": TOY / "coin", "src/unroll/problems/sign/": TOY / "sign"}
CHANGED = "params.yaml"
MADE = ("data/fingerprints/", "dvc.lock")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with its tests, all in git, then the toys and a block in params.yaml."""
    root = tmp_path_factory.mktemp("toys") / "project"
    copy_project(root)
    shutil.copytree(ROOT / "tests", root / "tests", ignore=shutil.ignore_patterns("__pycache__", "toy"))
    git(root, "add", "--all")
    git(root, "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "-m", "as it was")
    for place, source in ADDED.items():
        shutil.copytree(source, root / place, ignore=shutil.ignore_patterns("__pycache__"))
    with (root / CHANGED).open("a", encoding="utf-8") as handle:
        handle.write((TOY / "params.yaml").read_text(encoding="utf-8"))
    return root


@pytest.fixture(scope="module")
def reproduced_toy(project: Path) -> Path:
    """The toys' task, carried through all stages to a champion."""
    done = run_cli(project, "repro", "tosses")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((project / "reports/tosses/gate.json").read_text())["alias"] == "champion"
    return project


def git(root: Path, *arguments: str) -> str:
    done = run(root, "git", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_check_knows_the_new_task(project: Path) -> None:
    assert run_cli(project, "check").stdout == f"params.yaml: {len(TASKS) + 1} tasks, all keys and values allowed\n"


def test_results_and_doctor_tell_of_it(reproduced_toy: Path) -> None:
    results = run_cli(reproduced_toy, "results", "--markdown").stdout
    (row,) = [line for line in results.splitlines() if line.startswith("| tosses |")]
    assert "accuracy" in row
    assert "champion" in row
    doctor = run_cli(reproduced_toy, "doctor", "tosses")
    assert doctor.returncode == 0, doctor.stdout
    assert "all up to date" in doctor.stdout


def test_it_answers_a_file(reproduced_toy: Path, tmp_path: Path) -> None:
    rows = tmp_path / "walks.csv"
    heads = ",".join(f"t{step:03d}" for step in range(9))
    rows.write_text(f"{heads}\n{','.join(['1'] * 9)}\n{','.join(['-1'] * 9)}\n")
    done = run_cli(reproduced_toy, "predict", "tosses", str(rows))
    assert done.returncode == 0, done.stderr
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["label", "heads", "tails"]


def test_it_is_served(reproduced_toy: Path) -> None:
    with serving(reproduced_toy) as asked:
        answer = asked.predict("tosses", [{f"t{step:03d}": -1 for step in range(9)}])
        assert (answer.status, answer.json["answers"][0]["label"]) == (200, "tails")
        assert asked.ask("GET", "/").status == 200
        assert asked.predict("tosses", [{"t000": "many"}]).status == 422


@contextmanager
def serving(root: Path) -> Iterator[Asked]:
    """A way to ask a server of the task."""
    process = subprocess.Popen(
        [sys.executable, "-m", "unroll", "serve", "--port", "0", "--task", "tosses"],
        cwd=root, env={**os.environ, **own_code(root)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        line = process.stdout.readline()
        match = re.fullmatch(r"serving tosses at http://\S+:(\d+)/\n", line)
        assert match, line
        asked = Asked(int(match[1]))
        asked.wait()
        yield asked
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize(("suite", "name"), [("problems", "sign or tosses"), ("datasets", "coin")])
def test_it_keeps_the_contract(project: Path, suite: str, name: str) -> None:
    command = [sys.executable, "-m", "pytest", "-n0", "-k", name, f"tests/{suite}/test_contract.py"]
    done = run(project, *command, **own_code(project))
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 5


def test_the_tests_of_the_pipeline_and_of_the_rooms_pass_with_it(project: Path) -> None:
    files = [f"tests/test_{name}.py" for name in ("dvc_yaml", "layers", "names")]
    done = run(project, sys.executable, "-m", "pytest", "-q", "-n0", "-m", "not slow", *files, **own_code(project))
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_other_file_is_touched(reproduced_toy: Path) -> None:
    lines = git(reproduced_toy, "status", "--porcelain").splitlines()
    assert set(lines) == {f"?? {place}" for place in ADDED} | {f" M {CHANGED}"} | {f"?? {place}" for place in MADE}
