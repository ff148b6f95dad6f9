"""What the entry points in ``pipelines/`` share: a task by its name, errors in one line without a traceback."""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unroll.stages.common.task import Task

WARM = "UNROLL_WARM"
"""In the environment: the socket of a warm process (see ``pipeline.warm``) that runs stages in forks of itself."""

NO_TELEMETRY = {
    "DVC_NO_ANALYTICS": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
}
"""Keeps every library from sending usage data."""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "BLIS_NUM_THREADS": "1"}
"""Makes a BLAS that is loaded later add in one order, whatever the number of processors."""


def short_waits() -> dict[str, str]:
    """Let a thread of torch's spin 300 turns, not 300,000, before it sleeps and leaves the processor to others.

    Two trainings with two threads each on two processors: a step takes 1.1 times as long as with one thread each; with
    torch's own value, 12 to 24 times. A training that has the processors to itself: 1.0 to 1.2 times.
    """
    return {} if {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys() else {"GOMP_SPINCOUNT": "300"}


def main(stage: "Callable[[Task], None]") -> None:
    """Run ``stage`` for the task named on the command line, in the project around the working folder."""
    if (path := os.environ.pop(WARM, "")).startswith("/"):
        hand_over(path)
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from unroll.core.errors import UnrollError
    from unroll.core.layout import project_root
    from unroll.stages.common import timings
    from unroll.stages.common.task import Task

    os.environ.update(NO_TELEMETRY | ONE_THREAD)  # before any heavy import
    os.environ.update(short_waits())
    if len(sys.argv) != 2:
        sys.exit(f"usage: python pipelines/{stage.__name__}.py TASK")
    try:
        task = Task.open(project_root(), sys.argv[1])
        with timings.measure(task.layout, stage.__name__), threadpool_limits(1, user_api="blas"):  # NumPy's is there
            stage(task)
        return
    except KeyboardInterrupt:
        reason, code = "interrupted", 130
    except UnrollError as error:
        reason, code = str(error), 1
    except OSError as error:  # a full disk, an unwritable folder: the person's to mend, not a fault of ours
        reason, code = f"{error.filename}: {error.strerror}", 1
    sys.stderr.write(f"{stage.__name__} {sys.argv[1]}: {reason}\n")
    sys.exit(code)


def hand_over(path: str) -> None:
    """Let a fork of the warm process at ``path`` do the work, and end as it does; return where there is none."""
    request = {"argv": sys.argv, "cwd": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109
    with socket.socket(socket.AF_UNIX) as warm:
        try:
            warm.connect(path)
            content = json.dumps(request).encode()
            socket.send_fds(warm, [b"%20d" % len(content)], [0, 1, 2])
            warm.sendall(content)
            answers = warm.makefile("rb")
            number = int(answers.readline())
        except (OSError, ValueError):
            return
        for each in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(each) != signal.SIG_IGN:
                signal.signal(each, lambda received, _: os.killpg(number, received))
        status = answers.readline()
    code = int(status or 1)  # nothing is said where the warm process was ended
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def receive(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What ``hand_over`` has sent: the command with its folder and environment, and its three streams."""
    size, streams, _, _ = socket.recv_fds(client, 20, 3)
    with client.makefile("rb") as rest:
        request = json.loads(rest.read(int(size)))
    return request, streams
