"""The proposal for a text: ``language_model``."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unroll.core.errors import DataError
from unroll.workbench.new import parts
from unroll.workbench.new.blocks import Line, Proposal, lines
from unroll.workbench.new.request import Request
from unroll.workbench.new.session import Session

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 2000
"""Characters that a text must have for anything to be learned."""
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


def propose(session: Session) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    characters = _Characters()
    plan, survey = session.read_usable(characters.add)
    counts, total = characters.counts, sum(characters.counts.values())
    text_lines = "one line" if survey.rows == 1 else f"{survey.rows:,} lines"
    size = f"{total - survey.rows:,} characters in {text_lines}"  # without line ends: the last line may lack its own
    if total < FEWEST:
        raise DataError(f"{plan.look.file}: {size}; expected at least {FEWEST:,}")
    min_count = 5 if total >= 100_000 else 2
    known = {character: count for character, count in counts.items() if count >= min_count}
    unknown = 1 - sum(known.values()) / total
    hidden = 320 if total < 500_000 else 256
    epochs = parts.epochs_for(BUDGET * (1.0 if hidden == 320 else 1.5), 0.85 * total, 2, 24)
    batch = 32 if total >= 100_000 else 16
    rare = f"rarer characters are unknown ones: {len(counts) - len(known)} of {len(counts)}"
    blocks = {
        "data": parts.data_lines(plan, survey, {}),
        "prepare": [
            Line("problem", "language_model"),
            Line("level", "character", "or word"),
            Line("partition", "sequential"),
            Line("lower_case", False, "true: a smaller alphabet, and a model that writes no capitals"),
            Line("validation_share", 0.05),
            Line("test_share", 0.1, "the end of the text"),
            Line("min_count", min_count, rare),
            *lines(max_unknown_share=round(max(0.001, 3 * unknown), 4), bptt=32),
        ],
        "model": [
            Line("architecture", "carried"),
            *_direct(len(known), session.request),
            *lines(embedding=64, embedding_dropout=0.1, cell="lstm", hidden=hidden, layers=1),
            Line("dropout", 0.5 if total < 300_000 else 0.3),
        ],
        "train": parts.train_lines(epochs, batch, f"{total:,} characters", learning_rate=0.008),
        "gate": _gate(counts),
    }
    return parts.proposal(plan, survey, [f"{parts.file_names(plan)}: {size}, {len(counts):,} different ones"], blocks)


def _direct(alphabet: int, request: Request) -> list[Line]:
    """Scores of groups of characters, as many as memory has room for; none where the alphabet is too large.

    Nor where a person asks for words, or for windows, which have none.
    """
    if request.given.get("prepare.level") == "word" or request.given.get("model.architecture") == "window":
        return []
    buckets = 65_536
    while buckets * alphabet > MOST_SCORES and buckets > 1024:
        buckets //= 2
    if buckets * alphabet > MOST_SCORES:
        return [Line("direct_order", 0, "no table of direct scores: the alphabet is large")]
    order = Line("direct_order", 5, "characters in a row that have scores of their own")
    return [order, *lines(direct_buckets=buckets, direct_min_count=2, direct_dropout=0.5)]


def _gate(counts: Counter[str]) -> list[Line]:
    """What frequencies alone give is the floor; n-grams must be beaten, too."""
    total = sum(counts.values())
    bits = -sum(count / total * math.log2(count / total) for count in counts.values())
    why = "what the frequencies of single characters give; the n-grams are the bar"
    return parts.gate_lines("bits_per_character", "lower", round(bits, 2), why, ["unigram", "ngram"])
