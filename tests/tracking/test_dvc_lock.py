"""dvc.lock is read whole, also while a DVC process rewrites it."""

import fcntl
import threading
from pathlib import Path

import pytest
from projects import write_yaml

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


def test_the_hash_of_a_folder_is_dvcs_own(tmp_path: Path) -> None:
    """If this fails after an upgrade of DVC, its folders are hashed in another way: see ``of_folder``."""
    from dvc.repo import Repo

    folder = tmp_path / "models"
    (folder / "inner").mkdir(parents=True)
    for name, content in (("b", "2"), ("a.json", "{}"), ("inner/c", "")):
        (folder / name).write_text(content, encoding="utf-8")
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        (stage,) = repo.add(str(folder))
        assert stage.outs[0].hash_info.value == dvc_lock.of_folder(folder)
