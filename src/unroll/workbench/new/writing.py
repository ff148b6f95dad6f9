"""A task's block into ``params.yaml``: what stood there stays byte for byte."""

import shutil
from pathlib import Path
from typing import Any

from unroll.core import store
from unroll.core.errors import ConfigError


def append(path: Path, name: str, text: str, values: Any) -> None:
    """Put the YAML ``text`` of the task ``name`` behind the other tasks of ``path``, or leave the file as it was.

    ``values`` are what the file must then hold there. Raises ConfigError where the file is not laid out so that a block
    can be put in.
    """
    before = path.read_bytes().decode("utf-8")
    after = inserted(before, text, path)
    expected: Any = _load(before)
    expected["tasks"][name] = values
    if _load(after) != expected:
        raise ConfigError(f"{path}: the block cannot be put behind the tasks; expected them as the last key, in blocks")
    with store.atomic_file(path) as temporary:
        temporary.write_bytes(after.encode("utf-8"))
        shutil.copymode(path, temporary)


def inserted(before: str, text: str, path: Path) -> str:
    """The file with ``text``, a block indented as by ``indent``, behind the last task."""
    end = "\r\n" if "\r\n" in before else "\n"
    lines = before.splitlines(keepends=True)
    place = _place(before, lines, path)
    head, tail = "".join(lines[:place]), "".join(lines[place:])
    gap = "" if not head or head.endswith(("\n\n", "\r\n\r\n")) else end if head.endswith("\n") else 2 * end
    block = text.replace("\n", end)
    return head + gap + block + (end if tail.split("\n")[0].strip() else "") + tail


def indent(path: Path) -> int:
    """Blanks before the names of the tasks."""
    tasks = _tasks(path.read_bytes().decode("utf-8"), path)
    return int(tasks.value[0][0].start_mark.column)


def _place(before: str, lines: list[str], path: Path) -> int:
    """The line behind the last task: the end, or where the next key with the comments above it begins."""
    first = _tasks(before, path).start_mark.line
    keys = [key.start_mark.line for key, _ in _compose(before).value]
    place = min((line for line in keys if line > first), default=len(lines))
    while place < len(lines) and place > 0 and lines[place - 1].startswith("#"):
        place -= 1
    while place > 0 and not lines[place - 1].strip():
        place -= 1
    return place


def _tasks(text: str, path: Path) -> Any:
    """The node of the tasks."""
    node = next((value for key, value in _compose(text).value if key.value == "tasks"), None)
    if node is None or not getattr(node, "value", None) or getattr(node, "flow_style", False) or node.id != "mapping":
        raise ConfigError(f"{path}: tasks: no block of tasks; expected at least one task, in lines of its own")
    return node


def _compose(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).compose(text)


def _load(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)
