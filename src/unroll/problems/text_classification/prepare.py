"""Labelled texts as arrays: how they are cleaned, parted and told into tokens, and what must hold of them.

Shapes: N texts, C classes, V words known.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.core.errors import TableError
from unroll.features import splits, tokenization
from unroll.features.strings import Flat
from unroll.features.vocabulary import UNKNOWN, Vocabulary
from unroll.problems.common import classification, starting_vectors
from unroll.problems.common.base import SPLITS, Meta, Prepared, Split
from unroll.problems.common.preparation import Check, Preparation, Questions, within
from unroll.problems.text_classification.config import TextClassificationModel, TextClassificationPrepare

if TYPE_CHECKING:
    import pandas as pd


class TextPreparation(Preparation[TextClassificationPrepare, TextClassificationModel]):
    """Texts as words, and as bytes of which n-grams are made."""

    def columns(self, config: TextClassificationPrepare) -> Sequence[str]:
        """Text and label, and what the split needs."""
        return ("text", "label", *["split"] * (config.split == "source"), *["group"] * config.grouped)

    def prepare(
        self, table: "pd.DataFrame", config: TextClassificationPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """Arrays: ``raw`` and ``clean`` bytes and token ``ids`` of all texts, labels, row numbers of each split."""
        import pandas as pd

        raw, labels = strings(table, "text"), strings(table, "label")
        cleaned = [tokenization.clean(one) for one in raw]
        classes = classification.classes(labels, fitted)
        groups_N = pd.factorize(np.array(cleaned, dtype=object))[0]
        given_N = pd.factorize(np.array(table["group"], dtype=object))[0] if config.grouped else None
        if given_N is not None:
            groups_N = splits.together(groups_N, given_N)
            store.write_array(folder / "groups.npy", given_N.astype(np.int32))
        labels_N = np.array([classes.index(label) for label in labels], dtype=np.int16)
        rng = np.random.default_rng(config.seed)
        shares, parts_N = (config.validation_share, config.test_share), classification.parts(table, config.split)
        rows = splits.split(config.split, labels_N, groups_N, *shares, rng, parts_N)
        if config.split == "source":
            classification.require_known(labels_N, rows, classes)
        words = [tokenization.tokens(one) for one in cleaned]
        train_words = (word for row in rows["train"] for word in words[row])
        if fitted:
            vocabulary = Vocabulary(fitted["vocabulary"])
        else:
            vocabulary = Vocabulary.fit(train_words, config.min_count, config.vocabulary)
        for name, flat in {
            "raw": tokenization.pack_texts(raw),
            "clean": tokenization.pack_texts(cleaned),
            "tokens": encode(words, vocabulary, config.max_tokens),
        }.items():
            store.write_array(folder / f"{name}_ids.npy", flat.ids_C)
            store.write_array(folder / f"{name}_offsets.npy", flat.offsets)
        store.write_array(folder / "labels.npy", labels_N)
        for split, index in rows.items():
            store.write_array(folder / f"{split}.npy", index.astype(np.int32))
        vectors = None
        if fitted:
            vectors = fitted.get("vectors")  # a trained model has its vectors among its weights
        elif config.vectors:
            vectors = starting_vectors.write(config.vectors, vocabulary.items, config.seed, folder)
        return {
            "classes": classes,
            "vocabulary": vocabulary.items,
            "max_tokens": config.max_tokens,
            "hashed_buckets": config.hashed_buckets,
            "character_ngrams": list(config.character_ngrams),
            "word_ngrams": list(config.word_ngrams),
            "examples": {split: len(index) for split, index in rows.items()},
            "texts_left_out": len(raw) - sum(map(len, rows.values())),
            "texts_cut": sum(len(tokens) > config.max_tokens for tokens in words),
            **({"vectors": vectors} if vectors else {}),
        }

    def check(self, prepared: Prepared, config: TextClassificationPrepare) -> Check:
        """Texts and every class in each split, no text in two of them, few unknown words."""
        import pandas as pd

        expectations = [within(f"{split}_texts", f"{split} has no texts", low=1) for split in SPLITS]
        for number, name in enumerate(prepared.meta["classes"]):
            expectations.append(within(f"train_texts_of_class_{number}", f"class {name!r} has no text in train", low=1))
        expectations.append(within("texts_in_two_splits", "a text in two splits", 0, 0))
        if config.grouped:
            expectations.append(within("groups_in_two_splits", "a group in two splits", 0, 0))
        for split in SPLITS:
            reason = f"many words of {split} are not in the vocabulary"
            expectations.append(within(f"{split}_unknown_share", reason, 0, config.max_unknown_share, "warning"))
        return Check(pd.DataFrame([_facts(prepared)]), expectations)

    def questions(self, prepared: Prepared, split: Split, metric: str) -> Questions:  # noqa: ARG002
        """The label of each text."""
        return classification.questions(prepared, split)

    def file_fault(self, prepare: TextClassificationPrepare, model: TextClassificationModel, root: Path) -> str | None:
        """A file of word vectors of another width than the embedding, or none."""
        return starting_vectors.file_fault(prepare.vectors, model.vectors, model.embedding, root)

    def files(self, config: TextClassificationPrepare, root: Path) -> dict[str, Path]:
        """The file of word vectors."""
        return starting_vectors.files(config.vectors, root)


def _facts(prepared: Prepared) -> dict[str, float]:
    """What ``check`` judges, measured again on the arrays."""
    index = {split: np.asarray(prepared.arrays[split]) for split in SPLITS}
    clean, tokens = flat(prepared, "clean"), flat(prepared, "tokens")
    texts = [set(tokenization.unpack(clean, rows)) for rows in index.values()]
    classes = len(prepared.meta["classes"])
    counts_C = np.bincount(prepared.arrays["labels"][index["train"]], minlength=classes)
    return {
        **{f"{split}_texts": len(rows) for split, rows in index.items()},
        **{f"train_texts_of_class_{number}": int(counts_C[number]) for number in range(classes)},
        "texts_in_two_splits": sum(map(len, texts)) - len(set().union(*texts)),
        "texts_left_out": prepared.meta["texts_left_out"],
        **classification.group_facts(prepared, index),
        **{
            f"{split}_unknown_share": float((tokens.characters(rows) == UNKNOWN).mean()) if len(rows) else 0.0
            for split, rows in index.items()
        },
        **(_vector_facts(prepared, index) if "vectors" in prepared.meta else {}),
    }


def _vector_facts(prepared: Prepared, index: Mapping[Split, np.ndarray]) -> dict[str, float]:
    """Which words have a vector of the file's; a part's texts need not be there."""
    tokens = flat(prepared, "tokens")
    empty: np.ndarray = np.zeros(0, np.int32)
    ids = {str(split): tokens.characters(rows) if len(rows) else empty for split, rows in index.items()}
    return starting_vectors.facts(np.asarray(prepared.arrays["vectors_found"]), ids)


def strings(frame: "pd.DataFrame", column: str, what: str = "labelled text", first: int = 0) -> list[str]:
    """The texts of a column; ``first`` is the number of the first row in messages."""
    texts: list[str] = frame[column].tolist()
    for row, one in enumerate(texts, start=first):
        if not isinstance(one, str) or not one.strip():
            raise TableError(f"{one!r:.60}; expected a text that is not empty", row=row, column=column, table=what)
    return texts


def encode(words: Sequence[Sequence[str]], vocabulary: Vocabulary, max_tokens: int) -> Flat:
    """Token numbers of all texts; a text without a token is one unknown word."""
    return tokenization.pack([vocabulary.encode(tokens[:max_tokens]) or [UNKNOWN] for tokens in words], np.int32)


def flat(prepared: Prepared, name: str) -> Flat:
    """The texts that ``prepare`` wrote under ``name``, in one flat array."""
    ids, offsets = (np.asarray(prepared.arrays[f"{name}_{part}"]) for part in ("ids", "offsets"))
    return Flat(ids, offsets)


def class_counts(prepared: Prepared) -> np.ndarray:
    """How often each word, the unknown one first, stands in train's texts of each class (V, C)."""
    classes, tokens = len(prepared.meta["classes"]), flat(prepared, "tokens")
    labels_N, train = np.asarray(prepared.arrays["labels"]), np.asarray(prepared.arrays["train"])
    known = len(prepared.meta["vocabulary"]) + 1
    return np.stack(
        [
            np.bincount(tokens.characters(train[labels_N[train] == number]), minlength=known)
            for number in range(classes)
        ],
        axis=1,
    )
