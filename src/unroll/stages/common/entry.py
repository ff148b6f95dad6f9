"""What every entry point in ``pipelines/`` shares: one task by name, errors in one line, no traceback."""

import os
import sys
from collections.abc import Callable

from unroll.core.errors import UnrollError
from unroll.core.layout import project_root
from unroll.stages.common import timings
from unroll.stages.common.task import Task

NO_TELEMETRY = {
    "DVC_NO_ANALYTICS": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
}
"""What keeps every library from sending usage data."""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "BLIS_NUM_THREADS": "1"}
"""What makes a BLAS that is loaded later add in one order, whatever the number of processors."""


def short_waits() -> dict[str, str]:
    """How long a thread of torch's waits at work for the others before it sleeps: 300 turns instead of 300,000.

    Two trainings of two threads each on two processors: a step takes 1.1 times as long as on one thread each, with
    torch's own value 12 to 24 times. A training that has the processors for itself: 1.0 to 1.2 times.
    """
    return {} if {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys() else {"GOMP_SPINCOUNT": "300"}


def main(stage: Callable[[Task], None]) -> None:
    """Run ``stage`` for the task named on the command line, in the project around the working folder."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    os.environ.update(NO_TELEMETRY | ONE_THREAD)  # before any heavy import
    os.environ.update(short_waits())
    if len(sys.argv) != 2:
        sys.exit(f"usage: python pipelines/{stage.__name__}.py TASK")
    try:
        task = Task.open(project_root(), sys.argv[1])
        with timings.measure(task.layout, stage.__name__), threadpool_limits(1, user_api="blas"):  # NumPy's is there
            stage(task)
    except KeyboardInterrupt:
        sys.stderr.write(f"{stage.__name__} {sys.argv[1]}: interrupted\n")
        sys.exit(130)
    except UnrollError as error:
        sys.stderr.write(f"{stage.__name__} {sys.argv[1]}: {error}\n")
        sys.exit(1)
    except OSError as error:  # a full disk, an unwritable folder: the person's to mend, not a fault of ours
        sys.stderr.write(f"{stage.__name__} {sys.argv[1]}: {error.filename}: {error.strerror}\n")
        sys.exit(1)
