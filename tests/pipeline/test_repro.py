"""Tasks side by side, what is shown of them, and what is published afterwards."""

import io
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from projects import ROOT, change_params, write_toy
from rich.console import Console
from trained_project import METRICS, make

from unroll.core import store
from unroll.core.errors import ConfigError, TrackingError
from unroll.core.layout import Layout
from unroll.core.params import Params
from unroll.pipeline import check, repro, results
from unroll.pipeline.chain import Chain
from unroll.pipeline.repro import run_side_by_side
from unroll.registry.gate import Judgement, Outcome, Verdict


def chains_of(root: Path, names: list[str]) -> list[Chain]:
    return [Chain(Layout(root, name), False, threads=1) for name in names]


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

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background may ignore it
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_side_by_side(chains, jobs=1, console=console(terminal=False))
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join()
    assert [(chain.state, chain.reason) for chain in chains] == [("failed", "stopped"), ("waiting", "")]
    assert not any(chain.is_alive for chain in chains)


def test_choose_keeps_the_order_of_the_file_and_refuses_other_names() -> None:
    params = Params(ROOT / "params.yaml")
    assert repro.choose(params, []) == params.tasks()
    assert repro.choose(params, ["addition", "air_quality"]) == ["air_quality", "addition"]
    with pytest.raises(ConfigError, match=r"tasks\.adition: no such task; expected one of air_quality, "):
        repro.choose(params, ["adition"])


def test_default_jobs_share_the_processors_and_are_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "other")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [repro.default_jobs(threads) for threads in (1, 3, 8, 64)] == [8, 2, 1, 1]


class Recorded(NamedTuple):
    """What ``reproduce`` would have run."""

    chains: list[Chain]
    jobs: int


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """Chains are kept, not run; nothing has changed."""
    runs: list[Recorded] = []
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.setattr(repro, "run_side_by_side", lambda chains, jobs, _: runs.append(Recorded(chains, jobs)))
    monkeypatch.setattr(repro.backend, "initialise", lambda root: None)
    monkeypatch.setattr(repro.chain, "changed", lambda root: {})
    return runs


def reproduce(root: Path, *names: str, force: bool = False, jobs: int | None = 3) -> list[str]:
    chains = repro.reproduce(*check.judge(root), names, jobs, force, console(terminal=False))
    return [chain.layout.task for chain in chains]


def test_nothing_runs_where_nothing_has_changed(tmp_path: Path, recorded: list[Recorded]) -> None:
    assert reproduce(tmp_path) == []
    assert recorded == []


def test_only_tasks_with_something_to_do_run(
    tmp_path: Path, recorded: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repro.chain, "changed", lambda root: {"poetry": ["train"], "tweets": ["register"]})
    assert reproduce(tmp_path) == ["tweets", "poetry"]
    assert reproduce(tmp_path, "poetry", "addition") == ["poetry"]
    assert [run.jobs for run in recorded] == [3, 3]
    assert not any(chain.force for run in recorded for chain in run.chains)


