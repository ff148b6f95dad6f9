"""The proposal for pairs of texts: ``sequence_to_sequence``. Shapes: N pairs."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files import FilesConfig
from unroll.problems.sequence_to_sequence import sums
from unroll.workbench.new import parts
from unroll.workbench.new.blocks import Line, Proposal, lines
from unroll.workbench.new.session import Session

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


def propose(session: Session) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    pairs = _Pairs()
    plan, survey = session.read_usable(pairs.add)
    source_N, target_N = np.concatenate(pairs.source_lengths), np.concatenate(pairs.target_lengths)
    rows = len(source_N)
    if rows < FEWEST:
        raise DataError(f"{plan.look.file}: {rows} pairs; expected at least {FEWEST}")
    sources, targets = zip(*pairs.first, strict=True)
    adds = sums.find_reading(sources, targets) is not None
    train = pairs.parts["train"] if pairs.parts else rows
    cost = 0.8 * train * float(source_N.mean() + target_N.mean()) * (1 if adds else 2)
    epochs = parts.epochs_for(BUDGET, cost, 1, 40)
    why = f"{train:,} pairs of {source_N.mean():.0f} + {target_N.mean():.0f} characters"
    changed = {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1, "clip_norm": 0.1} if adds else {}
    seen = [
        f"{parts.file_names(plan)}: {rows:,} pairs",
        _lengths("sources", source_N),
        f"{_lengths('targets', target_N)}, {len(pairs.targets):,} different ones",
    ]
    blocks = {
        "data": parts.data_lines(plan, survey, {}),
        "prepare": [
            Line("problem", "sequence_to_sequence"),
            *_split(pairs.parts, plan.config),
            Line("seed", 1),
            Line("reverse_source", adds, "sums are read from the end, as one adds" if adds else ""),
            Line("max_unknown_share", 0.01, "share of characters that train may lack"),
        ],
        "model": [
            *(_PLAIN if adds else _ATTENTION),
            *lines(cell="lstm", hidden=128, layers=1, dropout=0.0 if adds else 0.2, beam_width=1),
        ],
        "train": parts.train_lines(epochs, parts.batch_for(train, 64), why, **changed),
        "gate": _gate(pairs.targets, adds),
    }
    return parts.proposal(plan, survey, seen, blocks)


def _lengths(what: str, length_N: np.ndarray) -> str:
    return f"{what} of {length_N.min()} to {length_N.max()} characters"


_PLAIN = (Line("architecture", "plain"),)
_ATTENTION = (
    Line("architecture", "attention", "each character of the answer looks at the whole source"),
    *lines(attention="dot", bidirectional_encoder=True),
)


def _split(rows: Counter[str], config: FilesConfig) -> list[Line]:
    if rows:
        share = [] if rows["validation"] else [Line("validation_share", 0.1, "of the source's train part")]
        return [Line("split", "source", "its own train and test parts"), *share]
    grouped = [Line("grouped", True, f"pairs of one {config.group} stay on one side")] if config.group else []
    drawn = Line("split", "stratified", "drawn; equal sources stay on one side")
    return [drawn, *lines(validation_share=0.05, test_share=0.1), *grouped]


def _gate(targets: Counter[str], adds: bool) -> list[Line]:
    """The most frequent answer must be beaten; the floor is low, for nobody knows how hard the pairs are."""
    _, most = targets.most_common(1)[0]
    share = most / sum(targets.values())
    threshold = 0.9 if adds else round(max(FLOOR, 2 * share), 2)
    why = "sums can be learned" if adds else "a floor: raise it to what you need"
    why = f"{why}; the most frequent answer is right in {parts.percent(share)}"
    baselines = ["digit_chance" if adds else "most_frequent"]
    return parts.gate_lines("exact_match", "higher", min(threshold, 0.9), why, baselines)
