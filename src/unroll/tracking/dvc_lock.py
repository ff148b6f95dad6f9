"""What ``dvc.lock`` says of outputs, read safely beside other chains of stages; and how DVC hashes a folder.

DVC writes the file in place while it holds its own lock, ``.dvc/tmp/lock``. A stage's command runs without that lock,
so it could meet half a file, which may well be valid YAML with fewer entries: hence the same lock is taken here.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unroll.core.errors import StoreError


def outs(root: Path) -> dict[str, dict[str, str]]:
    """For each stage (``train@addition``): the path of each output and its hash. Empty where nothing has been run."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = root / "dvc.lock"
    try:
        with _dvc_lock(root):
            text = path.read_text(encoding="utf-8")
        stages: dict[str, Any] = (YAML(typ="safe").load(text) or {}).get("stages", {})
    except FileNotFoundError:
        return {}
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from None
    return {name: {out["path"]: out.get("md5", "") for out in entry.get("outs", [])} for name, entry in stages.items()}


def of_folder(folder: Path) -> str:
    """The hash that DVC gives a folder: over the sorted names and hashes of the files in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [{"md5": _md5(path.read_bytes()), "relpath": path.relative_to(folder).as_posix()} for path in files]
    return _md5(json.dumps(entries, sort_keys=True).encode()) + ".dir"


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@contextmanager
def _dvc_lock(root: Path) -> Iterator[None]:
    """Hold DVC's lock for a moment; there is none where DVC has never run."""
    path = root / ".dvc" / "tmp" / "lock"
    if not path.is_file():
        yield
        return
    with path.open("r") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
