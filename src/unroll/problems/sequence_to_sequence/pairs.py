"""Pairs of texts as arrays and back: splits, numbers of sources and targets, batches, answers, attention as a picture.

Shapes: N pairs, B batch, S source steps, T target steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unroll.core.errors import DataError, TableError
from unroll.features import splits, strings, text_splits
from unroll.features.strings import UNKNOWN, Flat
from unroll.problems.common.base import Batch, Figure, Meta, Prepared, Split
from unroll.problems.sequence_to_sequence import number_vectors, sums

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from unroll.problems.sequence_to_sequence.network.encoder_decoder import Answerer

SourceUnit = Literal["character", "whole", "numbers"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
COLUMNS = ("source", "target")
LEARNED = (
    "sources", "source_characters", "source_scaler", "target_characters", "longest_source", "longest_target",
    "unequal_lengths",
)  # fmt: skip
"""What a model knows of its train part; ``reading`` is of no use to it, and tells of the pairs at hand."""
SHOWN_QUESTIONS = 6
"""Questions whose attention is drawn."""


def texts(table: "pd.DataFrame", column: str) -> list[str]:
    """A column's texts; raises DataError that names the row of what is no text, or empty."""
    found: list[str] = table[column].tolist()
    for row, text in enumerate(found):
        if not isinstance(text, str) or not text:
            raise TableError(f"{text!r:.60}; expected a text that is not empty", row=row, column=column, table="pairs")
    return found


@dataclass(frozen=True)
class Parting:
    """How pairs are split: which way, the shares, and the source's own parts (N,), where it has any."""

    kind: text_splits.Kind
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
        return text_splits.split(self.kind, labels_N, groups_N, *shares, self.rng, self.parts_N)


def unequal(sources: Sequence[str], targets: Sequence[str]) -> str | None:
    """The first row whose source and target are of different lengths, in words; None where there is none."""
    pairs = enumerate(zip(sources, targets, strict=True))
    return next((f"row {row}: source {s!r:.60} has {len(s)} characters, target {t!r:.60} {len(t)}"
                 for row, (s, t) in pairs if len(s) != len(t)), None)  # fmt: skip


def whole_sources(meta: Meta) -> bool:
    """Whether a source is one symbol."""
    return unit(meta) == "whole"


def unit(meta: Meta) -> SourceUnit:
    """What a source is made of."""
    found: SourceUnit = meta.get("source_unit", "character")
    return found


def encode_sources(sources: Sequence[str], meta: Meta) -> Flat:
    """Sources as the network reads them: their characters, from the end if the task says so, one number each, or the
    numbers that they are the text of.
    """
    if unit(meta) == "numbers":
        found_ND = number_vectors.rows(sources, number_vectors.in_table("pairs", "source"), meta["longest_source"])
        return Flat(found_ND.ravel(), np.arange(len(found_ND) + 1, dtype=np.int64) * found_ND.shape[1])
    if not whole_sources(meta):
        inputs = [source[::-1] for source in sources] if meta["reverse_source"] else sources
        return strings.encode(inputs, meta["source_characters"])
    number = {source: place for place, source in enumerate(meta["sources"])}
    ids_N = np.array([number.get(source, UNKNOWN) for source in sources], dtype=np.int32)
    return Flat(ids_N, np.arange(len(sources) + 1, dtype=np.int64))


def flat(prepared: Prepared, column: str) -> Flat:
    """All texts of a column as numbers."""
    ids_C, offsets = (np.asarray(prepared.arrays[f"{column}_{part}"]) for part in ("ids", "offsets"))
    return Flat(ids_C, offsets)


def texts_of(prepared: Prepared, column: str, index: np.ndarray) -> list[str]:
    """Texts as the table has them."""
    meta = prepared.meta
    if column == "source" and whole_sources(meta):
        named = [*meta["sources"], "\N{REPLACEMENT CHARACTER}"]  # UNKNOWN, -1, is the last
        return [named[number] for number in flat(prepared, column).ids_C[index].tolist()]
    if column == "source" and unit(meta) == "numbers":
        return [number_vectors.text(row_D) for row_D in flat(prepared, column).padded(index)[0]]
    found = strings.decode(flat(prepared, column), index, meta[f"{column}_characters"])
    back = column == "source" and meta["reverse_source"]
    return [text[::-1] for text in found] if back else found


def facts(prepared: Prepared) -> dict[str, float]:
    """What ``check`` judges, measured again on the arrays."""
    index = {split: np.asarray(prepared.arrays[split]) for split in SPLITS}
    held = np.concatenate([index["validation"], index["test"]])
    flats = {column: flat(prepared, column) for column in COLUMNS}
    left_out = prepared.meta.get("pairs_left_out", 0)  # what stands in a later part, too
    uses_N = np.bincount(np.concatenate([*index.values()]), minlength=len(flats["source"].offsets) - 1)
    questions = [_questions_of(prepared, rows) for rows in index.values()]
    whole, read = whole_sources(prepared.meta), unit(prepared.meta) == "character"
    ids = np.concatenate([each.characters(held) for name, each in flats.items() if name == "target" or read])
    longest = {column: int(np.diff(each.offsets)[held].max(initial=0)) for column, each in flats.items()}
    return {
        **{f"{split}_pairs": len(rows) for split, rows in index.items()},
        "pairs_not_in_one_split": int((uses_N > 1).sum()) + abs(int((uses_N == 0).sum()) - left_out),
        "questions_in_two_splits": sum(map(len, questions)) - len(set().union(*questions)),
        "unknown_sources": int((flats["source"].ids_C[held] == UNKNOWN).sum()) if whole else 0,
        "unknown_character_share": float((ids == UNKNOWN).mean()),
        **{
            f"{column}_characters_beyond_train": max(length - prepared.meta[f"longest_{column}"], 0)
            for column, length in longest.items()
        },
    }


