"""The proposal for labelled texts: ``text_classification``. Shapes: N texts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.params import Params
from unroll.features import tokenization as texts
from unroll.workbench.new import request as asking
from unroll.workbench.new import survey
from unroll.workbench.new.blocks import Line, Proposal
from unroll.workbench.new.label_counts import Labels, rejected
from unroll.workbench.new.parts import (
    aside_lines,
    batch_for,
    data_lines,
    epochs_for,
    file_names,
    train_lines,
    unused_lines,
    warnings,
)
from unroll.workbench.new.request import Request

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
        self.tokens += [len(texts.tokens(texts.clean(one))) for one in table["text"].head(left)]


def propose(params: Params, name: str, wanted: Request, root: Path) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    plan = asking.plan(params, name, wanted.block(root), root)
    found_texts = _Texts()
    found = survey.take(plan, found_texts.add, f"new {name}")
    labels, tokens = found_texts.labels, np.array(found_texts.tokens)
    changed, whys = labels.data(plan.config, plan.look.file)
    median, most = int(np.median(tokens)), int(np.percentile(tokens, 98))
    longest = min(max(10 * -(-most // 10), 10), LONGEST)
    train = sum(labels.trained().values())
    small = train < SMALL
    epochs = epochs_for(BUDGET, 1.2 * train * min(float(tokens.mean()), longest), 1, 20)
    told = [f"{file_names(plan)}: {labels.told()}, texts of {median} words mostly"]
    return Proposal(
        [
            *told,
            *([line] if (line := rejected(found.found)) else []),
            *labels.warnings(),
            *unused_lines(plan),
            *aside_lines(plan, found),
        ],
        {
            "data": data_lines(plan, found, whys, changed),
            "prepare": [
                Line("problem", "text_classification"),
                *labels.split(plan.config),
                Line("seed", 1),
                Line("vocabulary", 8000),
                Line("min_count", 2, "rarer words are unknown ones"),
                Line("max_tokens", longest, f"98 % of the texts have at most {most} words and marks"),
                Line("max_unknown_share", 0.25 if small else 0.1),
                Line("hashed_buckets", 32_768 if small else 131_072, "of a bag of n-grams beside the network"),
                Line("character_ngrams", [2, 3, 4, 5]),
                Line("word_ngrams", [1, 2]),
            ],
            "model": [
                Line("embedding", 40),
                Line("cell", "lstm"),
                Line("hidden", 32 if small else 64),
                Line("layers", 1),
                Line("bidirectional", True),
                Line("pooling", ["last", "mean", "max"]),
                Line("dropout", 0.6),
                Line("bag_dropout", 0.3),
                Line("bag_scale", 3.0),
                Line("members", 2, "networks that are mixed"),
            ],
            "train": train_lines(epochs, batch_for(train, 64), f"{train:,} texts of {median} words"),
            "gate": labels.gate(["majority"]),
        },
        warnings(plan, found),
    )
