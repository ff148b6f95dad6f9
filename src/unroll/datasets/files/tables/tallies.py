"""What rows of labelled tables add up to, chunk by chunk: labels, parts, lengths. Shapes: N rows, K kept, T steps."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files.config import PARTS, FilesConfig
from unroll.datasets.files.labels import in_order, text_of
from unroll.datasets.files.tables.sifting import Sieve

if TYPE_CHECKING:
    import pandas as pd

USUAL_PARTS = {
    **dict.fromkeys(("train", "training", "fit"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""How sources call the parts of their own split."""
STEP = re.compile(r"t\d{3,}")
MANY = 100
"""Labels of any table at most; of a large one a fifth of its rows."""
SHOWN = 12
"""Labels that a message lists."""


class Labels:
    """The labels of one block: renamed, left out and allowed as it says, and counted."""

    def __init__(self, config: FilesConfig, missing: frozenset[str]) -> None:
        self.config, self.missing = config, missing
        self.dropped: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.first: dict[tuple[str, str], str] = {}  # where each label first stands in each part
        self.mapped: set[str] = set()
        self.seen: set[str] = set()

    def read(self, column: "pd.Series[Any]", sieve: Sieve) -> np.ndarray:
        """The labels (N,) as text; rows without one or with one that is not allowed are set aside, others left out."""
        import pandas as pd

        config, dropped = self.config, set(self.config.drop_labels or ())
        code_N, distinct = pd.factorize(column)
        spelt = [text_of(value) for value in distinct]
        gone = np.array([not text or text in self.missing for text in spelt] + [True])  # the last: code -1
        sieve.refuse(gone[code_N], config.label or "label", column, "no label")
        self.seen |= {text for text, empty in zip(spelt, gone, strict=False) if not empty}
        for number, text in enumerate(spelt):
            if text in dropped and (count := sieve.leave_out(code_N == number)):
                self.dropped[text] += count
        self.mapped |= set(spelt) & set(config.label_map)
        named = np.array([config.label_map.get(text, text) for text in spelt] + [""], dtype=object)
        if config.labels:
            unknown = np.array([text not in config.labels for text in named])
            expected = _listed(config.labels)
            sieve.refuse(unknown[code_N], config.label or "label", column, f"unknown label; expected {expected}")
        label_N: np.ndarray = named[code_N]
        return label_N

    def count(self, label_K: np.ndarray, part_K: np.ndarray | None, file: str, row_K: np.ndarray) -> None:
        """Remember the labels of the rows that are kept in the end."""
        import pandas as pd

        self.kept.update(label_K.tolist())
        pairs = pd.DataFrame({"label": label_K, "part": "" if part_K is None else part_K})
        for place in np.flatnonzero(~pairs.duplicated()):
            label, part = pairs.iloc[place]
            self.first.setdefault((label, part), f"{file} row {row_K[place]}")

    def findings(self) -> dict[str, Any]:
        """How many rows each label has, and how many of those left out.

        Raises DataError for a map of no label, one label only, and a label that train lacks.
        """
        there = _listed(in_order(self.seen))
        if self.config.label_map and not self.mapped:
            first = next(iter(self.config.label_map))
            raise DataError(f"data.label_map: {first!r} is not a label in the files; expected some of {there}")
        if self.config.drop_labels and not self.dropped:
            raise DataError(
                f"data.drop_labels: {self.config.drop_labels[0]!r} is not a label in the files; "
                f"expected some of {there}"
            )
        rows = sum(self.kept.values())
        if len(self.kept) > max(MANY, rows // 5):
            raise DataError(
                f"data.label: {self.config.label!r} has {len(self.kept):,} distinct labels in {rows:,} rows ({there}); "
                "expected classes that come again and again"
            )
        self._require_classes()
        findings: dict[str, Any] = {"labels": {label: self.kept[label] for label in in_order(self.kept)}}
        unused = [label for label in self.config.label_map if label not in self.mapped]
        if unused:
            findings |= {"labels_not_there": unused, "told": [f"label_map: no row has the label {_listed(unused)}"]}
        if self.dropped:
            findings["dropped_labels"] = {label: self.dropped[label] for label in in_order(self.dropped)}
        return findings

    def _require_classes(self) -> None:
        """Raise DataError where there is nothing to tell apart, or something that nothing can be learned of."""
        column = f"column {self.config.label or 'label'}"
        if len(self.kept) == 1:
            (label,) = self.kept
            (where, *_) = self.first.values()
            raise DataError(
                f"{where}, {column}: {label!r} is the only label of {self.kept[label]:,} rows; expected two or more"
            )
        trained = in_order(label for label, part in self.first if part == "train")
        for (label, part), where in self.first.items():
            if trained and label not in trained:
                raise DataError(
                    f"{where}, {column}: the {part} part has the label {label!r}; expected one that train has: "
                    f"{_listed(trained)} (data.drop_labels leaves rows out)"
                )


class Splits:
    """Which part of the source's own split each row is of."""

    def __init__(self, config: FilesConfig) -> None:
        self.split, self.rows = config.split, Counter[str]()
        self.by_value = dict(USUAL_PARTS)
        if config.split is not None and config.split.column and config.split.given():
            self.by_value = {value: part for part, values in config.split.given().items() for value in values}

    @property
    def column(self) -> str | None:
        """The column that says it; None where files do, or nothing."""
        return self.split.column if self.split else None

    def read(self, frame: "pd.DataFrame", part: str, sieve: Sieve) -> np.ndarray | None:
        """``train``, ``validation`` or ``test`` (N,) for each row; None where the source has no split."""
        import pandas as pd

        if self.column is None:
            return np.full(len(frame), part, dtype=object) if part else None
        code_N, distinct = pd.factorize(frame[self.column])
        parts = np.array([self._part(text_of(value)) for value in distinct] + [""], dtype=object)
        part_N: np.ndarray = parts[code_N]
        sieve.refuse(
            part_N == "", self.column, frame[self.column], f"no part of the split; expected {_listed(self.by_value)}"
        )
        return part_N

    def count(self, part_K: np.ndarray) -> None:
        """Remember the parts of the rows that are kept in the end."""
        self.rows.update(part_K.tolist())

    def findings(self) -> dict[str, Any]:
        """How many rows each part has, where the source has a split."""
        return {"parts": {part: self.rows[part] for part in PARTS if part in self.rows}} if self.rows else {}

    def _part(self, text: str) -> str:
        return self.by_value.get(text) or (self.by_value.get(text.lower(), "") if not self._given() else "")

    def _given(self) -> bool:
        return bool(self.split and self.split.given())


class Lengths:
    """The shortest and the longest series of each part, "" where the source has no split. Shapes: K rows, T steps."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[int, int, str]] = {}

    def add(self, steps: Mapping[str, np.ndarray], part_K: np.ndarray, file: str, row_K: np.ndarray) -> None:
        """Look at further rows; ``steps`` are the columns t000 …, and others."""
        there = [np.isfinite(value_K) for name, value_K in steps.items() if STEP.fullmatch(name)]
        there_KT = np.stack(there, axis=1)
        length_K = there_KT.shape[1] - there_KT[:, ::-1].argmax(axis=1)  # up to the last value: empty rows are gone
        for part in dict.fromkeys(part_K.tolist()):
            own = np.flatnonzero(part_K == part)
            low, high = int(length_K[own].min()), int(length_K[own].max())
            least, most, where = self.parts.get(part, (low, high, f"{file} row {row_K[own[0]]}"))
            self.parts[part] = min(low, least), max(high, most), where

    def findings(self) -> dict[str, Any]:
        """Shortest, longest, and where the part's first series stands."""
        return {part: list(ends) for part, ends in self.parts.items()}


def _listed(names: Any) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:SHOWN]) + (f", … ({len(shown)})" if len(shown) > SHOWN else "")
