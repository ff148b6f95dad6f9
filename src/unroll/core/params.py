"""``params.yaml``, the only home of values: opened once, handed out one checked block at a time.

A stage reads the keys that its entry in ``dvc.yaml`` lists and no others: ``Params.reads`` records them, and a test
compares the two.
"""

import copy
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from unroll.core.config import Config
from unroll.core.errors import ConfigError

C = TypeVar("C", bound=Config)

BLOCKS = ("data", "prepare", "model", "train", "gate")


class Params:
    """The parsed ``params.yaml``; ``reads`` collects the dotted keys handed out."""

    def __init__(self, path: Path) -> None:
        """Parse ``path``; raises ConfigError that names the line if it is no YAML mapping."""
        self.path = path
        self.reads: set[str] = set()
        self._values = _parse(path)

    def tasks(self) -> list[str]:
        """Names of all tasks, in file order; raises ConfigError for one that cannot name a folder and a key path."""
        names = list(self._mapping("tasks"))
        for name in names:
            if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-]+", name)):
                raise self._fault("tasks", f"{name!r} is not a name; expected letters, digits, _ and -")
        return names

    def require_tasks(self, names: Iterable[str]) -> None:
        """Raise ConfigError for the first of ``names`` that is not a task, with the tasks that there are."""
        known = self.tasks()
        for name in names:
            if name not in known:
                raise self._fault(f"tasks.{name}", f"no such task; expected one of {', '.join(known)}")

    def source(self) -> str:
        """The source of all tasks that do not override it."""
        value = self._at("source")
        if not isinstance(value, str) or not value:
            raise self._fault("source", f"{value!r} is not allowed; expected sample, lab or a folder")
        return value

    def value(self, task: str, key: str) -> str:
        """One string of a task's block, such as ``data.dataset``."""
        value = self._at(f"tasks.{task}.{key}")
        if not isinstance(value, str):
            raise self._fault(f"tasks.{task}.{key}", f"{value!r} is not allowed; expected a name")
        return value

    def block(self, task: str, name: str, kind: type[C]) -> C:
        """The block ``tasks.<task>.<name>`` checked against ``kind``.

        Raises ConfigError that names each faulty key, the value seen and what is allowed.
        """
        key = f"tasks.{task}.{name}"
        try:
            return kind.model_validate(self._at(key))
        except ValidationError as error:
            raise ConfigError(explain(error.errors(), key, kind), file=self.path) from None

    def raw(self, task: str, block: str) -> dict[str, Any]:
        """A copy of the block ``tasks.<task>.<block>`` as the file has it, unchecked."""
        return copy.deepcopy(self._mapping(f"tasks.{task}.{block}"))

    def replaced(self, values: Mapping[str, Any]) -> "Params":
        """The same with other values at some dotted keys; the file stays as it is. Blocks check them as ever."""
        other = copy.copy(self)
        other.reads, other._values = set(), copy.deepcopy(self._values)
        for key, value in values.items():
            parent, _, last = key.rpartition(".")
            mapping = other._at(parent) if parent else other._values
            other._require_mapping(mapping, [parent])
            mapping[last] = value
        other.reads.clear()
        return other

    def check_top_keys(self) -> None:
        """Refuse keys at the top that nothing reads."""
        self._refuse_unknown(self._values, ("source", "tasks"), "")

    def check_task_keys(self, task: str) -> None:
        """Refuse blocks of a task that nothing reads."""
        self._refuse_unknown(self._mapping(f"tasks.{task}"), BLOCKS, f"tasks.{task}.")

    def _at(self, key: str) -> Any:
        self.reads.add(key)
        value: Any = self._values
        walked: list[str] = []
        for part in key.split("."):
            self._require_mapping(value, walked)
            if part not in value:
                raise self._fault(".".join([*walked, part]), f"missing{_nearest(part, [str(k) for k in value])}")
            value = value[part]
            walked.append(part)
        return value

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self._at(key)
        self._require_mapping(value, [key])
        self.reads.discard(key)  # only its names were looked at
        return dict(value)

    def _require_mapping(self, value: Any, walked: list[str]) -> None:
        if not isinstance(value, dict):
            raise self._fault(".".join(walked), f"{value!r} is not allowed; expected a mapping")

    def _refuse_unknown(self, values: Mapping[str, Any], known: Sequence[str], prefix: str) -> None:
        for key in values:
            if key not in known:
                near = _nearest(str(key), known)
                raise self._fault(f"{prefix}{key}", f"unknown key{near}; allowed: {', '.join(known)}")

    def _fault(self, key: str, message: str) -> ConfigError:
        return ConfigError(message, file=self.path, key=key)


def _parse(path: Path) -> dict[str, Any]:
    # The YAML 1.2 reader that DVC itself uses, so that both see the same value (YAML 1.1 takes 1e-3 for text).
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{error.strerror or error}; expected the project's parameters", file=path) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"no valid YAML: {' '.join(str(error).split())}", file=path) from None
    if not isinstance(values, dict):
        seen = "empty" if values is None else f"{type(values).__name__} at the top"
        raise ConfigError(f"{seen}; expected the keys source and tasks", file=path)
    return values


def _nearest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def explain(faults: Sequence[Any], key: str, kind: type[Config]) -> str:
    """Pydantic's faults of the block ``key`` in one line: each key once, with all that is wrong with it.

    Pydantic reports a value that may have several types once for each of them.
    """
    texts: dict[str, list[str]] = {}
    for fault in faults:
        location = [str(part) for part in fault["loc"] if "[" not in str(part)]  # without pydantic's names of types
        texts.setdefault(".".join([key, *location]), []).append(_describe(fault, kind))
    return "; ".join(f"{path}: {', or '.join(of_path)}" for path, of_path in texts.items())


def _describe(fault: Any, kind: type[Config]) -> str:
    """One of pydantic's faults in words: the value seen and what is allowed."""
    match fault["type"]:
        case "extra_forbidden":
            *parents, key = fault["loc"]
            known = _fields_at(kind, parents)
            allowed = f"; allowed: {', '.join(known)}" if known else ""
            return f"unknown key (value {fault['input']!r}){_nearest(str(key), known)}{allowed}"
        case "missing":
            return "missing; every tuned value must be given"
        case "value_error" if not fault["loc"]:  # a rule over several keys, in our own words
            return str(fault["ctx"]["error"])
        case _:
            return f"{fault['input']!r} is not allowed; {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _fields_at(kind: type[Config], location: Sequence[Any]) -> list[str]:
    for part in location:
        inner = kind.model_fields[part].annotation if part in kind.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, Config)):
            return []
        kind = inner
    return list(kind.model_fields)
