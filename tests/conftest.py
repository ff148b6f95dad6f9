"""Shared fixtures: a clean environment, a small project to run, and a folder for a toy one."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import shapes
from projects import ROOT, copy_project, init_git, run, run_cli
from xdist.scheduler import LoadFileScheduling

# Before torch is loaded: small networks are slower on two threads than on one, much slower on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
shapes.install()

SHARING = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "tests").rglob("test_*.py")
    if "reproduced" in path.read_text(encoding="utf-8")
}
"""The files whose tests need ``reproduced``."""


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """A worker keeps a file's tests together, and one of them all that need ``reproduced``: it is made once."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "reproduced" if file in SHARING else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """For ``--dist loadfile``, which is what ``make test`` asks for."""
    return Scheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: some tests wait for a server, a browser or a lock."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long comes first among several workers, so that none is left with it when the others are done."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: (item.nodeid.partition("::")[0] not in SHARING, item.path not in slow))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No usage data, no tracking server of the person's own, one thread, this Python first."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "DVC_EXP_NAME", "UNROLL_PROGRESS", "UNROLL_WARM"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DVC_NO_ANALYTICS", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "false")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@pytest.fixture(autouse=True)
def _shapes_hold(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the tests of networks every ``x_BTF`` has three dimensions, and B has one size within a call."""
    folder = request.path.relative_to(ROOT / "tests").parts[0]
    monkeypatch.setattr(shapes, "active", folder in ("nn", "problems", "test_shapes.py"))


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
    done = run_cli(folder / "project", "repro", "--jobs", "2", UNROLL_TRACE=str(folder / "trace"), UNROLL_WARM="0")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "repro.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return folder
