"""The ``prepare`` and ``model`` blocks of a language model task."""

from typing import Any, Literal

from pydantic import Field, model_validator

from unroll.core.config import DisagreementError, PositiveInt, PrepareConfig, RecurrentConfig, Share
from unroll.problems.common import starting_vectors
from unroll.problems.common.starting_vectors import VectorsFile, VectorsKey


class LanguageModelPrepare(PrepareConfig):
    """The ``prepare`` block of a language model task."""

    level: Literal["character", "word"] = Field(
        "character", description="What a token is: a character; or a word, a run of one mark or a line end"
    )
    partition: Literal["sequential", "random"] = Field(
        "sequential",
        description="sequential: streams that batches read on, with the state carried; random: pieces in any order",
    )
    lower_case: bool
    validation_share: float = Field(gt=0, lt=1, description="Share of the text, before the test part")
    test_share: float = Field(gt=0, lt=1, description="Share of the text, at its end")
    min_count: PositiveInt = Field(description="Tokens rarer in train are unknown ones")
    vocabulary: PositiveInt | None = Field(None, description="Most tokens to know, the most frequent; null: no limit")
    max_unknown_share: Share = Field(description="Share of unknown tokens in a split above which the report warns")
    bptt: PositiveInt = Field(description="Tokens through which gradients flow back; the length of a piece")
    vectors: VectorsFile = None

    @model_validator(mode="after")
    def _leaves_train(self) -> "LanguageModelPrepare":
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share + test_share must be below 1, so that train has text")
        if self.vectors is not None and self.level != "word":
            text = f"vectors: {self.vectors!r} with level {self.level}; expected level word, or null"
            raise DisagreementError(text, ["vectors"], {"level": "word"})
        return self


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


def disagreement(prepare: LanguageModelPrepare, model: LanguageModelModel) -> str | None:
    """Why the network cannot read these tokens.

    A row of the table of scores has one for each symbol: for words they would be too many.
    """
    if model.direct_order and prepare.level == "word":
        return (
            f"model.direct_order: {model.direct_order} with prepare.level word, whose groups have no scores; "
            "expected model.direct_order: 0, or prepare.level: character"
        )
    return starting_vectors.disagreement(prepare.vectors, model.vectors)
