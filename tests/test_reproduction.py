"""Tasks side by side, what is shown of them, and what is published afterwards."""

import io
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from projects import ROOT, write_toy
from rich.console import Console

from unroll import reproduction
from unroll.config import Params
from unroll.errors import ConfigError
from unroll.reproduction import run_side_by_side
from unroll.store import Layout
from unroll.workflow import Chain


def chains_of(root: Path, names: list[str]) -> list[Chain]:
    return [Chain(Layout(root, name), (), False, threads=1) for name in names]


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=160)


def text_of(written: Console) -> str:
    assert isinstance(written.file, io.StringIO)
    return written.file.getvalue()


def test_one_task_fails_with_its_reason_while_the_others_finish(toy: Path) -> None:
    failing = 'if [ ${key} = task1 ]; then echo "prepare task1: nothing to learn from" >&2; exit 1; fi; {default}'
    chains = chains_of(toy, write_toy(toy, 3, {"prepare": failing}))
    written = console(terminal=False)

    run_side_by_side(chains, jobs=2, console=written)

    assert [chain.state for chain in chains] == ["done", "failed", "done"]
    lines = text_of(written).splitlines()
    assert "task1: prepare failed: nothing to learn from (log: .unroll/task1/repro.log)" in lines
    assert [line for line in lines if line.startswith("task0: ")][:2] == ["task0: ingest", "task0: validate"]
    assert any(line.startswith("task2: done in ") for line in lines)


def test_at_most_so_many_tasks_run_at_a_time(toy: Path) -> None:
    counted = "echo + >> log.txt; sleep 2; echo - >> log.txt; {default}"
    chains = chains_of(toy, write_toy(toy, 3, {"ingest": counted}))
    run_side_by_side(chains, jobs=2, console=console(terminal=False))
    level, highest = 0, 0
    for sign in (toy / "log.txt").read_text().split():
        level += 1 if sign == "+" else -1
        highest = max(highest, level)
    assert highest == 2


def test_a_terminal_shows_a_line_for_each_task_with_the_stage_and_its_last_words(toy: Path) -> None:
    telling = 'echo "train ${key}: epoch 1/9 loss 0.5" >&2; sleep 1; {default}'
    written = console(terminal=True)
    run_side_by_side(chains_of(toy, write_toy(toy, 2, {"train": telling})), jobs=2, console=written)
    assert "train · epoch 1/9 loss 0.5" in text_of(written)
    assert text_of(written).count("done in ") >= 2


def test_ctrl_c_ends_what_runs_and_starts_nothing_more(toy: Path) -> None:
    waiting = f"{sys.executable} -c 'import time; time.sleep(60)'"
    chains = chains_of(toy, write_toy(toy, 2, {"ingest": waiting}))

    def interrupt() -> None:
        until = time.monotonic() + 30
        while chains[0].stage != "ingest" and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(chains, jobs=1, console=console(terminal=False))
    thread.join()
    assert [(chain.state, chain.reason) for chain in chains] == [("failed", "stopped"), ("waiting", "")]
    assert not any(chain.is_alive for chain in chains)


def test_choose_keeps_the_order_of_the_file_and_refuses_other_names() -> None:
    params = Params(ROOT / "params.yaml")
    assert reproduction.choose(params, []) == params.tasks()
    assert reproduction.choose(params, ["addition", "air_quality"]) == ["air_quality", "addition"]
    with pytest.raises(ConfigError, match=r"tasks\.adition: no such task; expected one of air_quality, "):
        reproduction.choose(params, ["adition"])


def test_default_jobs_share_the_processors_and_are_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "other")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [reproduction.default_jobs(threads) for threads in (1, 3, 8, 64)] == [8, 2, 1, 1]
