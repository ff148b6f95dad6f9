"""Tell the class of a text. Shapes: B batch, N texts, T tokens, G n-grams, C classes, V words known, M members."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from unroll.core.config import Pooling, PositiveInt, RecurrentConfig
from unroll.core.errors import TableError
from unroll.core.scores import Scores
from unroll.features import batching, tokenization
from unroll.features.strings import Flat
from unroll.features.vocabulary import Vocabulary
from unroll.problems.common import classification
from unroll.problems.common import starting_vectors as word_vectors
from unroll.problems.common.base import Asked, Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split, rows_at_once
from unroll.problems.common.inputs import Inputs
from unroll.problems.common.starting_vectors import VectorsKey
from unroll.problems.text_classification import association, inputs, ngrams
from unroll.problems.text_classification import prepare as labelled
from unroll.problems.text_classification.prepare import SPLITS, TextClassificationPrepare

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

__all__ = ["PROBLEM", "SPLITS", "TextClassification", "TextClassificationModel", "TextClassificationPrepare"]
SHOWN_MISTAKES = 20


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
        """The arrays of ``_labelled_text.prepare``."""
        return labelled.prepare(table, config, folder, fitted)

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
        return labelled.check(prepared, config)

    def model(self, config: TextClassificationModel, meta: Meta) -> "nn.Module":
        """Recurrent networks, each beside a bag of hashed n-grams."""
        from unroll.problems.text_classification.network import TextClassifier

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

        from unroll.problems.text_classification.network import TextClassifier

        if isinstance(model, TextClassifier) and model.vectors != "learned":
            model.begin_with(torch.from_numpy(np.array(prepared.arrays["vectors"])))

    def symbols(self, meta: Meta) -> list[str]:
        """Nothing for padding and the unknown word, then the words, the most frequent of train first."""
        return ["", "", *meta["vocabulary"]]

    def symbol_groups(self, prepared: Prepared) -> list[str]:
        """The class of train that each word is the surest sign of, "" where it is none's."""
        names = prepared.meta["classes"]
        return [
            "",
            *("" if best < 0 else names[best] for best in association.signs(labelled.class_counts(prepared))),
        ]

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
        from unroll.problems.text_classification.baselines import majority, tfidf_logistic_regression

        train, index = prepared.arrays["train"], prepared.arrays[split]
        labels_M = np.asarray(prepared.arrays["labels"])[train]
        texts = [
            [one.decode() for one in tokenization.unpack(labelled.flat(prepared, "clean"), rows)]
            for rows in (train, index)
        ]
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
        texts = [" ".join(one.decode().split()) for one in tokenization.unpack(labelled.flat(prepared, "raw"), index)]
        worst = worst.assign(text=texts).reset_index(drop=True)
        yield Figure("mistakes", "table", "Wrong answers, the most confident first", worst)

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """``label`` and the probability of each class for each ``text``."""
        import pandas as pd

        if "text" not in frame:
            raise TableError("column 'text' is missing; expected a column of texts", column="text")
        cleaned = [tokenization.clean(one) for one in labelled.strings(frame, "text", "input", first=1)]
        flat, names = tokenization.pack_texts(cleaned), meta["classes"]
        tokens = labelled.encode(
            [tokenization.tokens(one) for one in cleaned], Vocabulary(meta["vocabulary"]), meta["max_tokens"]
        )
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

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """A text."""
        return inputs.inputs(meta, cell_characters)

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """A few frequent words."""
        return inputs.made_up(meta)

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first test texts, as the source has them."""
        import pandas as pd

        found = tokenization.unpack(labelled.flat(prepared, "raw"), np.asarray(prepared.arrays["test"][:3]))
        return pd.DataFrame({"text": pd.array([one.decode() for one in found], dtype="str")})


def _batch(prepared: Prepared, index: np.ndarray) -> Batch:
    import torch

    inputs = _inputs(prepared.meta, labelled.flat(prepared, "tokens"), labelled.flat(prepared, "clean"), index)
    return {**inputs, "y_B": torch.from_numpy(prepared.arrays["labels"][index].astype(np.int64))}


def _inputs(meta: Meta, tokens: Flat, clean: Flat, index: np.ndarray) -> Batch:
    """What the network reads of the texts ``index``: padded tokens, 0 for padding and 1 for unknown, and n-grams."""
    import torch

    ids_BT, lengths_B = tokens.padded(index)
    grams_G, starts_B = np.zeros(0, np.int64), np.zeros(len(index), np.int64)
    if meta["hashed_buckets"]:
        lengths = tuple(meta["character_ngrams"]), tuple(meta["word_ngrams"])
        grams_G, starts_B = ngrams.hashed(tokenization.unpack(clean, index), *lengths, meta["hashed_buckets"])
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
