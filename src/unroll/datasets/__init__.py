"""The datasets: one package each, named in ``data.dataset``."""

import importlib
from pathlib import Path
from typing import Any

from unroll.core.errors import ConfigError
from unroll.datasets.common.base import Dataset

SHARED = "common"
"""The package of what datasets share."""


def load(name: str) -> Dataset[Any]:
    """The dataset of the package ``unroll.datasets.<name>``; raises ConfigError for an unknown name."""
    known = names()
    if name not in known:
        raise ConfigError(f"{name!r} is not allowed; expected one of {', '.join(known)}", key="data.dataset")
    dataset: Dataset[Any] = importlib.import_module(f"unroll.datasets.{name}").DATASET
    return dataset


def names() -> list[str]:
    """Names of all datasets, without importing them."""
    return sorted(p.parent.name for p in Path(__file__).parent.glob("[a-z]*/__init__.py") if p.parent.name != SHARED)
