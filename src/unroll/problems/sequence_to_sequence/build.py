"""What a sequence-to-sequence network is and learns from. Shapes: B batch, S source steps, T target steps."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from unroll.core.errors import ConfigError, DataError
from unroll.features import batching
from unroll.features.strings import UNKNOWN, Flat
from unroll.problems.common.base import Batch, Meta, Prepared, Split
from unroll.problems.common.learning import Learning, Loss
from unroll.problems.sequence_to_sequence import pairs
from unroll.problems.sequence_to_sequence.config import Architecture, SequenceToSequenceModel, unit_disagreement
from unroll.problems.sequence_to_sequence.pairs import COLUMNS, unit, whole_sources

if TYPE_CHECKING:
    from torch import nn

    from unroll.problems.sequence_to_sequence.network.encoder_decoder import SequenceNetwork

END = 0
"""The network's symbol for the end of an answer; the characters follow from 1. Padding is UNKNOWN, below 0."""


class PairLearning(Learning[SequenceToSequenceModel]):
    """Many to many, with lengths of their own on both sides."""

    def model(self, config: SequenceToSequenceModel, meta: Meta) -> "nn.Module":
        """The network of ``config.architecture``; raises ConfigError or DataError where the pairs do not fit it."""
        _require_fit(config, meta)
        network = _NETWORKS[config.architecture](config, meta)
        network.beam_width, network.length_penalty = config.beam_width, config.length_penalty
        return network

    def progress(self, model: "nn.Module", share: float) -> None:
        """Tell the network, whose teacher forcing may follow a schedule."""
        sequence_network(model).progress(share)

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Pairs in random order, those of like length together."""
        flats, train = [pairs.flat(prepared, column) for column in COLUMNS], np.asarray(prepared.arrays["train"])
        sources_N, targets_N = (np.diff(flat.offsets)[train] for flat in flats)
        by_both_N = targets_N * (sources_N.max() + 1) + sources_N
        for rows in batching.by_length(by_both_N, batch_size, rng):
            yield batch(flats, train[rows])

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Pairs in the table's order."""
        flats, index = [pairs.flat(prepared, column) for column in COLUMNS], prepared.arrays[split]
        for low in range(0, len(index), batch_size):
            yield batch(flats, index[low : low + batch_size])

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Cross-entropy over the characters of the answers and the end of each, where the network tells it."""
        from torch.nn.functional import cross_entropy

        network, target_BT = sequence_network(model), batch["target_BT"]
        scores_BTV = network.scores(batch["source_BS"], batch["lengths_B"], target_BT).float()
        counted_BT = target_BT if network.says_end else target_BT.masked_fill(target_BT == END, UNKNOWN)
        total = cross_entropy(scores_BTV.flatten(0, 1), counted_BT.flatten(), ignore_index=UNKNOWN, reduction="sum")
        return Loss(total, int((counted_BT != UNKNOWN).sum()))


def batch(flats: Sequence[Flat], index_B: np.ndarray) -> Batch:
    """Sources (B, S) with their lengths, and targets (B, T) of which END follows the last character."""
    import torch

    (source_BS, lengths_B), (characters_BT, characters_B) = (each.padded(index_B) for each in flats)
    known_BT = np.where(characters_BT == UNKNOWN, UNKNOWN, characters_BT + 1)  # an unknown character is never right
    target_BT = np.pad(known_BT, ((0, 0), (0, 1)), constant_values=UNKNOWN)
    target_BT[np.arange(len(index_B)), characters_B] = END
    arrays = {"source_BS": source_BS, "lengths_B": lengths_B, "target_BT": target_BT}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def sequence_network(model: "nn.Module") -> "SequenceNetwork":
    """The network as what ``build`` made it."""
    return cast("SequenceNetwork", model)


def _require_fit(config: SequenceToSequenceModel, meta: Meta) -> None:
    """Refuse an architecture that cannot learn from these pairs."""
    if fault := unit_disagreement(config, unit(meta)):
        raise ConfigError(fault)
    if config.architecture == "aligned" and meta["unequal_lengths"]:
        raise DataError(f"pairs: {meta['unequal_lengths']}; expected equal lengths in every row, as "
                        "model.architecture aligned labels each character of a source")  # fmt: skip


def _symbols(meta: Meta) -> tuple[int, int]:
    """How many symbols sources and answers are made of."""
    sources = meta["sources"] if whole_sources(meta) else meta["source_characters"]
    return len(sources), len(meta["target_characters"]) + 1


def _repeat(config: SequenceToSequenceModel, meta: Meta) -> "SequenceNetwork":
    from unroll.problems.sequence_to_sequence.network.encoder_decoder import EncoderDecoder

    return EncoderDecoder(*_symbols(meta), config, config.bidirectional_encoder)


def _aligned(config: SequenceToSequenceModel, meta: Meta) -> "SequenceNetwork":
    from unroll.problems.sequence_to_sequence.network.step_labeller import StepLabeller

    return StepLabeller(*_symbols(meta), config, config.bidirectional_encoder, meta["reverse_source"])


def _one_to_many(config: SequenceToSequenceModel, meta: Meta) -> "SequenceNetwork":
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


def _feedback(config: SequenceToSequenceModel, meta: Meta) -> "SequenceNetwork":
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


_NETWORKS: dict[Architecture, "Callable[[SequenceToSequenceModel, Meta], SequenceNetwork]"] = {
    "repeat": _repeat,
    "plain": _feedback,
    "peeking": _feedback,
    "attention": _feedback,
    "aligned": _aligned,
    "one_to_many": _one_to_many,
}
