"""Answer a text with a text, character by character, such as ``123+456`` with ``579``.

Many to many with lengths of their own, many to many of equal length, and one to many.
Shapes: B batch, N pairs, S source steps, T target steps, V symbols of the answer, K statistics.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import Field, model_validator

from unroll.core import store
from unroll.core.config import DisagreementError, PrepareConfig, Share
from unroll.core.expectation import Expectation
from unroll.core.scores import Scores
from unroll.features import batching, scaling, strings, text_splits
from unroll.features.strings import UNKNOWN
from unroll.problems.common import classification
from unroll.problems.common.base import Asked, Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split, rows_at_once
from unroll.problems.common.inputs import Inputs
from unroll.problems.sequence_to_sequence import inputs, number_vectors, pairs, requests, sums
from unroll.problems.sequence_to_sequence import scores as answers
from unroll.problems.sequence_to_sequence.build import SequenceToSequenceModel, build, disagreement
from unroll.problems.sequence_to_sequence.pairs import COLUMNS, SPLITS, SourceUnit

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from unroll.problems.sequence_to_sequence.network.encoder_decoder import Answerer

END = 0
"""The network's symbol for the end of an answer; the characters follow from 1. Padding is UNKNOWN, below 0."""


class SequenceToSequencePrepare(PrepareConfig):
    """The ``prepare`` block of a sequence-to-sequence task."""

    split: text_splits.Kind = Field(
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
        if fault := text_splits.shares_fault(self.split, self.validation_share, self.test_share, "pairs"):
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


class SequenceToSequence(Problem[SequenceToSequencePrepare, SequenceToSequenceModel]):
    """Many to many, with lengths of their own on both sides."""

    Prepare = SequenceToSequencePrepare
    Model = SequenceToSequenceModel
    takes = "pairs"
    headline = "exact_match"
    metric_names = ("exact_match", "digit_accuracy")
    baseline_names = ("digit_chance", "most_frequent")
    unit = "characters"
    optional_inputs = tuple(requests.SAMPLING)
    addition = inputs.Sums()

    def columns(self, config: SequenceToSequencePrepare) -> Sequence[str]:
        """Both columns of the pairs, and what the split needs."""
        return (*COLUMNS, *["split"] * (config.split == "source"), *["group"] * config.grouped)

    def disagreement(self, prepare: SequenceToSequencePrepare, model: SequenceToSequenceModel) -> str | None:
        """An architecture that cannot read sources of ``source_unit``."""
        return disagreement(model, prepare.source_unit)

    def prepare(
        self, table: "pd.DataFrame", config: SequenceToSequencePrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """Arrays: ids and offsets of all sources and targets, and the row numbers of each split.

        Equal sources, and a sum in both orders, fall into the same split; where a source is one symbol, which train
        must have, equal pairs do.
        """
        sources, targets = (pairs.texts(table, column) for column in COLUMNS)
        numbers_ND = None
        if config.source_unit == "numbers":  # as text again, so that 0.5 and 0.50 are one question
            numbers_ND = number_vectors.rows(sources, number_vectors.in_table("pairs", "source"))
            sources = [number_vectors.text(row_D) for row_D in numbers_ND]
        whole, groups = config.source_unit == "whole", table["group"].tolist() if config.grouped else None
        shares, parts_N = (config.validation_share, config.test_share), classification.parts(table, config.split)
        parting = pairs.Parting(config.split, *shares, np.random.default_rng(config.seed), parts_N)
        rows = parting.within_sources(sources, targets) if whole else parting.by_question(sources, groups)
        left_out = len(sources) - sum(map(len, rows.values()))
        train_sources, train_targets = ([texts[row] for row in rows["train"]] for texts in (sources, targets))
        meta: dict[str, Any] = {
            "reverse_source": config.reverse_source,
            "source_unit": config.source_unit,
            "sources": sorted(set(train_sources)) if whole else None,
            "source_characters": strings.alphabet(train_sources),
            "target_characters": strings.alphabet(train_targets),
            "longest_source": max(map(len, train_sources)) if numbers_ND is None else numbers_ND.shape[1],
            "longest_target": max(map(len, train_targets)),
            "unequal_lengths": pairs.unequal(sources, targets),
            "reading": sums.find_reading(train_sources, train_targets) if config.source_unit == "character" else None,
            **({} if numbers_ND is None else {"source_scaler": scaling.fit(numbers_ND[rows["train"]], slice(None))}),
            "examples": {split: len(index) for split, index in rows.items()},
            **({"pairs_left_out": left_out} if left_out else {}),
        }
        if fitted:
            meta |= {key: fitted[key] for key in pairs.LEARNED if key in fitted}
        flats = pairs.encode_sources(sources, meta), strings.encode(targets, meta["target_characters"])
        for name, flat in zip(COLUMNS, flats, strict=True):
            store.write_array(folder / f"{name}_ids.npy", flat.ids_C)
            store.write_array(folder / f"{name}_offsets.npy", flat.offsets)
        for split, index in rows.items():
            store.write_array(folder / f"{split}.npy", index.astype(np.int32))
        return meta

    def asked(self, prepared: Prepared, split: Split, metric: str) -> Asked:  # noqa: ARG002
        """The target of each pair; one with a character that the model cannot write is None, and never right."""
        rows_N = np.asarray(prepared.arrays[split]).astype(np.int64)
        targets = pairs.texts_of(prepared, "target", rows_N)
        truth_N = np.array([None if strings.LOST in text else text for text in targets], dtype=object)
        return Asked({}, rows_N, truth_N)

    def check(self, prepared: Prepared, config: SequenceToSequencePrepare) -> Check:
        """Every pair in one split, no question in two, few characters and no text beyond what train has."""
        import pandas as pd

        between, zero = "expect_column_values_to_be_between", {"min_value": 0, "max_value": 0}
        most = {"min_value": 0, "max_value": config.max_unknown_share}
        return Check(
            pd.DataFrame([pairs.facts(prepared)]),
            [
                *(
                    Expectation(between, {"column": f"{split}_pairs", "min_value": 1}, reason=f"{split} has no pairs")
                    for split in SPLITS
                ),
                Expectation(between, {"column": "pairs_not_in_one_split", **zero}, reason="a pair in no or two splits"),
                Expectation(
                    between,
                    {"column": "questions_in_two_splits", **zero},
                    reason="a question, or a sum in its other order, stands in two splits",
                ),
                Expectation(
                    between,
                    {"column": "unknown_sources", **zero},
                    reason="a source that train does not have, where each is one symbol",
                ),
                Expectation(
                    between, {"column": "unknown_character_share", **most}, reason="characters that train does not have"
                ),
                *(
                    Expectation(
                        between,
                        {"column": f"{name}_characters_beyond_train", **zero},
                        severity="warning",
                        reason=f"a {name} is longer than all of train",
                    )
                    for name in COLUMNS
                ),
            ],
        )

    def model(self, config: SequenceToSequenceModel, meta: Meta) -> "nn.Module":
        """The network of ``config.architecture``; raises ConfigError or DataError where the pairs do not fit it."""
        return build(config, meta)

    def progress(self, model: "nn.Module", share: float) -> None:
        """Tell the network, whose teacher forcing may follow a schedule."""
        _answerer(model).progress(share)

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Pairs in random order, those of like length together."""
        flats, train = [pairs.flat(prepared, column) for column in COLUMNS], np.asarray(prepared.arrays["train"])
        sources_N, targets_N = (np.diff(flat.offsets)[train] for flat in flats)
        by_both_N = targets_N * (sources_N.max() + 1) + sources_N
        for rows in batching.by_length(by_both_N, batch_size, rng):
            yield pairs.batch(flats, train[rows], END)

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Pairs in the table's order."""
        flats, index = [pairs.flat(prepared, column) for column in COLUMNS], prepared.arrays[split]
        for low in range(0, len(index), batch_size):
            yield pairs.batch(flats, index[low : low + batch_size], END)

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Cross-entropy over the characters of the answers and the end of each, where the network tells it."""
        from torch.nn.functional import cross_entropy

        network, target_BT = _answerer(model), batch["target_BT"]
        scores_BTV = network.scores(batch["source_BS"], batch["lengths_B"], target_BT).float()
        counted_BT = target_BT if network.says_end else target_BT.masked_fill(target_BT == END, UNKNOWN)
        total = cross_entropy(scores_BTV.flatten(0, 1), counted_BT.flatten(), ignore_index=UNKNOWN, reduction="sum")
        return Loss(total, int((counted_BT != UNKNOWN).sum()))

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """The answer to each question and its probability."""
        index, sources = np.asarray(prepared.arrays[split]), pairs.flat(prepared, "source")
        return _scores(prepared, index, *pairs.answer(_answerer(model), prepared.meta, sources, index, batch_size))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The most frequent character at each position, and the most frequent answer."""
        from unroll.problems.sequence_to_sequence.baselines import digit_chance, most_frequent

        index = np.asarray(prepared.arrays[split])
        known = pairs.texts_of(prepared, "target", prepared.arrays["train"])
        guesses = {"digit_chance": digit_chance(known), "most_frequent": most_frequent(known)}
        return {name: _scores(prepared, index, [guess] * len(index)) for name, guess in guesses.items()}

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Exact match and digit accuracy."""
        return answers.metrics(sums)

    def figures(
        self,
        model: "nn.Module",
        prepared: Prepared,
        scores: Scores,
        baselines: Mapping[str, Scores],  # noqa: ARG002
    ) -> Iterable[Figure]:
        """Questions with truth and guess, the share of wrong answers by group, and what the network attends to."""
        yield from answers.figures(scores)
        yield from pairs.attention_maps(_answerer(model), prepared, scores.table()["guess"].tolist())

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """``answer`` and its ``probability`` for each ``source``.

        Columns ``temperature`` and ``seed`` may stand beside it: above a temperature of 0 an answer is drawn, from the
        row's seed alone, else searched for. An answer that has not ended at train's longest is cut there.
        """
        import pandas as pd

        network, sources = _answerer(model), requests.sources(frame, meta)
        (temperature_N, seeds), flat = requests.sampling(frame), pairs.encode_sources(sources, meta)
        found = pairs.answer(network, meta, flat, np.arange(len(sources)), 512)
        if temperature_N.any():
            warm_N = temperature_N > 0
            drawn = pairs.draw(network, meta, flat, np.where(warm_N, temperature_N, 1.0), seeds)
            texts = [drawn[0][row] if warm else found[0][row] for row, warm in enumerate(warm_N)]
            found = texts, np.where(warm_N, drawn[1], found[1])
        return pd.DataFrame({"answer": pd.Series(found[0], dtype="str"), "probability": found[1]})

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """All rows of all frames in one pass."""
        return rows_at_once(lambda frame: self.predict(model, meta, frame), frames)

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """A source, and how its answer is chosen."""
        return inputs.inputs(meta, cell_characters)

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """A known source or character."""
        return inputs.made_up(meta)

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first questions of the test part."""
        import pandas as pd

        return pd.DataFrame({"source": pairs.texts_of(prepared, "source", prepared.arrays["test"][:3])})


def _answerer(model: "nn.Module") -> "Answerer":
    """The network as what ``build`` made it; ``Problem`` speaks of modules."""
    return cast("Answerer", model)


def _scores(
    prepared: Prepared, index: np.ndarray, guesses: Sequence[str], probability_N: np.ndarray | None = None
) -> Scores:
    questions, truths = (pairs.texts_of(prepared, column, index) for column in COLUMNS)
    return answers.scores(
        questions, truths, guesses, probability_N, prepared.meta["reading"], pairs.unit(prepared.meta)
    )


PROBLEM = SequenceToSequence()
