"""dvc.lock is read whole, also while a DVC process rewrites it; a folder's hash is the one that DVC gives it."""

import fcntl
import sys
import threading
from pathlib import Path

import pytest
from projects import read_yaml, run, write_yaml

from unroll.core.errors import StoreError
from unroll.tracking import dvc_lock

ENTRY = {"cmd": "x", "outs": [{"path": "models/a", "md5": "1f.dir"}, {"path": "reports/a", "md5": "2e"}]}


def test_outputs_by_stage_with_their_hashes(tmp_path: Path) -> None:
    write_yaml(tmp_path / "dvc.lock", {"schema": "2.0", "stages": {"train@a": ENTRY, "register@a": {"cmd": "y"}}})
    assert dvc_lock.outs(tmp_path) == {"train@a": {"models/a": "1f.dir", "reports/a": "2e"}, "register@a": {}}


def test_nothing_has_been_run_yet(tmp_path: Path) -> None:
    assert dvc_lock.outs(tmp_path) == {}


def test_a_damaged_file_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("stages: {a: [\n", encoding="utf-8")
    with pytest.raises(StoreError, match=r"dvc\.lock: no valid YAML: ") as raised:
        dvc_lock.outs(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    guard = tmp_path / ".dvc" / "tmp" / "lock"
    guard.parent.mkdir(parents=True)
    guard.touch()
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n", encoding="utf-8")  # the part that is written so far
    found: list[dict[str, dict[str, str]]] = []
    reader = threading.Thread(target=lambda: found.append(dvc_lock.outs(tmp_path)))
    with guard.open("r+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # as DVC does
        reader.start()
        reader.join(0.3)
        assert reader.is_alive()
        write_yaml(tmp_path / "dvc.lock", {"schema": "2.0", "stages": {"train@a": ENTRY}})
    reader.join(10)
    assert list(found[0]) == ["train@a"]


@pytest.mark.slow
def test_the_hash_of_a_folder_is_the_one_of_the_installed_dvc(toy: Path) -> None:
    for name, content in (("b.txt", "b"), ("a/é.txt", "a"), ("a/c/d.txt", "")):
        (toy / "kept" / name).parent.mkdir(parents=True, exist_ok=True)
        (toy / "kept" / name).write_text(content, encoding="utf-8")
    added = run(toy, sys.executable, "-m", "dvc", "add", "kept")
    assert added.returncode == 0, added.stderr
    assert dvc_lock.of_folder(toy / "kept") == read_yaml(toy / "kept.dvc")["outs"][0]["md5"]
