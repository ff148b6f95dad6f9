"""The phrases of DVC's console that are read: the installed DVC is run, so that other words are noticed."""

import fcntl
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from projects import change_params, run, write_toy

from unroll.pipeline import dvc_console
from unroll.pipeline.dvc_console import Event


def repro(root: Path, *options: str) -> list[str]:
    """The lines that DVC writes while it brings the toy's train stage up to date."""
    done = run(root, sys.executable, "-m", "dvc", "repro", *options, "train@task0")
    return (done.stdout + done.stderr).splitlines()


def events(lines: list[str]) -> list[Event]:
    return [event for line in lines if (event := dvc_console.event(line))]


def test_the_phrases_were_verified_with_the_installed_version() -> None:
    installed = ".".join(version("dvc").split(".")[:2])
    assert installed == dvc_console.VERIFIED, "run these tests, mend dvc_console and dvc_lock, then raise VERIFIED"


@pytest.mark.slow
def test_stages_that_start_are_restored_or_fail_are_told_from_what_they_write(toy: Path) -> None:
    write_toy(toy, 1)
    command = Event("command")
    started = [
        event for stage in ("ingest", "validate", "prepare", "train") for event in (Event("started", stage), command)
    ]
    assert events(repro(toy)) == started

    change_params(toy, {"tasks.task0.value": "other"})
    repro(toy)
    change_params(toy, {"tasks.task0.value": 0})
    assert events(repro(toy)) == [Event("restored", stage) for _, stage in started[::2]]

    write_toy(toy, 1, {"train": "echo Running; exit 3"})
    assert events(repro(toy)) == [Event("started", "train"), command, Event("failed", "train")]

    (toy / "seed.txt").unlink()
    lines = repro(toy)
    assert events(lines) == [Event("failed", "ingest")]
    assert "seed.txt" in dvc_console.error(lines)


@pytest.mark.slow
def test_a_lock_of_another_process_is_told_from_other_failures(toy: Path) -> None:
    write_toy(toy, 1, {"train": "exit 3"})
    assert not dvc_console.is_busy(repro(toy))
    with (toy / ".dvc" / "tmp" / "lock").open("r+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # as DVC does
        lines = repro(toy)
    assert dvc_console.is_busy(lines)
    assert events(lines) == []
