"""A text as the numbers of its tokens. Shapes: N tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.core.errors import DataError
from unroll.features.vocabulary import UNKNOWN, Vocabulary
from unroll.problems.common import starting_vectors
from unroll.problems.common.base import SPLITS, Meta, Prepared, Split
from unroll.problems.common.preparation import Check, Preparation, Questions, within
from unroll.problems.language_model import verse, words
from unroll.problems.language_model.config import LanguageModelModel, LanguageModelPrepare
from unroll.problems.language_model.tokens import UNITS, Language, strings

if TYPE_CHECKING:
    import pandas as pd

VECTORS_SEED = 1
"""Of the vectors that words get which the file of vectors lacks."""


class LanguagePreparation(Preparation[LanguageModelPrepare, LanguageModelModel]):
    """A text from end to end, its parts one behind the other."""

    def columns(self, config: LanguageModelPrepare) -> Sequence[str]:  # noqa: ARG002
        """The lines."""
        return ("text",)

    def prepare(
        self, table: "pd.DataFrame", config: LanguageModelPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """Array ``ids``: the whole text, a number a token; the splits are consecutive parts of it.

        Of words ``characters`` and ``spelling``, too: see ``metrics``.
        """
        text = verse.join(strings(table, "text"), config.lower_case)
        tokens, counts_N = words.split(text) if config.level == "word" else (list(text), np.ones(len(text)))
        bounds = _bounds(len(tokens), config.level, config.validation_share, config.test_share)
        train = bounds["train"][1]
        if fitted:
            vocabulary = Vocabulary(fitted["symbols"])
        else:
            vocabulary = Vocabulary.fit(tokens[:train], config.min_count, config.vocabulary)
        kind = np.uint8 if len(vocabulary) <= 256 else np.int32
        store.write_array(folder / "ids.npy", np.array(vocabulary.encode(tokens), dtype=kind))
        more: dict[str, Any] = {}
        if config.level == "word":
            more |= _write_words(tokens, counts_N, train, vocabulary, folder)
            more = {key: fitted[key] for key in more} if fitted else more
        if fitted:  # a trained model has its vectors among its weights
            more |= {"vectors": fitted["vectors"]} if "vectors" in fitted else {}
        elif config.vectors:
            more["vectors"] = starting_vectors.write(config.vectors, vocabulary.items, VECTORS_SEED, folder)
        return {
            "level": config.level,
            "partition": config.partition,
            "symbols": vocabulary.items,
            **more,
            "lower_case": config.lower_case,
            "bptt": config.bptt,
            "bounds": bounds,
            "examples": {split: high - low for split, (low, high) in bounds.items()},
        }

    def check(self, prepared: Prepared, config: LanguageModelPrepare) -> Check:
        """Every token in one split, few unknown ones."""
        import pandas as pd

        expectations = [
            *(within(f"{split}_tokens", f"{split} has no text", low=2) for split in SPLITS),
            within("tokens_not_in_one_split", "a token in no or two splits", 0, 0),
            within("distinct_tokens", "nothing to predict", low=2),
        ]
        for split in SPLITS:
            reason = f"many tokens of {split} are unknown"
            expectations.append(within(f"{split}_unknown_share", reason, 0, config.max_unknown_share, "warning"))
        return Check(pd.DataFrame([_facts(prepared)]), expectations)

    def questions(self, prepared: Prepared, split: Split, metric: str) -> Questions:
        """The tokens. An unknown one is cheap, so both models must know the same ones, unless it is spelled, too."""
        meta, ids_N = prepared.meta, np.asarray(prepared.arrays["ids"])
        low, high = meta["bounds"][split]
        key_N = np.arange(max(low, 1), high)
        tokens_N = np.array(Language.of(meta).decode(ids_N[key_N].tolist()), dtype=object)
        if meta["level"] == "word" and metric == "bits_per_character":
            tokens_N[ids_N[key_N] == UNKNOWN] = None
        return Questions({key: meta[key] for key in ("level", "lower_case")}, key_N, tokens_N)

    def file_fault(self, prepare: LanguageModelPrepare, model: LanguageModelModel, root: Path) -> str | None:
        """A file of word vectors of another width than the embedding, or none."""
        return starting_vectors.file_fault(prepare.vectors, model.vectors, model.embedding, root)

    def files(self, config: LanguageModelPrepare, root: Path) -> dict[str, Path]:
        """The file of word vectors."""
        return starting_vectors.files(config.vectors, root)


def _bounds(count: int, level: str, validation_share: float, test_share: float) -> dict[str, list[int]]:
    """First token and end of each split; raises DataError for one of less than two tokens."""
    test_from = count - round(count * test_share)
    validation_from = test_from - round(count * validation_share)
    bounds: dict[str, list[int]] = {
        "train": [0, validation_from],
        "validation": [validation_from, test_from],
        "test": [test_from, count],
    }
    for split, (low, high) in bounds.items():
        if high - low < 2:
            raise DataError(f"text: {high - low} of {count} {UNITS[level]} in {split}; expected at least 2")
    return bounds


def _write_words(tokens: Sequence[str], counts_N: np.ndarray, train: int, known: Vocabulary, folder: Path) -> Meta:
    """Write arrays ``characters``, those of each token, and ``spelling``, the bits to spell it where it is unknown.

    Returns, from the first ``train`` tokens, which ones stand without a blank before and behind them.
    """
    spelling_N, unknown_N = np.zeros(len(tokens), np.float32), np.array(known.encode(tokens)) == UNKNOWN
    spelling_N[unknown_N] = words.spelling([tokens[at] for at in np.flatnonzero(unknown_N).tolist()], tokens[:train])
    store.write_array(folder / "characters.npy", counts_N.astype(np.int32))
    store.write_array(folder / "spelling.npy", spelling_N)
    before, behind = words.tight(tokens[:train], counts_N[:train])
    return {"tight_before": before, "tight_behind": behind}


def _facts(prepared: Prepared) -> dict[str, float]:
    """What ``check`` judges, measured again on the array."""
    ids, bounds = np.asarray(prepared.arrays["ids"]), prepared.meta["bounds"]
    uses_T = np.zeros(len(ids), dtype=np.int8)
    for low, high in bounds.values():
        uses_T[low:high] += 1
    parts = {split: ids[low:high] for split, (low, high) in bounds.items()}
    return {
        **{f"{split}_tokens": len(part) for split, part in parts.items()},
        "distinct_tokens": len(np.unique(parts["train"])),
        "tokens_not_in_one_split": int((uses_T != 1).sum()),
        **{f"{split}_unknown_share": float((part == UNKNOWN).mean()) for split, part in parts.items()},
        **(starting_vectors.facts(prepared.arrays["vectors_found"], parts) if "vectors" in prepared.meta else {}),
    }
