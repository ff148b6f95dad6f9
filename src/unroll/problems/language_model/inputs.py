"""What a language model takes: a text to go on from, and how to draw what follows."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from unroll.core.errors import UnrollError
from unroll.problems.common.base import Meta
from unroll.problems.common.capabilities import Continuation, TextGeneration
from unroll.problems.common.inputs import Column, Inputs
from unroll.problems.language_model import tokens, verse

if TYPE_CHECKING:
    from torch import nn

ABOUT = {
    "length": "Tokens to draw: characters, or words of a model of words",
    "temperature": "Low: tame, high: wild; 0: always the most probable token",
    "seed": "The same seed draws the same text",
    "top_k": "Draw among so many of the most probable tokens; 0: all",
    "top_p": "Draw among the fewest tokens with this share of the probability",
    "repetition_penalty": "Above 1: recent tokens are drawn less often",
}


def inputs(meta: Meta, cell_characters: int) -> Inputs:
    """The text, and ``verse.Options`` beside it."""
    columns = [Column("text", "text", "A text to go on from", longest=cell_characters)]
    for name, (low, high) in verse.LIMITS.items():
        default = verse.DEFAULTS[name]
        whole = isinstance(default, int)
        columns.append(Column(name, "number", ABOUT[name], False, whole=whole, low=low, high=high, default=default))
    about = {"level": meta["level"], "lower_case": meta.get("lower_case", False)}
    return Inputs.of(columns, about, "verse", line="text", steps="length")


def made_up(meta: Meta) -> list[dict[str, Any]]:
    """The most frequent token that is not blank."""
    return [{"text": next((symbol for symbol in meta["symbols"] if symbol.strip()), " ")}]


class Generation(TextGeneration):
    """A text drawn token by token."""

    def option(self, name: str, value: Any, fault: Callable[[str], UnrollError]) -> Any:
        """One of ``verse.Options``."""
        return verse.option(name, value, fault)

    def begin(self, model: "nn.Module", meta: Meta, text: str, options: Mapping[str, Any]) -> Continuation | None:
        """What the network draws to follow ``text``, never an unknown token."""
        language = tokens.Language.of(meta)
        count = len(language.tokens(text))
        if not count:
            return None
        pieces = tokens.continuation(model, language, text, verse.Options(**options))
        unit = {"character": "characters", "word": "words and marks"}[language.level]
        return Continuation(pieces, count, language.unknown(text), unit)
