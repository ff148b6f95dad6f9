"""Answer a text with a text, character by character, such as ``123+456`` with ``579``.

Shapes: B batch, N pairs, S source steps, T target steps, V symbols of the answer, K statistics.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from unroll import store
from unroll.config import PrepareConfig, RecurrentConfig, Share
from unroll.errors import DataError
from unroll.expectation import Expectation
from unroll.features import batching, strings, sums, text_splits
from unroll.features.strings import UNKNOWN, Flat
from unroll.problems import _answers as answers
from unroll.problems.base import Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split
from unroll.scores import Scores

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
COLUMNS = ("source", "target")
END = 0
"""The network's symbol for the end of an answer; the characters follow from 1. Padding is UNKNOWN, below 0."""


class SequenceToSequencePrepare(PrepareConfig):
    """The ``prepare`` block of a sequence-to-sequence task."""

    validation_share: float = Field(gt=0, lt=1, description="Share of all pairs")
    test_share: float = Field(gt=0, lt=1, description="Share of all pairs")
    seed: int = Field(ge=0, description="Seed of the split")
    reverse_source: bool = Field(
        description="Whether the network reads the source from its end (Sutskever et al. 2014)"
    )
    max_unknown_share: Share = Field(description="Share of characters of validation and test that train may lack")

    @model_validator(mode="after")
    def _leaves_train(self) -> "SequenceToSequencePrepare":
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share + test_share must be below 1, so that train has pairs")
        return self


class SequenceToSequenceModel(RecurrentConfig):
    """The ``model`` block of a sequence-to-sequence task."""


