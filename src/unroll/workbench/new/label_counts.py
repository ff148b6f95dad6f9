"""What labelled rows have in common: rows of each label and part, labels too rare to learn, how rows are split."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from unroll.core.errors import DataError
from unroll.datasets.files import FilesConfig
from unroll.datasets.files.labels import alike, in_order
from unroll.datasets.files.reading import missing
from unroll.workbench.new.blocks import Line
from unroll.workbench.new.parts import counted, gate_lines

if TYPE_CHECKING:
    import pandas as pd

RARE = 5
"""Rows of a label below which neither learning nor judging makes sense."""
LISTED = 20
"""Labels that the block lists, so that others are set aside."""
MAX_LABELS = 1000


@dataclass
class Labels:
    """Rows by label and by part of the source's own split, "" where it has none."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, table: "pd.DataFrame") -> None:
        """Count a part of the table."""
        split = table["split"] if "split" in table else [""] * len(table)
        self.counts.update(zip(table["label"], split, strict=True))

    @property
    def has_split(self) -> bool:
        """Whether the source has a split of its own."""
        return any(part for _, part in self.counts)

    def rows(self, *parts: str) -> Counter[str]:
        """Rows by label, of some parts or of all."""
        rows: Counter[str] = Counter()
        for (label, part), count in self.counts.items():
            if not parts or part in parts:
                rows[label] += count
        return rows

    def trained(self) -> Counter[str]:
        """Rows by label that train and, where it is yet to be drawn, validation are made of."""
        return self.rows("train") if self.has_split else self.rows()

    def rare(self) -> list[str]:
        """Labels with too few rows, or with none to learn from."""
        train = self.trained()
        return in_order(label for label in self.rows() if train[label] < RARE)

    def data(self, config: FilesConfig, file: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
        """Keys of the data block that labels decide, with reasons; raises DataError where none can be learned."""
        rows, rare = self.rows(), self.rare()
        kept = in_order(label for label in rows if label not in rare)
        if len(kept) < 2:
            text = f"{counted(rows) or 'no label'}; expected at least two labels of {RARE} rows"
            raise DataError(f"{file}, column {config.label}: {text}")
        if len(kept) > MAX_LABELS:
            text = f"{len(kept):,} different labels; expected at most {MAX_LABELS:,} (--label names the column)"
            raise DataError(f"{file}, column {config.label}: {text}")
        keys: dict[str, Any] = {}
        whys = {"label": [counted(rows)]}
        if rare:
            spelt = [raw for raw, new in config.label_map.items() if new in rare]
            spelt += [label for label in rare if label not in config.label_map.values()]
            keys["drop_labels"] = [*(config.drop_labels or ()), *spelt]
            whys["drop_labels"] = [f"too rare to learn: {self._shown(rare, 8)}"]
        if len(kept) <= LISTED:
            keys["labels"] = kept
            whys["labels"] = ["rows with any other label are set aside"]
        return keys, whys

    def warnings(self) -> list[str]:
        """What a person should know of the labels before the block is written: rare ones, and ones that look alike."""
        rare, warnings = self.rare(), list[str]()
        usual = [label for label in self.rows() if label not in rare]
        if rare:
            of_train = " in train" if self.has_split else ""
            few = f"labels left out, with fewer than {RARE} rows{of_train} to learn from"
            warnings.append(f"{few}: {self._shown(rare, 8)}")
        if odd := [label for label in usual if _is_no_label(label, self.rows())]:
            warnings.append(
                f"labels that may mean that there is none: {self._shown(odd)}; data.drop_labels leaves their rows out"
            )
        if groups := alike(usual):
            shown = "; ".join(map(self._shown, groups))
            warnings.append(
                f"labels that differ only in their case are different ones: {shown}; data.label_map makes them one"
            )
        return warnings

    def _shown(self, labels: Collection[str], most: int = 12) -> str:
        rows = self.rows()
        return counted({label: rows[label] for label in labels}, most)

    def split(self, config: FilesConfig) -> list[Line]:
        """How rows become train, validation and test."""
        small = sum(self.trained().values()) < 2000  # of which a tenth would be too few to judge by
        share = 0.2 if small else 0.1
        if self.has_split:
            source = Line("split", "source", "its own train and test parts")
            if any(part == "validation" for _, part in self.counts):
                return [source]
            return [source, Line("validation_share", share, "of the source's train part")]
        grouped = [Line("grouped", True, f"rows of one {config.group} stay on one side")] if config.group else []
        return [
            Line("split", "stratified", "drawn label by label; equal rows stay on one side"),
            Line("validation_share", share),
            Line("test_share", 0.2 if sum(self.rows().values()) < 5000 else 0.1),
            *grouped,
        ]

    def gate(self, baselines: list[str]) -> list[Line]:
        """The largest label's share is the floor; the baselines must be beaten."""
        rows = self.trained()
        label, most = max(rows.items(), key=lambda pair: pair[1])
        share = most / max(sum(rows.values()), 1)
        why = f"the share of {label}, the largest label: raise it to what you need"
        return gate_lines("accuracy", "higher", round(share, 2), why, baselines)

    def size(self) -> str:
        """How many rows of which part."""
        if not self.has_split:
            return f"{sum(self.rows().values()):,} rows"
        parts = Counter[str]()
        for (_, part), count in self.counts.items():
            parts[part] += count
        return ", ".join(f"{part} {count:,} rows" for part, count in parts.items())


def _is_no_label(label: str, labels: Collection[str]) -> bool:
    """Whether a label is a usual word for a missing one, or −1 where the others are not 1 alone."""
    return label in missing.WORDS or (label == "-1" and {*labels} != {"-1", "1"})
