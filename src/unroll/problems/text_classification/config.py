"""The ``prepare`` and ``model`` blocks of a text classification task."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from unroll.core.config import DisagreementError, Pooling, PositiveInt, PrepareConfig, RecurrentConfig, Share
from unroll.features import splits
from unroll.problems.common.starting_vectors import VectorsFile, VectorsKey

Lengths = Annotated[tuple[PositiveInt, ...], Field(strict=False)]


class TextClassificationPrepare(PrepareConfig):
    """The ``prepare`` block of a text classification task."""

    split: splits.Kind = Field(
        description="file_order: the first texts train, the last ones test; stratified: drawn class by class; source: "
        "the source's own, and validation drawn from its train part where it has none"
    )
    validation_share: float | None = Field(None, gt=0, lt=1, description="Share of all texts, or of the source's train")
    test_share: float | None = Field(None, gt=0, lt=1, description="Share of all texts")
    grouped: bool = Field(False, description="Whether texts of one group (data.group) stay on one side")
    seed: int = Field(ge=0, description="Seed of the stratified split")
    vocabulary: PositiveInt = Field(description="Words that the network knows at most")
    min_count: PositiveInt = Field(description="Rarer words of train are unknown words")
    max_tokens: PositiveInt = Field(description="Tokens of a text that the recurrent network reads at most")
    max_unknown_share: Share = Field(description="Share of unknown words in a split above which the report warns")
    hashed_buckets: int = Field(ge=0, le=1 << 24, description="Buckets of the bag of n-grams; 0: no bag")
    character_ngrams: Lengths = Field(description="Bytes of the n-grams within words")
    word_ngrams: Lengths = Field(description="Words of the n-grams of words")
    vectors: VectorsFile = None

    @model_validator(mode="after")
    def _leaves_train(self) -> "TextClassificationPrepare":
        if fault := splits.shares_fault(self.split, self.validation_share, self.test_share, "texts"):
            beside = ["test_share"] if self.split == "source" else []
            raise DisagreementError(fault, beside, {"validation_share": 0.1, "test_share": 0.1})
        if self.grouped and self.split == "source":
            text = "grouped must be false where split is source: the source has parted its groups itself"
            raise DisagreementError(text, ["grouped"])
        if self.hashed_buckets and not (self.character_ngrams or self.word_ngrams):
            raise ValueError("character_ngrams or word_ngrams must name a length, or hashed_buckets must be 0")
        return self


class TextClassificationModel(RecurrentConfig):
    """The ``model`` block of a text classification task."""

    embedding: PositiveInt = Field(description="Width of the word vectors")
    bidirectional: bool
    pooling: tuple[Pooling, ...] = Field(strict=False, min_length=1)
    bag_dropout: float = Field(ge=0, lt=1, description="Of single n-grams")
    bag_scale: float = Field(gt=0, description="Factor of the bag of n-grams: how fast it learns beside the rest")
    vectors: VectorsKey = "learned"
    members: PositiveInt = Field(1, description="Networks that start from other weights and are mixed")

    def one_way(self) -> dict[str, Any] | None:
        """Unless ``bidirectional``."""
        return None if self.bidirectional else {"bidirectional": True}