class SequenceToSequence(Problem[SequenceToSequencePrepare, SequenceToSequenceModel]):
    """Many to many, with lengths of their own on both sides."""

    Prepare = SequenceToSequencePrepare
    Model = SequenceToSequenceModel
    takes = "pairs"
    headline = "exact_match"
    metric_names = ("exact_match", "digit_accuracy")
    baseline_names = ("digit_chance", "most_frequent")
    unit = "characters"

    def columns(self, config: SequenceToSequencePrepare) -> Sequence[str]:  # noqa: ARG002
        """Both columns of the pairs."""
        return COLUMNS

    def prepare(self, table: "pd.DataFrame", config: SequenceToSequencePrepare, folder: Path) -> dict[str, Any]:
        """Arrays: ids and offsets of all sources and targets, and the row numbers of each split.

        Equal sources, and a sum in both orders, fall into the same split.
        """
        sources, targets = (_texts(table, column) for column in COLUMNS)
        rows = _split(sources, config)
        train_sources, train_targets = ([texts[row] for row in rows["train"]] for texts in (sources, targets))
        alphabets = strings.alphabet(train_sources), strings.alphabet(train_targets)
        inputs = [source[::-1] for source in sources] if config.reverse_source else sources
        for name, texts, characters in zip(COLUMNS, (inputs, targets), alphabets, strict=True):
            flat = strings.encode(texts, characters)
            store.write_array(folder / f"{name}_ids.npy", flat.ids_C)
            store.write_array(folder / f"{name}_offsets.npy", flat.offsets)
        for split, index in rows.items():
            store.write_array(folder / f"{split}.npy", index.astype(np.int32))
        return {
            "reverse_source": config.reverse_source,
            "source_characters": alphabets[0],
            "target_characters": alphabets[1],
            "longest_source": max(map(len, train_sources)),
            "longest_target": max(map(len, train_targets)),
            "reading": sums.find_reading(train_sources, train_targets),
            "examples": {split: len(index) for split, index in rows.items()},
        }

    def check(self, prepared: Prepared, config: SequenceToSequencePrepare) -> Check:
        """Every pair in one split, no question in two, few characters and no text beyond what train has."""
        import pandas as pd

        between, zero = "expect_column_values_to_be_between", {"min_value": 0, "max_value": 0}
        most = {"min_value": 0, "max_value": config.max_unknown_share}
        return Check(
            pd.DataFrame([_facts(prepared)]),
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
        """A recurrent encoder and decoder."""
        from unroll.nn.encoder_decoder import EncoderDecoder

        symbols = len(meta["source_characters"]), len(meta["target_characters"]) + 1
        return EncoderDecoder(*symbols, config)

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Pairs in random order, those of like length together."""
        flats, train = [_flat(prepared, column) for column in COLUMNS], np.asarray(prepared.arrays["train"])
        sources_N, targets_N = (np.diff(flat.offsets)[train] for flat in flats)
        by_both_N = targets_N * (sources_N.max() + 1) + sources_N
        for rows in batching.by_length(by_both_N, batch_size, rng):
            yield _batch(flats, train[rows])

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Pairs in the table's order."""
        flats, index = [_flat(prepared, column) for column in COLUMNS], prepared.arrays[split]
        for low in range(0, len(index), batch_size):
            yield _batch(flats, index[low : low + batch_size])

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Cross-entropy over the characters of the answers and the end of each."""
        from torch.nn.functional import cross_entropy

        target_BT = batch["target_BT"]
        scores_BTV = model(batch["source_BS"], batch["lengths_B"], target_BT.shape[1]).float()
        total = cross_entropy(scores_BTV.flatten(0, 1), target_BT.flatten(), ignore_index=UNKNOWN, reduction="sum")
        return Loss(total, int((target_BT != UNKNOWN).sum()))

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """The answer to each question and its probability."""
        index = np.asarray(prepared.arrays[split])
        return _scores(prepared, index, *_guess(model, prepared.meta, _flat(prepared, "source"), index, batch_size))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The most frequent character at each position, and the most frequent answer."""
        from unroll.baselines.pairs import digit_chance, most_frequent

        index = np.asarray(prepared.arrays[split])
        known = _texts_of(prepared, "target", prepared.arrays["train"])
        guesses = {"digit_chance": digit_chance(known), "most_frequent": most_frequent(known)}
        return {name: _scores(prepared, index, [guess] * len(index)) for name, guess in guesses.items()}

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Exact match and digit accuracy."""
        return answers.metrics(sums)

    def figures(
        self,
        model: "nn.Module",  # noqa: ARG002
        prepared: Prepared,  # noqa: ARG002
        scores: Scores,
        baselines: Mapping[str, Scores],  # noqa: ARG002
    ) -> Iterable[Figure]:
        """Questions with truth and guess, and the share of wrong answers by group."""
        return answers.figures(scores)

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """``answer`` and its ``probability`` for each ``source``."""
        import pandas as pd

        sources = _questions(frame, meta)
        inputs = [source[::-1] for source in sources] if meta["reverse_source"] else sources
        flat = strings.encode(inputs, meta["source_characters"])
        guesses, probability_N = _guess(model, meta, flat, np.arange(len(sources)), 512)
        return pd.DataFrame({"answer": pd.Series(guesses, dtype="str"), "probability": probability_N})

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first questions of the test part."""
        import pandas as pd

        return pd.DataFrame({"source": _texts_of(prepared, "source", prepared.arrays["test"][:3])})


def _texts(table: "pd.DataFrame", column: str) -> list[str]:
    texts: list[str] = table[column].tolist()
    for row, text in enumerate(texts):
        if not isinstance(text, str) or not text:
            raise DataError(f"pairs: row {row}, column {column}: {text!r:.60}; expected a text that is not empty")
    return texts


def _split(sources: list[str], config: SequenceToSequencePrepare) -> dict[str, np.ndarray]:
    """Row numbers of each split, drawn by question."""
    import pandas as pd

    groups_N, questions = pd.factorize(np.array([sums.unordered(source) for source in sources], dtype=object))
    if len(questions) < 3:
        raise DataError(f"pairs: {len(questions)} different sources in {len(sources)} rows; expected at least 3")
    one_class_N, rng = np.zeros(len(sources), dtype=np.int8), np.random.default_rng(config.seed)
    shares = config.validation_share, config.test_share
    return text_splits.split("stratified", one_class_N, groups_N, *shares, rng)


def _flat(prepared: Prepared, column: str) -> Flat:
    ids_C, offsets = (np.asarray(prepared.arrays[f"{column}_{part}"]) for part in ("ids", "offsets"))
    return Flat(ids_C, offsets)


def _texts_of(prepared: Prepared, column: str, index: np.ndarray) -> list[str]:
    """Texts as the table has them."""
    texts = strings.decode(_flat(prepared, column), index, prepared.meta[f"{column}_characters"])
    back = column == "source" and prepared.meta["reverse_source"]
    return [text[::-1] for text in texts] if back else texts


def _facts(prepared: Prepared) -> dict[str, float]:
    """What ``check`` judges, measured again on the arrays."""
    index = {split: np.asarray(prepared.arrays[split]) for split in SPLITS}
    held = np.concatenate([index["validation"], index["test"]])
    flats = {column: _flat(prepared, column) for column in COLUMNS}
    uses_N = np.bincount(np.concatenate([*index.values()]), minlength=len(flats["source"].offsets) - 1)
    questions = [{sums.unordered(text) for text in _texts_of(prepared, "source", rows)} for rows in index.values()]
    ids = np.concatenate([flat.characters(held) for flat in flats.values()])
    longest = {column: int(np.diff(flat.offsets)[held].max(initial=0)) for column, flat in flats.items()}
    return {
        **{f"{split}_pairs": len(rows) for split, rows in index.items()},
        "pairs_not_in_one_split": int((uses_N != 1).sum()),
        "questions_in_two_splits": sum(map(len, questions)) - len(set().union(*questions)),
        "unknown_character_share": float((ids == UNKNOWN).mean()),
        **{
            f"{column}_characters_beyond_train": max(length - prepared.meta[f"longest_{column}"], 0)
            for column, length in longest.items()
        },
    }


def _batch(flats: Sequence[Flat], index: np.ndarray) -> Batch:
    """Sources as they are, answers as the network's symbols with END after each; both padded with UNKNOWN."""
    import torch

    source_BS, lengths_B = flats[0].padded(index)
    ids_BT, ends_B = flats[1].padded(index)
    target_BT = np.pad(np.where(ids_BT == UNKNOWN, UNKNOWN, ids_BT + 1), ((0, 0), (0, 1)), constant_values=UNKNOWN)
    target_BT[np.arange(len(index)), ends_B] = END
    arrays = {"source_BS": source_BS, "lengths_B": lengths_B, "target_BT": target_BT}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _guess(
    model: "nn.Module", meta: Meta, sources: Flat, index: np.ndarray, batch_size: int
) -> tuple[list[str], np.ndarray]:
    """The most probable symbol at each step up to the end (greedy), and the probability of that answer."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    guesses: list[str] = []
    probabilities: list[np.ndarray] = [np.empty(0)]
    for low in range(0, len(index), batch_size):
        source_BS, lengths_B = (torch.from_numpy(x).to(device) for x in sources.padded(index[low : low + batch_size]))
        with torch.inference_mode():
            scores_BTV = model(source_BS, lengths_B, meta["longest_target"] + 1).cpu().double()
        logp_BT, symbols_BT = (best.cpu().numpy() for best in scores_BTV.log_softmax(-1).max(-1))
        before_BT = np.cumsum(symbols_BT == END, axis=1) == 0
        counted_BT = np.pad(before_BT, ((0, 0), (1, 0)), constant_values=True)[:, :-1]  # the end counts, too
        probabilities.append(np.exp((logp_BT * counted_BT).sum(axis=1)))
        flat = Flat(symbols_BT[before_BT] - 1, np.concatenate([[0], before_BT.sum(axis=1).cumsum()]))
        guesses += strings.decode(flat, np.arange(len(symbols_BT)), meta["target_characters"])
    return guesses, np.concatenate(probabilities)


def _scores(
    prepared: Prepared, index: np.ndarray, guesses: Sequence[str], probability_N: np.ndarray | None = None
) -> Scores:
    questions, truths = (_texts_of(prepared, column, index) for column in COLUMNS)
    return answers.scores(questions, truths, guesses, probability_N, prepared.meta["reading"])


def _questions(frame: "pd.DataFrame", meta: Meta) -> list[str]:
    """The sources of a raw input, or DataError that names the row."""
    if "source" not in frame:
        raise DataError(f"input: column 'source' is missing; expected it among {', '.join(map(str, frame.columns))}")
    known, most = meta["source_characters"], meta["longest_source"]
    texts: list[str] = frame["source"].tolist()
    for row, text in enumerate(texts, start=1):
        where = f"input: row {row}, column source: {text!r:.60}"
        if not isinstance(text, str) or not text:
            raise DataError(f"{where}; expected a text of at most {most} characters among {known!r}")
        unknown = next((character for character in text if character not in known), None)
        if unknown is not None:
            raise DataError(f"{where}: character {unknown!r} is unknown; expected only {known!r}")
        if len(text) > most:
            raise DataError(f"{where}: {len(text)} characters; expected at most {most}, the longest in train")
    return texts


PROBLEM = SequenceToSequence()
