"""Small samples of every dataset, as raw files in a folder."""

from pathlib import Path
from typing import Any

import numpy as np

from unroll import datasets
from unroll.core.config import DataConfig
from unroll.datasets.common.base import Dataset, Parsed

SMALL: dict[str, dict[str, Any]] = {
    "air_quality": {"sample_hours": 1000},
    "household_power": {"sample_rows": 140},
    "tweets": {"sample_rows": 400},
    "poetry": {"text": "poetry2", "sample_characters": 6000},
    "addition": {"digits": 3, "count": 500, "reverse": True},
}
NAMES = tuple(SMALL)


def small(name: str, **changes: Any) -> tuple[Dataset[Any], DataConfig]:
    """A dataset and a config for little data."""
    dataset = datasets.load(name)
    values = {"dataset": name, "seed": 7, "max_rejected_share": 0.01, **SMALL[name], **changes}
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
