"""From a text to what follows it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import TableError, UnrollError
from unroll.features.vocabulary import UNKNOWN
from unroll.problems.common.answering import Answering
from unroll.problems.common.base import Meta, Prepared
from unroll.problems.common.capabilities import Continuation, TextGeneration
from unroll.problems.common.inputs import Column, Inputs
from unroll.problems.language_model import verse
from unroll.problems.language_model.tokens import Language, strings

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from unroll.problems.language_model.generation import Text

ABOUT = {
    "length": "Tokens to draw: characters, or words of a model of words",
    "temperature": "Low: tame, high: wild; 0: always the most probable token",
    "seed": "The same seed draws the same text",
    "top_k": "Draw among so many of the most probable tokens; 0: all",
    "top_p": "Draw among the fewest tokens with this share of the probability",
    "repetition_penalty": "Above 1: recent tokens are drawn less often",
}


class LanguageAnswering(Answering):
    """A continuation of each text."""

    optional_inputs = tuple(verse.DEFAULTS)

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """The text, and ``verse.Options`` beside it."""
        columns = [Column("text", "text", "A text to go on from", longest=cell_characters)]
        for name, (low, high) in verse.LIMITS.items():
            default = verse.DEFAULTS[name]
            whole = isinstance(default, int)
            columns.append(Column(name, "number", ABOUT[name], False, whole=whole, low=low, high=high, default=default))
        about = {"level": meta["level"], "lower_case": meta.get("lower_case", False)}
        return Inputs.of(columns, about, "verse", line="text", steps="length")

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """The most frequent token that is not blank."""
        return [{"text": next((symbol for symbol in meta["symbols"] if symbol.strip()), " ")}]

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first whole line of the test part."""
        import pandas as pd

        return pd.DataFrame({"text": pd.array([first_line(prepared)], dtype="str")})

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """``continuation``: what could follow each ``text``.

        Columns ``length`` (tokens), ``temperature`` (0: always the most probable), ``seed``, ``top_k``, ``top_p`` and
        ``repetition_penalty`` may stand beside it; see ``verse.Options`` for what they are without, and
        ``generation.Drawing`` for what they do.
        """
        import pandas as pd

        if "text" not in frame:
            raise TableError("column 'text' is missing; expected a column of texts to go on from", column="text")
        language, texts = Language.of(meta), strings(frame, "text", "input", first=1)
        for row, text in enumerate(texts, start=1):
            if not language.tokens(text):
                raise TableError(f"{text!r}; expected a text that is not empty", row=row, column="text")
        options = [verse.options(frame, row) for row in range(len(texts))]
        drawn = continuations(model, language, texts, options)
        return pd.DataFrame({"continuation": pd.array(drawn, dtype="str")})


class Generation(TextGeneration):
    """A text drawn token by token."""

    def option(self, name: str, value: Any, fault: Callable[[str], UnrollError]) -> Any:
        """One of ``verse.Options``."""
        return verse.option(name, value, fault)

    def begin(self, model: "nn.Module", meta: Meta, text: str, options: Mapping[str, Any]) -> Continuation | None:
        """What the network draws to follow ``text``, never an unknown token."""
        language = Language.of(meta)
        tokens = language.tokens(text)
        if not tokens:
            return None
        pieces = continuation(model, language, text, verse.Options(**options))
        unit = {"character": "characters", "word": "words and marks"}[language.level]
        return Continuation(pieces, len(tokens), language.unknown(text), unit)


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
