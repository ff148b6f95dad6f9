"""What is compared: the values given with ``--set``, every combination of them, and the seeds. All checked first.

Keys that depend on each other are set together: a value of a whole block is a mapping, such as
``model={architecture: plain},{architecture: attention, attention: dot}``. It is laid over the task's own block, whose
keys that do not go with it, as those of another kind of model, are left out.
"""

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll.core.errors import ConfigError
from unroll.core.layout import Layout
from unroll.pipeline import check
from unroll.stages.common.task import Task
from unroll.workbench import compatible_keys
from unroll.workbench.compare import overrides
from unroll.workbench.compare.overrides import BLOCKS

REFUSED = {
    "train.seed": "the seeds are the task's own and those after it; give their number with --seeds",
    "data.dataset": "it decides which other keys there are; make a task of its own in params.yaml",
    "prepare.problem": "it decides which other keys and metrics there are; make a task of its own in params.yaml",
}
"""Keys that cannot be swept, and why."""
UNCHANGED = "as in params.yaml"


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
        return " · ".join(_labelled(short(key), self.values[key]) for key in self.varied) or UNCHANGED

    @property
    def name(self) -> str:
        """The same with its keys, such as ``model.cell=lstm model.hidden=64``."""
        return " ".join(f"{key}={shown(self.values[key])}" for key in self.varied) or UNCHANGED


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
        values = [f"{sweep.key}={','.join(map(shown, sweep.values))}" for sweep in self.sweeps]
        text = "+".join([*values, f"seeds={len(self.seeds)}"])
        safe = "".join(letter if letter.isalnum() or letter in "._=,+-" else "-" for letter in text)
        if len(safe) <= 80:
            return safe
        import hashlib

        return f"{safe[:71]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def left_out(self) -> list[str]:
        """For each block that is laid over the task's own, the keys of that which do not go with it, in words."""
        blocks = [(sweep.key, value) for sweep in self.sweeps if sweep.key in BLOCKS for value in sweep.values]
        left_out = [(block, value, overrides.fitted(self.task, block, value).left_out) for block, value in blocks]
        return [
            f"{block}={shown(value)}: without {', '.join(keys)}, which do not go with it"
            for block, value, keys in left_out
            if keys
        ]

    def at(self, point: Point, seed: int | None = None) -> Task:
        """The task with the values of a point, and with a seed."""
        values = {**point.values, **({} if seed is None else {"train.seed": seed})}
        task = self.task
        for block, mapping in values.items():
            if block in BLOCKS:
                task = overrides.laid_over(task, block, mapping)
        return overrides.changed(task, {key: value for key, value in values.items() if key not in BLOCKS})


def plan(root: Path, name: str, given: Sequence[str], seeds: int) -> Grid:
    """The grid that ``given`` (``KEY=V1,V2,…``) spans, with every value of every point checked.

    Raises ConfigError, before anything runs, for an unknown task or key (with the nearest good one), a value that is
    not allowed, a key or value given twice, and where there is nothing to compare.
    """
    task = Task.open(root, name)
    if faults := check.faults_of(task):
        raise ConfigError("\n".join(faults))
    sweeps = tuple(map(parse, given))
    known = list(dict.fromkeys(key for each in (task, *_blocks_of(task, sweeps)) for key in overrides.keys(each)))
    for number, sweep in enumerate(sweeps):
        _require_keys(sweep, known)
        if sweep.key in [other.key for other in sweeps[:number]]:
            raise ConfigError(f"--set {sweep.key}: given twice; expected each key once, as {sweep.key}=V1,V2")
    if seeds < 2 and all(len(sweep.values) < 2 for sweep in sweeps):
        raise ConfigError("nothing to compare: expected --set KEY=V1,V2 with two values or more, or --seeds 2 or more")
    grid = _grid(Task(name, task.params, Layout(root, name)), sweeps, seeds)
    if refused := _refused(grid):
        raise ConfigError("; ".join([*refused, *_way_out(grid)]))
    return grid


