"""Additions as strings, such as 123+456 and 579: a sequence to be turned into another. Made, never downloaded."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from unroll.core.config import DataConfig
from unroll.core.errors import DataError
from unroll.core.expectation import Expectation
from unroll.core.text import shorten
from unroll.datasets.common import raw
from unroll.datasets.common.base import Dataset, Parsed, Rejected, RemoteFile
from unroll.datasets.common.suite import between, schema

if TYPE_CHECKING:
    import pandas as pd

FILE = "addition.csv"
HEADER = ("source", "target")


def possible(digits: int) -> int:
    """How many different sums of two numbers of at most ``digits`` digits there are, a+b and b+a being one.

    >>> possible(1), possible(3)
    (55, 500500)
    """
    return 10**digits * (10**digits + 1) // 2


class AdditionConfig(DataConfig):
    """The ``data`` block of an addition task."""

    digits: int = Field(ge=1, le=9, description="Digits of an operand, at most")
    count: int = Field(ge=1, le=5_000_000, description="Different sums, a+b and b+a being one")
    reverse: bool = Field(description="Whether the source is written from right to left: 654+321 for 123+456")

    @field_validator("count")
    @classmethod
    def _possible(cls, count: int, info: ValidationInfo) -> int:
        digits = info.data.get("digits")
        if digits is not None and count > possible(digits):
            raise ValueError(f"at most {possible(digits):,} different sums have operands of at most {digits} digits")
        return count


class Addition(Dataset[AdditionConfig]):
    """A source such as 123+456 and its target 579."""

    Config = AdditionConfig
    kind = "pairs"
    small = MappingProxyType({"digits": 3, "count": 500, "reverse": True})

    def files(self, config: AdditionConfig) -> Sequence[RemoteFile]:
        """None: the sums are made."""
        return ()

    def sample(self, folder: Path, config: AdditionConfig, rng: np.random.Generator) -> None:
        """A CSV of ``count`` sums in the order drawn."""
        from unroll.datasets.addition import sample as addition

        with (folder / FILE).open("w", encoding="ascii", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(HEADER)
            for a, b in addition.draw(config.digits, config.count, rng).tolist():
                writer.writerow((f"{a}+{b}"[::-1] if config.reverse else f"{a}+{b}", a + b))

    def table(self, folder: Path, config: AdditionConfig) -> Parsed:
        """Sources and targets as they stand; anything but a sum of two numbers of that length is set aside."""
        import pandas as pd

        path = raw.find(folder, FILE)
        lines = raw.lines(raw.decode(FILE, path.read_bytes()))
        if tuple(lines[0].split(",")) != HEADER:
            raise DataError(f"{shorten(lines[0])!r}; expected the columns {','.join(HEADER)}", file=FILE, row=1)
        number = "[0-9]{1,%d}"
        operand, total = number % config.digits, number % (config.digits + 1)
        rows = pd.Series(lines[1:], dtype="str")
        cells = rows.str.extract(rf"^(?P<source>{operand}\+{operand}),(?P<target>{total})$")
        faulty = cells["source"].isna()
        rejected = [_fault(at + 2, rows[at], operand) for at in rows.index[faulty]]
        if faulty.all():
            seen = f"; row 2: {rejected[0].what()}" if rejected else ""
            raise DataError(f"no readable row; expected a sum such as 12+345 and its result in each{seen}", file=FILE)
        return Parsed(cells[~faulty].reset_index(drop=True), rejected)

    def facts(self, table: "pd.DataFrame", config: AdditionConfig) -> "pd.DataFrame":
        """``sum_error``: the sum less the target; whether the row is plainly written, and whether it ``repeats``."""
        import pandas as pd

        text = table["source"].str[::-1] if config.reverse else table["source"]
        operands = text.str.split("+", expand=True)
        a, b, target = operands[0].astype("int64"), operands[1].astype("int64"), table["target"].astype("int64")
        plain = (a.astype("str") + "+" + b.astype("str") == text) & (target.astype("str") == table["target"])
        pairs = pd.DataFrame({"less": a.where(a < b, b), "more": a.where(a >= b, b)})
        return pd.DataFrame({"sum_error": a + b - target, "plain": plain, "repeats": pairs.duplicated()})

    def expectations(self, config: AdditionConfig) -> Sequence[Expectation]:
        """Every sum is right, written without needless zeros, and there only once."""
        in_set = "expect_column_values_to_be_in_set"
        once = {"column": "repeats", "value_set": [False]}
        return [
            *schema({"source": "str", "target": "str"}, min_rows=20),
            *(Expectation("expect_column_values_to_not_be_null", {"column": name}) for name in HEADER),
            between("sum_error", 0, 0, "wrong sum"),
            Expectation(in_set, {"column": "plain", "value_set": [True]}, reason="needless zeros"),
            Expectation(in_set, once, reason="the same sum twice, or the operands swapped"),
            Expectation("expect_table_row_count_to_equal", {"value": config.count}, reason="other than data.count"),
        ]


DATASET = Addition()


def _fault(row: int, line: str, operand: str) -> Rejected:
    """Which column of an unreadable row is at fault, and why."""
    cells = line.split(",")
    if len(cells) != len(HEADER):
        return Rejected(FILE, row, "", f"{len(cells)} columns", f"wrong number of columns; expected {len(HEADER)}")
    at = 1 if re.fullmatch(rf"{operand}\+{operand}", cells[0]) else 0
    expected = ("a sum such as 12+345", "its result")[at]
    return Rejected(FILE, row, HEADER[at], shorten(cells[at]), f"expected {expected}, with numbers of few digits")
