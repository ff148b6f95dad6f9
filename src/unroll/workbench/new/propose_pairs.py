"""The proposal for pairs of texts: ``sequence_to_sequence``. Shapes: N pairs."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.errors import DataError
from unroll.core.params import Params
from unroll.datasets.files import FilesConfig
from unroll.problems.sequence_to_sequence import sums
from unroll.workbench.new import request as asking
from unroll.workbench.new import survey
from unroll.workbench.new.blocks import Line, Proposal
from unroll.workbench.new.parts import (
    aside_lines,
    batch_for,
    data_lines,
    epochs_for,
    file_names,
    gate_lines,
    percent,
    train_lines,
    unused_lines,
    warnings,
)
from unroll.workbench.new.request import Request

if TYPE_CHECKING:
    import pandas as pd

BUDGET = 6e6
"""Characters of sources and targets that cells of hidden size 128 read, forward and back, in a minute or two."""
SAMPLE = 2000
FEWEST = 50
FLOOR = 0.05


@dataclass
class _Pairs:
    source_lengths: list[np.ndarray] = field(default_factory=list)
    target_lengths: list[np.ndarray] = field(default_factory=list)
    targets: Counter[str] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)
    first: list[tuple[str, str]] = field(default_factory=list)

    def add(self, table: "pd.DataFrame") -> None:
        self.source_lengths.append(table["source"].str.len().to_numpy(dtype=np.int64))
        self.target_lengths.append(table["target"].str.len().to_numpy(dtype=np.int64))
        self.targets.update(table["target"].tolist())
        if "split" in table:
            self.parts.update(table["split"].tolist())
        rest = table.head(max(SAMPLE - len(self.first), 0))
        self.first += list(zip(rest["source"], rest["target"], strict=True))


def propose(params: Params, name: str, wanted: Request, root: Path) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    plan = asking.plan(params, name, wanted.block(root), root)
    pairs = _Pairs()
    found = survey.take(plan, pairs.add, f"new {name}")
    source_N, target_N = np.concatenate(pairs.source_lengths), np.concatenate(pairs.target_lengths)
    rows = len(source_N)
    if rows < FEWEST:
        raise DataError(f"{plan.look.file}: {rows} pairs; expected at least {FEWEST}")
    sources, targets = zip(*pairs.first, strict=True)
    adds = sums.find_reading(sources, targets) is not None
    train = pairs.parts["train"] if pairs.parts else rows
    cost = 0.8 * train * float(source_N.mean() + target_N.mean()) * (1 if adds else 2)
    epochs = epochs_for(BUDGET, cost, 1, 40)
    why = f"{train:,} pairs of {source_N.mean():.0f} + {target_N.mean():.0f} characters"
    changed = {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1, "clip_norm": 0.1} if adds else {}
    return Proposal(
        [
            f"{file_names(plan)}: {rows:,} pairs",
            _lengths("sources", source_N),
            f"{_lengths('targets', target_N)}, {len(pairs.targets):,} different ones",
            *unused_lines(plan),
            *aside_lines(plan, found),
        ],
        {
            "data": data_lines(plan, found, {}),
            "prepare": [
                Line("problem", "sequence_to_sequence"),
                *_split(pairs.parts, plan.config),
                Line("seed", 1),
                Line("reverse_source", adds, "sums are read from the end, as one adds" if adds else ""),
                Line("max_unknown_share", 0.01, "share of characters that train may lack"),
            ],
            "model": [
                *(_PLAIN if adds else _ATTENTION),
                Line("cell", "lstm"),
                Line("hidden", 128),
                Line("layers", 1),
                Line("dropout", 0.0 if adds else 0.2),
                Line("beam_width", 1),
            ],
            "train": train_lines(epochs, batch_for(train, 64), why, **changed),
            "gate": _gate(pairs.targets, adds),
        },
        warnings(plan, found),
    )


def _lengths(what: str, length_N: np.ndarray) -> str:
    return f"{what} of {length_N.min()} to {length_N.max()} characters"


_PLAIN = (Line("architecture", "plain"),)
_ATTENTION = (
    Line("architecture", "attention", "each character of the answer looks at the whole source"),
    Line("attention", "dot"),
    Line("bidirectional_encoder", True),
)


def _split(parts: Counter[str], config: FilesConfig) -> list[Line]:
    if parts:
        share = [] if parts["validation"] else [Line("validation_share", 0.1, "of the source's train part")]
        return [Line("split", "source", "its own train and test parts"), *share]
    grouped = [Line("grouped", True, f"pairs of one {config.group} stay on one side")] if config.group else []
    drawn = "drawn; equal sources stay on one side"
    return [Line("split", "stratified", drawn), Line("validation_share", 0.05), Line("test_share", 0.1), *grouped]


def _gate(targets: Counter[str], adds: bool) -> list[Line]:
    """The most frequent answer must be beaten; the floor is low, for nobody knows how hard the pairs are."""
    _, most = targets.most_common(1)[0]
    share = most / sum(targets.values())
    threshold = 0.9 if adds else round(max(FLOOR, 2 * share), 2)
    why = "sums can be learned" if adds else "a floor: raise it to what is of use to you"
    why = f"{why}; the most frequent answer is right in {percent(share)}"
    baselines = ["digit_chance" if adds else "most_frequent"]
    return gate_lines("exact_match", "higher", min(threshold, 0.9), why, baselines)