def _questions_of(prepared: Prepared, index: np.ndarray) -> set[Any]:
    """What may stand in one split only: questions, a sum's orders being one, or where sources recur, pairs."""
    sources = texts_of(prepared, "source", index)
    if whole_sources(prepared.meta):
        return set(zip(sources, texts_of(prepared, "target", index), strict=True))
    return {sums.unordered(source) for source in sources}


def batch(flats: Sequence[Flat], index_B: np.ndarray, end: int) -> Batch:
    """Sources (B, S) with their lengths, and targets (B, T) of which ``end`` follows the last character."""
    import torch

    (source_BS, lengths_B), (characters_BT, characters_B) = (each.padded(index_B) for each in flats)
    known_BT = np.where(characters_BT == UNKNOWN, UNKNOWN, characters_BT + 1)  # an unknown character is never right
    target_BT = np.pad(known_BT, ((0, 0), (0, 1)), constant_values=UNKNOWN)
    target_BT[np.arange(len(index_B)), characters_B] = end
    arrays = {"source_BS": source_BS, "lengths_B": lengths_B, "target_BT": target_BT}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def answer(
    model: "Answerer", meta: Meta, sources: Flat, index: np.ndarray, batch_size: int
) -> tuple[list[str], np.ndarray]:
    """The answers that the network's own search finds, and the probability of each."""

    def search(source_BS: "Tensor", lengths_B: "Tensor", rows: slice) -> "tuple[Tensor, Tensor]":  # noqa: ARG001
        return model.answer(source_BS, lengths_B, meta["longest_target"] + 1)

    return _answer_all(model, meta, sources, index, batch_size, search)


def draw(
    model: "Answerer", meta: Meta, sources: Flat, temperature_N: np.ndarray, seeds: Sequence[int]
) -> tuple[list[str], np.ndarray]:
    """An answer drawn for each source, from its own seed alone, and its probability."""
    import torch

    steps = meta["longest_target"] + 1
    uniform_NT = np.stack([np.random.default_rng(seed).random(steps) for seed in seeds])

    def sample(source_BS: "Tensor", lengths_B: "Tensor", rows: slice) -> "tuple[Tensor, Tensor]":
        chances = torch.from_numpy(uniform_NT[rows]), torch.from_numpy(temperature_N[rows])
        return model.sample(source_BS, lengths_B, *(part.float().to(source_BS.device) for part in chances))

    return _answer_all(model, meta, sources, np.arange(len(seeds)), 512, sample)


def _answer_all(
    model: "Answerer", meta: Meta, sources: Flat, index: np.ndarray, batch_size: int, find: Any
) -> tuple[list[str], np.ndarray]:
    """Texts and probabilities, batch by batch, of the ids (B, T) and log-probabilities (B) that ``find`` gives."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    guesses: list[str] = []
    probabilities: list[np.ndarray] = [np.empty(0)]
    for low in range(0, len(index), batch_size):
        rows = slice(low, low + batch_size)
        source_BS, lengths_B = (torch.from_numpy(x).to(device) for x in sources.padded(index[rows]))
        with torch.inference_mode():
            found_BT, logp_B = (each.cpu().numpy() for each in find(source_BS, lengths_B, rows))
        probabilities.append(np.exp(logp_B.astype(np.float64)))
        before_BT = np.cumsum(found_BT == 0, axis=1) == 0
        answers = Flat(found_BT[before_BT] - 1, np.concatenate([[0], before_BT.sum(axis=1).cumsum()]))
        guesses += strings.decode(answers, np.arange(len(found_BT)), meta["target_characters"])
    return guesses, np.concatenate(probabilities)


def attention_maps(model: "Answerer", prepared: Prepared, guesses: Sequence[str]) -> Iterator[Figure]:
    """What the first answers of the test part look at in their questions, where the network attends to anything."""
    import pandas as pd
    import torch

    meta, count = prepared.meta, min(SHOWN_QUESTIONS, len(guesses))
    index, shown = np.asarray(prepared.arrays["test"])[:count], list(guesses[:count])
    flats = flat(prepared, "source"), strings.encode(shown, meta["target_characters"])
    source_BS, lengths_B = flats[0].padded(index)
    target_BT = batch((flats[1], flats[1]), np.arange(count), end=0)["target_BT"]
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        arrays = torch.from_numpy(source_BS), torch.from_numpy(lengths_B), target_BT
        weights_BTS = model.attended(*(each.to(device) for each in arrays))
    if weights_BTS is None:
        return
    rows = []
    for weights_TS, question, guess in zip(weights_BTS.cpu().numpy(), texts_of(prepared, "source", index), shown,
                                           strict=True):  # fmt: skip
        own = weights_TS[: len(guess) + 1, : 1 if whole_sources(meta) else len(question)]
        own = own[:, ::-1] if meta["reverse_source"] else own
        across = [question] if whole_sources(meta) else list(question)
        rows += [
            (f"{question} → {guess}", row, column, [*guess, "end"][row], across[column], round(float(value), 6))
            for (row, column), value in np.ndenumerate(own)
        ]
    frame = pd.DataFrame(rows, columns=["map", "row", "column", "row_label", "column_label", "value"])
    title = "What each character of an answer attends to in its question"
    yield Figure("attention", "heatmap", title, frame, "column_label", "question", "answer")
