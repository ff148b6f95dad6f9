"""The ``prepare`` and ``model`` blocks of a sequence-to-sequence task."""

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from unroll.core.config import Config, DisagreementError, PositiveInt, PrepareConfig, RecurrentConfig, Share
from unroll.features import splits

SourceUnit = Literal["character", "whole", "numbers"]
Architecture = Literal["repeat", "plain", "peeking", "attention", "aligned", "one_to_many"]
FEEDBACK: tuple[Architecture, ...] = ("plain", "peeking", "attention", "one_to_many")
"""Architectures that read their own last symbol."""
STEEPNESS = 10.0
"""Of ``inverse_sigmoid``: k / (k + exp(i / k)) of Bengio et al. falls so steeply, at k = 148, around its middle."""


class SequenceToSequencePrepare(PrepareConfig):
    """The ``prepare`` block of a sequence-to-sequence task."""

    split: splits.Kind = Field(
        "stratified",
        description="Drawn (of each source its share, where it is one symbol), file_order, or the source's",
    )
    validation_share: float | None = Field(None, gt=0, lt=1, description="Share of all pairs, or of the source's train")
    test_share: float | None = Field(None, gt=0, lt=1, description="Share of all pairs")
    grouped: bool = Field(False, description="Whether pairs of one group (data.group) stay on one side")
    seed: int = Field(ge=0, description="Seed of the split")
    reverse_source: bool = Field(
        description="Whether the network reads the source from its end (Sutskever et al. 2014)"
    )
    max_unknown_share: Share = Field(description="Share of characters of validation and test that train may lack")
    source_unit: SourceUnit = Field(
        "character",
        description="whole: a source is one symbol, a category that starts many answers; numbers: as many numbers in "
        "each, separated by blanks, a vector that starts an answer",
    )

    @model_validator(mode="after")
    def _leaves_train(self) -> "SequenceToSequencePrepare":
        if fault := splits.shares_fault(self.split, self.validation_share, self.test_share, "pairs"):
            beside = ["test_share"] if self.split == "source" else []
            raise DisagreementError(fault, beside, {"validation_share": 0.1, "test_share": 0.1})
        if self.grouped and (self.split == "source" or self.source_unit == "whole"):
            text = "grouped must be false where split is source or source_unit is whole"
            raise DisagreementError(text, ["grouped"])
        if self.source_unit != "character" and self.reverse_source:
            one = "one symbol has no order" if self.source_unit == "whole" else "numbers are not read one by one"
            text = f"reverse_source must be false where source_unit is {self.source_unit}: {one}"
            raise DisagreementError(text, given={"reverse_source": False})
        return self


class TeacherForcing(Config):
    """How often a decoder reads the truth in training, and else its own guess (Bengio et al. 2015)."""

    start: Share = Field(description="Share of the steps at the training's beginning")
    end: Share = Field(description="Share of the steps at its end")
    schedule: Literal["constant", "linear", "inverse_sigmoid"] = Field(description="How the share goes over")

    @model_validator(mode="after")
    def _is_one_share(self) -> "TeacherForcing":
        if self.schedule == "constant" and self.start != self.end:
            raise ValueError(f"end must be {self.start} as start is, where the schedule is constant")
        return self

    @property
    def is_always(self) -> bool:
        """Whether a decoder reads the truth and nothing else, all the time."""
        return self.start == self.end == 1.0

    def at(self, progress: float) -> float:
        """The share when ``progress`` of the training is over.

        >>> TeacherForcing(start=1.0, end=0.5, schedule="linear").at(0.5)
        0.75
        """
        left = {"constant": lambda: 0.0, "linear": lambda: 1 - progress, "inverse_sigmoid": lambda: _fall(progress)}
        return self.end + (self.start - self.end) * left[self.schedule]()


def _fall(progress: float) -> float:
    """From 1 at 0 to 0 at 1, along a logistic curve."""
    low, here, high = (1 / (1 + math.exp(STEEPNESS * (x - 0.5))) for x in (1.0, progress, 0.0))
    return (here - low) / (high - low)


ALWAYS_TRUTH = TeacherForcing(start=1.0, end=1.0, schedule="linear")
"""Linear, so that another start or end alone is a schedule."""


class SequenceToSequenceModel(RecurrentConfig):
    """The ``model`` block of a sequence-to-sequence task."""

    architecture: Architecture = Field("repeat", description="How source and answer are joined; docs/models.md")
    attention: Literal["additive", "dot"] | None = Field(None, description="Scores of the architecture attention")
    bidirectional_encoder: bool = Field(False, description="Whether the source is read in both directions")
    teacher_forcing: TeacherForcing = Field(ALWAYS_TRUTH, description="Of decoders that read their own last symbol")
    beam_width: PositiveInt = Field(1, description="Hypotheses kept while answering; 1: greedy")
    length_penalty: float = Field(0.0, ge=0, description="Wu et al. 2016; above 0 favours longer answers of a beam")

    def one_way(self) -> dict[str, Any] | None:
        """Unless ``bidirectional_encoder``."""
        return None if self.bidirectional_encoder else {"bidirectional_encoder": True}

    @model_validator(mode="after")
    def _fits_together(self) -> "SequenceToSequenceModel":
        if (self.architecture == "attention") != (self.attention is not None):
            raise DisagreementError(
                f"attention is {self.attention!r} where architecture is {self.architecture!r}; expected additive or "
                "dot for the architecture attention, and no such key for another",
                ["attention"],
                {"attention": "dot"} if self.architecture == "attention" else {"architecture": "attention"},
            )
        if not self.teacher_forcing.is_always and self.architecture not in FEEDBACK:
            raise DisagreementError(
                f"teacher_forcing is of no use where architecture is {self.architecture!r}, which does not read its own"
                f" symbols; expected one of {', '.join(FEEDBACK)}",
                ["teacher_forcing"],
                {"architecture": FEEDBACK[0]},
            )
        if self.architecture == "one_to_many" and self.bidirectional_encoder:
            raise DisagreementError(
                "bidirectional_encoder must be false where architecture is 'one_to_many': it has no encoder",
                ["bidirectional_encoder"],
            )
        return self


def disagreement(prepare: SequenceToSequencePrepare, model: SequenceToSequenceModel) -> str | None:
    """Why the architecture cannot read the sources."""
    return unit_disagreement(model, prepare.source_unit)


def unit_disagreement(config: SequenceToSequenceModel, source_unit: str) -> str | None:
    """Why an architecture cannot read sources of that unit."""
    if config.architecture == "one_to_many" and source_unit == "character":
        return (
            "model.architecture: 'one_to_many' needs sources that are one symbol or one vector each; expected "
            "prepare.source_unit: whole or numbers, but it is 'character'"
        )
    if config.architecture != "one_to_many" and source_unit == "numbers":
        return (
            f"model.architecture: {config.architecture!r} reads symbols; expected one_to_many, as prepare.source_unit "
            "is 'numbers'"
        )
    if config.architecture == "aligned" and source_unit == "whole":
        return (
            "model.architecture: 'aligned' needs a symbol of the source for each one of the answer; expected "
            "prepare.source_unit: character, but it is 'whole'"
        )
    return None
