"""What is compared: the values given with ``--set``, every combination of them, and the seeds. All checked first."""

import difflib
import itertools
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll import schema
from unroll.config import Config, TrainConfig
from unroll.errors import ConfigError
from unroll.store import Layout
from unroll.tasks import Task

BLOCKS = ("data", "prepare", "model", "train")
REFUSED = {
    "train.seed": "the seeds are the task's own and those after it; give their number with --seeds",
    "data.dataset": "it decides which other keys there are; make a task of its own in params.yaml",
    "prepare.problem": "it decides which other keys and metrics there are; make a task of its own in params.yaml",
}
"""Keys that cannot be swept, and why."""


@dataclass(frozen=True)
class Sweep:
    """One key below a task, and the values it takes in turn; a single value is the same in the whole comparison."""

    key: str
    values: tuple[Any, ...]

    @property
    def is_number(self) -> bool:
        """Whether a line over its values means something: numbers, and no truth values."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)


@dataclass(frozen=True)
class Point:
    """One combination of values, by key."""

    number: int
    values: Mapping[str, Any]
    varied: tuple[str, ...]

    @property
    def label(self) -> str:
        """What tells it from the other points, such as ``lstm · hidden 64``: a word or a list speaks for itself."""
        named = [(short(key), self.values[key]) for key in self.varied]
        texts = [shown(value) if isinstance(value, str | list) else f"{key} {shown(value)}" for key, value in named]
        return " · ".join(texts) or "as in params.yaml"

    @property
    def name(self) -> str:
        """The same with its keys, such as ``model.cell=lstm model.hidden=64``."""
        return " ".join(f"{key}={shown(self.values[key])}" for key in self.varied) or "as in params.yaml"


@dataclass(frozen=True)
class Grid:
    """A task, what is varied in it, and the seeds of each point."""

    task: Task
    sweeps: tuple[Sweep, ...]
    points: tuple[Point, ...]
    seeds: tuple[int, ...]

    @property
    def varied(self) -> tuple[Sweep, ...]:
        """The keys with more than one value."""
        return tuple(sweep for sweep in self.sweeps if len(sweep.values) > 1)

    @property
    def fixed(self) -> str:
        """The keys with a single value, in words."""
        return ", ".join(f"{sweep.key}={shown(sweep.values[0])}" for sweep in self.sweeps if len(sweep.values) == 1)

    @property
    def title(self) -> str:
        """What is compared, in words."""
        return " × ".join(sweep.key for sweep in self.varied) or "seeds"

    @property
    def folder(self) -> str:
        """The name of a folder for it: keys and values without what a path may not have, and not too long."""
        text = "+".join(f"{sweep.key}={','.join(map(shown, sweep.values))}" for sweep in self.sweeps) or "seeds"
        safe = "".join(letter if letter.isalnum() or letter in "._=,+-" else "-" for letter in text)
        if len(safe) <= 80:
            return safe
        import hashlib

        return f"{safe[:71]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def at(self, point: Point, seed: int | None = None) -> Task:
        """The task with the values of a point, and with a seed."""
        values = {f"tasks.{self.task.name}.{key}": value for key, value in point.values.items()}
        if seed is not None:
            values[f"tasks.{self.task.name}.train.seed"] = seed
        return Task(self.task.name, self.task.params.replaced(values), self.task.layout)


def plan(root: Path, name: str, given: Sequence[str], seeds: int) -> Grid:
    """The grid that ``given`` (``KEY=V1,V2,…``) spans, with every value of every point checked.

    Raises ConfigError, before anything runs, for an unknown task or key (with the nearest good one), a value that is
    not allowed, a key or value given twice, and where there is nothing to compare.
    """
    task = Task.open(root, name)
    if faults := schema.faults_of(task):
        raise ConfigError("\n".join(faults))
    sweeps = tuple(map(parse, given))
    known = list(keys(task))
    for number, sweep in enumerate(sweeps):
        _require_key(sweep.key, known)
        if sweep.key in [other.key for other in sweeps[:number]]:
            raise ConfigError(f"--set {sweep.key}: given twice; expected each key once, as {sweep.key}=V1,V2")
    if seeds < 2 and all(len(sweep.values) < 2 for sweep in sweeps):
        raise ConfigError("nothing to compare: expected --set KEY=V1,V2 with two values or more, or --seeds 2 or more")
    varied = tuple(sweep.key for sweep in sweeps if len(sweep.values) > 1)
    combined = itertools.product(*(sweep.values for sweep in sweeps))
    points = tuple(
        Point(number, {sweep.key: value for sweep, value in zip(sweeps, values, strict=True)}, varied)
        for number, values in enumerate(combined)
    )
    first = task.train_config().seed
    grid = Grid(Task(name, task.params, Layout(root, name)), sweeps, points, tuple(range(first, first + seeds)))
    refused = dict.fromkeys(fault for point in points for fault in _faults(grid.at(point)))
    if refused:
        raise ConfigError("; ".join(refused))
    return grid


def parse(text: str) -> Sweep:
    """A key and its values, which are those of a YAML 1.2 list: ``[mean,max],[last]`` are two lists.

    >>> parse("train.learning_rate=1e-3,0.01")
    Sweep(key='train.learning_rate', values=(0.001, 0.01))
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    key, equals, listed = (part.strip() for part in text.partition("="))
    if not equals or not listed:
        raise ConfigError(f"--set {text!r}: no values; expected KEY=V1,V2,… such as model.cell=rnn,lstm")
    try:
        values = YAML(typ="safe", pure=True).load(f"[{listed}]")
    except YAMLError:
        values = None
    if not isinstance(values, list) or listed.endswith(","):
        raise ConfigError(f"--set {key}: {listed!r} is no list of values; expected V1,V2,… such as rnn,lstm or [a,b],c")
    for number, value in enumerate(values):
        if shown(value) in map(shown, values[:number]):
            raise ConfigError(f"--set {key}: {shown(value)} is given twice; expected each value once")
    return Sweep(key, tuple(values))


