"""What a task's results depend on beside code and parameters: files that lie where DVC does not look, and libraries.

``data/fingerprints/<task>.json`` holds the hash of each file that params.yaml names (a source folder, the user's own
files, word vectors) and the versions of the libraries that make the bytes of outputs. It is in git, as ``dvc.lock`` is,
and a stage depends on its keys as on parameters: so a changed file or another torch makes stale what it concerns.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from unroll.core import store
from unroll.core.errors import DataError, StoreError
from unroll.stages.common.task import Task
from unroll.stages.ingest import ingest

STAGE = "fingerprint"
"""It runs whenever DVC looks at a task: nothing tells DVC that a file elsewhere has changed."""
LIBRARIES = (
    *("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "statsmodels"),
    *("torch", "safetensors", "matplotlib", "great-expectations"),
)
"""Those whose code makes what stands in an output of DVC."""
MISSING = "missing"
"""Of a file that is not there: the stage that reads it runs, and says so."""


def write(task: Task) -> None:
    """Bring the task's fingerprint up to date; the file is not touched where it is."""
    taken = take(task)
    if taken != _written(task):
        store.write_json(task.layout.fingerprint, taken)


def is_current(task: Task) -> bool:
    """Whether the task's fingerprint as written is what would be written now."""
    return bool(take(task) == _written(task))


def _written(task: Task) -> Any:
    try:
        return store.read_json(task.layout.fingerprint)
    except StoreError:
        return None


def take(task: Task) -> dict[str, Any]:
    """Hashes of the files that ingest and prepare read, by name, and versions of libraries."""
    files = {name: _hash(path) for name, path in task.files().items()}
    return {
        "files": {"ingest": _source(task), "prepare": files},
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _source(task: Task) -> dict[str, str]:
    dataset, config = task.dataset()
    source = task.source(config)
    try:
        return ingest.source_fingerprint(dataset, config, source, task.layout.root) or {}
    except (DataError, StoreError, OSError):
        return {source: MISSING}


def _hash(path: Path) -> str:
    try:
        return store.sha256(path)
    except (StoreError, OSError):
        return MISSING


def _version(name: str) -> str:
    """As published: without the part after a plus, which says how a wheel was built."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return MISSING
