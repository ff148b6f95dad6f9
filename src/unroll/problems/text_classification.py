"""Tell the class of a text. Shapes: B batch, N texts, T tokens, G n-grams, C classes, V words known, M members."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from unroll import store
from unroll.config import DisagreementError, Pooling, PositiveInt, PrepareConfig, RecurrentConfig, Share
from unroll.errors import DataError
from unroll.expectation import Expectation
from unroll.features import association, batching, ngrams, splits, text, text_splits
from unroll.features.strings import Flat
from unroll.features.vocabulary import UNKNOWN, Vocabulary
from unroll.problems import _classification as classification
from unroll.problems import _vectors as word_vectors
from unroll.problems._vectors import VectorsFile, VectorsKey
from unroll.problems.base import Asked, Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split, rows_at_once
from unroll.scores import Scores

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHOWN_MISTAKES = 20
Lengths = Annotated[tuple[PositiveInt, ...], Field(strict=False)]


class TextClassificationPrepare(PrepareConfig):
    """The ``prepare`` block of a text classification task."""

    split: text_splits.Kind = Field(
        description="file_order: the first texts train, the last ones test; stratified: drawn class by class; source: "
        "the source's own, and validation drawn from its train part where it has none"
    )
    validation_share: float | None = Field(None, gt=0, lt=1, description="Share of all texts, or of the source's train")
    test_share: float | None = Field(None, gt=0, lt=1, description="Share of all texts")
    grouped: bool = Field(False, description="Whether texts of one group (data.group) stay on one side")
    seed: int = Field(ge=0, description="Seed of the stratified split")
    vocabulary: PositiveInt = Field(description="Words that the network knows at most")
    min_count: PositiveInt = Field(description="Rarer words of train are unknown words")
    max_tokens: PositiveInt = Field(description="Tokens of a text that the recurrent network reads at most")
    max_unknown_share: Share = Field(description="Share of unknown words in a split above which the report warns")
    hashed_buckets: int = Field(ge=0, le=1 << 24, description="Buckets of the bag of n-grams; 0: no bag")
    character_ngrams: Lengths = Field(description="Bytes of the n-grams within words")
    word_ngrams: Lengths = Field(description="Words of the n-grams of words")
    vectors: VectorsFile = None

    @model_validator(mode="after")
    def _leaves_train(self) -> "TextClassificationPrepare":
        if fault := text_splits.shares_fault(self.split, self.validation_share, self.test_share, "texts"):
            beside = ["test_share"] if self.split == "source" else []
            raise DisagreementError(fault, beside, {"validation_share": 0.1, "test_share": 0.1})
        if self.grouped and self.split == "source":
            text = "grouped must be false where split is source: the source has parted its groups itself"
            raise DisagreementError(text, ["grouped"])
        if self.hashed_buckets and not (self.character_ngrams or self.word_ngrams):
            raise ValueError("character_ngrams or word_ngrams must name a length, or hashed_buckets must be 0")
        return self


class TextClassificationModel(RecurrentConfig):
    """The ``model`` block of a text classification task."""

    embedding: PositiveInt = Field(description="Width of the word vectors")
    bidirectional: bool
    pooling: tuple[Pooling, ...] = Field(strict=False, min_length=1)
    bag_dropout: float = Field(ge=0, lt=1, description="Of single n-grams")
    bag_scale: float = Field(gt=0, description="Factor of the bag of n-grams: how fast it learns beside the rest")
    vectors: VectorsKey = "learned"
    members: PositiveInt = Field(1, description="Networks that start from other weights and are mixed")

    def one_way(self) -> dict[str, Any] | None:
        """Unless ``bidirectional``."""
        return None if self.bidirectional else {"bidirectional": True}


class TextClassification(Problem[TextClassificationPrepare, TextClassificationModel]):
    """Many to one: a class for each text, from its words in order and from a bag of its n-grams."""

    Prepare = TextClassificationPrepare
    Model = TextClassificationModel
    takes = "labelled text"
    headline = "accuracy"
    metric_names = ("accuracy", "macro_f1")
    baseline_names = ("majority", "tfidf_logistic_regression")
    unit = "texts"

    def columns(self, config: TextClassificationPrepare) -> Sequence[str]:
        """Text and label, and what the split needs."""
        return ("text", "label", *["split"] * (config.split == "source"), *["group"] * config.grouped)

    def prepare(
        self, table: "pd.DataFrame", config: TextClassificationPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """Arrays: ``raw`` and ``clean`` bytes and token ``ids`` of all texts, labels, row numbers of each split."""
        import pandas as pd

        raw, labels = _strings(table, "text"), _strings(table, "label")
        cleaned = [text.clean(one) for one in raw]
        classes = classification.classes(labels, fitted)
        groups_N = pd.factorize(np.array(cleaned, dtype=object))[0]
        given_N = pd.factorize(np.array(table["group"], dtype=object))[0] if config.grouped else None
        if given_N is not None:
            groups_N = splits.together(groups_N, given_N)
            store.write_array(folder / "groups.npy", given_N.astype(np.int32))
        labels_N = np.array([classes.index(label) for label in labels], dtype=np.int16)
        rng = np.random.default_rng(config.seed)
        shares, parts_N = (config.validation_share, config.test_share), classification.parts(table, config.split)
        rows = text_splits.split(config.split, labels_N, groups_N, *shares, rng, parts_N)
        if config.split == "source":
            classification.require_known(labels_N, rows, classes)
        words = [text.tokens(one) for one in cleaned]
        train_words = (word for row in rows["train"] for word in words[row])
        if fitted:
            vocabulary = Vocabulary(fitted["vocabulary"])
        else:
            vocabulary = Vocabulary.fit(train_words, config.min_count, config.vocabulary)
        for name, flat in {
            "raw": text.pack_texts(raw),
            "clean": text.pack_texts(cleaned),
            "tokens": _encode(words, vocabulary, config.max_tokens),
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
            vectors = word_vectors.write(config.vectors, vocabulary.items, config.seed, folder)
        return {
            "classes": classes,
            "vocabulary": vocabulary.items,
            "max_tokens": config.max_tokens,
            "hashed_buckets": config.hashed_buckets,
            "character_ngrams": list(config.character_ngrams),
            "word_ngrams": list(config.word_ngrams),
            "examples": {split: len(index) for split, index in rows.items()},
            "texts_left_out": len(raw) - sum(map(len, rows.values())),
            "texts_cut": sum(len(found) > config.max_tokens for found in words),
            **({"vectors": vectors} if vectors else {}),
        }

    def asked(self, prepared: Prepared, split: Split, metric: str) -> Asked:  # noqa: ARG002
        """The label of each text."""
        return classification.asked(prepared, split)

    def files_changed(self, config: TextClassificationPrepare, meta: Meta, root: Path) -> bool:
        """Whether the file of word vectors is another one now, or away: ``prepare`` then says so."""
        return word_vectors.changed(config.vectors, meta, root)

    def disagreement(self, prepare: TextClassificationPrepare, model: TextClassificationModel) -> str | None:
        """Vectors of a file, and no file."""
        return word_vectors.disagreement(prepare.vectors, model.vectors)

    def file_fault(self, prepare: TextClassificationPrepare, model: TextClassificationModel, root: Path) -> str | None:
        """A file of word vectors of another width than the embedding, or none."""
        return word_vectors.file_fault(prepare.vectors, model.vectors, model.embedding, root)

    def check(self, prepared: Prepared, config: TextClassificationPrepare) -> Check:
        """Texts and every class in each split, no text in two of them, few unknown words."""
        import pandas as pd

        between = "expect_column_values_to_be_between"
        some, none = {"min_value": 1}, {"min_value": 0, "max_value": 0}
        most = {"min_value": 0, "max_value": config.max_unknown_share}
        expected = [
            Expectation(between, {"column": f"{split}_texts", **some}, reason=f"{split} has no texts")
            for split in SPLITS
        ]
        for number, name in enumerate(prepared.meta["classes"]):
            column, reason = f"train_texts_of_class_{number}", f"class {name!r} has no text in train"
            expected.append(Expectation(between, {"column": column, **some}, reason=reason))
        expected.append(Expectation(between, {"column": "texts_in_two_splits", **none}, reason="a text in two splits"))
        if config.grouped:
            reason = "a group in two splits"
            expected.append(Expectation(between, {"column": "groups_in_two_splits", **none}, reason=reason))
        for split in SPLITS:
            reason = f"many words of {split} are not in the vocabulary"
            column = f"{split}_unknown_share"
            expected.append(Expectation(between, {"column": column, **most}, severity="warning", reason=reason))
        return Check(pd.DataFrame([_facts(prepared)]), expected)

    def model(self, config: TextClassificationModel, meta: Meta) -> "nn.Module":
        """Recurrent networks, each beside a bag of hashed n-grams."""
        from unroll.nn.text_classifier import TextClassifier

        word_vectors.require(config.vectors, config.embedding, meta)
        return TextClassifier(
            len(meta["vocabulary"]) + 2,
            len(meta["classes"]),
            config.embedding,
            config,
            config.bidirectional,
            config.pooling,
            meta["hashed_buckets"],
            config.bag_dropout,
            config.bag_scale,
            config.vectors,
            config.members,
        )

    def begin(self, model: "nn.Module", prepared: Prepared) -> None:
        """Give the words the vectors that prepare found for them, unless they are to be learned from nothing."""
        import torch

        from unroll.nn.text_classifier import TextClassifier

        if isinstance(model, TextClassifier) and model.vectors != "learned":
            model.begin_with(torch.from_numpy(np.array(prepared.arrays["vectors"])))

    def symbols(self, meta: Meta) -> list[str]:
        """Nothing for padding and the unknown word, then the words, the most frequent of train first."""
        return ["", "", *meta["vocabulary"]]

    def symbol_groups(self, prepared: Prepared) -> list[str]:
        """The class of train that each word is the surest sign of, "" where it is none's."""
        names = prepared.meta["classes"]
        return ["", *("" if best < 0 else names[best] for best in association.signs(_class_counts(prepared)))]

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Texts in random order, those of like length together."""
        index = np.asarray(prepared.arrays["train"])
        lengths_N = np.diff(prepared.arrays["tokens_offsets"])[index]
        for rows in batching.by_length(lengths_N, batch_size, rng):
            yield _batch(prepared, index[rows])

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Texts in the table's order."""
        index = np.asarray(prepared.arrays[split])
        for low in range(0, len(index), batch_size):
            yield _batch(prepared, index[low : low + batch_size])

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Cross-entropy: in training the mean of the members', each of which learns by itself, else of their mix."""
        from torch.nn.functional import cross_entropy

        parts = _parts(batch)
        scores_MBC = (model.each(*parts) if model.training else model(*parts)[None]).float()  # type: ignore[operator]
        label_MB = batch["y_B"].expand(len(scores_MBC), -1)
        total = cross_entropy(scores_MBC.flatten(0, 1), label_MB.flatten(), reduction="sum") / len(scores_MBC)
        return Loss(total, len(batch["y_B"]))

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Class and probability of each text."""
        chances = [_chances(model, batch) for batch in self.batches(prepared, split, batch_size)]
        chances_NC = np.concatenate(chances)
        return _scores(prepared, split, chances_NC.argmax(axis=1), chances_NC.max(axis=1))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The largest class, and logistic regression on TF-IDF of words and characters."""
        from unroll.baselines.text import majority, tfidf_logistic_regression

        train, index = prepared.arrays["train"], prepared.arrays[split]
        labels_M = np.asarray(prepared.arrays["labels"])[train]
        texts = [[one.decode() for one in text.unpack(_flat(prepared, "clean"), rows)] for rows in (train, index)]
        regression = tfidf_logistic_regression(texts[0], labels_M, texts[1])
        return {
            "majority": _scores(prepared, split, majority(labels_M, len(index))),
            "tfidf_logistic_regression": _scores(prepared, split, regression),
        }

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        """Accuracy and macro-F1."""
        return classification.metrics(sums, len(meta["classes"]))

    def breakdown(self, scores: Scores, meta: Meta) -> dict[str, dict[str, dict[str, float]]]:
        """Precision, recall and F1 by class."""
        return {"by_class": classification.by_class(scores.sums(), meta["classes"])}

    def figures(
        self,
        model: "nn.Module",  # noqa: ARG002
        prepared: Prepared,
        scores: Scores,
        baselines: Mapping[str, Scores],  # noqa: ARG002
    ) -> Iterable[Figure]:
        """Confusion matrix, F1 by class, and the mistakes made with most confidence."""
        names, rows = prepared.meta["classes"], scores.table()
        yield classification.confusion_figure(scores.sums(), names)
        yield classification.class_figure(scores.sums(), names)
        wrong = rows[rows["truth"] != rows["guess"]]
        worst = wrong.sort_values("probability", ascending=False, kind="stable").head(SHOWN_MISTAKES)
        index = np.asarray(prepared.arrays["test"])[worst.index]
        texts = [" ".join(one.decode().split()) for one in text.unpack(_flat(prepared, "raw"), index)]
        worst = worst.assign(text=texts).reset_index(drop=True)
        yield Figure("mistakes", "table", "Wrong answers, the most confident first", worst)

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """``label`` and the probability of each class for each ``text``."""
        import pandas as pd

        if "text" not in frame:
            raise DataError("input: column 'text' is missing; expected a column of texts")
        cleaned = [text.clean(one) for one in _strings(frame, "text", "input", first=1)]
        flat, names = text.pack_texts(cleaned), meta["classes"]
        tokens = _encode([text.tokens(one) for one in cleaned], Vocabulary(meta["vocabulary"]), meta["max_tokens"])
        parts = [
            _chances(model, _inputs(meta, tokens, flat, np.arange(low, min(low + 512, len(cleaned)))))
            for low in range(0, len(cleaned), 512)
        ]
        chances_NC = np.concatenate([np.empty((0, len(names))), *parts])
        answer: dict[str, Any] = {"label": np.array(names, dtype=object)[chances_NC.argmax(axis=1)]}
        answer |= {f"probability_{name}": chances_NC[:, number] for number, name in enumerate(names)}
        return pd.DataFrame(answer).astype({"label": "str"})

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """All rows of all frames in one pass."""
        return rows_at_once(lambda frame: self.predict(model, meta, frame), frames)

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first test texts, as the source has them."""
        import pandas as pd

        found = text.unpack(_flat(prepared, "raw"), np.asarray(prepared.arrays["test"][:3]))
        return pd.DataFrame({"text": pd.array([one.decode() for one in found], dtype="str")})


def _strings(frame: "pd.DataFrame", column: str, what: str = "labelled text", first: int = 0) -> list[str]:
    """The texts of a column; ``first`` is the number of the first row in messages."""
    found: list[str] = frame[column].tolist()
    for row, one in enumerate(found, start=first):
        if not isinstance(one, str) or not one.strip():
            raise DataError(f"{what}: row {row}, column {column}: {one!r:.60}; expected a text that is not empty")
    return found


def _class_counts(prepared: Prepared) -> np.ndarray:
    """How often each word, the unknown one first, stands in train's texts of each class (V, C)."""
    classes, tokens = len(prepared.meta["classes"]), _flat(prepared, "tokens")
    labels_N, train = np.asarray(prepared.arrays["labels"]), np.asarray(prepared.arrays["train"])
    known = len(prepared.meta["vocabulary"]) + 1
    return np.stack(
        [
            np.bincount(tokens.characters(train[labels_N[train] == number]), minlength=known)
            for number in range(classes)
        ],
        axis=1,
    )


