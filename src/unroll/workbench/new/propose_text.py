"""The proposal for a text: ``language_model``."""

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.core.errors import DataError
from unroll.core.params import Params
from unroll.workbench.new import request as asking
from unroll.workbench.new import survey
from unroll.workbench.new.blocks import Line, Proposal
from unroll.workbench.new.parts import (
    aside_lines,
    data_lines,
    epochs_for,
    file_names,
    gate_lines,
    train_lines,
    unused_lines,
    warnings,
)
from unroll.workbench.new.request import Request

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 2000
"""Characters of a text from which nothing can be learned."""
BUDGET = 2.4e6
"""Characters that a cell of hidden size 320 reads, forward and back, in a minute or two."""
MOST_SCORES = 3_000_000
"""Numbers of the table of direct scores."""


@dataclass
class _Characters:
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, table: "pd.DataFrame") -> None:
        for line in table["text"]:
            self.counts.update(line)
        self.counts["\n"] += len(table)


def propose(params: Params, name: str, wanted: Request, root: Path) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    plan = asking.plan(params, name, wanted.block(root), root)
    characters = _Characters()
    found = survey.take(plan, characters.add, f"new {name}")
    counts = characters.counts
    total = sum(counts.values())
    lines = "one line" if found.rows == 1 else f"{found.rows:,} lines"
    told = f"{total - found.rows:,} characters in {lines}"  # line ends, which the last one may lack, not among them
    if total < FEWEST:
        raise DataError(f"{plan.look.file}: {told}; expected at least {FEWEST:,}")
    min_count = 5 if total >= 100_000 else 2
    known = {character: count for character, count in counts.items() if count >= min_count}
    unknown = 1 - sum(known.values()) / total
    hidden = 320 if total < 500_000 else 256
    budget = BUDGET * (1.0 if hidden == 320 else 1.5)
    batch = 32 if total >= 100_000 else 16
    return Proposal(
        [
            f"{file_names(plan)}: {told}, {len(counts):,} different ones",
            *unused_lines(plan),
            *aside_lines(plan, found),
        ],
        {
            "data": data_lines(plan, found, {}),
            "prepare": [
                Line("problem", "language_model"),
                Line("level", "character", "or word"),
                Line("partition", "sequential"),
                Line("lower_case", False, "true: a smaller alphabet, and a model that writes no capitals"),
                Line("validation_share", 0.05),
                Line("test_share", 0.1, "the end of the text"),
                Line(
                    "min_count",
                    min_count,
                    f"rarer characters are unknown ones: {len(counts) - len(known)} of {len(counts)}",
                ),
                Line("max_unknown_share", round(max(0.001, 3 * unknown), 4)),
                Line("bptt", 32),
            ],
            "model": [
                Line("architecture", "carried"),
                *_direct(len(known), wanted),
                Line("embedding", 64),
                Line("embedding_dropout", 0.1),
                Line("cell", "lstm"),
                Line("hidden", hidden),
                Line("layers", 1),
                Line("dropout", 0.5 if total < 300_000 else 0.3),
            ],
            "train": train_lines(
                epochs_for(budget, 0.85 * total, 2, 24), batch, f"{total:,} characters", learning_rate=0.008
            ),
            "gate": _gate(counts),
        },
        warnings(plan, found),
    )


def _direct(alphabet: int, wanted: Request) -> list[Line]:
    """Scores of groups of characters, as many as memory has room for; none where the alphabet is too large.

    Nor where a person asks for words, or for windows, which have none.
    """
    if wanted.given.get("prepare.level") == "word" or wanted.given.get("model.architecture") == "window":
        return []
    buckets = 65_536
    while buckets * alphabet > MOST_SCORES and buckets > 1024:
        buckets //= 2
    if buckets * alphabet > MOST_SCORES:
        return [Line("direct_order", 0, "no table of direct scores: the alphabet is large")]
    return [
        Line("direct_order", 5, "characters in a row that have scores of their own"),
        Line("direct_buckets", buckets),
        Line("direct_min_count", 2),
        Line("direct_dropout", 0.5),
    ]


def _gate(counts: Counter[str]) -> list[Line]:
    """What frequencies alone give is the floor; n-grams must be beaten, too."""
    total = sum(counts.values())
    bits = -sum(count / total * math.log2(count / total) for count in counts.values())
    why = "what the frequencies of single characters give; the n-grams are the bar"
    return gate_lines("bits_per_character", "lower", round(bits, 2), why, ["unigram", "ngram"])
