"""Answers from a trained model: raw input in, answer out, with everything between taken from the model's folder."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.problems.base import Prepared
from unroll.trained import Trained

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

SCRIPT = Path(__file__).with_name("serving_model.py")
"""The served model as code."""
PACKAGES = ("mlflow", "numpy", "pandas", "pydantic", "safetensors", "torch")
"""What serving imports; each is pinned to the version that made the model."""


@dataclass(frozen=True)
class Predictor:
    """A trained network with what it needs to answer: ``models/<task>`` or a copy of it."""

    trained: Trained

    @classmethod
    def load(cls, folder: Path) -> "Predictor":
        """Load the model; raises StoreError that names a missing or damaged file."""
        return cls(Trained.load(folder))

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """A small raw input that ``predict`` takes."""
        return self.trained.problem.example(prepared)

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The answer to raw input; raises DataError that names the row and column of a faulty one."""
        import torch

        with torch.inference_mode():
            return self.trained.problem.predict(self.trained.model, self.trained.meta, frame)


def requirements() -> list[str]:
    """Pinned requirements of a served model; a build tag such as ``+cpu`` is no public version and is left out."""
    return [f"{name}=={version(name).split('+')[0]}" for name in PACKAGES]


def signature(example: "pd.DataFrame", answer: "pd.DataFrame") -> "ModelSignature":
    """What the model takes and gives, from an example.

    Numbers are doubles, as JSON and CSV have them (MLflow refuses to narrow them). A time may come as ISO 8601 text or
    as a timestamp with or without a zone; MLflow has no type for that but ``any``, and the problem parses it.
    """
    from mlflow.models import ModelSignature
    from mlflow.models.signature import infer_signature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    wide = example.astype(dict.fromkeys(example.select_dtypes("number").columns, "float64"))
    found = infer_signature(wide, answer)
    anything = AnyType()  # type: ignore[no-untyped-call]
    times = set(example.select_dtypes(["datetime", "datetimetz"]).columns)
    columns = [ColSpec(anything, spec.name) if spec.name in times else spec for spec in found.inputs.inputs]
    return ModelSignature(Schema(columns), found.outputs)
