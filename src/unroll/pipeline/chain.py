"""Every call of DVC: what has changed, one task's chain of stages in a process of its own, what a failure took away."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.core.layout import Layout
from unroll.pipeline import dvc_console
from unroll.stages.common.entry import NO_TELEMETRY
from unroll.tracking import dvc_lock

STAGES = ("ingest", "validate", "prepare", "train", "evaluate", "register")
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
        reason = dvc_console.error(result.stderr.splitlines())
        raise StoreError(f"{root}: dvc {' '.join(arguments)}: {reason}")
    return result.stdout


def require_repository(root: Path) -> None:
    """Let DVC work where there is no git, such as in an image made without ``.git``."""
    if not (root / ".dvc").is_dir():
        raise StoreError(f"{root}: no .dvc folder; expected a project of DVC (run: dvc init)")
    local = root / ".dvc" / "config.local"
    if not any((folder / ".git").exists() for folder in (root, *root.parents)) and not local.exists():
        local.write_text("[core]\n    no_scm = true\n", encoding="utf-8")


def changed(root: Path, *targets: str) -> dict[str, list[str]]:
    """The stages of each task that are not up to date, of ``targets`` or of all; no key for a task that is."""
    stages: dict[str, list[str]] = {}
    for name in json.loads(dvc(root, "status", "--json", *targets) or "{}"):
        stage, _, task = name.partition("@")
        if stage in STAGES:  # the fingerprint is always looked at anew
            stages.setdefault(task, []).append(stage)
    return stages


def restore(root: Path, task: str) -> list[str]:
    """Bring back earlier outputs of ``task`` that a failed run has removed; the paths that came back."""
    outs = dvc_lock.outs(root)
    paths = [path for stage in STAGES for path in outs.get(f"{stage}@{task}", {})]
    missing = [path for path in paths if not (root / path).exists()]
    if missing:
        with contextlib.suppress(StoreError):  # the cache was emptied: there is nothing to bring back
            dvc(root, "checkout", *missing)
    return [path for path in missing if (root / path).exists()]


class Failure(NamedTuple):
    """The stage at which a task's last run failed, and the reason."""

    stage: str
    reason: str


def last_failure(layout: Layout) -> Failure | None:
    """How the task's last run here failed; None where it did not, or was stopped by a person."""
    try:
        note = store.read_json(_failure_note(layout))
        return Failure(str(note["stage"]), str(note["reason"]))
    except (StoreError, KeyError, TypeError):
        return None


def _failure_note(layout: Layout) -> Path:
    return layout.state / "failure.json"


@dataclass
class Chain:
    """One task's stages, in order, in one ``dvc repro`` process; the fields after ``threads`` say how it goes.

    DVC holds its lock only while it reads and writes its own files, not while a stage's command runs, so chains of
    different tasks go side by side. ``dvc --wait-for-lock`` waits for its turn; the short lock around ``rwlock`` does
    not, hence the retries here.
    """

    layout: Layout
    force: bool
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
    _gave_up: bool = False

    def run(self, on_stage: Callable[["Chain"], None]) -> None:
        """Run to the end, well or not; ``on_stage`` is called at the start of each stage. Raises nothing of DVC's."""
        self._started = time.monotonic()
        self.state = "running"
        target = f"register@{self.layout.task}"
        command = ["repro", *(["--force"] if self.force else []), target]
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            _failure_note(self.layout).unlink(missing_ok=True)
            with self.log.open("w", encoding="utf-8", buffering=1) as log:
                succeeded = self._run_with_retries(command, log.write, on_stage)
        except OSError as error:
            succeeded, self.reason = False, f"{error.filename}: {error.strerror}"
        self.state = "done" if succeeded else "failed"
        self.seconds = time.monotonic() - self._started
        if not succeeded:
            self._clear_up()

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

    def _run_with_retries(
        self, command: list[str], write: Callable[[str], Any], on_stage: Callable[["Chain"], None]
    ) -> bool:
        lines: list[str] = []
        for number in range(_TRIES):
            if self._stopped:
                break
            code, lines = self._run_once(command, write, on_stage)
            if code == 0:
                return True
            if not dvc_console.is_busy(lines):
                break
            time.sleep(0.25 * 2**number)
        last_words = self.text if self._gave_up else ""
        self.reason = "stopped" if self._stopped else last_words or dvc_console.error(lines)
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
            self.stage, self.text, self._gave_up = "", "", False
            lines: list[str] = []
            for line in process.stdout or ():
                write(line)
                lines.append(line.rstrip())
                self._follow(lines[-1], on_stage)
        return process.returncode, lines

    def _follow(self, line: str, on_stage: Callable[["Chain"], None]) -> None:
        """Keep up with the console: ``stage`` is the one at work, ``text`` the last line that it wrote."""
        match dvc_console.event(line):
            case dvc_console.Event("started" | "restored" as kind, stage) if stage in STAGES:
                (self.ran if kind == "started" else self.restored).append(stage)
                self.stage, self.text = stage, ""
                on_stage(self)
            case dvc_console.Event("failed", stage):
                self.text = self.text if stage == self.stage else ""
                self.stage, self._gave_up = stage, True
            case None if line and self.stage and not self._gave_up:
                self.text = line.removeprefix(f"{self.stage} {self.layout.task}: ")

    def _clear_up(self) -> None:
        """Bring back what the failed run has removed, and note why it failed."""
        restore(self.layout.root, self.layout.task)
        if not self._stopped:
            with contextlib.suppress(StoreError):  # a full disk may be the very reason
                note = Failure(self.stage or "repro", self.reason)
                store.write_json(_failure_note(self.layout), note._asdict())


def stop(chains: Sequence[Chain]) -> None:
    """End all chains: first gently, as Ctrl-C does, so that stages and DVC clean up after themselves."""
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
