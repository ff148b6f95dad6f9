"""ElectricDevices: which of seven kinds of household device drew the power of a day.

Public source: the UCR archive, as two CSV files without a header: the class, then 96 values, z-normalised. Shapes: N
rows, T = 96 times.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from unroll.core.config import DataConfig
from unroll.core.errors import DataError
from unroll.core.expectation import Expectation
from unroll.core.text import shorten
from unroll.datasets.common import raw
from unroll.datasets.common.base import Dataset, Parsed, Rejected, RemoteFile
from unroll.datasets.common.suite import between, schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BASE = "https://raw.githubusercontent.com/bejar/DLMAI/017573fc41a20d23b1093a71a56f7120723374b4/Electric/"
LICENCE = "UCR archive, free for research; cite Dau et al. 2018, The UCR Time Series Classification Archive"
FILES = (
    RemoteFile(
        "ElectricDevices_TRAIN.csv",
        f"{BASE}ElectricDevices_TRAIN.csv",
        "git-blob:832a4ea34fcdc43ac333ca8c100131c68f96f8e1",
        LICENCE,
    ),
    RemoteFile(
        "ElectricDevices_TEST.csv",
        f"{BASE}ElectricDevices_TEST.csv",
        "git-blob:8818e5a21d9f67e9f7a46e882fcefa0a6fce2a66",
        LICENCE,
    ),
)
SPLITS = ("train", "test")
LABELS = tuple("1234567")
TIMES = tuple(f"t{time:03d}" for time in range(96))
LARGEST = 9.8
"""No value of 96 can lie further from their mean: sqrt(95) = 9.75 standard deviations, for a single spike."""
MIN_OF_CLASS = 5
FLOAT32_MAX = float(np.finfo(np.float32).max)
NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class HouseholdPowerConfig(DataConfig):
    """The ``data`` block of a household power task."""

    sample_rows: int = Field(ge=70, le=1_000_000, description="Rows of the embedded sample, in each of its two files")


class HouseholdPower(Dataset[HouseholdPowerConfig]):
    """A day's 96 values and the kind of device, in the source's train and test parts."""

    Config = HouseholdPowerConfig
    kind = "labelled series"
    small = MappingProxyType({"sample_rows": 140})

    def files(self, config: HouseholdPowerConfig) -> Sequence[RemoteFile]:
        """The train and the test part."""
        return FILES

    def sample(self, folder: Path, config: HouseholdPowerConfig, rng: np.random.Generator) -> None:
        """Simulated days: events whose shape and order, not their time, tell the kind."""
        from unroll.datasets.household_power import sample as household_power

        for file in FILES:
            labels_N, days_NT = household_power.simulate(config.sample_rows, rng)
            rows = np.column_stack([labels_N, days_NT])
            np.savetxt(folder / file.name, rows, fmt=["%d", *["%.9f"] * len(TIMES)], delimiter=",", newline="\n")

    def table(self, folder: Path, config: HouseholdPowerConfig) -> Parsed:
        """Train rows, then test rows; a row with another number of columns, or a faulty value, is set aside."""
        import pyarrow as pa

        parts: list[pa.Table] = []
        rejected: list[Rejected] = []
        for file, split in zip(FILES, SPLITS, strict=True):
            part, faults = _read(raw.find(folder, file.name))
            parts.append(part.append_column("split", pa.array([split] * len(part), pa.string())))
            rejected += faults
        return Parsed(pa.concat_tables(parts).to_pandas(), rejected)

    def facts(self, table: "pd.DataFrame", config: HouseholdPowerConfig) -> "pd.DataFrame":
        """Extent, mean and spread of each row; how many rows its class has in its split; whether it stands twice."""
        import pandas as pd

        values_NT = table[list(TIMES)].to_numpy(dtype=np.float32)
        hashes = pd.util.hash_pandas_object(table[list(TIMES)], index=False)
        test = table["split"] == "test"
        groups = table["split"] + " " + table["label"]
        return pd.DataFrame(
            {
                "row_missing": np.isnan(values_NT).sum(axis=1),
                "row_min": np.fmin.reduce(values_NT, axis=1),
                "row_max": np.fmax.reduce(values_NT, axis=1),
                "row_mean": values_NT.mean(axis=1, dtype=np.float64),
                "row_std": values_NT.std(axis=1, dtype=np.float64),
                "split_and_label": groups,
                "rows_of_class": groups.map(groups.value_counts()),
                "repeats": hashes.duplicated(),
                "test_row_in_train": test & hashes.isin(hashes[~test]),
            },
            index=table.index,
        )

    def expectations(self, config: HouseholdPowerConfig) -> Sequence[Expectation]:
        """All classes on both sides, whole rows, normalised, not flat, few of them twice."""
        types = {"label": "str", "split": "str"} | dict.fromkeys(TIMES, "float32")
        labels = {"column": "label", "value_set": list(LABELS)}
        share = "expect_column_mean_to_be_between"
        return [
            *schema(types, min_rows=2 * MIN_OF_CLASS * len(LABELS)),
            Expectation("expect_column_values_to_be_in_set", labels, reason="unknown class", refuse_rows=True),
            Expectation("expect_column_distinct_values_to_equal_set", {"column": "split", "value_set": list(SPLITS)}),
            Expectation(
                "expect_column_distinct_values_to_contain_set",
                {
                    "column": "split_and_label",
                    "value_set": [f"{split} {label}" for split in SPLITS for label in LABELS],
                },
                reason="a class is missing from train or from test",
            ),
            between("rows_of_class", MIN_OF_CLASS, None, "a class is too rare in its split"),
            between("row_missing", None, 0, "missing values", refuse_rows=True),
            between("row_min", -LARGEST, None, "further from the mean than any of 96 values can be", refuse_rows=True),
            between("row_max", None, LARGEST, "further from the mean than any of 96 values can be", refuse_rows=True),
            between("row_std", 0.1, None, "constant day", refuse_rows=True),
            between("row_std", 0.9, 1.1, "not normalised to spread 1", "warning"),
            between("row_mean", -0.01, 0.01, "not normalised to mean 0", "warning"),
            Expectation(share, {"column": "repeats", "max_value": 0.1}, "warning", "share of repeated rows"),
            Expectation(share, {"column": "test_row_in_train", "max_value": 0}, "warning", "test rows also in train"),
        ]


DATASET = HouseholdPower()


def _read(path: Path) -> tuple["pa.Table", list[Rejected]]:
    """All rows at once where none is faulty; else the faulty ones are found and the others read again."""
    data = path.read_bytes()
    table = _parse(data)
    rejected: list[Rejected] = []
    if table is None:
        good, rejected = _sift(path.name, raw.decode(path.name, data))
        table = _parse("".join(f"{line}\n" for line in good).encode())
    if table is None or not len(table):
        first = f"row {rejected[0].row}, {rejected[0].what()}" if rejected else "blank lines"
        raise DataError(f"no readable row ({first}); expected a class 1 to 7 and {len(TIMES)} numbers", file=path.name)
    return table, rejected


def _parse(data: bytes) -> "pa.Table | None":
    """The rows as a table; None if any of them is not a class and 96 finite numbers."""
    import pyarrow as pa
    from pyarrow import csv

    types = {"label": pa.string()} | dict.fromkeys(TIMES, pa.float32())
    try:
        table = csv.read_csv(
            pa.py_buffer(data),
            csv.ReadOptions(column_names=list(types), use_threads=False),
            csv.ParseOptions(quote_char=False),
            csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    known = set(table["label"].unique().to_pylist()) <= set(LABELS)
    finite = all(np.isfinite(table[time].to_numpy()).all() for time in TIMES)
    return table if known and finite else None


def _sift(name: str, text: str) -> tuple[list[str], list[Rejected]]:
    good: list[str] = []
    rejected: list[Rejected] = []
    for row, line in enumerate(raw.lines(text), start=1):
        if not line:
            continue
        fault = _fault(line.split(","))
        if fault is None:
            good.append(line)
        else:
            rejected.append(Rejected(name, row, *fault))
    return good, rejected


def _fault(cells: list[str]) -> tuple[str, str, str] | None:
    """Column, value and reason of the first fault of a row."""
    if len(cells) != 1 + len(TIMES):
        return "", f"{len(cells)} columns", f"wrong number of columns; expected {1 + len(TIMES)}"
    if cells[0] not in LABELS:
        return "label", shorten(cells[0]), "unknown class; expected 1 to 7"
    for time, cell in zip(TIMES, cells[1:], strict=True):
        if not NUMBER.fullmatch(cell) or abs(float(cell)) > FLOAT32_MAX:
            return time, shorten(cell), "empty value" if not cell else "not a finite number"
    return None
