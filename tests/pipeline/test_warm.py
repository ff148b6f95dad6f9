"""The warm process: a stage that runs in a fork of it does what it would do alone, and ends as it would."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import read_yaml, run_cli

from unroll.pipeline import chain, warm
from unroll.stages.common import entry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a stage runs in its own process")
SCRIPT = """
import json, os, sys, time
from unroll.stages.common import entry
if (path := os.environ.pop(entry.WARM, "")):
    entry.hand_over(path)

exec(sys.argv[1])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a stage that runs the text it is given."""
    (tmp_path / "ingest.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def _warm() -> Iterator[None]:
    with warm.server(chain.environment(1)):
        until = time.monotonic() + 60
        while not Path(os.environ[entry.WARM]).exists() and time.monotonic() < until:
            time.sleep(0.05)
        yield


def start(folder: Path, text: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "ingest.py", text], cwd=folder, env={**os.environ, **environment}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def run(folder: Path, text: str, given: str = "", **environment: str) -> tuple[int, str, str]:
    with start(folder, text, **environment) as process:
        out, errors = process.communicate(given, timeout=60)
    return process.returncode, out, errors


TELL = """
print(json.dumps({
    "argv": sys.argv[0], "cwd": os.getcwd(), "variable": os.environ.get("GIVEN"), "path": sys.path[0],
    "socket": os.environ.get(entry.WARM), "name": __name__, "read": sys.stdin.read(),
}))
"""


@pytest.mark.usefixtures("_warm")
def test_folder_environment_arguments_and_streams_are_those_of_the_command(folder: Path) -> None:
    for text in (TELL, "import pandas; print(pandas.__name__, file=sys.stderr); " + TELL.strip()):
        here = run(folder, text, "some input", GIVEN="ä")
        alone = run(folder, text, "some input", GIVEN="ä", UNROLL_WARM="")
        assert here == alone
        assert json.loads(here[1])["read"] == "some input"


@pytest.mark.usefixtures("_warm")
def test_it_is_a_fork_in_which_the_libraries_stand_already(folder: Path) -> None:
    text = "print(os.getppid(), 'pandas' in sys.modules, 'torch' in sys.modules)"
    parents = {run(folder, text)[1].split()[0] for _ in range(2)}
    assert len(parents) == 1
    assert run(folder, text)[1].split()[1:] == ["True", "False"]
    assert run(folder, text, UNROLL_WARM="")[1].split()[1:] == ["False", "False"]


@pytest.mark.usefixtures("_warm")
@pytest.mark.parametrize(
    "text",
    [
        "sys.exit(3)",
        "sys.exit('a reason')",
        "os.kill(os.getpid(), 9)",
        "import atexit; atexit.register(print, 'at the end'); print('first')",
    ],
)
def test_it_ends_as_it_would_alone(folder: Path, text: str) -> None:
    assert run(folder, text) == run(folder, text, UNROLL_WARM="")


@pytest.mark.usefixtures("_warm")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_fork(folder: Path, number: int) -> None:
    waiting = (
        "import signal; signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "try: print(1, flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    with start(folder, waiting) as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        os.killpg(process.pid, number)
        assert process.wait(20) == 130


def gone(process: int) -> bool:
    """Whether no such process runs; one that ended counts, whoever has yet to hear of it."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.usefixtures("_warm")
def test_a_fork_ends_when_its_command_is_killed(folder: Path) -> None:
    with start(folder, "print(os.getpid(), flush=True); time.sleep(60)") as process:
        assert process.stdout
        fork = int(process.stdout.readline())
        assert fork != process.pid
        process.kill()
        assert gone(fork)


def test_a_fork_ends_with_the_process_that_keeps_the_server(folder: Path) -> None:
    keep = (
        "import subprocess, sys, os\nfrom unroll.pipeline import chain, warm\n"
        "with warm.server(chain.environment(1)):\n"
        " import time; time.sleep(3)\n"
        " subprocess.run([sys.executable, 'ingest.py', 'print(os.getpid(), os.getppid(), flush=True); time.sleep(60)'])"
    )
    with subprocess.Popen([sys.executable, "-c", keep], cwd=folder, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout
        fork, server = map(int, keeper.stdout.readline().split())
        keeper.kill()
        assert gone(server)
        assert gone(fork)


def test_without_a_server_a_stage_runs_in_its_own_process(folder: Path) -> None:
    code, out, errors = run(folder, "print('done')", UNROLL_WARM=str(folder / "nobody"))
    assert (code, out, errors) == (0, "done\n", "")


def test_it_is_not_started_where_it_is_not_wished_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(entry.WARM, "0")
    with warm.server({}):
        assert os.environ[entry.WARM] == "0"


@pytest.mark.slow
def test_a_task_comes_out_as_it_does_without(reproduced: Path, tmp_path: Path) -> None:
    """``reproduced`` was made by stages that each ran in a process of their own."""
    root = tmp_path / "project"
    shutil.copytree(reproduced / "project", root, ignore=shutil.ignore_patterns("cache", "tmp", "models", "reports"))
    shutil.rmtree(root / ".unroll")
    for path in (root / "mlflow.db", root / "dvc.lock"):
        path.unlink()
    done = run_cli(root, "repro", "addition", "household_power")
    assert done.returncode == 0, done.stdout + done.stderr
    before, after = (read_yaml(path / "dvc.lock")["stages"] for path in (reproduced / "project", root))
    assert len(after) == 14
    assert after == {name: before[name] for name in after}
