"""The ``model`` block of a language model task and the network that it stands for."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from unroll.core.config import DisagreementError, PositiveInt, RecurrentConfig
from unroll.problems.common import starting_vectors as word_vectors
from unroll.problems.common.base import Meta, Prepared
from unroll.problems.common.starting_vectors import VectorsKey

if TYPE_CHECKING:
    from torch import nn


class LanguageModelModel(RecurrentConfig):
    """The ``model`` block of a language model task."""

    architecture: Literal["carried", "window"] = Field(
        "carried",
        description="carried: every token, the state read on; window: bidirectional layers over what is just before",
    )
    window: PositiveInt | None = Field(None, description="Tokens that the architecture window reads")
    stride: PositiveInt | None = Field(None, description="The architecture window learns from one token of so many")
    direct_order: int = Field(
        0, ge=0, description="Longest group of characters with scores of its own, if carried; 0: none; none of words"
    )
    direct_buckets: PositiveInt | None = Field(None, description="Rows of their table, each as wide as the alphabet")
    direct_min_count: PositiveInt | None = Field(None, description="Rows that train chooses less often are not used")
    direct_dropout: float | None = Field(None, ge=0, lt=1, description="Share of the rows left out while training")
    embedding: PositiveInt = Field(description="Width of the tokens' vectors")
    embedding_dropout: float = Field(ge=0, lt=1)
    vectors: VectorsKey = "learned"

    @model_validator(mode="after")
    def _knows_its_direct_scores(self) -> "LanguageModelModel":
        if self.direct_order and None in (self.direct_buckets, self.direct_min_count, self.direct_dropout):
            raise DisagreementError(
                "direct_order above 0 needs the keys direct_buckets, direct_min_count and direct_dropout",
                ["direct_order"],
                {"direct_buckets": 65536, "direct_min_count": 2, "direct_dropout": 0.5},
            )
        if self.direct_order and self.architecture == "window":
            raise DisagreementError(
                f"direct_order: {self.direct_order} with architecture window, which has no scores of groups; expected "
                "architecture carried, or no direct_order, direct_buckets, direct_min_count and direct_dropout",
                ["direct_order", "direct_buckets", "direct_min_count", "direct_dropout"],
            )
        return self

    @model_validator(mode="after")
    def _knows_its_window(self) -> "LanguageModelModel":
        if self.architecture == "window" and not (self.window and self.stride):
            raise DisagreementError(
                "architecture window needs the keys window and stride", (), {"window": 32, "stride": 4}
            )
        return self

    def one_way(self) -> dict[str, Any] | None:
        """Unless ``architecture: window``."""
        return None if self.architecture == "window" else {"architecture": "window"}


def disagreement(config: LanguageModelModel, level: str, vectors: str | None) -> str | None:
    """Why the network cannot read tokens of that level, as ``Problem.disagreement`` says it.

    A row of the table of scores has one for each symbol: for words they would be too many.
    """
    if config.direct_order and level == "word":
        return (
            f"model.direct_order: {config.direct_order} with prepare.level word, whose groups have no scores; "
            "expected model.direct_order: 0, or prepare.level: character"
        )
    return word_vectors.disagreement(vectors, config.vectors)


def build(config: LanguageModelModel, meta: Meta) -> "nn.Module":
    """The untrained network; raises ConfigError for what does not go with the text as it was prepared."""
    from unroll.problems.language_model.network import CarriedModel, DirectScores, WindowModel

    word_vectors.require(config.vectors, config.embedding, meta)
    symbols = len(meta["symbols"]) + 1
    sizes = (symbols, config.embedding, config.embedding_dropout, config)
    if config.architecture == "window":  # neither key is None: the config saw to it
        return WindowModel(*sizes, config.window or 1, config.stride or 1, config.vectors)
    direct = None
    if config.direct_order and meta["level"] == "character":
        table = (config.direct_buckets or 1, config.direct_min_count or 1, config.direct_dropout or 0.0)
        direct = DirectScores(symbols, config.direct_order, *table)
    return CarriedModel(*sizes, direct, config.vectors)


def begin(model: Any, prepared: Prepared) -> None:
    """Put in the vectors of the file, and which groups of tokens are frequent enough in train to have scores."""
    import torch

    from unroll.problems.language_model.network import CarriedModel

    if model.vectors != "learned":
        model.begin_with(torch.from_numpy(np.array(prepared.arrays["vectors"])))
    if isinstance(model, CarriedModel) and model.direct is not None:
        ids_N = prepared.arrays["ids"][slice(*prepared.meta["bounds"]["train"])]
        model.direct.leave_out_rare(torch.from_numpy(ids_N.astype(np.int64)))
