"""A warm process for stages: the libraries are imported once, and each stage runs in a fork of it.

Nearly all that a small stage costs is imports: Great Expectations takes 5 s of a processor, torch and MLflow 2 s each.
``unroll repro`` keeps this server while its chains run. ``stages.common.entry`` finds its socket in the environment and
hands over the command with its streams; without it the stage does the same work in its own process. A fork has clean
imported modules and nothing else: they are imported before its first stage of that name, in a process that has started
no thread of its own. Linux alone: elsewhere a fork after such imports is not safe.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unroll.stages.common import entry

_COMMON = ("unroll.stages.common.task", "pandas", "pyarrow.parquet", "ruamel.yaml", "threadpoolctl")
_JUDGED = (*_COMMON, "great_expectations.render.view.view", "great_expectations.render.renderer.page_renderer")
_LEARNED = (*_COMMON, "torch", "safetensors.torch")
_DRAWN = ("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.style", "PIL.Image")
_TRACKED = ("mlflow.pyfunc", "mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store")
IMPORTS = {
    "fingerprint": _COMMON,
    "ingest": _COMMON,
    "validate": _JUDGED,
    "prepare": (*_JUDGED, "scipy.sparse"),
    "train": (*_LEARNED, *_TRACKED),
    "evaluate": (*_LEARNED, "sklearn.linear_model", "sklearn.feature_extraction.text", *_DRAWN),
    "register": (*_LEARNED, *_TRACKED),
}
"""What is imported before the first fork of a stage; what is missing here the fork imports itself."""
_PR_SET_PDEATHSIG = 1


@contextmanager
def server(environment: dict[str, str]) -> Iterator[None]:
    """Within it the stages of chains run in forks of one process, which ends with it, or with this process."""
    if sys.platform != "linux" or os.environ.get(entry.WARM):  # one is there, or is not wished for
        yield
        return
    with tempfile.TemporaryDirectory(prefix="unroll-") as folder:
        path = str(Path(folder) / "socket")
        command = [sys.executable, "-m", "unroll.pipeline.warm", path]
        with subprocess.Popen(  # noqa: S603
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:  # fmt: skip
            os.environ[entry.WARM] = path
            try:
                yield
            finally:
                del os.environ[entry.WARM]
                assert process.stdin  # noqa: S101
                process.stdin.close()  # which ends it


@dataclass
class Server:
    """Hands each request to a fork, tells its client the exit status, and ends a fork whose client is gone."""

    path: str
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    clients: dict[int, socket.socket] = field(default_factory=dict)  # by the number of their process

    def run(self) -> Callable[[], Any] | None:
        """Serve until standard input ends; in a fork, what it has to run."""
        waker, woken = socket.socketpair()
        waker.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.path)  # in a folder of this user alone
            listening.listen(64)
            self.selector.register(listening, selectors.EVENT_READ)
            self.selector.register(woken, selectors.EVENT_READ)
            self.selector.register(0, selectors.EVENT_READ)
            while True:
                for ready in [key.fileobj for key, _ in self.selector.select()]:
                    if ready is listening:
                        if (work := self._accept(listening)) is not None:
                            return work
                    elif ready is woken:
                        woken.recv(4096)
                        self._reap()
                    elif ready == 0:
                        for number in self.clients:
                            _end(number)
                        return None
                    else:  # a client says nothing after its request: it is gone
                        self.selector.unregister(ready)
                        for number in [n for n, client in self.clients.items() if client is ready]:
                            _end(number)

    def _accept(self, listening: socket.socket) -> Callable[[], Any] | None:
        client, _ = listening.accept()
        client.settimeout(10)
        try:
            request, streams = entry.receive(client)
        except (OSError, ValueError):
            client.close()
            return None
        for name in IMPORTS.get(Path(request["argv"][0]).stem, ()):
            with contextlib.suppress(ImportError):  # the fork meets it again, and says so
                importlib.import_module(name)
        gc.freeze()  # no collection of a fork looks through what was imported, which would copy its pages
        if number := os.fork():
            for stream in streams:
                os.close(stream)
            self.clients[number] = client
            self.selector.register(client, selectors.EVENT_READ)
            with contextlib.suppress(OSError):
                client.sendall(b"%d\n" % number)
            return None
        signal.set_wakeup_fd(-1)
        self.selector.close()
        for other in (client, listening, *self.clients.values()):
            other.close()
        return lambda: _become(request, streams)

    def _reap(self) -> None:
        while True:
            try:
                number, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not number:
                return
            client = self.clients.pop(number)
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(client)
            with client, contextlib.suppress(OSError):
                client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _end(number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Run the client's command as the interpreter would have, in its folder and environment, on its streams."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["argv"]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdigit():  # OpenMP has read it when it was loaded
        threadpool_limits(int(threads), user_api="openmp")
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    work = Server(sys.argv[1]).run()
    if work is not None:
        work()
