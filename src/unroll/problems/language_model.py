"""Predict each next character of a text. Shapes: B streams of text side by side, T characters, V symbols."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from unroll import store
from unroll.config import PositiveInt, PrepareConfig, RecurrentConfig, Share
from unroll.errors import DataError
from unroll.expectation import Expectation
from unroll.features import verse
from unroll.features.vocabulary import UNKNOWN, Vocabulary
from unroll.problems.base import Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split
from unroll.scores import Scores

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
BLOCK = 500
"""Characters that are resampled together: how hard a text is to predict stays alike for some lines."""
READ_AT_ONCE = 512
"""Characters of a text that is read from end to end in one piece; the state is carried to the next."""
ORDERS = range(1, 8)
"""Orders of the n-gram baseline; validation chooses."""
TEMPERATURES = (0.2, 0.4, 0.8, 1.0)
FIGURE_SEED, FIGURE_LENGTH = 1, 400


class LanguageModelPrepare(PrepareConfig):
    """The ``prepare`` block of a language model task."""

    lower_case: bool
    validation_share: float = Field(gt=0, lt=1, description="Share of the text, before the test part")
    test_share: float = Field(gt=0, lt=1, description="Share of the text, at its end")
    min_count: PositiveInt = Field(description="Characters rarer in train are unknown ones")
    max_unknown_share: Share = Field(description="Share of unknown characters in a split above which the report warns")
    bptt: PositiveInt = Field(description="Characters through which gradients flow back; the state goes on")

    @model_validator(mode="after")
    def _leaves_train(self) -> "LanguageModelPrepare":
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share + test_share must be below 1, so that train has text")
        return self


class LanguageModelModel(RecurrentConfig):
    """The ``model`` block of a language model task."""

    embedding: PositiveInt = Field(description="Width of the character vectors")
    embedding_dropout: float = Field(ge=0, lt=1)


class LanguageModel(Problem[LanguageModelPrepare, LanguageModelModel]):
    """Many to many: the probability of every character, given all characters before it."""

    Prepare = LanguageModelPrepare
    Model = LanguageModelModel
    takes = "text"
    headline = "bits_per_character"
    higher_is_better = False
    metric_names = ("bits_per_character", "perplexity")
    baseline_names = ("unigram", "ngram")
    unit = "characters"
    optional_inputs = tuple(verse.DEFAULTS)

    def columns(self, config: LanguageModelPrepare) -> Sequence[str]:  # noqa: ARG002
        """The lines."""
        return ("text",)

    def prepare(self, table: "pd.DataFrame", config: LanguageModelPrepare, folder: Path) -> dict[str, Any]:
        """Array ``ids``: the whole text, a number a character; the splits are consecutive parts of it."""
        text = verse.join(_strings(table, "text"), config.lower_case)
        test_from = len(text) - round(len(text) * config.test_share)
        validation_from = test_from - round(len(text) * config.validation_share)
        bounds = {
            "train": [0, validation_from],
            "validation": [validation_from, test_from],
            "test": [test_from, len(text)],
        }
        for split, (low, high) in bounds.items():
            if high - low < 2:
                raise DataError(f"text: {high - low} of {len(text)} characters in {split}; expected at least 2")
        vocabulary = Vocabulary.fit(text[:validation_from], config.min_count)
        kind = np.uint8 if len(vocabulary) <= 256 else np.int32
        store.write_array(folder / "ids.npy", np.array(vocabulary.encode(text), dtype=kind))
        return {
            "characters": vocabulary.items,
            "lower_case": config.lower_case,
            "bptt": config.bptt,
            "bounds": bounds,
            "examples": {split: high - low for split, (low, high) in bounds.items()},
        }

    def check(self, prepared: Prepared, config: LanguageModelPrepare) -> Check:
        """Every character in one split, few unknown ones."""
        import pandas as pd

        between, none = "expect_column_values_to_be_between", {"min_value": 0, "max_value": 0}
        most = {"min_value": 0, "max_value": config.max_unknown_share}
        expected = [
            Expectation(between, {"column": f"{split}_characters", "min_value": 2}, reason=f"{split} has no text")
            for split in SPLITS
        ]
        expected += [
            Expectation(
                between, {"column": "characters_not_in_one_split", **none}, reason="a character in no or two splits"
            ),
            Expectation(between, {"column": "distinct_characters", "min_value": 2}, reason="nothing to predict"),
        ]
        for split in SPLITS:
            column, reason = f"{split}_unknown_share", f"many characters of {split} are unknown"
            expected.append(Expectation(between, {"column": column, **most}, severity="warning", reason=reason))
        return Check(pd.DataFrame([_facts(prepared)]), expected)

    def model(self, config: LanguageModelModel, meta: Meta) -> "nn.Module":
        """A recurrent network over character vectors."""
        from unroll.nn.character_model import CharacterModel

        return CharacterModel(
            len(meta["characters"]) + 1,
            config.embedding,
            config.embedding_dropout,
            config,
        )

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """The text cut into ``batch_size`` streams side by side, read on from batch to batch.

        Where the streams begin is drawn anew each epoch, so that gradients are cut at other characters.
        """
        bptt, (low, high) = prepared.meta["bptt"], prepared.meta["bounds"]["train"]
        each = (high - low - bptt) // batch_size
        if each < 1:
            raise DataError(
                f"text: {high - low} characters in train; expected more than prepare.bptt {bptt} and one for each of "
                f"train.batch_size {batch_size} streams"
            )
        start = low + int(rng.integers(bptt))
        ids = prepared.arrays["ids"][start : start + each * batch_size + 1]
        x_BT, y_BT = (ids[at : at + each * batch_size].reshape(batch_size, each) for at in (0, 1))
        for at in range(0, each, bptt):
            yield _batch(x_BT[:, at : at + bptt], y_BT[:, at : at + bptt])

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:  # noqa: ARG002
        """A split from end to end as one stream.

        Its first character is predicted from the one before it, which ends the split before; only the first of the
        whole text, which has none before it, is no question.
        """
        low, high = prepared.meta["bounds"][split]
        ids = prepared.arrays["ids"]
        for at in range(max(low, 1), high, READ_AT_ONCE):
            end = min(at + READ_AT_ONCE, high)
            yield _batch(ids[None, at - 1 : end - 1], ids[None, at:end])

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:
        """Cross-entropy over all characters; the state is that after the last."""
        from torch.nn.functional import cross_entropy

        scores_BTV, state = model(batch["x_BT"], state)
        y_BT = batch["y_BT"]
        total = cross_entropy(scores_BTV.float().flatten(0, 1), y_BT.flatten(), reduction="sum")
        return Loss(total, y_BT.numel(), state)

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Bits of each character of a split."""
        import torch

        model.eval()
        device, state, bits = next(model.parameters()).device, None, []
        with torch.inference_mode():
            for batch in self.batches(prepared, split, batch_size):
                scores_BTV, state = model(batch["x_BT"].to(device), state)
                logp_BTV = scores_BTV.cpu().double().log_softmax(-1)
                bits.append(-logp_BTV.gather(-1, batch["y_BT"][..., None])[0, :, 0].numpy() / np.log(2))
        return _scores(prepared, split, np.concatenate(bits))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """Frequencies of single characters, and n-grams of the order that validation prefers."""
        from unroll.baselines.ngram import NGram, best_order

        ids, symbols, bounds = prepared.arrays["ids"], len(prepared.meta["characters"]) + 1, prepared.meta["bounds"]
        train, validation = (ids[slice(*bounds[part])] for part in ("train", "validation"))
        orders = {"unigram": 1, "ngram": best_order(train, validation, symbols, ORDERS)}
        low, high = bounds[split]
        return {
            name: _scores(
                prepared, split, -np.log2(NGram(train, symbols, order).probabilities(ids[:high], max(low, 1)))
            )
            for name, order in orders.items()
        }

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Bits per character, and perplexity: 2 to the power of them."""
        count, bits = np.moveaxis(sums, -1, 0)
        return {"bits_per_character": bits / count, "perplexity": np.exp2(bits / count)}

    def figures(
        self, model: "nn.Module", prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]
    ) -> Iterable[Figure]:
        """Verse sampled at four temperatures, bits by kind of character, and by place in the word."""
        import pandas as pd

        meta, rows = prepared.meta, scores.table()
        known, (low, high) = Vocabulary(meta["characters"]), meta["bounds"]["test"]
        line = verse.first_line("".join(known.decode(prepared.arrays["ids"][low:high].tolist(), verse.LOST)))
        texts = [_continue(model, known, line, FIGURE_LENGTH, temperature, FIGURE_SEED) for temperature in TEMPERATURES]
        headings = [f"temperature {temperature}" for temperature in TEMPERATURES]
        sampled = pd.DataFrame({"heading": headings, "given": line, "text": texts})
        yield Figure("samples", "text", "Sampled after the first whole line of the test part", sampled)
        title, bits, name = "Bits by kind of character", "bits per character", self.headline
        ends = {"value": name, "low": f"{name}_low", "high": f"{name}_high", "count": "count"}
        by_kind = self.breakdown(scores, meta)["by_kind"].items()
        kinds = pd.DataFrame([{"kind": kind, **{k: row[v] for k, v in ends.items()}} for kind, row in by_kind])
        yield Figure("bits_by_kind", "bars", title, kinds, "kind", "kind", bits)
        ngram = rows.assign(ngram=baselines["ngram"].table()["bits"])
        places = ngram[ngram["place"] > 0].groupby("place")[["bits", "ngram"]].mean().reset_index()
        places = places.rename(columns={"bits": "network"})
        title = f"Bits by letter of the word (the last: {verse.LAST_PLACE} and later)"
        yield Figure("bits_by_place", "lines", title, places, "place", "letter of the word", bits)

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """``continuation``: what could follow each ``text``.

        Columns ``length`` (characters), ``temperature`` and ``seed`` may stand beside it; without them they are 200,
        0.6 and 0.
        """
        import pandas as pd

        if "text" not in frame:
            raise DataError("input: column 'text' is missing; expected a column of texts to go on from")
        known, found = Vocabulary(meta["characters"]), []
        for row, text in enumerate(_strings(frame, "text", "input", first=1)):
            if not text:
                raise DataError(f"input: row {row + 1}, column text: {text!r}; expected a text that is not empty")
            length, temperature, seed = verse.options(frame, row)
            found.append(_continue(model, known, verse.join([text], meta["lower_case"]), length, temperature, seed))
        return pd.DataFrame({"continuation": pd.array(found, dtype="str")})

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first whole line of the test part."""
        import pandas as pd

        low, high = prepared.meta["bounds"]["test"]
        known = Vocabulary(prepared.meta["characters"])
        line = verse.first_line("".join(known.decode(prepared.arrays["ids"][low:high].tolist(), verse.LOST)))
        return pd.DataFrame({"text": pd.array([line], dtype="str")})


