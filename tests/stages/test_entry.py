"""What the process of a stage is given before it loads anything."""

import os
import subprocess
import sys

import pytest

from unroll.stages.common.entry import short_waits

SHOW = """
import os
from unroll.stages.common.entry import short_waits
print((os.environ | short_waits()).get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "300"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, "None")],
    ids=["nothing", "a count", "a policy"],
)
def test_threads_wait_briefly_unless_told_otherwise(given: dict[str, str], expected: str) -> None:
    inherited = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    said = subprocess.run(
        [sys.executable, "-c", SHOW], env=inherited | given, capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == expected


def test_a_worker_is_given_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from unroll.workbench.compare import workers

    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    with workers._pools(3):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["GOMP_SPINCOUNT"]) == ("3", "300")
    assert "GOMP_SPINCOUNT" not in os.environ
    assert short_waits() == {"GOMP_SPINCOUNT": "300"}
