"""Work in processes of its own, each of which has torch loaded once and does one job after another.

A process that ends, such as one that the system ended for want of memory, takes one job with it, no other.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from unroll.core.errors import UnrollError
from unroll.stages.common.entry import short_waits

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext, SpawnProcess

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PATIENCE_S = 2.0


class Job(Protocol):
    """Something to do in a worker, which can be pickled, as its answer can."""

    def run(self, tell: Callable[[Any], None]) -> Any:
        """Do it; ``tell`` sends a word on the way."""


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Word(Generic[J]):
    """What a job said on its way."""

    job: J
    said: Any


@dataclass(frozen=True)
class Answer(Generic[J]):
    """What a job came to."""

    job: J
    value: Any


@dataclass(frozen=True)
class Failure(Generic[J]):
    """Why a job came to nothing; ``trace`` is the traceback of what is a fault of ours, not of the person's."""

    job: J
    reason: str
    seconds: float
    trace: str = ""


def run(jobs: Sequence[J], count: int, threads: int) -> Iterator[Word[J] | Answer[J] | Failure[J]]:
    """Do the jobs, in order, ``count`` at a time, each on ``threads`` threads; what they say, as it comes.

    However it is left (Ctrl-C too), no process stays behind.
    """
    waiting, busy = deque(jobs), dict[Connection, _Worker[J]]()
    idle: list[_Worker[J]] = []
    workers: list[_Worker[J]] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                worker = idle.pop() if idle else _start(workers, threads)
                worker.give(waiting.popleft())
                busy[worker.line] = worker
            for line in connection.wait(list(busy), timeout=0.2):
                worker = busy[line]  # type: ignore[index]
                message = worker.hear()
                if not isinstance(message, Word):
                    del busy[worker.line]
                    if worker.is_well:
                        idle.append(worker)
                yield message
    finally:
        for worker in workers:
            worker.end()


@dataclass
class _Worker(Generic[J]):
    process: "SpawnProcess"
    line: Connection
    job: J | None = None
    started: float = 0.0
    is_well: bool = True

    def give(self, job: J) -> None:
        self.job, self.started = job, time.monotonic()
        self.line.send(job)

    def hear(self) -> Word[J] | Answer[J] | Failure[J]:
        job = self.job
        assert job is not None  # noqa: S101
        seconds = time.monotonic() - self.started
        try:
            kind, *content = self.line.recv()
        except (EOFError, OSError):
            self.is_well = False
            self.process.join(PATIENCE_S)
            return Failure(job, f"its process ended ({_how(self.process.exitcode)})", seconds)
        match kind:
            case "word":
                return Word(job, content[0])
            case "answer":
                return Answer(job, content[0])
            case _:
                return Failure(job, content[0], seconds, content[1])

    def end(self) -> None:
        self.process.terminate()
        self.process.join(PATIENCE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.line.close()


def _start(workers: "list[_Worker[J]]", threads: int) -> "_Worker[J]":
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
    told = dict.fromkeys(POOLS, str(threads)) | short_waits()
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
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
    try:
        return "answer", job.run(lambda said: line.send(("word", said)))
    except UnrollError as error:
        return "failure", str(error), ""
    except BrokenPipeError:
        raise
    except Exception as error:  # one job's fault does not stop the others; it is told with its traceback
        text = next(iter(str(error).splitlines()), "")
        return "failure", f"{type(error).__name__}: {text}", traceback.format_exc()
