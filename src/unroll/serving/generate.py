"""``unroll generate``: text from a task's trained language model, written as it is drawn."""

import functools
import sys
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from itertools import chain
from typing import TYPE_CHECKING, Any, TextIO

from unroll.core.errors import ConfigError, DataError
from unroll.registry import versions
from unroll.serving import loading
from unroll.stages.common.task import Task

if TYPE_CHECKING:
    from pathlib import Path

    from unroll.problems.common.capabilities import Continuation, TextGeneration
    from unroll.registry.versions import Located

SHOWN = 10
"""Unknown tokens that the warning names; there may be more."""


def main(
    root: "Path", name: str, seed_text: str, options: Mapping[str, Any], out: TextIO, model: str | None = None
) -> None:
    """Write to ``out`` what the task's model draws to follow ``seed_text``.

    Which model it is, and warnings, go to stderr. Raises what ``of_task`` raises.
    """
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="replace")  # a terminal that cannot show a character shows a question mark
    task = Task.open(root, name)
    _generation(task)
    located = versions.choose(root, name, model)
    continuation = of_task(task, seed_text, options, located)
    sys.stderr.write(f"unroll: {versions.describe(name, model, located)}\n")
    if continuation.unknown:
        sys.stderr.write(f"unroll: {warning(continuation)}\n")
    write(continuation.pieces, out)


def of_task(task: Task, seed_text: str, options: Mapping[str, Any], located: "Located | None" = None) -> "Continuation":
    """What the task's model, by default the champion, draws to follow ``seed_text``.

    Raises ConfigError for a task whose models generate no text and for an option out of its limits, StoreError where
    nothing is trained yet, DataError for a seed text without a token.
    """
    generation = _generation(task)
    checked = {
        name: generation.option(name, value, functools.partial(ConfigError, key=f"--{name.replace('_', '-')}"))
        for name, value in options.items()
    }
    located = located or versions.choose(task.layout.root, task.name, None)
    trained = loading.load(task, located.folder).trained
    continuation = generation.begin(trained.model, trained.meta, seed_text, checked)
    if continuation is None:
        raise DataError(f"--seed-text: {seed_text!r}; expected a text that is not empty")
    return continuation


def warning(continuation: "Continuation") -> str:
    """One line about the tokens of the seed text that the model does not know."""
    unknown = list(dict.fromkeys(continuation.unknown))
    more = ", …" if len(unknown) > SHOWN else ""
    return (
        f"{len(continuation.unknown)} of {continuation.tokens} {continuation.unit} in --seed-text are unknown to the "
        f"model: {', '.join(map(repr, unknown[:SHOWN]))}{more}"
    )


def write(pieces: Iterator[str], out: TextIO) -> None:
    """Write each piece at once; on a terminal end the last line, so that the prompt starts on a new one."""
    ends = "\n" if out.isatty() else ""
    for piece in chain(pieces, [ends]):
        out.write(piece)
        out.flush()


def _generation(task: Task) -> "TextGeneration":
    """How the task's models generate text; raises ConfigError, before torch is imported, where they do not."""
    generation: TextGeneration | None = task.problem().generation
    if generation is None:
        problem = task.params.value(task.name, "prepare.problem")
        tasks = ", ".join(loading.tasks_with(task.params, lambda problem: problem.generation)) or "none here"
        raise ConfigError(f"{task.name}: its problem is {problem}; expected a task whose models generate text: {tasks}")
    return generation
