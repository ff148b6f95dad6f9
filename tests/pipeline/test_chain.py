"""Chains of stages in processes of their own: nothing is lost, failures say why, what was there before comes back."""

import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from projects import STAGES, change_params, read_yaml, run, write_toy

from unroll.core.errors import StoreError
from unroll.core.layout import Layout
from unroll.pipeline import chain
from unroll.pipeline.chain import Chain, Failure

pytestmark = pytest.mark.slow


def make(root: Path, task: str, force: bool = False) -> Chain:
    return Chain(Layout(root, task), force, threads=1)


def go(one: Chain) -> Chain:
    one.run(lambda _: None)
    return one


def test_chains_side_by_side_lose_no_entry_of_the_lock_file(toy: Path) -> None:
    names = write_toy(toy, 6)
    for value in ("first", "second"):
        change_params(toy, {f"tasks.{name}.value": value for name in names})
        chains = [make(toy, name) for name in names]
        with ThreadPoolExecutor(len(chains)) as pool:
            list(pool.map(go, chains))
        assert [one.reason for one in chains if one.state != "done"] == []
        assert [one.ran for one in chains] == [list(STAGES)] * len(names)
        lock = read_yaml(toy / "dvc.lock")["stages"]
        assert set(lock) == {f"{stage}@{name}" for stage in STAGES for name in names}
        seen = {entry["params"]["params.yaml"][f"tasks.{name.split('@')[1]}"]["value"] for name, entry in lock.items()}
        assert seen == {value}
    assert chain.changed(toy) == {}


def test_changed_names_the_stages_of_the_tasks_concerned(toy: Path) -> None:
    write_toy(toy, 2)
    assert set(chain.changed(toy)) == {"task0", "task1"}
    assert go(make(toy, "task1")).state == "done"
    assert set(chain.changed(toy)) == {"task0"}
    (toy / "data/train/task1.txt").unlink()
    assert chain.changed(toy)["task1"] == ["train", "evaluate"]


def test_a_failed_stage_says_why_and_its_earlier_outputs_come_back(toy: Path) -> None:
    write_toy(toy, 1)
    assert go(make(toy, "task0")).state == "done"
    before = (toy / "data/train/task0.txt").read_text()
    failing = 'echo "train task0: epoch 1/2" >&2; echo "train task0: row 7: value \'x\'; expected a number" >&2; exit 1'
    write_toy(toy, 1, {"train": failing})

    one = go(make(toy, "task0"))

    assert (one.state, one.stage, one.reason) == ("failed", "train", "row 7: value 'x'; expected a number")
    assert (toy / "data/train/task0.txt").read_text() == before
    assert "row 7" in one.log.read_text()
    assert one.log == toy / ".unroll/task0/repro.log"
    assert chain.last_failure(one.layout) == Failure("train", "row 7: value 'x'; expected a number")
    write_toy(toy, 1)
    assert go(make(toy, "task0")).state == "done"
    assert chain.last_failure(one.layout) is None


def test_a_stage_that_cannot_start_is_named_with_the_reason_of_dvc(toy: Path) -> None:
    write_toy(toy, 1)
    (toy / "seed.txt").unlink()
    one = go(make(toy, "task0"))
    assert (one.state, one.stage) == ("failed", "ingest")
    assert "seed.txt" in one.reason


def test_force_runs_every_stage(toy: Path) -> None:
    write_toy(toy, 1)
    go(make(toy, "task0"))
    assert go(make(toy, "task0", force=True)).ran == list(STAGES)


def test_what_the_cache_has_is_restored_and_not_run(toy: Path) -> None:
    write_toy(toy, 1)
    go(make(toy, "task0"))
    change_params(toy, {"tasks.task0.value": "other"})
    go(make(toy, "task0"))
    change_params(toy, {"tasks.task0.value": 0})
    one = go(make(toy, "task0"))
    assert one.restored == list(STAGES[:-1])
    assert one.ran == ["register"]  # it has no outputs: nothing can stand for running it


def test_a_busy_lock_is_tried_again(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toy(toy, 1)
    busy = 'test -e tried || { touch tried; echo "ERROR: Unable to acquire lock."; exit 1; }; {default}'
    write_toy(toy, 1, {"prepare": busy})
    monkeypatch.setattr(chain.time, "sleep", lambda seconds: None)
    one = go(make(toy, "task0"))
    assert one.state == "done"
    assert one.ran.count("prepare") == 2


def test_stop_ends_the_process_and_what_it_started(toy: Path) -> None:
    write_toy(toy, 1, {"train": f"{sys.executable} -c 'import time; time.sleep(60)'"})
    one = make(toy, "task0")
    thread = threading.Thread(target=go, args=(one,))
    thread.start()
    until = time.monotonic() + 30
    while one.stage != "train" and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)
    chain.stop([one])
    thread.join(10)
    assert not thread.is_alive()
    assert (one.state, one.stage, one.reason) == ("failed", "train", "stopped")
    assert one.signal(signal.SIGINT) is False
    assert chain.last_failure(one.layout) is None


def test_dvc_says_in_one_line_what_it_refuses(toy: Path) -> None:
    (toy / "dvc.yaml").write_text("stages: [", encoding="utf-8")
    with pytest.raises(StoreError, match=r"dvc status --json: .*dvc\.yaml") as raised:
        chain.changed(toy)
    assert "\n" not in str(raised.value)


def test_a_project_without_git_is_run_too(toy: Path) -> None:
    write_toy(toy, 1)
    run(toy, "rm", "-rf", ".git")
    chain.require_repository(toy)
    assert go(make(toy, "task0")).state == "done"


def test_a_folder_without_dvc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no \.dvc folder"):
        chain.require_repository(tmp_path)


def test_stages_see_this_python_first_and_their_threads() -> None:
    seen = chain.environment(3)
    assert seen["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert (seen["OMP_NUM_THREADS"], seen["OPENBLAS_NUM_THREADS"], seen["DVC_NO_ANALYTICS"]) == ("3", "3", "1")
