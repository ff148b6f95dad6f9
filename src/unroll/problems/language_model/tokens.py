"""How a text becomes tokens, tokens numbers, and both back. Shapes: N tokens."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.errors import TableError
from unroll.features.vocabulary import UNKNOWN, Vocabulary
from unroll.problems.common.base import Meta
from unroll.problems.language_model import verse, words

if TYPE_CHECKING:
    import pandas as pd


UNITS = {"character": "characters", "word": "words"}


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


def strings(frame: "pd.DataFrame", column: str, what: str = "text", first: int = 0) -> list[str]:
    """The lines of a column; ``first`` is the number of the first row in messages."""
    lines: list[str] = frame[column].tolist()
    for row, line in enumerate(lines, start=first):
        if not isinstance(line, str):
            raise TableError(f"{line!r:.60}; expected a text", row=row, column=column, table=what)
    return lines
