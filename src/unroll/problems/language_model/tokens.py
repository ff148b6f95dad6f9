"""Text as the numbers that a language model knows, batches of them, and how hard its tokens are.

Shapes: N tokens, B pieces of text side by side, T tokens of a piece, K statistics.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unroll.core import store
from unroll.core.errors import DataError
from unroll.core.scores import Scores
from unroll.features.vocabulary import UNKNOWN, Vocabulary
from unroll.problems.common import starting_vectors
from unroll.problems.common.base import Asked, Batch, Figure, Meta, Prepared, Split
from unroll.problems.language_model import verse, words

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from unroll.problems.language_model.generation import Text

BLOCK = {"character": 500, "word": 100}
"""Tokens that are resampled together: how hard a text is to predict stays alike for some lines."""
UNITS = {"character": "characters", "word": "words"}
TEMPERATURES = (0.2, 0.4, 0.8, 1.0)
FIGURE_SEED, FIGURE_LENGTH = 1, {"character": 400, "word": 80}


@dataclass(frozen=True)
class Language:
    """How a text becomes tokens, tokens numbers, and both back."""

    level: str
    lower_case: bool
    known: Vocabulary
    tight_before: frozenset[str] = frozenset()
    tight_behind: frozenset[str] = frozenset()

    @classmethod
    def of(cls, meta: Meta) -> "Language":
        """The language that ``prepare`` found."""
        before, behind = (frozenset(meta.get(key, ())) for key in ("tight_before", "tight_behind"))
        return cls(meta["level"], meta["lower_case"], Vocabulary(meta["symbols"]), before, behind)

    def tokens(self, text: str) -> list[str]:
        """Characters, or words and marks, in lower case where the model knows no other."""
        text = verse.join([text], self.lower_case)
        return words.split(text)[0] if self.level == "word" else list(text)

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's tokens."""
        return self.known.encode(self.tokens(text))

    def unknown(self, text: str) -> list[str]:
        """The tokens of a text that have no number, in order."""
        return [token for token in self.tokens(text) if self.known.encode([token]) == [UNKNOWN]]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The tokens, ``verse.LOST`` for an unknown one."""
        return self.known.decode(numbers, verse.LOST)

    def write(self, numbers: Iterable[int], after: str = "") -> Iterator[str]:
        """Each token as it is written after the text ``after`` and those before it."""
        tokens = (token for number in numbers for token in self.decode([number]))
        if self.level == "character":
            return tokens
        last = None if after[-1:].isspace() else next(reversed(self.tokens(after)), None)
        return words.pieces(tokens, last, self.tight_before, self.tight_behind)

    def kinds(self, tokens: Sequence[str]) -> np.ndarray:
        """What each token is, (N,) of str."""
        return words.kinds(tokens) if self.level == "word" else verse.kinds(tokens)

    def places(self, tokens: Sequence[str]) -> np.ndarray:
        """Which letter of its word, or which word of its line, each token is; 0 for what is none, (N,)."""
        return words.places(tokens) if self.level == "word" else verse.places(tokens)


def bounds(count: int, level: str, validation_share: float, test_share: float) -> dict[str, list[int]]:
    """First token and end of each split; raises DataError for one of less than two tokens."""
    test_from = count - round(count * test_share)
    validation_from = test_from - round(count * validation_share)
    found = {"train": [0, validation_from], "validation": [validation_from, test_from], "test": [test_from, count]}
    for split, (low, high) in found.items():
        if high - low < 2:
            raise DataError(f"text: {high - low} of {count} {UNITS[level]} in {split}; expected at least 2")
    return found


def prepare(tokens: Sequence[str], known: Vocabulary, folder: Path) -> None:
    """Write array ``ids``: the whole text, a number a token."""
    kind = np.uint8 if len(known) <= 256 else np.int32
    store.write_array(folder / "ids.npy", np.array(known.encode(tokens), dtype=kind))


def prepare_words(tokens: Sequence[str], counts_N: np.ndarray, train: int, known: Vocabulary, folder: Path) -> Meta:
    """Write arrays ``characters``, those of each token, and ``spelling``, the bits to spell it where it is unknown.

    Returns, from the first ``train`` tokens, which ones stand without a blank before and behind them.
    """
    spelling_N, unknown_N = np.zeros(len(tokens), np.float32), np.array(known.encode(tokens)) == UNKNOWN
    spelling_N[unknown_N] = words.spelling([tokens[at] for at in np.flatnonzero(unknown_N).tolist()], tokens[:train])
    store.write_array(folder / "characters.npy", counts_N.astype(np.int32))
    store.write_array(folder / "spelling.npy", spelling_N)
    before, behind = words.tight(tokens[:train], counts_N[:train])
    return {"tight_before": before, "tight_behind": behind}


def scores(prepared: Prepared, split: Split, bits_N: np.ndarray) -> Scores:
    """Statistics of each token: 1, its bits, those with the spelling of an unknown word, and its characters."""
    import pandas as pd

    high = prepared.meta["bounds"][split][1]
    low = high - len(bits_N)  # the first token of the whole text is no question
    language, arrays = Language.of(prepared.meta), prepared.arrays
    tokens = language.decode(arrays["ids"][low:high].tolist())
    ones_N = np.ones_like(bits_N)
    spelled_N = bits_N + arrays["spelling"][low:high] if "spelling" in arrays else bits_N
    characters_N = arrays["characters"][low:high] if "characters" in arrays else ones_N
    kinds_N = language.kinds(tokens)
    rows = pd.DataFrame({"bits": bits_N, "kind": kinds_N, "place": language.places(tokens)})
    statistics_NK = np.stack([ones_N, bits_N, spelled_N, characters_N], axis=1)
    return Scores(statistics_NK, BLOCK[language.level], rows, {"by_kind": kinds_N})


def asked(prepared: Prepared, split: Split, spelled: bool) -> Asked:
    """The tokens by their place in the text; with ``spelled`` an unknown one, which says nothing, is None."""
    meta, (low, high) = prepared.meta, prepared.meta["bounds"][split]
    key_N = np.arange(max(low, 1), high)
    tokens_N = np.array(Language.of(meta).decode(prepared.arrays["ids"][key_N].tolist()), dtype=object)
    if spelled:
        tokens_N[np.asarray(prepared.arrays["ids"])[key_N] == UNKNOWN] = None
    return Asked({key: meta[key] for key in ("level", "lower_case")}, key_N, tokens_N)


def metrics(sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
    """Bits per character, perplexity, and of a language of words the bits per word."""
    count, bits, spelled, characters = np.moveaxis(sums, -1, 0)
    found = {"bits_per_character": spelled / characters, "perplexity": np.exp2(bits / count)}
    return found if meta["level"] == "character" else {**found, "bits_per_word": bits / count}


def streams(ids_N: np.ndarray, bptt: int, streams: int) -> Iterator[Batch]:
    """Equally long streams that lie one behind the other, a step of ``bptt`` tokens after the other."""
    x_BT, y_BT = ids_N[:-1].reshape(streams, -1), ids_N[1:].reshape(streams, -1)
    for at in range(0, x_BT.shape[1], bptt):
        yield batch(x_BT[:, at : at + bptt], y_BT[:, at : at + bptt])


def pieces(ids_N: np.ndarray, starts_N: np.ndarray, bptt: int, batch_size: int) -> Iterator[Batch]:
    """The pieces of ``bptt`` tokens that begin at ``starts_N``, in that order."""
    for at in range(0, len(starts_N), batch_size):
        starts_B = starts_N[at : at + batch_size]
        at_BT = starts_B[:, None] + np.arange(bptt)
        yield {**batch(ids_N[at_BT], ids_N[at_BT + 1]), **_numbers(starts_B=starts_B)}


def batch(x_BT: np.ndarray, y_BT: np.ndarray) -> Batch:
    """Tokens and those after each of them."""
    return _numbers(x_BT=x_BT, y_BT=y_BT)


def _numbers(**arrays: np.ndarray) -> Batch:
    import torch

    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in arrays.items()}


def facts(prepared: Prepared) -> dict[str, float]:
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


def continuation(model: "nn.Module", language: Language, text: str, options: verse.Options) -> Iterator[str]:
    """What the network draws to follow ``text``, piece by piece as it is drawn; never an unknown token."""
    from unroll.problems.language_model.generation import stream

    drawn = stream(model, _begun(language, text, options))
    return language.write(islice(drawn, options.length), text)


def continuations(
    model: "nn.Module", language: Language, texts: Sequence[str], options: Sequence[verse.Options]
) -> list[str]:
    """What the network draws to follow each of the texts, all of them side by side."""
    from unroll.problems.language_model.generation import draw_all

    begun = [_begun(language, text, each) for text, each in zip(texts, options, strict=True)]
    draw_all(model, begun)
    return ["".join(language.write(each.drawn, text)) for text, each in zip(texts, begun, strict=True)]


def _begun(language: Language, text: str, options: verse.Options) -> "Text":
    from unroll.problems.language_model.generation import Drawing, Text

    drawing = Drawing(options.temperature, options.top_k, options.top_p, options.repetition_penalty)
    rng = np.random.default_rng(options.seed)
    return Text(language.encode(text), options.length, drawing, UNKNOWN, rng)


def first_line(prepared: Prepared) -> str:
    """The first whole line of the test part that is not blank."""
    low, high = prepared.meta["bounds"]["test"]
    numbers = prepared.arrays["ids"][low:high].tolist()
    return verse.first_line("".join(Language.of(prepared.meta).write(numbers)))


def samples(model: "nn.Module", prepared: Prepared) -> Figure:
    """Text at several temperatures."""
    import pandas as pd

    language, line = Language.of(prepared.meta), first_line(prepared)
    options = [verse.Options(FIGURE_LENGTH[language.level], each, FIGURE_SEED) for each in TEMPERATURES]
    texts = continuations(model, language, [line] * len(options), options)
    headings = [f"temperature {temperature}" for temperature in TEMPERATURES]
    frame = pd.DataFrame({"heading": headings, "given": line, "text": texts})
    return Figure("samples", "text", "Sampled after the first whole line of the test part", frame)


def bits_by_kind(level: str, by_kind: Mapping[str, Mapping[str, float]]) -> Figure:
    """Bits of each kind of character, or of word and mark."""
    import pandas as pd

    metric, what = {"character": ("bits_per_character", "character"), "word": ("bits_per_word", "token")}[level]
    ends = {"value": metric, "low": f"{metric}_low", "high": f"{metric}_high", "count": "count"}
    frame = pd.DataFrame([{"kind": kind, **{k: row[v] for k, v in ends.items()}} for kind, row in by_kind.items()])
    return Figure("bits_by_kind", "bars", f"Bits by kind of {what}", frame, "kind", "kind", f"bits per {what}")


def bits_by_place(level: str, rows: "pd.DataFrame", ngram_rows: "pd.DataFrame") -> Figure:
    """Bits by letter of the word, or by word of the line, beside those of the n-grams."""
    places = rows.assign(ngram=ngram_rows["bits"])
    frame = places[places["place"] > 0].groupby("place")[["bits", "ngram"]].mean().reset_index()
    frame = frame.rename(columns={"bits": "network"})
    x_label, y_label, last = {
        "character": ("letter of the word", "bits per character", verse.LAST_PLACE),
        "word": ("word of the line", "bits per word", words.LAST_PLACE),
    }[level]
    title = f"Bits by {x_label} (the last: {last} and later)"
    return Figure("bits_by_place", "lines", title, frame, "place", x_label, y_label)
