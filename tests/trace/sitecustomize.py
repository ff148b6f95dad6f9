"""Notes what a stage imports, which parameters it reads and which files it opens, for tests/test_dvc_yaml.py.

Python imports this module at its start when its folder is on PYTHONPATH; it does something only in a process that is a
stage (``python pipelines/<stage>.py <task>``) and with UNROLL_TRACE naming a folder.
"""

import atexit
import json
import os
import sys
from pathlib import Path
from typing import Any


def _trace(folder: Path, script: str, task: str) -> None:
    from unroll.core.params import Params

    root = Path.cwd()
    opened: set[str] = set()
    read: list[set[str]] = []
    create = Params.__init__

    def create_and_keep(self: Params, path: Path) -> None:
        create(self, path)
        read.append(self.reads)

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            opened.add(os.path.abspath(os.fspath(arguments[0])))  # noqa: PTH100 - pathlib here would trace itself

    def write() -> None:
        files = [Path(m.__file__) for n, m in list(sys.modules.items()) if n.split(".")[0] == "unroll" and m.__file__]
        found = {
            "modules": sorted({file.relative_to(root).as_posix() for file in files}),
            "params": sorted(set().union(*read)),
            "opened": sorted(p.removeprefix(f"{root}/") for p in opened if p.startswith(f"{root}/")),
        }
        (folder / f"{Path(script).stem}@{task}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")

    Params.__init__ = create_and_keep  # type: ignore[method-assign]
    sys.addaudithook(on_event)
    atexit.register(write)


if os.environ.get("UNROLL_TRACE") and len(sys.orig_argv) == 3 and sys.orig_argv[1].startswith("pipelines/"):
    _trace(Path(os.environ["UNROLL_TRACE"]), *sys.orig_argv[1:])