def shown(value: Any) -> str:
    """A value as one writes it in YAML.

    >>> [shown(value) for value in (None, True, 1e-3, "lstm", ["mean", "max"])]
    ['null', 'true', '0.001', 'lstm', '[mean,max]']
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{','.join(map(shown, value))}]"
        case dict():
            return "{" + ",".join(f"{key}: {shown(inner)}" for key, inner in value.items()) + "}"
        case _:
            return str(value)


def short(key: str) -> str:
    """The last part of a key.

    >>> short("model.hidden")
    'hidden'
    """
    return key.rpartition(".")[2]


def keys(task: Task) -> Iterator[str]:
    """Every dotted key below a task that a comparison may set, those of nested blocks, too."""
    dataset, _ = task.dataset()
    problem = task.problem()
    kinds = (dataset.Config, problem.Prepare, type(task.model_config()), TrainConfig)
    for block, kind in zip(BLOCKS, kinds, strict=True):
        yield from _fields(kind, f"{block}.")


def _fields(kind: Any, prefix: str) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield prefix + name
        for inner in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, Config):
                yield from _fields(inner, f"{prefix}{name}.")


def _require_key(key: str, known: Sequence[str]) -> None:
    if key in REFUSED:
        raise ConfigError(f"--set {key}: cannot be compared: {REFUSED[key]}")
    if key in known:
        return
    same = [other for other in known if short(other) == short(key)]
    near = same[:1] or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    block = key.partition(".")[0]
    allowed = [other for other in known if other.startswith(f"{block}.")] or [f"{block}.…" for block in BLOCKS]
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"--set {key}: unknown key{hint}; allowed: {', '.join(allowed)}")


def _faults(task: Task) -> Iterator[str]:
    for read in (task.dataset, task.prepare_config, task.model_config, task.train_config):
        try:
            read()
        except ConfigError as error:
            yield f"--set {str(error).removeprefix(f'{task.params.path}: ').removeprefix(f'tasks.{task.name}.')}"