def _grid(task: Task, sweeps: tuple[Sweep, ...], seeds: int) -> Grid:
    varied = tuple(sweep.key for sweep in sweeps if len(sweep.values) > 1)
    combined = itertools.product(*(sweep.values for sweep in sweeps))
    points = tuple(
        Point(number, {sweep.key: value for sweep, value in zip(sweeps, values, strict=True)}, varied)
        for number, values in enumerate(combined)
    )
    first = task.train_config().seed
    return Grid(task, sweeps, points, tuple(range(first, first + seeds)))


def _refused(grid: Grid) -> list[str]:
    """What is wrong with any of the points, each fault once."""
    return list(dict.fromkeys(fault for point in grid.points for fault in overrides.faults(grid.at(point))))


def _way_out(grid: Grid) -> Iterator[str]:
    """The ``--set`` that sets keys together which do not go alone, where that helps, ready to be typed.

    A key that is refused by itself becomes one of a block's mapping, with what must stand beside it.
    """
    from unroll.workbench.new.blocks import flow

    given = [sweep.key for sweep in grid.sweeps]
    alone: dict[str, list[Sweep]] = {}
    for sweep in grid.sweeps:
        block = sweep.key.partition(".")[0]
        if block not in given and _refused(_grid(grid.task, (sweep,), 1)):
            alone.setdefault(block, []).append(sweep)
    together = [whole for block, sweeps in alone.items() if (whole := _together(grid.task, block, sweeps))]
    others = [sweep for sweep in grid.sweeps if sweep not in itertools.chain(*alone.values())]
    if len(together) == len(alone) > 0 and not _refused(_grid(grid.task, (*together, *others), 1)):
        typed = " ".join(f"--set '{sweep.key}={','.join(map(flow, sweep.values))}'" for sweep in together)
        yield f"keys that go together are set together: {typed}"


def _together(task: Task, block: str, sweeps: Sequence[Sweep]) -> Sweep | None:
    """Keys of a block as mappings of the block, each with all that it needs; None where one cannot be had."""
    kind, own, values = overrides.kinds(task)[block], task.params.raw(task.name, block), list[Any]()
    for point in _grid(task, tuple(sweeps), 1).points:
        other = {key: value for key, value in point.values.items() if value != overrides.own_value(task, key)}
        whole = compatible_keys.completed(kind, own, overrides.by_block(task, other).get(block, {}))
        if whole is None:
            return None
        values.append(whole)
    return Sweep(block, tuple(values))


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
        raise ConfigError(f"--set {key}: {listed!r} is not a list; expected V1,V2,… such as rnn,lstm or [a,b],c")
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


def _labelled(key: str, value: Any) -> str:
    """A value as a label has it: of a block, its keys and values."""
    if isinstance(value, dict):
        return ", ".join(_labelled(inner, own) for inner, own in value.items()) or UNCHANGED
    return shown(value) if isinstance(value, str | list) else f"{key} {shown(value)}"


def short(key: str) -> str:
    """The last part of a key.

    >>> short("model.hidden")
    'hidden'
    """
    return key.rpartition(".")[2]


def _blocks_of(task: Task, sweeps: Sequence[Sweep]) -> Iterator[Task]:
    """The task with each of the blocks that are given: they may have keys that it has not."""
    for sweep in sweeps:
        for value in sweep.values:
            if sweep.key in BLOCKS and isinstance(value, dict):
                other = overrides.laid_over(task, sweep.key, value)
                if not overrides.faults(other):
                    yield other


def _require_keys(sweep: Sweep, known: Sequence[str]) -> None:
    """Refuse a key that cannot be set; for a whole block, values that are not mappings of its keys."""
    if sweep.key not in BLOCKS:
        _require_key(sweep.key, known)
        return
    for value in sweep.values:
        if not isinstance(value, dict):
            expected = f"mappings such as {sweep.key}={{}},{{KEY: VALUE}}"
            raise ConfigError(f"--set {sweep.key}: {shown(value)} is not allowed; expected {expected}")
        for key in value:
            if (whole := f"{sweep.key}.{key}") in REFUSED:
                _require_key(whole, known)


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
