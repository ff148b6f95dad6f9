"""What only some problems can do, each an interface of its own; a problem has None where it cannot."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import TableError, UnrollError
from unroll.problems.common.base import Meta, Prepared

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


class SymbolVectors(ABC):
    """Vectors of symbols that a network has learned, in its layer ``embedding``."""

    @abstractmethod
    def symbols(self, meta: Meta) -> Sequence[str]:
        """What each row stands for, the most frequent first, "" for what has no name."""

    def groups(self, prepared: Prepared) -> Sequence[str]:  # noqa: ARG002
        """What each of ``symbols`` goes with, such as a class, "" for nothing; empty where there are no groups."""
        return ()


@dataclass(frozen=True)
class Continuation:
    """What follows a text, piece by piece as it is drawn, and the tokens of that text."""

    pieces: Iterator[str]
    tokens: int
    unknown: Sequence[str]
    """Those of the tokens that the model does not know, in order."""
    unit: str
    """What a token is called, several of them."""


class TextGeneration(ABC):
    """Going on from a text, with options such as a temperature."""

    @abstractmethod
    def option(self, name: str, value: Any, fault: Callable[[str], UnrollError]) -> Any:
        """An option's value within its limits; raises ``fault(message)`` for one out of them."""

    @abstractmethod
    def begin(self, model: "nn.Module", meta: Meta, text: str, options: Mapping[str, Any]) -> Continuation | None:
        """What follows ``text``; None for a text without a token. ``options`` are those that differ from the defaults.

        Nothing is drawn before the first piece is taken. The options must be within their limits.
        """


class Addition(ABC):
    """Sums of two whole numbers, asked as text."""

    @abstractmethod
    def source(self, a: str, b: str, meta: Meta) -> str | None:
        """The sum as the model has learned to read it; None where it has not learned sums."""

    @abstractmethod
    def longest(self, meta: Meta) -> int:
        """Characters that a source may have."""


class NoWindowError(TableError):
    """An input holds no whole window without a gap; ``longest`` is its longest stretch, in rows."""

    def __init__(self, message: str, longest: int = 0) -> None:
        super().__init__(message)
        self.longest = longest


class SeriesParts(ABC):
    """Answers to a long series that comes part by part; ``predict`` raises NoWindowError for a part without any."""

    @abstractmethod
    def seconds(self, frame: "pd.DataFrame") -> np.ndarray:
        """The time of each row (N,), in seconds since 1970; raises DataError that names the row of what is none."""

    @abstractmethod
    def rows_kept(self, meta: Meta) -> int:
        """Times at the end of a part that windows of the next one may begin with."""

    @abstractmethod
    def last_rows(self, answer: "pd.DataFrame", meta: Meta) -> np.ndarray:
        """The time of the last row of each answer's window (A,), in seconds; answers are in the order of time."""
