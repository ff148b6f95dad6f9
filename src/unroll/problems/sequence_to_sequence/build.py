"""The ``model`` block of a sequence-to-sequence task and the network that it stands for."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from unroll.core.config import Config, DisagreementError, PositiveInt, RecurrentConfig, Share
from unroll.core.errors import ConfigError, DataError
from unroll.problems.common.base import Meta
from unroll.problems.sequence_to_sequence.pairs import unit, whole_sources

if TYPE_CHECKING:
    from unroll.problems.sequence_to_sequence.network.encoder_decoder import Answerer

Architecture = Literal["repeat", "plain", "peeking", "attention", "aligned", "one_to_many"]
FEEDBACK: tuple[Architecture, ...] = ("plain", "peeking", "attention", "one_to_many")
"""Architectures that read their own last symbol."""
STEEPNESS = 10.0
"""Of ``inverse_sigmoid``: k / (k + exp(i / k)) of Bengio et al. falls so steeply, at k = 148, around its middle."""


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


def build(config: SequenceToSequenceModel, meta: Meta) -> "Answerer":
    """The untrained network of ``config.architecture``; raises ConfigError or DataError where the pairs do not fit."""
    _require_fit(config, meta)
    network = _NETWORKS[config.architecture](config, meta)
    network.beam_width, network.length_penalty = config.beam_width, config.length_penalty
    return network


def disagreement(config: SequenceToSequenceModel, source_unit: str) -> str | None:
    """Why an architecture cannot read sources of that unit, as ``Problem.disagreement`` says it."""
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


def _require_fit(config: SequenceToSequenceModel, meta: Meta) -> None:
    """Refuse an architecture that cannot learn from these pairs."""
    if fault := disagreement(config, unit(meta)):
        raise ConfigError(fault)
    if config.architecture == "aligned" and meta["unequal_lengths"]:
        raise DataError(f"pairs: {meta['unequal_lengths']}; expected equal lengths in every row, as "
                        "model.architecture aligned labels each character of a source")  # fmt: skip


def _symbols(meta: Meta) -> tuple[int, int]:
    """How many symbols sources and answers are made of."""
    sources = meta["sources"] if whole_sources(meta) else meta["source_characters"]
    return len(sources), len(meta["target_characters"]) + 1


def _repeat(config: SequenceToSequenceModel, meta: Meta) -> "Answerer":
    from unroll.problems.sequence_to_sequence.network.encoder_decoder import EncoderDecoder

    return EncoderDecoder(*_symbols(meta), config, config.bidirectional_encoder)


def _aligned(config: SequenceToSequenceModel, meta: Meta) -> "Answerer":
    from unroll.problems.sequence_to_sequence.network.step_labeller import StepLabeller

    return StepLabeller(*_symbols(meta), config, config.bidirectional_encoder, meta["reverse_source"])


def _one_to_many(config: SequenceToSequenceModel, meta: Meta) -> "Answerer":
    from unroll.problems.sequence_to_sequence.network.encoder_decoder import FeedbackDecoder
    from unroll.problems.sequence_to_sequence.network.source_encoders import CategorySource, SourceEncoder, VectorSource
    from unroll.problems.sequence_to_sequence.network.source_views import FirstStateOnly

    categories, targets = _symbols(meta)
    sources: dict[str, Callable[[], SourceEncoder]] = {
        "whole": lambda: CategorySource(categories, config),
        "numbers": lambda: VectorSource(meta["source_scaler"], config),
    }
    source, view = sources[unit(meta)](), FirstStateOnly(config.hidden)
    return FeedbackDecoder(source, view, targets, config, config.teacher_forcing.at)


def _feedback(config: SequenceToSequenceModel, meta: Meta) -> "Answerer":
    """plain, peeking and attention: they differ in what the decoder sees of the source."""
    from unroll.nn.attention import AdditiveAttention, Attention, DotAttention
    from unroll.problems.sequence_to_sequence.network.encoder_decoder import FeedbackDecoder
    from unroll.problems.sequence_to_sequence.network.source_encoders import SequenceSource
    from unroll.problems.sequence_to_sequence.network.source_views import Attended, FirstStateOnly, Peeking, SourceView

    (sources, targets), hidden = _symbols(meta), config.hidden
    source = SequenceSource(sources, config, config.bidirectional_encoder)
    attentions: dict[str, Callable[[], Attention]] = {
        "additive": lambda: AdditiveAttention(hidden, source.width, hidden),
        "dot": lambda: DotAttention(hidden, source.width),
    }
    views: dict[str, Callable[[], SourceView]] = {
        "plain": lambda: FirstStateOnly(hidden),
        "peeking": lambda: Peeking(hidden, source.width, targets),
        "attention": lambda: Attended(hidden, source.width, attentions[str(config.attention)]()),
    }
    return FeedbackDecoder(source, views[config.architecture](), targets, config, config.teacher_forcing.at)


_NETWORKS: dict[Architecture, "Callable[[SequenceToSequenceModel, Meta], Answerer]"] = {
    "repeat": _repeat,
    "plain": _feedback,
    "peeking": _feedback,
    "attention": _feedback,
    "aligned": _aligned,
    "one_to_many": _one_to_many,
}