def _strings(frame: "pd.DataFrame", column: str, what: str = "text", first: int = 0) -> list[str]:
    """The lines of a column; ``first`` is the number of the first row in messages."""
    lines: list[str] = frame[column].tolist()
    for row, line in enumerate(lines, start=first):
        if not isinstance(line, str):
            raise DataError(f"{what}: row {row}, column {column}: {line!r:.60}; expected a text")
    return lines


def _facts(prepared: Prepared) -> dict[str, float]:
    """What ``check`` judges, measured again on the array."""
    ids, bounds = np.asarray(prepared.arrays["ids"]), prepared.meta["bounds"]
    uses_T = np.zeros(len(ids), dtype=np.int8)
    for low, high in bounds.values():
        uses_T[low:high] += 1
    parts = {split: ids[low:high] for split, (low, high) in bounds.items()}
    return {
        **{f"{split}_characters": len(part) for split, part in parts.items()},
        "distinct_characters": len(np.unique(parts["train"])),
        "characters_not_in_one_split": int((uses_T != 1).sum()),
        **{f"{split}_unknown_share": float((part == UNKNOWN).mean()) for split, part in parts.items()},
    }


def _batch(x_BT: np.ndarray, y_BT: np.ndarray) -> Batch:
    import torch

    return {"x_BT": torch.from_numpy(x_BT.astype(np.int64)), "y_BT": torch.from_numpy(y_BT.astype(np.int64))}


def _continue(model: Any, known: Vocabulary, text: str, length: int, temperature: float, seed: int) -> str:
    """What the network draws to follow ``text``; never an unknown character."""
    from unroll.nn.character_model import sample

    rng = np.random.default_rng(seed)
    return "".join(known.decode(sample(model, known.encode(text), length, temperature, UNKNOWN, rng)))


def _scores(prepared: Prepared, split: Split, bits_N: np.ndarray) -> Scores:
    """Statistics of each character: 1 and its bits."""
    import pandas as pd

    low, high = prepared.meta["bounds"][split]
    symbols = Vocabulary(prepared.meta["characters"]).decode(prepared.arrays["ids"][low:high].tolist(), verse.LOST)
    skipped = high - low - len(bits_N)
    kinds_N, places_N = verse.kinds(symbols)[skipped:], verse.places(symbols)[skipped:]
    rows = pd.DataFrame({"bits": bits_N, "kind": kinds_N, "place": places_N})
    return Scores(np.stack([np.ones_like(bits_N), bits_N], axis=1), BLOCK, rows, {"by_kind": kinds_N})


PROBLEM = LanguageModel()
