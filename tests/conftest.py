"""Shared fixtures: a clean environment, a small project to run, and a folder for a toy one."""

import os
import sys
from pathlib import Path

import pytest
from projects import copy_project, init_git, run, run_cli

# Before torch is loaded: small networks are slower on two threads than on one, much slower on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers keep a file's tests together, and those of all files that need ``reproduced``, which is made once.

    What takes long comes first, so that no worker is left with it when the others are done.
    """
    if not getattr(config.option, "loadgroup", False):
        return
    slow: set[Path] = set()
    shared: set[Path] = set()
    for item in items:
        slow.update({item.path} if item.get_closest_marker("slow") else ())
        shared.update({item.path} if "reproduced" in getattr(item, "fixturenames", ()) else ())
    for item in items:
        name = "reproduced" if item.path in shared else str(item.path.relative_to(config.rootpath))
        item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: (item.path not in shared, item.path not in slow))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No usage data, no tracking server of the person's own, one thread, this Python first."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "DVC_EXP_NAME", "UNROLL_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DVC_NO_ANALYTICS", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "false")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of this project with small data and small networks; nothing has been run in it."""
    root = tmp_path / "project"
    copy_project(root)
    return root


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """An empty folder that git and DVC know, for ``write_toy``."""
    root = tmp_path / "toy"
    root.mkdir()
    init_git(root)
    run(root, sys.executable, "-m", "dvc", "init", "-q")
    (root / ".gitignore").write_text("/data\n/.unroll\n", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``project``, a small project that ``unroll repro`` has carried to its registered models, and
    ``trace``, what each of its stages imported and read, and ``repro.txt``, what the command wrote."""
    folder = tmp_path_factory.mktemp("reproduced")
    (folder / "trace").mkdir()
    copy_project(folder / "project")
    done = run_cli(folder / "project", "repro", "--jobs", "2", UNROLL_TRACE=str(folder / "trace"))
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "repro.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return folder