def _encode(words: Sequence[Sequence[str]], vocabulary: Vocabulary, max_tokens: int) -> Flat:
    """Token numbers of all texts; a text without a token is one unknown word."""
    return text.pack([vocabulary.encode(found[:max_tokens]) or [UNKNOWN] for found in words], np.int32)


def _flat(prepared: Prepared, name: str) -> Flat:
    ids, offsets = (np.asarray(prepared.arrays[f"{name}_{part}"]) for part in ("ids", "offsets"))
    return Flat(ids, offsets)


def _facts(prepared: Prepared) -> dict[str, float]:
    """What ``check`` judges, measured again on the arrays."""
    index = {split: np.asarray(prepared.arrays[split]) for split in SPLITS}
    clean, tokens = _flat(prepared, "clean"), _flat(prepared, "tokens")
    texts = [set(text.unpack(clean, rows)) for rows in index.values()]
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
    tokens = _flat(prepared, "tokens")
    empty: np.ndarray = np.zeros(0, np.int32)
    ids = {str(split): tokens.characters(rows) if len(rows) else empty for split, rows in index.items()}
    return word_vectors.facts(np.asarray(prepared.arrays["vectors_found"]), ids)


def _batch(prepared: Prepared, index: np.ndarray) -> Batch:
    import torch

    inputs = _inputs(prepared.meta, _flat(prepared, "tokens"), _flat(prepared, "clean"), index)
    return {**inputs, "y_B": torch.from_numpy(prepared.arrays["labels"][index].astype(np.int64))}


