"""``unroll add``: sums asked of a trained network, and whether it is right."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from unroll import datasets
from unroll.core.errors import ConfigError, DataError
from unroll.core.params import Params
from unroll.registry import versions
from unroll.serving import loading
from unroll.stages.common.task import Task

if TYPE_CHECKING:
    from unroll.problems.common.base import Meta
    from unroll.problems.common.capabilities import Addition

DEFAULT_TASK = "addition"
"""The task that is asked where several have learned sums."""
_NUMBER = re.compile(r"[0-9]+")
_SUM = re.compile(r"([0-9]+)\+([0-9]+)")


def main(root: Path, words: Sequence[str], name: str | None, model: str | None, out: TextIO) -> None:
    """Write a line a sum to ``out``: the network's answer, and whether it is right; which model it is goes to stderr.

    Raises ConfigError for what is not a sum and for a task whose model has not learned sums, DataError for numbers
    longer than those of train.
    """
    pairs = operands(words)
    task = Task.open(root, name or default_task(root))
    addition = task.problem().addition
    if addition is None:
        problem = task.params.value(task.name, "prepare.problem")
        raise ConfigError(f"{task.name}: its problem is {problem}; expected a task whose models can learn sums")
    located = versions.choose(root, task.name, model)
    predictor = loading.load(task, located.folder)
    sources = []
    for a, b in pairs:
        source = addition.source(a, b, predictor.trained.meta)
        if source is None:
            raise ConfigError(f"{task.name}: {located.folder} answers no sums; expected a model of sums such as 12+345")
        _require_short(a, b, addition, predictor.trained.meta, task)
        sources.append(source)
    sys.stderr.write(f"unroll: {versions.describe(task.name, model, located)}\n")
    import pandas as pd

    answer = predictor.predict(pd.DataFrame({"source": pd.array(sources, dtype="str")}))
    for (a, b), result, probability in zip(pairs, answer["answer"], answer["probability"], strict=True):
        out.write(f"{line(int(a), int(b), result, probability)}\n")


def operands(words: Sequence[str]) -> list[tuple[str, str]]:
    """The two numbers of each sum, without needless zeros.

    >>> operands(["12", "345", "7", "08"]), operands(["12+345"])
    ([('12', '345'), ('7', '8')], [('12', '345')])
    """
    expected = "expected two numbers a sum, such as 123 456, or sums such as 123+456"
    if any("+" in word for word in words):
        matches = [_SUM.fullmatch(word) for word in words]
        pairs = [match.group(1, 2) for match in matches if match]
        wrong = next((word for word, match in zip(words, matches, strict=True) if not match), None)
    else:
        pairs = list(zip(words[::2], words[1::2], strict=False))
        wrong = next((word for word in words if not _NUMBER.fullmatch(word)), None)
    if wrong is not None:
        raise ConfigError(f"{wrong!r:.60}: not a sum of whole numbers; {expected}")
    if not words or (len(pairs) < len(words) and len(words) % 2):
        raise ConfigError(f"{' '.join(words) or 'nothing'!r:.60}: an odd count of numbers; {expected}")
    return [(a.lstrip("0") or "0", b.lstrip("0") or "0") for a, b in pairs]


def default_task(root: Path) -> str:
    """The task that adds: ``addition``, else the only one on made sums, else the only one that can learn sums."""
    params = Params(root / "params.yaml")
    having = loading.tasks_with(params, lambda problem: problem.addition)
    adding = [name for name in having if _bounds_digits(params, name)]
    for names in ([name for name in having if name == DEFAULT_TASK], adding, having):
        if len(names) == 1:
            return names[0]
    raise ConfigError(f"--task: {len(having)} tasks whose models can learn sums; expected one of: {', '.join(having)}")


def _bounds_digits(params: Params, task: str) -> bool:
    """Whether the task's dataset makes sums of numbers that have as many digits as it is told, at most."""
    name = params.value(task, "data.dataset")
    return name in datasets.names() and "digits" in datasets.load(name).Config.model_fields


def line(a: int, b: int, answer: str, probability: float) -> str:
    """What is shown of one sum.

    >>> line(123, 456, "578", 0.61)
    '123 + 456 = 578  wrong, it is 579  (probability 0.61)'
    """
    verdict = "right" if answer == str(a + b) else f"wrong, it is {a + b}"
    return f"{a} + {b} = {answer or 'nothing'}  {verdict}  (probability {probability:.2f})"


def _require_short(a: str, b: str, addition: "Addition", meta: "Meta", task: Task) -> None:
    """Raise DataError for a sum longer than those of train."""
    longest = addition.longest(meta)
    if _bounds_digits(task.params, task.name):
        digits = (longest - 1) // 2
        for number in (a, b):
            if len(number) > digits:
                raise DataError(
                    f"{number:.60}: {len(number)} digits; expected at most {digits}: {task.name} was trained on the "
                    f"numbers from 0 to {10**digits - 1}"
                )
    length = len(a) + len(b) + 1
    if length > longest:
        raise DataError(
            f"{f'{a}+{b}':.60}: {length} characters; expected at most {longest}, the longest sum that {task.name} was "
            "trained on"
        )
