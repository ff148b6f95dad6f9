"""From raw texts to their classes. Shapes: N texts, C classes."""

from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import TableError
from unroll.features import tokenization
from unroll.features.vocabulary import Vocabulary
from unroll.problems.common import classification
from unroll.problems.common.answering import Answering
from unroll.problems.common.base import Meta, Prepared
from unroll.problems.common.inputs import Column, Inputs
from unroll.problems.text_classification.build import INPUTS, inputs
from unroll.problems.text_classification.prepare import encode, flat, strings

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

FEW = 512
"""Texts that are answered at a time."""


class TextAnswering(Answering):
    """A class for each text."""

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """A text."""
        column = Column("text", "text", "A text to classify", longest=cell_characters)
        return Inputs.of([column], {"classes": meta["classes"]}, "text", line="text")

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """The most frequent words."""
        return [{"text": " ".join(meta["vocabulary"][:5]) or "a text"}]

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first test texts, as the source has them."""
        import pandas as pd

        texts = tokenization.unpack(flat(prepared, "raw"), np.asarray(prepared.arrays["test"][:3]))
        return pd.DataFrame({"text": pd.array([one.decode() for one in texts], dtype="str")})

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """``label`` and the probability of each class for each ``text``."""
        if "text" not in frame:
            raise TableError("column 'text' is missing; expected a column of texts", column="text")
        cleaned = [tokenization.clean(one) for one in strings(frame, "text", "input", first=1)]
        clean = tokenization.pack_texts(cleaned)
        words = [tokenization.tokens(one) for one in cleaned]
        tokens = encode(words, Vocabulary(meta["vocabulary"]), meta["max_tokens"])
        rows = (np.arange(low, min(low + FEW, len(cleaned))) for low in range(0, len(cleaned), FEW))
        batches = (inputs(meta, tokens, clean, index) for index in rows)
        if not cleaned:
            return classification.answers(np.empty((0, len(meta["classes"]))), meta["classes"])
        return classification.answers(classification.probabilities(model, INPUTS, batches), meta["classes"])
