"""Answers from trained models: over HTTP, from files, as text drawn token by token."""

from typing import Any


def __getattr__(name: str) -> Any:
    """``Predictor``, which a model that an older version registered imports from here in the code it carries along."""
    if name == "Predictor":
        from unroll.model.predictor import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
