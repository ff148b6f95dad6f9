"""The proposal for labelled texts: ``text_classification``. Shapes: N texts."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from unroll.features import tokenization
from unroll.workbench.new import parts
from unroll.workbench.new.blocks import Line, Proposal, lines
from unroll.workbench.new.label_counts import Labels
from unroll.workbench.new.session import Session

if TYPE_CHECKING:
    import pandas as pd

BUDGET = 1.6e6
"""Tokens that a bidirectional cell of hidden size 64 reads, forward and back, in a minute or two."""
SAMPLE = 10_000
"""Texts whose tokens are counted."""
LONGEST = 200
SMALL = 5000


@dataclass
class _Texts:
    labels: Labels = field(default_factory=Labels)
    tokens: list[int] = field(default_factory=list)

    def add(self, table: "pd.DataFrame") -> None:
        self.labels.add(table)
        left = max(SAMPLE - len(self.tokens), 0)
        self.tokens += [len(tokenization.tokens(tokenization.clean(text))) for text in table["text"].head(left)]


def propose(session: Session) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    texts = _Texts()
    plan, survey = session.read_usable(texts.add)
    labels, tokens = texts.labels, np.array(texts.tokens)
    keys, whys = labels.data(plan.config, plan.look.file)
    median, most = int(np.median(tokens)), int(np.percentile(tokens, 98))
    longest = min(max(10 * -(-most // 10), 10), LONGEST)
    train = sum(labels.trained().values())
    small = train < SMALL
    epochs = parts.epochs_for(BUDGET, 1.2 * train * min(float(tokens.mean()), longest), 1, 20)
    dropped = survey.facts.get("dropped_labels", {})
    seen = [
        f"{parts.file_names(plan)}: {labels.size()}, texts of {median} words mostly",
        *([f"left out: {parts.counted(dropped)}"] if dropped else []),
        *labels.warnings(),
    ]
    blocks = {
        "data": parts.data_lines(plan, survey, whys, keys),
        "prepare": [
            Line("problem", "text_classification"),
            *labels.split(plan.config),
            *lines(seed=1, vocabulary=8000),
            Line("min_count", 2, "rarer words are unknown ones"),
            Line("max_tokens", longest, f"98 % of the texts have at most {most} words and marks"),
            Line("max_unknown_share", 0.25 if small else 0.1),
            Line("hashed_buckets", 32_768 if small else 131_072, "of a bag of n-grams beside the network"),
            *lines(character_ngrams=[2, 3, 4, 5], word_ngrams=[1, 2]),
        ],
        "model": [
            *lines(embedding=40, cell="lstm", hidden=32 if small else 64, layers=1, bidirectional=True),
            *lines(pooling=["last", "mean", "max"], dropout=0.6, bag_dropout=0.3, bag_scale=3.0),
            Line("members", 2, "networks that are mixed"),
        ],
        "train": parts.train_lines(epochs, parts.batch_for(train, 64), f"{train:,} texts of {median} words"),
        "gate": labels.gate(["majority"]),
    }
    return parts.proposal(plan, survey, seen, blocks)
