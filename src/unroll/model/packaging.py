"""What MLflow gets beside a registered model: its files, the code that serves it, its requirements and signature."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.core import store
from unroll.core.layout import Layout
from unroll.model.trained import READER

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

PACKAGE = Path(__file__).parents[1]
SCRIPT = PACKAGE / "model" / "mlflow_model.py"
"""The served model as code."""
CODE = (
    "__init__.py", "core", "features", "model", "nn", "problems/__init__.py", "problems/common", "problems/windows",
)  # fmt: skip
"""The modules and packages that serving runs for every problem; all of this package lies beside the served model."""
PACKAGES = ("mlflow", "numpy", "pandas", "pydantic", "safetensors", "torch")
"""What serving imports; each is pinned to the version that made the model."""


def artifacts(layout: Layout) -> dict[str, str]:
    """The files that a registered model takes along, by name: its folder, and how the user's own files are read."""
    block = reader(layout)
    if block is None:
        return {"model": str(layout.model)}
    store.write_json(layout.state / READER, block)
    return {"model": str(layout.model), "reader": str(layout.state / READER)}


def reader(layout: Layout) -> Any:
    """The block by which the user's own files were read; None for tasks on other data."""
    manifest = layout.raw / "manifest.json"
    return store.read_json(manifest).get("found", {}).get("block") if manifest.is_file() else None


def requirements() -> list[str]:
    """Pinned requirements of a served model; a build tag such as ``+cpu`` is no public version and is left out."""
    return [f"{name}=={version(name).split('+')[0]}" for name in PACKAGES]


def code_hash(problem: str) -> str:
    """The SHA-256 over the names and bytes of the code that serving a model of that problem runs.

    Other problems' packages are no part of it: a change there makes no new version of this one's models.
    """
    package, digest = PACKAGE, hashlib.sha256()
    for entry in (*CODE, f"problems/{problem}"):
        place = package / entry
        for path in [place] if place.suffix == ".py" else sorted(place.rglob("*.py")):
            digest.update(f"{path.relative_to(package).as_posix()} {store.sha256(path)}\n".encode())
    return digest.hexdigest()


def signature(example: "pd.DataFrame", answer: "pd.DataFrame", optional: Sequence[str]) -> "ModelSignature":
    """What the model takes and gives, from an example, and columns that may stand beside those of the example.

    Text is text. Numbers and times are ``any``: MLflow would refuse whole numbers where it knows of doubles, and has
    no type for a time that comes as ISO 8601 text or as a timestamp with or without a zone. The problem reads them
    all, and refuses what is none by row and column; the example shows them.
    """
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    anything = AnyType()  # type: ignore[no-untyped-call]
    texts = set(example.select_dtypes("str").columns)
    columns = [ColSpec(DataType.string if name in texts else anything, name) for name in example]
    columns += [ColSpec(anything, name, required=False) for name in optional]
    return ModelSignature(Schema([*columns]), infer_signature(None, answer).outputs)
