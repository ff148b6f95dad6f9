"""Work in processes of its own, each of which loads torch once and does one job after another.

A process that dies, such as one that the system killed for want of memory, takes one job with it, no other.
"""

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

from unroll.core.errors import UnrollError
from unroll.stages.common.entry import short_waits

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext, SpawnProcess

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PATIENCE_S = 2.0


class Job(Protocol):
    """Something to do in a worker, which can be pickled, as its answer can."""

    def run(self, report: Callable[[Any], None]) -> Any:
        """Do it; ``report`` sends news on the way."""


@dataclass(frozen=True)
class News:
    """What a job reported on its way."""

    job: Any
    value: Any


@dataclass(frozen=True)
class Answer:
    """What a job came to."""

    job: Any
    value: Any


@dataclass(frozen=True)
class Failure:
    """Why a job failed; ``trace`` is the traceback of a bug, empty for what the user can act on."""

    job: Any
    reason: str
    trace: str = ""


Message = News | Answer | Failure


def run(jobs: Sequence[Job], count: int, threads: int) -> Iterator[Message]:
    """Do the jobs, in order, ``count`` at a time, each on ``threads`` threads; their messages, as they come.

    However it is left (Ctrl-C too), no process stays behind. A pool of concurrent.futures would not do: it gives up all
    jobs when one process dies.
    """
    waiting, busy = deque(jobs), dict[Any, _Worker]()
    idle: list[_Worker] = []
    workers: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                worker = idle.pop() if idle else _start(workers, threads)
                worker.job = waiting.popleft()
                worker.line.send(worker.job)
                busy[worker.line] = worker
            for line in connection.wait(list(busy), timeout=0.2):
                worker = busy[line]
                message = worker.message()
                if not isinstance(message, News):
                    del busy[line]
                    if worker.process.is_alive():
                        idle.append(worker)
                yield message
    finally:
        for worker in workers:
            worker.end()


@dataclass
class _Worker:
    process: "SpawnProcess"
    line: Connection
    job: Any = None

    def message(self) -> Message:
        try:
            kind, *content = self.line.recv()
        except (EOFError, OSError):
            self._join()
            return Failure(self.job, f"its process ended ({_how(self.process.exitcode)})")
        return kind(self.job, *content)

    def end(self) -> None:
        self.process.terminate()
        self._join()
        self.line.close()

    def _join(self) -> None:
        self.process.join(PATIENCE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _start(workers: list[_Worker], threads: int) -> _Worker:
    context: SpawnContext = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    with _pools(threads):
        process.start()
    theirs.close()
    workers.append(_Worker(process, ours))
    return workers[-1]


@contextmanager
def _pools(threads: int) -> Iterator[None]:
    """Within it, a process that starts has that many threads in every library: they read it when they are loaded."""
    values = dict.fromkeys(POOLS, str(threads)) | short_waits()
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}: perhaps too little memory" if name == "SIGKILL" else name


def _work(line: Connection) -> None:
    """The whole life of a worker. Ctrl-C reaches it as well, but the process that started it decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        while True:
            line.send(_do(line.recv(), line))
    except (EOFError, OSError):  # nobody listens any more
        return


def _do(job: Job, line: Connection) -> tuple[Any, ...]:
    """A kind of message, and what it has beside the job."""
    try:
        return Answer, job.run(lambda value: line.send((News, value)))
    except UnrollError as error:
        return Failure, str(error)
    except BrokenPipeError:
        raise
    except Exception as error:  # one job's bug does not stop the others; it is shown with its traceback
        text = next(iter(str(error).splitlines()), "")
        return Failure, f"{type(error).__name__}: {text}", traceback.format_exc()
