"""Bits of each token, beside those of n-grams. Shapes: N tokens, T of them at once, V symbols, K statistics."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.scores import Scores
from unroll.problems.common.base import Meta, Prepared, Split
from unroll.problems.common.scoring import Figure, Scoring
from unroll.problems.language_model import figures
from unroll.problems.language_model.build import batches
from unroll.problems.language_model.config import LanguageModelPrepare
from unroll.problems.language_model.tokens import Language

if TYPE_CHECKING:
    from torch import nn

ORDERS = range(1, 8)
"""Orders of the n-gram baseline; validation chooses."""
BLOCK = {"character": 500, "word": 100}
"""Tokens that are resampled together: how hard a text is to predict stays alike for some lines."""


class LanguageScoring(Scoring[LanguageModelPrepare]):
    """How many bits the text takes."""

    headline = "bits_per_character"
    higher_is_better = False
    metric_names = ("bits_per_character", "perplexity")
    baseline_names = ("unigram", "ngram")
    unit = "tokens"

    def metric_keys(self, config: LanguageModelPrepare) -> tuple[str, ...]:
        """Of a language of words ``bits_per_word``, too."""
        return self.metric_names if config.level == "character" else (*self.metric_names, "bits_per_word")

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:  # noqa: ARG002
        """Bits of each token of a split."""
        import torch
        from torch.nn.functional import cross_entropy

        model.eval()
        device, state, bits = next(model.parameters()).device, None, []
        with torch.inference_mode():
            for batch in batches(prepared, split):
                scores_BTV, state = model(batch["x_BT"].to(device), state)
                nats_T = cross_entropy(scores_BTV[0].cpu().double(), batch["y_BT"][0], reduction="none")
                bits.append(nats_T.numpy() / np.log(2))
        return _scores(prepared, split, np.concatenate(bits))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """Frequencies of single tokens, and n-grams of the order that validation prefers."""
        from unroll.problems.language_model.baselines import NGram, best_order

        ids, symbols, bounds = prepared.arrays["ids"], len(prepared.meta["symbols"]) + 1, prepared.meta["bounds"]
        train, validation = (ids[slice(*bounds[part])] for part in ("train", "validation"))
        orders = {"unigram": 1, "ngram": best_order(train, validation, symbols, ORDERS)}
        low, high = bounds[split]
        scores = {}
        for name, order in orders.items():
            chance_T = NGram(train, symbols, order).probabilities(ids[:high], max(low, 1))
            scores[name] = _scores(prepared, split, -np.log2(chance_T))
        return scores

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        """Perplexity: 2 to the power of the bits per token, be it a character or a word. Bits per character.

        Those of a language of words share the bits of all words among all characters of the text, blanks included, so
        that they stand beside those of a language of characters. An unknown word is one symbol in ``perplexity`` and
        ``bits_per_word``, however rare it is; in ``bits_per_character`` it is spelled, too, by the frequencies of
        characters in train: the bits of its characters and its end are added, for networks and baselines alike. How
        many blanks stand between words is not asked. An unknown character is one symbol in both.
        """
        count, bits, spelled, characters = np.moveaxis(sums, -1, 0)
        named = {"bits_per_character": spelled / characters, "perplexity": np.exp2(bits / count)}
        return named if meta["level"] == "character" else {**named, "bits_per_word": bits / count}

    def figures(
        self, model: "nn.Module", prepared: Prepared, scores: Scores, baselines: Mapping[str, Scores]
    ) -> Iterator[Figure]:
        """Text sampled at four temperatures, bits by kind of token, and by place in the word or line."""
        yield figures.samples(model, prepared)
        yield figures.bits_by_kind(prepared.meta["level"], self.breakdown(scores, prepared.meta)["by_kind"])
        yield figures.bits_by_place(prepared.meta["level"], scores.table(), baselines["ngram"].table())


def _scores(prepared: Prepared, split: Split, bits_N: np.ndarray) -> Scores:
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
