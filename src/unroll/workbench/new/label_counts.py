"""What labelled rows have in common: numbers of each label and part, labels too rare to learn, how rows are split."""

from collections import Counter
from collections.abc import Collection, Mapping
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
MOST_LABELS = 1000


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
        found: Counter[str] = Counter()
        for (label, part), count in self.counts.items():
            if not parts or part in parts:
                found[label] += count
        return found

    def trained(self) -> Counter[str]:
        """Rows by label that train and, where it is yet to be drawn, validation are made of."""
        return self.rows("train") if self.has_split else self.rows()

    def rare(self) -> list[str]:
        """Labels with too few rows, or with none to learn from."""
        train = self.trained()
        return in_order(label for label in self.rows() if train[label] < RARE)

    def data(self, config: FilesConfig, file: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Keys of the data block that labels decide, with reasons; raises DataError where none can be learned."""
        rows, rare = self.rows(), self.rare()
        kept = in_order(label for label in rows if label not in rare)
        if len(kept) < 2:
            raise DataError(
                f"{file}, column {config.label}: {counted(rows) or 'no label'}; expected at least two labels of {RARE} "
                "rows"
            )
        if len(kept) > MOST_LABELS:
            raise DataError(
                f"{file}, column {config.label}: {len(kept):,} different labels; expected at most {MOST_LABELS:,} "
                "(--label names the column)"
            )
        found: dict[str, Any] = {}
        whys: dict[str, str] = {"label": counted(rows)}
        if rare:
            spelt = [raw for raw, new in config.label_map.items() if new in rare]
            spelt += [label for label in rare if label not in config.label_map.values()]
            found["drop_labels"] = [*(config.drop_labels or ()), *spelt]
            shown = counted({label: rows[label] for label in rare}, 8)
            whys["drop_labels"] = f"too rare to learn: {shown}"
        if len(kept) <= LISTED:
            found["labels"] = kept
            whys["labels"] = "rows with any other label are set aside"
        return found, whys

    def warnings(self) -> list[str]:
        """What a person should know of the labels before the block is written: rare ones, and ones that look alike."""
        rows, found = self.rows(), []
        if rare := self.rare():
            of_train = " in train" if self.has_split else ""
            shown = counted({label: rows[label] for label in rare}, 8)
            found.append(f"labels left out, with fewer than {RARE} rows{of_train} to learn from: {shown}")
        if odd := [label for label in rows if label not in rare and _says_nothing(label, rows)]:
            shown = counted({label: rows[label] for label in odd})
            found.append(f"labels that may mean that there is none: {shown}; data.drop_labels leaves their rows out")
        if groups := alike(label for label in rows if label not in rare):
            shown = "; ".join(counted({label: rows[label] for label in group}) for group in groups)
            found.append(
                f"labels that differ only in their case are different ones: {shown}; data.label_map makes them one"
            )
        return found

    def split(self, config: FilesConfig) -> list[Line]:
        """How rows become train, validation and test."""
        parts = {part for _, part in self.counts}
        if self.has_split:
            share = (
                []
                if "validation" in parts
                else [Line("validation_share", self._validation(), "of the source's train part")]
            )
            return [Line("split", "source", "its own train and test parts"), *share]
        lines = [
            Line("split", "stratified", "drawn label by label; equal rows stay on one side"),
            Line("validation_share", self._validation()),
            Line("test_share", 0.2 if sum(self.rows().values()) < 5000 else 0.1),
        ]
        grouped = [Line("grouped", True, f"rows of one {config.group} stay on one side")] if config.group else []
        return [*lines, *grouped]

    def gate(self, baselines: list[str]) -> list[Line]:
        """The largest label's share is the floor; the baselines must be beaten."""
        rows = self.trained()
        label, most = max(rows.items(), key=lambda pair: pair[1])
        share = most / max(sum(rows.values()), 1)
        why = f"the share of {label}, the largest label: raise it to what is of use to you"
        return gate_lines("accuracy", "higher", round(share, 2), why, baselines)

    def told(self) -> str:
        """How many rows of which part."""
        if not self.has_split:
            return f"{sum(self.rows().values()):,} rows"
        parts = Counter[str]()
        for (_, part), count in self.counts.items():
            parts[part] += count
        return ", ".join(f"{part} {count:,} rows" for part, count in parts.items())

    def _validation(self) -> float:
        """A tenth; more of a small source, where a tenth would tell little."""
        return 0.1 if sum(self.trained().values()) >= 2000 else 0.2


def _says_nothing(label: str, labels: Collection[str]) -> bool:
    """Whether a label is a usual word for a missing one, or −1 where the others are not 1 alone."""
    return label in missing.WORDS or (label == "-1" and {*labels} != {"-1", "1"})


def rejected(found: Mapping[str, Any]) -> str:
    """What was left out as the block asks, for a line; empty where nothing was."""
    dropped = found.get("dropped_labels", {})
    return f"left out: {counted(dropped)}" if dropped else ""
