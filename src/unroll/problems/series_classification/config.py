"""The ``prepare`` and ``model`` blocks of a series classification task."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from unroll.core.config import DisagreementError, Pooling, PrepareConfig, RecurrentConfig
from unroll.features import splits

MAX_WORDS = 100_000


class SeriesClassificationPrepare(PrepareConfig):
    """The ``prepare`` block of a series classification task."""

    split: splits.Kind = Field(
        "source", description="The source's own, or drawn class by class (stratified), or the first rows train"
    )
    validation_share: float | None = Field(
        None, gt=0, lt=1, description="Share of all series, or of the source's train part, class by class"
    )
    test_share: float | None = Field(None, gt=0, lt=1, description="Share of all series; null: the source's own")
    grouped: bool = Field(False, description="Whether series of one group (data.group) stay on one side")
    missing: Literal["drop", "interpolate"] = Field(
        "drop", description="Series with missing values inside: left out; or these on a line between their neighbours"
    )
    seed: int = Field(ge=0, description="Seed of the split")
    word_windows: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        strict=False, description="Stretches that become symbolic words, as shares of a series; []: no bag of words"
    )
    word_length: Annotated[int, Field(ge=1, le=8)] = Field(description="Letters of a word")
    word_letters: Annotated[int, Field(ge=2, le=8)] = Field(description="Different letters")

    @model_validator(mode="after")
    def _affordable(self) -> "SeriesClassificationPrepare":
        if fault := splits.shares_fault(self.split, self.validation_share, self.test_share, "series"):
            beside = ["test_share"] if self.split == "source" else []
            raise DisagreementError(fault, beside, {"validation_share": 0.1, "test_share": 0.1})
        if self.grouped and self.split == "source":
            text = "grouped must be false where split is source: the source has parted its groups itself"
            raise DisagreementError(text, ["grouped"])
        if self.word_letters**self.word_length > MAX_WORDS:
            raise ValueError(
                f"word_letters {self.word_letters} to the power of word_length {self.word_length} must be at most "
                f"{MAX_WORDS}: a weight is learned for each word"
            )
        return self


class SeriesClassificationModel(RecurrentConfig):
    """The ``model`` block of a series classification task."""

    bidirectional: bool
    pooling: tuple[Pooling, ...] = Field(strict=False, min_length=1)
    difference: bool = Field(description="Whether the change from step to step is a second input")
    bag_dropout: float = Field(ge=0, lt=1, description="Of single words")
    bag_scale: float = Field(gt=0, description="Factor of the bag of words: how fast it learns beside the rest")

    def one_way(self) -> dict[str, Any] | None:
        """Unless ``bidirectional``."""
        return None if self.bidirectional else {"bidirectional": True}
