"""Every call of DVC: what has changed, one task's chain of stages in a process of its own, what a failure took away."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unroll.core.errors import StoreError
from unroll.core.layout import Layout
from unroll.stages.common.entry import NO_TELEMETRY
from unroll.tracking import dvc_lock

STAGES = ("ingest", "validate", "prepare", "train", "evaluate", "register")
_STARTED = re.compile(r"^Running stage '(\w+)@")
_RESTORED = re.compile(r"^Stage '(\w+)@.+' is cached - skipping run")
_FAILED = re.compile(r"^ERROR: failed to reproduce '(\w+)@")
_BUSY = ("Unable to acquire lock", "it is being blocked by")
_TRIES = 6


def environment(threads: int) -> dict[str, str]:
    """What a stage's process sees: this Python first, no telemetry, plain progress, ``threads`` for every library."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    fixed = {"PATH": path, "PYTHONUNBUFFERED": "1", "UNROLL_PROGRESS": "plain"}
    return {**os.environ, **NO_TELEMETRY, **fixed, **dict.fromkeys(pools, str(threads))}


def dvc(root: Path, *arguments: str) -> str:
    """The standard output of ``dvc <arguments>``; raises StoreError with DVC's own reason."""
    result = subprocess.run(  # noqa: S603
        _command(*arguments), cwd=root, env=environment(1), capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise StoreError(f"{root}: dvc {' '.join(arguments)}: {_dvc_error(result.stderr.splitlines())}")
    return result.stdout


def require_repository(root: Path) -> None:
    """Let DVC work where there is no git, such as in an image made without ``.git``."""
    if not (root / ".dvc").is_dir():
        raise StoreError(f"{root}: no .dvc folder; expected a project of DVC (run: dvc init)")
    local = root / ".dvc" / "config.local"
    if not any((folder / ".git").exists() for folder in (root, *root.parents)) and not local.exists():
        local.write_text("[core]\n    no_scm = true\n", encoding="utf-8")


def changed(root: Path) -> dict[str, list[str]]:
    """The stages of each task that are not up to date; a task that is up to date is not among the keys."""
    stages: dict[str, list[str]] = {}
    for name in json.loads(dvc(root, "status", "--json") or "{}"):
        stage, _, task = name.partition("@")
        stages.setdefault(task, []).append(stage)
    return stages


def restore(root: Path, task: str) -> list[str]:
    """Bring back what a failed run removed of what the stages of ``task`` had made before; the paths that came back."""
    found = dvc_lock.outs(root)
    outs = [path for stage in STAGES for path in found.get(f"{stage}@{task}", {})]
    missing = [path for path in outs if not (root / path).exists()]
    if missing:
        with contextlib.suppress(StoreError):  # the cache was emptied: there is nothing to bring back
            dvc(root, "checkout", *missing)
    return [path for path in missing if (root / path).exists()]


@dataclass
class Chain:
    """One task's stages, in order, in one ``dvc repro`` process; all fields but the first four are what it came to.

    DVC holds its lock only while it reads and writes its own files, not while a stage's command runs, so chains of
    different tasks go side by side. ``dvc --wait-for-lock`` waits for its turn; the short lock around ``rwlock`` does
    not, hence the new tries here.
    """

    layout: Layout
    forced: Iterable[str]
    force_all: bool
    threads: int
    stage: str = ""
    text: str = ""
    state: str = "waiting"
    ran: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0
    _process: "subprocess.Popen[str] | None" = None
    _started: float = 0.0
    _stopped: bool = False

    def run(self, on_stage: Callable[["Chain"], None]) -> None:
        """Run to the end, well or not; ``on_stage`` is called at the start of each stage. Raises nothing of DVC's."""
        self._started = time.monotonic()
        self.state = "running"
        target = f"register@{self.layout.task}"
        commands = [["repro", "--force", "--single-item", f"{stage}@{self.layout.task}"] for stage in self.forced]
        commands.append(["repro", *(["--force"] if self.force_all else []), target])
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("w", encoding="utf-8", buffering=1) as log:
                well = all(self._run_with_tries(command, log.write, on_stage) for command in commands)
        except OSError as error:
            well, self.reason = False, f"{error.filename}: {error.strerror}"
        self.state = "done" if well else "failed"
        self.seconds = time.monotonic() - self._started
        if not well:
            restore(self.layout.root, self.layout.task)

    @property
    def log(self) -> Path:
        """All that DVC and the stages wrote."""
        return self.layout.state / "repro.log"

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began, until it ended."""
        return self.seconds or time.monotonic() - self._started

    @property
    def is_alive(self) -> bool:
        """Whether a process of it runs."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> bool:
        """Send a signal to the process and all that it started; whether there was one. No new process is started."""
        self._stopped = True
        if self._process is None or not self.is_alive:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        return True

    def _run_with_tries(
        self, command: list[str], write: Callable[[str], Any], on_stage: Callable[["Chain"], None]
    ) -> bool:
        for number in range(_TRIES):
            if self._stopped:
                self.reason = "stopped"
                return False
            code, lines = self._run_once(command, write, on_stage)
            if code == 0:
                return True
            if not any(sign in line for line in lines for sign in _BUSY):
                break
            time.sleep(0.25 * 2**number)
        self.reason = "stopped" if self._stopped else _reason(lines, self.stage, self.layout.task)
        return False

    def _run_once(
        self, command: list[str], write: Callable[[str], Any], on_stage: Callable[["Chain"], None]
    ) -> tuple[int, list[str]]:
        with subprocess.Popen(  # noqa: S603
            _command(*command), cwd=self.layout.root, env=environment(self.threads), text=True, encoding="utf-8",
            errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:  # fmt: skip
            self._process = process
            lines: list[str] = []
            for line in process.stdout or ():
                write(line)
                lines.append(line.rstrip())
                self._notice(lines[-1], on_stage)
        return process.returncode, lines

    def _notice(self, line: str, on_stage: Callable[["Chain"], None]) -> None:
        if match := _STARTED.match(line):
            self.ran.append(match[1])
        elif match := _RESTORED.match(line):
            self.restored.append(match[1])
        elif match := _FAILED.match(line):
            self.stage = match[1]
            return
        else:
            prefix = f"{self.stage} {self.layout.task}: "
            if self.stage and line.startswith(prefix):
                self.text = line.removeprefix(prefix)
            return
        self.stage, self.text = match[1], ""
        on_stage(self)


def stop(chains: Sequence[Chain]) -> None:
    """End all chains: first kindly, as Ctrl-C does, so that stages and DVC put their things away."""
    for number, patience_s in ((signal.SIGINT, 5.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 0.0)):
        until = time.monotonic() + patience_s
        alive = [chain for chain in chains if chain.signal(number)]
        while alive and time.monotonic() < until:
            time.sleep(0.05)
            alive = [chain for chain in alive if chain.is_alive]
        if not alive:
            return


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]


def _reason(lines: list[str], stage: str, task: str) -> str:
    """Why a chain failed: the last thing that the failed stage said, else what DVC said."""
    end = next((number for number, line in enumerate(lines) if _FAILED.match(line)), len(lines))
    starts = [number for number, line in enumerate(lines[:end]) if line.startswith(f"Running stage '{stage}@")]
    said = [line for line in lines[starts[-1] + 2 : end] if line] if starts else []
    return said[-1].removeprefix(f"{stage} {task}: ") if said else _dvc_error(lines)


def _dvc_error(lines: list[str]) -> str:
    """DVC's error in one line; of a fault in dvc.yaml, which DVC draws over several lines, the first three."""
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    said = errors[:1] or [line.strip() for line in lines if line.strip()][:3]
    return " ".join(said) or "no reason given"
