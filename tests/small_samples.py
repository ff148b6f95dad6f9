"""Small samples of every dataset that has one, as raw files in a folder."""

from pathlib import Path
from typing import Any

import numpy as np

from unroll import datasets
from unroll.core.config import DataConfig
from unroll.datasets.common.base import Dataset, Parsed

NAMES = tuple(name for name in datasets.names() if not datasets.load(name).in_place)
"""Datasets with a sample: those whose files are the user's own have none."""


def small(name: str, **changes: Any) -> tuple[Dataset[Any], DataConfig]:
    """A dataset and a config for little data."""
    dataset = datasets.load(name)
    values = {"dataset": name, "seed": 7, "max_rejected_share": 0.01, **dataset.small, **changes}
    return dataset, dataset.Config.model_validate(values)


def write(name: str, folder: Path, **changes: Any) -> tuple[Dataset[Any], DataConfig]:
    """A small sample in ``folder``."""
    dataset, config = small(name, **changes)
    folder.mkdir(parents=True, exist_ok=True)
    dataset.sample(folder, config, np.random.default_rng(config.seed))
    return dataset, config


def table(name: str, folder: Path, **changes: Any) -> Parsed:
    """The table of a small sample."""
    dataset, config = write(name, folder, **changes)
    return dataset.table(folder, config)
