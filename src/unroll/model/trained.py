"""A trained model as ``train`` left it: what evaluation, publication and serving load."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from unroll import problems
from unroll.core import store
from unroll.core.config import DisagreementError
from unroll.core.errors import ConfigError, StoreError
from unroll.core.params import explain
from unroll.problems.common.base import Meta, Problem

if TYPE_CHECKING:
    from torch import nn

CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
READER = "reader.json"
"""Beside the folder of a model registered from the user's own files: the block by which its raw input is read."""
READER_TAG = "unroll.reader_hash"
"""On a version that was registered with such a block: its hash."""
KEYS = ("problem", "model", "meta")
ANEW = "if another version of Unroll trained it, correct the key in params.yaml and train again: unroll repro"


@dataclass(frozen=True)
class Trained:
    """A network with its weights, on the CPU and in evaluation mode, and the problem that knows how to ask it."""

    problem: Problem[Any, Any]
    model: "nn.Module"
    config: dict[str, Any]

    @property
    def meta(self) -> Meta:
        """All that the model needs beside its weights (scalers, vocabularies, names)."""
        meta: Meta = self.config["meta"]
        return meta

    @classmethod
    def load(cls, folder: Path) -> "Trained":
        """Build the network that ``config.json`` describes and fill it from ``weights.safetensors``.

        Raises StoreError that names the file if one is missing or damaged, or if the two do not fit each other.
        """
        config = _config(folder / CONFIG)
        problem, model_config = _problem(folder / CONFIG, config)
        path = folder / WEIGHTS
        if not path.is_file():
            raise StoreError(f"{path}: not there; expected the weights that the stage train wrote (run: unroll repro)")
        tensors, _ = store.read_tensors(path)
        model = problem.learning.model(model_config, config["meta"])
        _require_fit(path, tensors, model)
        model.load_state_dict(tensors)
        return cls(problem, model.cpu().eval(), config)


def reader_hash(block: Any) -> str:
    """The SHA-256 of what a reader's block says, however it is laid out."""
    import hashlib
    import json

    return hashlib.sha256(json.dumps(block, sort_keys=True).encode()).hexdigest()


def _config(path: Path) -> dict[str, Any]:
    config = store.read_json(path)
    if not isinstance(config, dict):
        raise StoreError(f"{path}: {type(config).__name__} at the top; expected an object with {', '.join(KEYS)}")
    missing = [key for key in KEYS if key not in config]
    if missing:
        raise StoreError(f"{path}: {missing[0]}: missing; expected the keys {', '.join(KEYS)}")
    return config


def _problem(path: Path, config: dict[str, Any]) -> tuple[Problem[Any, Any], Any]:
    try:
        problem = problems.load(config["problem"])
    except ConfigError as error:
        raise StoreError(f"{path}: problem: {error}") from None
    block = config["model"]
    if not isinstance(block, dict):
        raise StoreError(f"{path}: model: {block!r} is not allowed; expected a mapping")
    block = problem.Model.of_older(block)
    while True:
        try:
            return problem, problem.Model.model_validate(block)
        except ValidationError as error:
            faults = error.errors()
        idle = [key for key in _idle(faults) if key in block]
        if not idle:
            break
        block = {key: value for key, value in block.items() if key not in idle}
    # leaving keys out did not help: report the fault in the block as it stands in the file
    raise StoreError(f"{path}: {explain(faults, 'model', problem.Model)}; {ANEW}")


def _idle(faults: Sequence[Any]) -> list[str]:
    """Keys that did nothing beside the others when the model was trained, and are refused there since.

    The network without them is the same; were it another one, the weights would not fit.
    """
    rules = [fault.get("ctx", {}).get("error") for fault in faults]
    return [key for rule in rules if isinstance(rule, DisagreementError) for key in rule.left_out]


def _require_fit(path: Path, tensors: dict[str, Any], model: "nn.Module") -> None:
    """Refuse the first tensor that is missing, left over or of another shape, in one line."""
    needed = model.state_dict()
    for name in [*needed, *tensors]:
        if name not in tensors:
            raise StoreError(f"{path}: tensor {name!r} is missing; expected the weights of the network in {CONFIG}")
        if name not in needed:
            raise StoreError(f"{path}: tensor {name!r} is not part of the network in {CONFIG}")
        seen, expected = tuple(tensors[name].shape), tuple(needed[name].shape)
        if seen != expected:
            raise StoreError(f"{path}: tensor {name!r} has the shape {seen}; expected {expected}")
