"""Every command of the README runs, in a small copy of this project."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import ROOT, own_code

pytestmark = pytest.mark.slow
_README = (ROOT / "README.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"^```bash\n(.*?)^```$", _README, re.MULTILINE | re.DOTALL)
COMMANDS = [line.split("  #")[0].rstrip() for block in _BLOCKS for line in block.splitlines() if line.strip()]
LONG = {"make test", "make ui"}
"""These would start this very run again, or a server that never ends: what they call is tested below."""


@pytest.fixture(scope="module")
def project(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A committed copy of the small project that has been run, with an environment, and a folder of raw files."""
    root = tmp_path_factory.mktemp("readme") / "project"
    shutil.copytree(reproduced / "project", root, symlinks=True)
    shutil.copytree(root / "data" / "raw", root / "path" / "to" / "folder")
    (root / ".venv").mkdir()
    (root / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (root / ".venv" / "installed").touch()
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "all"], cwd=root, check=True)
    return root


def shell(root: Path, command: str) -> "subprocess.CompletedProcess[str]":
    outer = {
        name: value for name, value in os.environ.items() if not name.startswith("MAKE")
    }  # not a part of this make
    environment = {**outer, **own_code(root), "CI": "1", "GIT_AUTHOR_NAME": "test", "GIT_COMMITTER_NAME": "test"}
    environment |= {"GIT_AUTHOR_EMAIL": "test@example.invalid", "GIT_COMMITTER_EMAIL": "test@example.invalid"}
    return subprocess.run(
        ["bash", "-c", command], cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=600
    )


def test_the_two_commands_come_first() -> None:
    assert COMMANDS[:2] == ["make repro", "make test"]
    assert set(COMMANDS) >= LONG


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in LONG])
def test_the_command_runs(project: Path, command: str) -> None:
    done = shell(project, command)
    assert done.returncode == 0, done.stdout + done.stderr
    if command.startswith("dvc exp run"):
        assert "Ran experiment(s)" in done.stdout
        shell(project, "git checkout --quiet . && dvc checkout --quiet")


def test_make_test_runs_pytest(project: Path) -> None:
    planned = shell(project, "make --dry-run test")
    assert planned.returncode == 0, planned.stderr
    assert "bin/pytest " in planned.stdout


def test_make_ui_opens_the_pages_of_mlflow(project: Path) -> None:
    planned = shell(project, "make --dry-run ui")
    assert planned.stdout.strip().endswith("unroll ui")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "unroll", "ui", "--port", str(port)]
    environment = {**os.environ, **own_code(project)}
    server = subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        assert "<title>MLflow</title>" in _fetch(f"http://127.0.0.1:{port}/")
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def _fetch(url: str) -> str:
    until = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