def test_the_fingerprint_of_each_task_is_taken_before_dvc_is_asked(
    tmp_path: Path, recorded: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def changed(root: Path) -> dict[str, list[str]]:
        seen.extend(sorted(path.stem for path in (root / "data" / "fingerprints").iterdir()))
        return {}

    monkeypatch.setattr(repro.chain, "changed", changed)
    reproduce(tmp_path, "tweets", "poetry")
    assert seen == ["poetry", "tweets"]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("train.epochs", "many", "tasks.tweets.train.epochs: 'many' is not allowed"),
        ("data.dataset", "birds", "tasks.tweets.data.dataset: 'birds' is not allowed; expected"),
        ("gates", 3, "tasks.tweets.gates: unknown key; did you mean 'gate'?"),
    ],
)
def test_a_faulty_block_stops_its_own_task_alone(
    key: str, value: object, told: str, tmp_path: Path, recorded: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    change_params(tmp_path, {f"tasks.tweets.{key}": value})
    monkeypatch.setattr(repro.register, "unpublished", lambda root: [])
    progress = console(terminal=False)
    assert repro.main(tmp_path, ["poetry"], 1, True, progress, console(terminal=False)) is False
    (line,) = text_of(progress).splitlines()
    assert line.startswith("warning: ")
    assert told in line
    assert line.endswith(": left alone")
    assert [chain.layout.task for chain in recorded[0].chains] == ["poetry"]

    progress = console(terminal=False)
    assert repro.main(tmp_path, [], 1, True, progress, console(terminal=False)) is True
    assert [chain.layout.task for chain in recorded[1].chains] == [
        name for name in Params(ROOT / "params.yaml").tasks() if name != "tweets"
    ]
    (line,) = text_of(progress).splitlines()
    assert line.startswith("tweets: not run: ")
    assert told in line
    with pytest.raises(ConfigError, match="tweets"):
        repro.main(tmp_path, ["tweets"], 1, True, progress, console(terminal=False))
    assert len(recorded) == 2


def test_a_block_that_dvc_cannot_read_stops_all_and_says_so(tmp_path: Path, recorded: list[Recorded]) -> None:
    change_params(tmp_path, {"tasks.tweets": {"data": {"dataset": "tweets"}}})
    with pytest.raises(ConfigError, match=r"tasks\.tweets\.prepare: missing.* \(DVC can run no other task until it is"):
        repro.main(tmp_path, ["poetry"], 1, True, console(terminal=False), console(terminal=False))
    assert recorded == []


def test_force_runs_every_stage_of_the_named_tasks(tmp_path: Path, recorded: list[Recorded]) -> None:
    assert reproduce(tmp_path, "addition", force=True) == ["addition"]
    assert recorded[0].chains[0].force


def test_a_model_is_published_only_where_its_files_belong_together(
    tmp_path: Path, recorded: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    judgement = Judgement("r2", 0.8, 0.75, "higher", 0.0, 0.95, {})
    verdict = Verdict(Outcome.UNOPPOSED, judgement, "air_quality", 1)
    published: list[str] = []

    def publish_all(root: Path, names: Sequence[str]) -> dict[str, Verdict]:
        published.extend(names)
        return dict.fromkeys(names, verdict)

    monkeypatch.setattr(repro.register, "unpublished", lambda root: ["air_quality", "tweets", "poetry"])
    monkeypatch.setattr(repro.register, "publish_all", publish_all)
    stale = {"tweets": ["evaluate", "register"], "air_quality": ["register"]}
    monkeypatch.setattr(repro.chain, "changed", lambda root: stale)
    assert repro.publish(tmp_path, []) == [
        "air_quality: published as champion: r2 0.8 ≥ 0.75",
        "poetry: published as champion: r2 0.8 ≥ 0.75",
    ]
    assert published == ["air_quality", "poetry"]
    assert repro.publish(tmp_path, ["addition"]) == []


def test_a_store_that_is_away_is_told_after_the_results(
    tmp_path: Path, recorded: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(root: Path) -> list[str]:
        raise TrackingError("http://there: cannot be reached")

    monkeypatch.setattr(repro.register, "unpublished", away)
    progress, output = console(terminal=False), console(terminal=False)
    assert repro.main(tmp_path, [], None, False, progress, output) is True
    assert text_of(progress) == "not published: http://there: cannot be reached\n"
    assert "Results on the test part" in text_of(output)
    assert "nothing to do: every stage is up to date" in text_of(output)


def test_a_server_that_is_away_leaves_results_and_failures_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = make(tmp_path).layout
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    store.write_json(layout.reports / "metrics.json", METRICS | {"headline": "r2", "advantage": {}})
    failed = chains_of(tmp_path, ["poetry"])
    failed[0].state, failed[0].stage, failed[0].reason = "failed", "train", "loss nan"
    monkeypatch.setattr(repro, "reproduce", lambda *_: failed)
    monkeypatch.setattr(repro.chain, "changed", lambda root: {})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    progress, output = console(terminal=False), console(terminal=False)
    assert repro.main(tmp_path, [], None, False, progress, output) is True
    fault, unpublished = text_of(progress).splitlines()
    assert fault == "poetry: train failed: loss nan (log: .unroll/poetry/repro.log)"
    assert unpublished.startswith("not published: http://127.0.0.1:9: cannot be reached (")
    assert "0.8" in text_of(output)


def test_results_of_one_task_are_shown_without_rows_of_tasks_that_have_none(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    evaluated = {
        "headline": "r2",
        "test": {"r2": 0.9, "r2_low": 0.8, "r2_high": 0.95},
        "advantage": {},
        "baselines": {},
    }
    layout = Layout(tmp_path, "tweets")
    layout.reports.mkdir(parents=True)
    store.write_json(layout.reports / "metrics.json", evaluated)

    def shown(*names: str) -> list[str]:
        written = console(terminal=False)
        results.show(tmp_path, written, names)
        rows = [line.split("│") for line in text_of(written).splitlines() if line.startswith("│")]
        return [row[1].strip() for row in rows]

    everything = Params(tmp_path / "params.yaml").tasks()
    assert shown() == everything
    assert shown("poetry") == [name for name in everything if name in ("tweets", "poetry")]
