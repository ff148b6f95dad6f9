"""Pairs of texts as arrays, and their splits. Shapes: N pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.core.errors import DataError, TableError
from unroll.features import scaling, splits, strings
from unroll.problems.common import classification
from unroll.problems.common.base import SPLITS, Meta, Prepared, Split
from unroll.problems.common.preparation import Check, Preparation, Questions, within
from unroll.problems.sequence_to_sequence import number_vectors, pairs, sums
from unroll.problems.sequence_to_sequence.config import SequenceToSequenceModel, SequenceToSequencePrepare
from unroll.problems.sequence_to_sequence.pairs import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

LEARNED = (
    "sources", "source_characters", "source_scaler", "target_characters", "longest_source", "longest_target",
    "unequal_lengths",
)  # fmt: skip
"""What a model knows of its train part; ``reading`` is of no use to it, and tells of the pairs at hand."""


class PairPreparation(Preparation[SequenceToSequencePrepare, SequenceToSequenceModel]):
    """Pairs of texts; equal questions stand in one split."""

    def columns(self, config: SequenceToSequencePrepare) -> Sequence[str]:
        """Both columns of the pairs, and what the split needs."""
        return (*COLUMNS, *["split"] * (config.split == "source"), *["group"] * config.grouped)

    def prepare(
        self, table: "pd.DataFrame", config: SequenceToSequencePrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """Arrays: ids and offsets of all sources and targets, and the row numbers of each split.

        Equal sources, and a sum in both orders, fall into the same split; where a source is one symbol, which train
        must have, equal pairs do.
        """
        sources, targets = (texts(table, column) for column in COLUMNS)
        numbers_ND = None
        if config.source_unit == "numbers":  # as text again, so that 0.5 and 0.50 are one question
            numbers_ND = number_vectors.rows(sources, number_vectors.in_table("pairs", "source"))
            sources = [number_vectors.text(row_D) for row_D in numbers_ND]
        whole, groups = config.source_unit == "whole", table["group"].tolist() if config.grouped else None
        shares, parts_N = (config.validation_share, config.test_share), classification.parts(table, config.split)
        parting = Parting(config.split, *shares, np.random.default_rng(config.seed), parts_N)
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
            "unequal_lengths": unequal(sources, targets),
            "reading": sums.find_reading(train_sources, train_targets) if config.source_unit == "character" else None,
            **({} if numbers_ND is None else {"source_scaler": scaling.fit(numbers_ND[rows["train"]], slice(None))}),
            "examples": {split: len(index) for split, index in rows.items()},
            **({"pairs_left_out": left_out} if left_out else {}),
        }
        if fitted:
            meta |= {key: fitted[key] for key in LEARNED if key in fitted}
        flats = pairs.encode_sources(sources, meta), strings.encode(targets, meta["target_characters"])
        for name, flat in zip(COLUMNS, flats, strict=True):
            store.write_array(folder / f"{name}_ids.npy", flat.ids_C)
            store.write_array(folder / f"{name}_offsets.npy", flat.offsets)
        for split, index in rows.items():
            store.write_array(folder / f"{split}.npy", index.astype(np.int32))
        return meta

    def check(self, prepared: Prepared, config: SequenceToSequencePrepare) -> Check:
        """Every pair in one split, no question in two, few characters and no text beyond what train has."""
        import pandas as pd

        sum_in_two = "a question, or a sum in its other order, stands in two splits"
        unknown = "a source that train does not have, where each is one symbol"
        expectations = [
            *(within(f"{split}_pairs", f"{split} has no pairs", low=1) for split in SPLITS),
            within("pairs_not_in_one_split", "a pair in no or two splits", 0, 0),
            within("questions_in_two_splits", sum_in_two, 0, 0),
            within("unknown_sources", unknown, 0, 0),
            within("unknown_character_share", "characters that train does not have", 0, config.max_unknown_share),
        ]
        for name in COLUMNS:
            reason = f"a {name} is longer than all of train"
            expectations.append(within(f"{name}_characters_beyond_train", reason, 0, 0, "warning"))
        return Check(pd.DataFrame([_facts(prepared)]), expectations)

    def questions(self, prepared: Prepared, split: Split, metric: str) -> Questions:  # noqa: ARG002
        """The target of each pair; one with a character that the model cannot write is None, and never right."""
        rows_N = np.asarray(prepared.arrays[split]).astype(np.int64)
        targets = pairs.texts_of(prepared, "target", rows_N)
        truth_N = np.array([None if strings.LOST in text else text for text in targets], dtype=object)
        return Questions({}, rows_N, truth_N)


@dataclass(frozen=True)
class Parting:
    """How pairs are split: which way, the shares, and the source's own parts (N,), where it has any."""

    kind: splits.Kind
    validation_share: float | None
    test_share: float | None
    rng: np.random.Generator
    parts_N: np.ndarray | None = None

    def by_question(self, sources: Sequence[str], given: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Row numbers of each split. Equal sources, a sum in both orders, and a ``given`` group fall into one."""
        import pandas as pd

        groups_N, questions = pd.factorize(np.array([sums.unordered(source) for source in sources], dtype=object))
        if len(questions) < 3:
            raise DataError(f"pairs: {len(questions)} different sources in {len(sources)} rows; expected at least 3")
        if given is not None:
            groups_N = splits.together(groups_N, pd.factorize(np.array(given, dtype=object))[0])
        return self._split(np.zeros(len(sources), dtype=np.int8), groups_N)

    def within_sources(self, sources: Sequence[str], targets: Sequence[str]) -> dict[str, np.ndarray]:
        """Row numbers of each split, each with its share of every source. Equal pairs fall into the same one."""
        import pandas as pd

        labels_N, _ = pd.factorize(np.array(sources, dtype=object))
        groups_N, pairs = pd.factorize(pd.Series(list(zip(sources, targets, strict=True)), dtype=object))
        if len(pairs) < 3:
            raise DataError(f"pairs: {len(pairs)} different pairs in {len(sources)} rows; expected at least 3")
        return self._split(labels_N, groups_N)

    def _split(self, labels_N: np.ndarray, groups_N: np.ndarray) -> dict[str, np.ndarray]:
        shares = self.validation_share, self.test_share
        return splits.split(self.kind, labels_N, groups_N, *shares, self.rng, self.parts_N)


def texts(table: "pd.DataFrame", column: str) -> list[str]:
    """A column's texts; raises DataError that names the row of what is no text, or empty."""
    strings: list[str] = table[column].tolist()
    for row, text in enumerate(strings):
        if not isinstance(text, str) or not text:
            raise TableError(f"{text!r:.60}; expected a text that is not empty", row=row, column=column, table="pairs")
    return strings


def unequal(sources: Sequence[str], targets: Sequence[str]) -> str | None:
    """The first row whose source and target are of different lengths, in words; None where there is none."""
    pairs = enumerate(zip(sources, targets, strict=True))
    return next((f"row {row}: source {s!r:.60} has {len(s)} characters, target {t!r:.60} {len(t)}"
                 for row, (s, t) in pairs if len(s) != len(t)), None)  # fmt: skip


def _facts(prepared: Prepared) -> dict[str, float]:
    """What ``check`` judges, measured again on the arrays."""
    index = {split: np.asarray(prepared.arrays[split]) for split in SPLITS}
    held = np.concatenate([index["validation"], index["test"]])
    flats = {column: pairs.flat(prepared, column) for column in COLUMNS}
    left_out = prepared.meta.get("pairs_left_out", 0)  # what stands in a later part, too
    uses_N = np.bincount(np.concatenate([*index.values()]), minlength=len(flats["source"].offsets) - 1)
    questions = [_questions_of(prepared, rows) for rows in index.values()]
    whole, read = pairs.whole_sources(prepared.meta), pairs.unit(prepared.meta) == "character"
    ids = np.concatenate([each.characters(held) for name, each in flats.items() if name == "target" or read])
    longest = {column: int(np.diff(each.offsets)[held].max(initial=0)) for column, each in flats.items()}
    return {
        **{f"{split}_pairs": len(rows) for split, rows in index.items()},
        "pairs_not_in_one_split": int((uses_N > 1).sum()) + abs(int((uses_N == 0).sum()) - left_out),
        "questions_in_two_splits": sum(map(len, questions)) - len(set().union(*questions)),
        "unknown_sources": int((flats["source"].ids_C[held] == strings.UNKNOWN).sum()) if whole else 0,
        "unknown_character_share": float((ids == strings.UNKNOWN).mean()),
        **{
            f"{column}_characters_beyond_train": max(length - prepared.meta[f"longest_{column}"], 0)
            for column, length in longest.items()
        },
    }


def _questions_of(prepared: Prepared, index: np.ndarray) -> set[Any]:
    """What may stand in one split only: questions, a sum's orders being one, or where sources recur, pairs."""
    sources = pairs.texts_of(prepared, "source", index)
    if pairs.whole_sources(prepared.meta):
        return set(zip(sources, pairs.texts_of(prepared, "target", index), strict=True))
    return {sums.unordered(source) for source in sources}
