"""Where an interrupted training goes on: weights, optimiser state, best weights and history in one file, no pickle."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unroll.core import store


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds beside what it put back into model and optimiser."""

    best: dict[str, Tensor]
    epochs: list[dict[str, Any]]


@dataclass
class Checkpoint:
    """One file, replaced atomically.

    ``fingerprint`` names what is trained on what: a checkpoint of another data set or configuration is not continued.
    ``every_s`` bounds how much time writing may take and how much work a kill can lose.
    """

    path: Path
    fingerprint: str
    every_s: float = 2.0
    _last: float = field(default_factory=time.monotonic, init=False)

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        best: dict[str, Tensor],
        epochs: list[dict[str, Any]],
    ) -> None:
        """Write, unless the last one was written less than ``every_s`` seconds ago."""
        if time.monotonic() - self._last < self.every_s:
            return
        tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items() if value is not None}
        metadata = {"fingerprint": self.fingerprint, "epochs": json.dumps(epochs)}
        store.write_tensors(self.path, tensors, metadata)
        self._last = time.monotonic()

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Saved | None:
        """Put weights and optimiser state back; None where there is no checkpoint of this fingerprint."""
        if not self.path.is_file():
            return None
        tensors, metadata = store.read_tensors(self.path)
        if metadata.get("fingerprint") != self.fingerprint:
            return None
        model.load_state_dict(_under("model.", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimizer.", tensors).items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return Saved(_under("best.", tensors), json.loads(metadata["epochs"]))

    def clear(self) -> None:
        """Remove it: the training is finished and its outputs are written."""
        self.path.unlink(missing_ok=True)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
