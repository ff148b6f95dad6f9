"""A block is put into params.yaml, and every other byte stays."""

from pathlib import Path

import pytest
from projects import ROOT

from unroll.core.errors import ConfigError
from unroll.core.params import Params
from unroll.workbench.new import writing

BLOCK = "  new: # seen\n    data: {a: 1} # why\n"
VALUES = {"data": {"a": 1}}
TASK = "tasks:\n  old: # first\n    data: {a: 0}\n"


def append(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    writing.append(path, "new", BLOCK, VALUES)
    return path.read_bytes().decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TASK, f"{TASK}\n{BLOCK}"),
        (TASK.rstrip("\n"), f"{TASK}\n{BLOCK}"),
        (f"# head\nsource: sample\n\n{TASK}\n", f"# head\nsource: sample\n\n{TASK}\n{BLOCK}"),
        (f"{TASK}  # the end\n", f"{TASK}  # the end\n\n{BLOCK}"),
        (f"{TASK}\n# where from\nsource: sample\n", f"{TASK}\n{BLOCK}\n# where from\nsource: sample\n"),
        (f"{TASK}source: sample # é\n", f"{TASK}\n{BLOCK}source: sample # é\n"),
    ],
)
def test_the_rest_stays_as_it_was(tmp_path: Path, before: str, after: str) -> None:
    found = append(tmp_path / "params.yaml", before)
    assert found.replace("\n\n", "\n") == after.replace("\n\n", "\n")
    kept = found.replace(BLOCK, "")
    assert [line for line in kept.splitlines() if line] == [line for line in before.splitlines() if line]


def test_the_projects_own_file_keeps_every_byte(tmp_path: Path) -> None:
    before = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert append(tmp_path / "params.yaml", before) == f"{before}\n{BLOCK}"
    assert Params(tmp_path / "params.yaml").tasks()[-1] == "new"


def test_line_ends_and_rights_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(TASK.replace("\n", "\r\n").encode())
    path.chmod(0o640)
    writing.append(path, "new", BLOCK, VALUES)
    assert path.read_bytes() == f"{TASK}\n{BLOCK}".replace("\n", "\r\n").encode()
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("before", ["tasks: {old: {data: 1}}\n", "source: sample\n", "tasks:\n", "tasks: []\n"])
def test_tasks_that_are_no_block_are_told(tmp_path: Path, before: str) -> None:
    with pytest.raises(ConfigError, match="tasks: no block of tasks; expected at least one task, in lines of its own"):
        append(tmp_path / "params.yaml", before)
    assert (tmp_path / "params.yaml").read_text() == before


def test_a_file_that_would_say_something_else_afterwards_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TASK)
    with pytest.raises(ConfigError, match="the block cannot be put behind the tasks"):
        writing.append(path, "new", BLOCK, {"data": {"a": 2}})
    assert path.read_text() == TASK


def test_the_indent_is_that_of_the_tasks(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("tasks:\n    old:\n        data: 1\n")
    assert writing.indent(path) == 4
