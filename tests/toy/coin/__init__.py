"""A toy dataset: walks of a few tosses of a coin, each labelled by the side that came up more often."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from pydantic import Field

from unroll.core.config import DataConfig
from unroll.core.expectation import Expectation
from unroll.datasets.common import raw
from unroll.datasets.common.base import Dataset, Parsed, RemoteFile
from unroll.datasets.common.suite import between, schema

FILE = "coin.txt"


class CoinConfig(DataConfig):
    """The ``data`` block of a task on coins."""

    tosses: int = Field(ge=1, le=99, description="Tosses of a walk, an odd number")
    walks: int = Field(ge=20)


class Coin(Dataset[CoinConfig]):
    """A line of + and - a walk."""

    Config = CoinConfig
    kind = "labelled series"
    small = MappingProxyType({"tosses": 9, "walks": 200})

    def files(self, config: CoinConfig) -> Sequence[RemoteFile]:
        """None: the walks are made."""
        return ()

    def sample(self, folder: Path, config: CoinConfig, rng: np.random.Generator) -> None:
        """Walks of a fair coin."""
        tosses = rng.choice(["+", "-"], (config.walks, config.tosses))
        (folder / FILE).write_text("".join(f"{''.join(walk)}\n" for walk in tosses), encoding="ascii")

    def table(self, folder: Path, config: CoinConfig) -> Parsed:
        """The tosses as numbers, 1 and -1."""
        import pandas as pd

        lines = raw.lines(raw.decode(FILE, raw.find(folder, FILE).read_bytes()))
        values = np.array([[1 if toss == "+" else -1 for toss in line] for line in lines], dtype=np.float32)
        labels = np.where(values.sum(axis=1) > 0, "heads", "tails")
        columns = {f"t{step:03d}": values[:, step] for step in range(values.shape[1])}
        return Parsed(pd.DataFrame({"label": pd.array(labels, dtype="str"), **columns}), [])

    def expectations(self, config: CoinConfig) -> Sequence[Expectation]:
        """Every toss is one of the two."""
        return [*schema({"label": "str", "t000": "float32"}, min_rows=20), between("t000", -1, 1, "no toss of a coin")]


DATASET = Coin()
