"""The pictures of a language model: text that it draws, and bits by kind and place of a token."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from unroll.problems.common.base import Prepared
from unroll.problems.common.scoring import Figure
from unroll.problems.language_model import verse, words
from unroll.problems.language_model.inputs import continuations, first_line
from unroll.problems.language_model.tokens import Language

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

TEMPERATURES = (0.2, 0.4, 0.8, 1.0)
FIGURE_SEED, FIGURE_LENGTH = 1, {"character": 400, "word": 80}


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
