"""Predict each next token of a text: a character, or a word. Shapes: B pieces of text side by side, T tokens, P of
them that are predicted, V symbols.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from unroll.core.config import DisagreementError, PositiveInt, PrepareConfig, Share
from unroll.core.errors import DataError, TableError
from unroll.core.expectation import Expectation
from unroll.core.scores import Scores
from unroll.features.vocabulary import Vocabulary
from unroll.problems.common import starting_vectors as word_vectors
from unroll.problems.common.base import Asked, Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split, rows_at_once
from unroll.problems.common.inputs import Inputs
from unroll.problems.common.starting_vectors import VectorsFile
from unroll.problems.language_model import inputs, verse, words
from unroll.problems.language_model import tokens as _language
from unroll.problems.language_model.build import LanguageModelModel, begin, build, disagreement
from unroll.problems.language_model.tokens import Language

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
READ_AT_ONCE = 512
"""Tokens of a text that is read from end to end in one piece; the state is carried to the next."""
VECTORS_SEED = 1
"""Of the vectors that words get which the file of vectors lacks."""
ORDERS = range(1, 8)
"""Orders of the n-gram baseline; validation chooses."""


class LanguageModelPrepare(PrepareConfig):
    """The ``prepare`` block of a language model task."""

    level: Literal["character", "word"] = Field(
        "character", description="What a token is: a character; or a word, a run of one mark or a line end"
    )
    partition: Literal["sequential", "random"] = Field(
        "sequential",
        description="sequential: streams that batches read on, with the state carried; random: pieces in any order",
    )
    lower_case: bool
    validation_share: float = Field(gt=0, lt=1, description="Share of the text, before the test part")
    test_share: float = Field(gt=0, lt=1, description="Share of the text, at its end")
    min_count: PositiveInt = Field(description="Tokens rarer in train are unknown ones")
    vocabulary: PositiveInt | None = Field(None, description="Most tokens to know, the most frequent; null: no limit")
    max_unknown_share: Share = Field(description="Share of unknown tokens in a split above which the report warns")
    bptt: PositiveInt = Field(description="Tokens through which gradients flow back; the length of a piece")
    vectors: VectorsFile = None

    @model_validator(mode="after")
    def _leaves_train(self) -> "LanguageModelPrepare":
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share + test_share must be below 1, so that train has text")
        if self.vectors is not None and self.level != "word":
            text = f"vectors: {self.vectors!r} with level {self.level}; expected level word, or null"
            raise DisagreementError(text, ["vectors"], {"level": "word"})
        return self


class LanguageModel(Problem[LanguageModelPrepare, LanguageModelModel]):
    """Many to many: the probability of every token, given all tokens before it, or those of a window."""

    Prepare = LanguageModelPrepare
    Model = LanguageModelModel
    takes = "text"
    headline = "bits_per_character"
    higher_is_better = False
    metric_names = ("bits_per_character", "perplexity")
    baseline_names = ("unigram", "ngram")
    unit = "tokens"
    optional_inputs = tuple(verse.DEFAULTS)
    generation = inputs.Generation()

    def columns(self, config: LanguageModelPrepare) -> Sequence[str]:  # noqa: ARG002
        """The lines."""
        return ("text",)

    def metric_keys(self, config: LanguageModelPrepare) -> tuple[str, ...]:
        """Of a language of words ``bits_per_word``, too."""
        return self.metric_names if config.level == "character" else (*self.metric_names, "bits_per_word")

    def prepare(
        self, table: "pd.DataFrame", config: LanguageModelPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """Array ``ids``: the whole text, a number a token; the splits are consecutive parts of it.

        Of words ``characters`` and ``spelling``, too: see ``metrics``.
        """
        text = verse.join(_strings(table, "text"), config.lower_case)
        tokens, counts_N = words.split(text) if config.level == "word" else (list(text), np.ones(len(text)))
        bounds = _language.bounds(len(tokens), config.level, config.validation_share, config.test_share)
        train = bounds["train"][1]
        if fitted:
            vocabulary = Vocabulary(fitted["symbols"])
        else:
            vocabulary = Vocabulary.fit(tokens[:train], config.min_count, config.vocabulary)
        _language.prepare(tokens, vocabulary, folder)
        more: dict[str, Any] = {}
        if config.level == "word":
            more |= _language.prepare_words(tokens, counts_N, train, vocabulary, folder)
            more = {key: fitted[key] for key in more} if fitted else more
        if fitted:  # a trained model has its vectors among its weights
            more |= {"vectors": fitted["vectors"]} if "vectors" in fitted else {}
        elif config.vectors:
            more["vectors"] = word_vectors.write(config.vectors, vocabulary.items, VECTORS_SEED, folder)
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

    def asked(self, prepared: Prepared, split: Split, metric: str) -> Asked:
        """The tokens. An unknown one is cheap, so both models must know the same ones, unless it is spelled, too."""
        spelled = prepared.meta["level"] == "word" and metric == "bits_per_character"
        return _language.asked(prepared, split, spelled)

    def files_changed(self, config: LanguageModelPrepare, meta: Meta, root: Path) -> bool:
        """Whether the file of word vectors is another one now, or away: ``prepare`` then says so."""
        return word_vectors.changed(config.vectors, meta, root)

    def disagreement(self, prepare: LanguageModelPrepare, model: LanguageModelModel) -> str | None:
        """Scores of groups of words, and vectors of a file where there is none."""
        return disagreement(model, prepare.level, prepare.vectors)

    def file_fault(self, prepare: LanguageModelPrepare, model: LanguageModelModel, root: Path) -> str | None:
        """A file of word vectors of another width than the embedding, or none."""
        return word_vectors.file_fault(prepare.vectors, model.vectors, model.embedding, root)

    def check(self, prepared: Prepared, config: LanguageModelPrepare) -> Check:
        """Every token in one split, few unknown ones."""
        import pandas as pd

        between, none = "expect_column_values_to_be_between", {"min_value": 0, "max_value": 0}
        most = {"min_value": 0, "max_value": config.max_unknown_share}
        expected = [
            Expectation(between, {"column": f"{split}_tokens", "min_value": 2}, reason=f"{split} has no text")
            for split in SPLITS
        ]
        expected += [
            Expectation(between, {"column": "tokens_not_in_one_split", **none}, reason="a token in no or two splits"),
            Expectation(between, {"column": "distinct_tokens", "min_value": 2}, reason="nothing to predict"),
        ]
        for split in SPLITS:
            column, reason = f"{split}_unknown_share", f"many tokens of {split} are unknown"
            expected.append(Expectation(between, {"column": column, **most}, severity="warning", reason=reason))
        return Check(pd.DataFrame([_language.facts(prepared)]), expected)

    def model(self, config: LanguageModelModel, meta: Meta) -> "nn.Module":
        """A recurrent network over vectors of tokens."""
        return build(config, meta)

    def begin(self, model: Any, prepared: Prepared) -> None:
        """Vectors of the file, and which groups of tokens are frequent enough in train to have scores of their own."""
        begin(model, prepared)

    def symbols(self, meta: Meta) -> list[str]:
        """Nothing for the unknown token, then the tokens, the most frequent of train first."""
        return ["", *meta["symbols"]]

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """``sequential``: the text cut into ``batch_size`` streams side by side, read on from batch to batch.

        ``random``: the text cut into pieces of ``bptt`` tokens, so many of them, in any order, in a batch; where they
        begin stands in ``starts_B``, and no state is carried from such a batch (Zhang et al. 2023, Dive into Deep
        Learning, on random sampling and sequential partitioning).
        Where streams and pieces begin is drawn anew each epoch, so that gradients are cut at other tokens.
        """
        meta, ids = prepared.meta, prepared.arrays["ids"]
        bptt, (low, high), random = meta["bptt"], meta["bounds"]["train"], meta["partition"] == "random"
        each = (high - low - bptt) // (bptt if random else batch_size)
        if each < 1:
            wanted = f"one for each of train.batch_size {batch_size} streams"
            raise DataError(
                f"text: {high - low} {_language.UNITS[meta['level']]} in train; expected more than prepare.bptt {bptt} "
                f"and {'as many again' if random else wanted}"
            )
        start = low + int(rng.integers(bptt))
        if random:
            yield from _language.pieces(ids, rng.permutation(start + bptt * np.arange(each)), bptt, batch_size)
        else:
            yield from _language.streams(ids[start : start + each * batch_size + 1], bptt, batch_size)

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:  # noqa: ARG002
        """A split from end to end as one stream.

        Its first token is predicted from the one before it, which ends the split before; only the first of the whole
        text, which has none before it, is no question.
        """
        low, high = prepared.meta["bounds"][split]
        ids = prepared.arrays["ids"]
        for at in range(max(low, 1), high, READ_AT_ONCE):
            end = min(at + READ_AT_ONCE, high)
            yield _language.batch(ids[None, at - 1 : end - 1], ids[None, at:end])

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:
        """Cross-entropy over all tokens that the network predicts; the state is that after the last."""
        from torch.nn.functional import cross_entropy

        from unroll.problems.language_model.network import asked

        scores_BPV, state = model(batch["x_BT"], state)
        y_BP = asked(model, batch["y_BT"])
        total = cross_entropy(scores_BPV.float().flatten(0, 1), y_BP.flatten(), reduction="sum")
        return Loss(total, y_BP.numel(), None if "starts_B" in batch else state)

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Bits of each token of a split."""
        import torch
        from torch.nn.functional import cross_entropy

        model.eval()
        device, state, bits = next(model.parameters()).device, None, []
        with torch.inference_mode():
            for batch in self.batches(prepared, split, batch_size):
                scores_BTV, state = model(batch["x_BT"].to(device), state)
                nats_T = cross_entropy(scores_BTV[0].cpu().double(), batch["y_BT"][0], reduction="none")
                bits.append(nats_T.numpy() / np.log(2))
        return _language.scores(prepared, split, np.concatenate(bits))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """Frequencies of single tokens, and n-grams of the order that validation prefers."""
        from unroll.problems.language_model.baselines import NGram, best_order

        ids, symbols, bounds = prepared.arrays["ids"], len(prepared.meta["symbols"]) + 1, prepared.meta["bounds"]
        train, validation = (ids[slice(*bounds[part])] for part in ("train", "validation"))
        orders = {"unigram": 1, "ngram": best_order(train, validation, symbols, ORDERS)}
        low, high = bounds[split]
        found = {}
        for name, order in orders.items():
            chance_T = NGram(train, symbols, order).probabilities(ids[:high], max(low, 1))
            found[name] = _language.scores(prepared, split, -np.log2(chance_T))
        return found

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        """Perplexity: 2 to the power of the bits per token, be it a character or a word. Bits per character.

        Those of a language of words share the bits of all words among all characters of the text, blanks included, so
        that they stand beside those of a language of characters. An unknown word is one symbol in ``perplexity`` and
        ``bits_per_word``, however rare it is; in ``bits_per_character`` it is spelled, too, by the frequencies of
        characters in train: the bits of its characters and its end are added, for networks and baselines alike. How
        many blanks stand between words is not asked. An unknown character is one symbol in both.
        """
        return _language.metrics(sums, meta)

    def figures(
        self, model: "nn.Module", prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]
    ) -> Iterable[Figure]:
        """Text sampled at four temperatures, bits by kind of token, and by place in the word or line."""
        yield _language.samples(model, prepared)
        yield _language.bits_by_kind(prepared.meta["level"], self.breakdown(scores, prepared.meta)["by_kind"])
        yield _language.bits_by_place(prepared.meta["level"], scores.table(), baselines["ngram"].table())

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """``continuation``: what could follow each ``text``.

        Columns ``length`` (tokens), ``temperature`` (0: always the most probable), ``seed``, ``top_k``, ``top_p`` and
        ``repetition_penalty`` may stand beside it; see ``verse.Options`` for what they are without, and
        ``nn.generation.Drawing`` for what they do.
        """
        import pandas as pd

        if "text" not in frame:
            raise TableError("column 'text' is missing; expected a column of texts to go on from", column="text")
        language, texts = Language.of(meta), _strings(frame, "text", "input", first=1)
        for row, text in enumerate(texts, start=1):
            if not language.tokens(text):
                raise TableError(f"{text!r}; expected a text that is not empty", row=row, column="text")
        options = [verse.options(frame, row) for row in range(len(texts))]
        found = _language.continuations(model, language, texts, options)
        return pd.DataFrame({"continuation": pd.array(found, dtype="str")})

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """All texts side by side."""
        return rows_at_once(lambda frame: self.predict(model, meta, frame), frames)

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """A text, and how it is continued."""
        return inputs.inputs(meta, cell_characters)

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """A frequent token."""
        return inputs.made_up(meta)

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first whole line of the test part."""
        import pandas as pd

        return pd.DataFrame({"text": pd.array([_language.first_line(prepared)], dtype="str")})


def _strings(frame: "pd.DataFrame", column: str, what: str = "text", first: int = 0) -> list[str]:
    """The lines of a column; ``first`` is the number of the first row in messages."""
    lines: list[str] = frame[column].tolist()
    for row, line in enumerate(lines, start=first):
        if not isinstance(line, str):
            raise TableError(f"{line!r:.60}; expected a text", row=row, column=column, table=what)
    return lines


PROBLEM = LanguageModel()