def _inputs(meta: Meta, tokens: Flat, clean: Flat, index: np.ndarray) -> Batch:
    """What the network reads of the texts ``index``: padded tokens, 0 for padding and 1 for unknown, and n-grams."""
    import torch

    ids_BT, lengths_B = tokens.padded(index)
    grams_G, starts_B = np.zeros(0, np.int64), np.zeros(len(index), np.int64)
    if meta["hashed_buckets"]:
        lengths = tuple(meta["character_ngrams"]), tuple(meta["word_ngrams"])
        grams_G, starts_B = ngrams.hashed(text.unpack(clean, index), *lengths, meta["hashed_buckets"])
    arrays = {"tokens_BT": ids_BT + 1, "lengths_B": lengths_B, "grams_G": grams_G, "starts_B": starts_B}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _parts(batch: Batch) -> "list[torch.Tensor]":
    """What the network is called with."""
    return [batch[name] for name in ("tokens_BT", "lengths_B", "grams_G", "starts_B")]


def _chances(model: "nn.Module", batch: Batch) -> np.ndarray:
    """Probability of each class (B, C)."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        scores_BC = model(*(part.to(device) for part in _parts(batch)))
    chances: np.ndarray = scores_BC.cpu().double().softmax(dim=1).numpy()
    return chances


def _scores(prepared: Prepared, split: Split, guess_N: np.ndarray, probability_N: np.ndarray | None = None) -> Scores:
    import pandas as pd

    names = np.array(prepared.meta["classes"], dtype=object)
    truth_N = np.asarray(prepared.arrays["labels"][prepared.arrays[split]])
    rows = pd.DataFrame({"truth": names[truth_N], "guess": names[guess_N]})
    if probability_N is not None:
        rows["probability"] = probability_N
    return Scores(classification.statistics(truth_N, guess_N, len(names)), rows=rows)


PROBLEM = TextClassification()
