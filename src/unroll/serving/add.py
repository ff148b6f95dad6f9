"""``unroll add``: sums asked of a trained network, and whether it is right."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from unroll.core.errors import ConfigError, DataError
from unroll.problems.common.base import Meta
from unroll.registry import versions
from unroll.stages.common.task import Task

PROBLEM, DATASET = "sequence_to_sequence", "addition"
_NUMBER = re.compile(r"[0-9]+")
_SUM = re.compile(r"([0-9]+)\+([0-9]+)")


def main(root: Path, given: Sequence[str], task: str | None, model: str | None, out: TextIO) -> None:
    """Write a line a sum to ``out``: the network's answer, and whether it is right; which model it is goes to stderr.

    Raises ConfigError for what is no sum and for a task that answers none, DataError for numbers that are longer than
    those of train.
    """
    asked = operands(given)
    opened = Task.open(root, task or find(root))
    _require_problem(opened)
    located = versions.choose(root, opened.name, model)
    from unroll.model.predictor import Predictor

    predictor = Predictor.load(located.folder)
    meta = predictor.trained.meta
    if predictor.trained.config["problem"] != PROBLEM or meta["reading"] is None:
        raise ConfigError(f"{opened.name}: {located.folder} answers no sums; expected a model of sums such as 12+345")
    sources = [_source(a, b, meta, opened) for a, b in asked]
    sys.stderr.write(f"unroll: {versions.describe(opened.name, model, located)}\n")
    import pandas as pd

    answer = predictor.predict(pd.DataFrame({"source": pd.array(sources, dtype="str")}))
    for (a, b), found, chance in zip(asked, answer["answer"], answer["probability"], strict=True):
        out.write(f"{line(int(a), int(b), found, chance)}\n")


def operands(given: Sequence[str]) -> list[tuple[str, str]]:
    """The two numbers of each sum, without needless zeros.

    >>> operands(["12", "345", "7", "08"]), operands(["12+345"])
    ([('12', '345'), ('7', '8')], [('12', '345')])
    """
    expected = "expected two numbers a sum, such as 123 456, or sums such as 123+456"
    if any("+" in word for word in given):
        matches = [_SUM.fullmatch(word) for word in given]
        pairs = [match.group(1, 2) for match in matches if match]
        wrong = next((word for word, match in zip(given, matches, strict=True) if not match), None)
    else:
        pairs = list(zip(given[::2], given[1::2], strict=False))
        wrong = next((word for word in given if not _NUMBER.fullmatch(word)), None)
    if wrong is not None:
        raise ConfigError(f"{wrong!r:.60}: no sum of whole numbers; {expected}")
    if not given or (len(pairs) < len(given) and len(given) % 2):
        raise ConfigError(f"{' '.join(given) or 'nothing'!r:.60}: an odd count of numbers; {expected}")
    return [(a.lstrip("0") or "0", b.lstrip("0") or "0") for a, b in pairs]


def find(root: Path) -> str:
    """The task that adds: ``addition``, else the only one on that dataset, else the only one of the problem."""
    from unroll.core.params import Params

    params = Params(root / "params.yaml")
    having = [name for name in params.tasks() if params.value(name, "prepare.problem") == PROBLEM]
    adding = [name for name in having if params.value(name, "data.dataset") == DATASET]
    for names in ([name for name in having if name == DATASET], adding, having):
        if len(names) == 1:
            return names[0]
    raise ConfigError(f"--task: {len(having)} tasks of the problem {PROBLEM}; expected one of: {', '.join(having)}")


def line(a: int, b: int, answer: str, chance: float) -> str:
    """What is shown of one sum.

    >>> line(123, 456, "578", 0.61)
    '123 + 456 = 578  wrong, it is 579  (probability 0.61)'
    """
    verdict = "right" if answer == str(a + b) else f"wrong, it is {a + b}"
    return f"{a} + {b} = {answer or 'nothing'}  {verdict}  (probability {chance:.2f})"


def _require_problem(task: Task) -> None:
    if (problem := task.params.value(task.name, "prepare.problem")) != PROBLEM:
        raise ConfigError(f"{task.name}: its problem is {problem}; expected a task of the problem {PROBLEM}")


def _source(a: str, b: str, meta: Meta, task: Task) -> str:
    """The sum as the network was taught to read it; raises DataError for one that is longer than those of train."""
    longest = int(meta["longest_source"])
    if task.params.value(task.name, "data.dataset") == DATASET:
        digits = (longest - 1) // 2
        for number in (a, b):
            if len(number) > digits:
                raise DataError(
                    f"{number:.60}: {len(number)} digits; expected at most {digits}: {task.name} was trained on the "
                    f"numbers from 0 to {10**digits - 1}"
                )
    source = f"{a}+{b}"
    if len(source) > longest:
        raise DataError(
            f"{source:.60}: {len(source)} characters; expected at most {longest}: {task.name} was trained on no longer"
            " sum"
        )
    return source[::-1] if meta["reading"] == "backward" else source
