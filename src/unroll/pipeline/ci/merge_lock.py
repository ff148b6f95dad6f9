"""``unroll ci merge-lock``: ``dvc.lock`` of two branches, merged stage by stage.

Git merges lines, and two tasks' entries stand side by side in the file, so it often finds a conflict where there is
none. As a merge driver: ``git config merge.dvc-lock.driver "unroll ci merge-lock %O %A %B"`` and ``dvc.lock
merge=dvc-lock`` in ``.gitattributes``.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unroll.core import store
from unroll.core.errors import StoreError

Entries = Mapping[str, Any]


def merge(base: Path, ours: Path, theirs: Path) -> list[str]:
    """Write into ``ours`` what both sides changed since ``base``; the stages that both changed differently.

    These get no entry: neither side's holds for the merged code and parameters, and DVC runs them.
    Raises StoreError that names a file that is no ``dvc.lock``.
    """
    sides = [_read(path) for path in (base, ours, theirs)]
    merged, conflicts = three_way(*(side.get("stages") or {} for side in sides))
    schema = sides[1].get("schema") or sides[2].get("schema") or "2.0"
    store.write_text(ours, _text({"schema": schema, "stages": merged}))
    return conflicts


def three_way(base: Entries, ours: Entries, theirs: Entries) -> tuple[dict[str, Any], list[str]]:
    """The entries of both sides, and the names of those that each has changed in its own way."""
    merged, conflicts = {}, []
    for name in dict.fromkeys([*ours, *theirs]):
        before, mine, other = base.get(name), ours.get(name), theirs.get(name)
        if mine == other or other == before:
            entry = mine
        elif mine == before:
            entry = other
        else:
            entry = None
            conflicts.append(name)
        if entry is not None:
            merged[name] = entry
    return merged, conflicts


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise StoreError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not isinstance(content.get("stages") or {}, dict):
        raise StoreError(f"{path}: no entries of stages; expected a file such as DVC's dvc.lock")
    return content


def _text(content: Mapping[str, Any]) -> str:
    """As DVC writes it, so that its next change is a change of one entry."""
    from ruamel.yaml import YAML

    yaml, stream = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.dump(dict(content), stream)
    return stream.getvalue()
