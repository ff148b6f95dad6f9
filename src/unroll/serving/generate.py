"""``unroll generate``: text from a task's trained language model, written as it is drawn."""

import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from typing import TYPE_CHECKING, Any, TextIO

from unroll.core.errors import ConfigError, DataError
from unroll.problems.language_model import verse
from unroll.registry import versions
from unroll.stages.common.task import Task

if TYPE_CHECKING:
    from pathlib import Path

    from unroll.model.trained import Trained
    from unroll.registry.versions import Located

PROBLEM = "language_model"
SHOWN = 10
"""Unknown tokens that are named; there may be more."""


@dataclass(frozen=True)
class Continuation:
    """What follows a seed text, piece by piece, and the tokens of the seed text that the model does not know."""

    pieces: Iterator[str]
    unknown: list[str]
    tokens: int
    level: str

    def warning(self) -> str:
        """One line about the unknown tokens; empty where there are none."""
        if not self.unknown:
            return ""
        named = sorted(set(self.unknown), key=self.unknown.index)
        more = ", …" if len(named) > SHOWN else ""
        unit = "characters" if self.level == "character" else "words and marks"
        return (
            f"{len(self.unknown)} of {self.tokens} {unit} in --seed-text are unknown to the model: "
            f"{', '.join(map(repr, named[:SHOWN]))}{more}"
        )


def main(
    root: "Path", name: str, seed_text: str, given: Mapping[str, Any], out: TextIO, model: str | None = None
) -> None:
    """Write to ``out`` what the task's model draws to follow ``seed_text``.

    Which model it is, and warnings, go to stderr. Raises what ``of_task`` raises.
    """
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="replace")  # a terminal that cannot show a character shows a question mark
    task = Task.open(root, name)
    _require_problem(task)
    located = versions.choose(root, name, model)
    found = of_task(task, seed_text, given, located)
    sys.stderr.write(f"unroll: {versions.describe(name, model, located)}\n")
    if warning := found.warning():
        sys.stderr.write(f"unroll: {warning}\n")
    write(found.pieces, out)


def of_task(task: Task, seed_text: str, given: Mapping[str, Any], located: "Located | None" = None) -> Continuation:
    """The continuation by a network of the task (else the champion); ``given`` holds the ``verse.Options`` to change.

    Raises ConfigError for a task that is no language model or an option out of bounds, StoreError where nothing is
    trained yet, DataError for a seed text without a token.
    """
    options = verse.Options(**{key: _option(key, value) for key, value in given.items()})
    _require_problem(task)
    trained = _trained((located or versions.choose(task.layout.root, task.name, None)).folder)
    from unroll.problems.language_model import tokens as _language

    language = _language.Language.of(trained.meta)
    tokens = language.tokens(seed_text)
    if not tokens:
        raise DataError(f"--seed-text: {seed_text!r}; expected a text that is not empty")
    pieces = _language.continuation(trained.model, language, seed_text, options)
    return Continuation(pieces, language.unknown(seed_text), len(tokens), language.level)


def write(pieces: Iterator[str], out: TextIO) -> None:
    """Write each piece at once; on a terminal a last line end, so that the prompt begins a line."""
    ends = "\n" if out.isatty() else ""
    for piece in chain(pieces, [ends]):
        out.write(piece)
        out.flush()


def _option(name: str, value: Any) -> Any:
    return verse.option(name, value, functools.partial(ConfigError, key=f"--{name.replace('_', '-')}"))


def _require_problem(task: Task) -> None:
    """Refuse a task of another problem before torch is imported."""
    if (problem := task.params.value(task.name, "prepare.problem")) != PROBLEM:
        having = [name for name in task.params.tasks() if task.params.value(name, "prepare.problem") == PROBLEM]
        raise ConfigError(
            f"{task.name}: its problem is {problem}; expected a task of the problem {PROBLEM}: "
            f"{', '.join(having) or 'none here'}"
        )


def _trained(folder: "Path") -> "Trained":
    from unroll.model.trained import Trained

    trained = Trained.load(folder)
    if (found := trained.config["problem"]) != PROBLEM:
        raise ConfigError(f"{folder}: a model of problem {found!r}; expected one of {PROBLEM!r}")
    return trained
