"""One loop for all problems: ``fit`` trains a network and leaves its best weights in it.

Everything random in epoch ``e`` is drawn from (seed, e), so a run that was killed goes on from its last checkpoint to
the same bytes as one that was not.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unroll.core.config import TrainConfig
from unroll.core.errors import TrainingError
from unroll.problems.common.base import Batch
from unroll.problems.common.learning import Loss
from unroll.stages.train.checkpoint import Checkpoint
from unroll.stages.train.optimizer import learning_rate, make_optimizer, step_of

LossFunction = Callable[[nn.Module, Batch, Any], Loss]


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to. Losses are means over units; ``gradient_norm`` is the mean L2 norm before clipping."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_metric: float
    learning_rate: float
    gradient_norm: float


@dataclass
class History:
    """The epochs so far; the best one has the lowest validation loss."""

    epochs: list[Epoch]

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept."""
        return min(self.epochs, key=lambda e: e.validation_loss)

    def should_stop(self, patience: int | None) -> bool:
        """Whether ``patience`` epochs have passed since the best one."""
        return patience is not None and self.epochs[-1].epoch - self.best.epoch >= patience


OnEpoch = Callable[[Epoch, float, int], None]
"""Called after each epoch with its record, the seconds and the units of its training part."""


def fit(
    model: nn.Module,
    loss: LossFunction,
    train: Callable[[np.random.Generator], Iterable[Batch]],
    valid: Callable[[], Iterable[Batch]],
    metric: Callable[[nn.Module], float],
    config: TrainConfig,
    on_epoch: OnEpoch,
    checkpoint: Checkpoint | None = None,
    on_step: Callable[[float], None] = lambda share: None,  # noqa: ARG005
) -> History:
    """Train ``model`` for at most ``config.epochs`` epochs; its best weights are in it afterwards.

    ``train`` gives one epoch's batches in an order drawn from the generator, ``valid`` the validation batches,
    ``metric`` a score of the model on validation, for the record. ``on_step`` hears before each step what share of all
    steps is over. Raises TrainingError when the loss is no number.
    """
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    model.to(device)
    optimizer = make_optimizer(model, config, device)
    history, best = History([]), copy.deepcopy(model.state_dict())
    if checkpoint and (saved := checkpoint.load(model, optimizer)):
        history, best = History([Epoch(**epoch) for epoch in saved.epochs]), saved.best
    steps = sum(1 for _ in train(np.random.default_rng([config.seed, 0])))

    for number in range(len(history.epochs) + 1, config.epochs + 1):
        if history.epochs and history.should_stop(config.patience):
            break
        started = time.monotonic()
        with _seeded(config.seed, number, device):
            batches = train(np.random.default_rng([config.seed, number]))
            batches = _announced(batches, on_step, (number - 1) * steps, config.epochs * steps)
            done = _train_epoch(model, loss, batches, optimizer, config, device, precision, (number - 1) * steps, steps)
        seconds = time.monotonic() - started
        validation_loss = mean_loss(model, loss, valid(), device, precision)
        _require_finite(number, done.loss, validation_loss)
        epoch = Epoch(number, done.loss, validation_loss, metric(model), done.rate, done.norm)
        history.epochs.append(epoch)
        if history.best is epoch:
            best = copy.deepcopy(model.state_dict())
        if checkpoint:
            checkpoint.save(model, optimizer, best, [asdict(e) for e in history.epochs])
        on_epoch(epoch, seconds, done.count)

    model.load_state_dict(best)
    return history


def _announced(batches: Iterable[Batch], on_step: Callable[[float], None], step: int, steps: int) -> Iterator[Batch]:
    for number, batch in enumerate(batches, start=step):
        on_step(number / max(steps - 1, 1))
        yield batch


@dataclass(frozen=True)
class _Done:
    loss: float
    norm: float
    rate: float
    count: int


def _train_epoch(
    model: nn.Module,
    loss: LossFunction,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    device: torch.device,
    precision: torch.dtype,
    step: int,
    steps: int,
) -> _Done:
    model.train()
    total, norms = torch.zeros((), device=device), torch.zeros((), device=device)
    count, state, first = 0, None, step
    for batch in batches:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config.epochs * steps, config)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            scored = loss(model, to_device(batch, device), state)
        optimizer.zero_grad(set_to_none=True)
        (scored.total / scored.count).backward()  # type: ignore[no-untyped-call]
        norms += nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm or math.inf)
        step_of(optimizer)
        state = detach(scored.state)  # truncated backpropagation through time: values are carried, gradients are not
        total += scored.total.detach()
        count += scored.count
        step += 1
    rate = float(optimizer.param_groups[0]["lr"])
    return _Done(total.item() / max(count, 1), norms.item() / max(step - first, 1), rate, count)


def mean_loss(
    model: nn.Module, loss: LossFunction, batches: Iterable[Batch], device: torch.device, precision: torch.dtype
) -> float:
    """The loss over all units of ``batches``, with state carried as in training."""
    model.eval()
    total, count, state = 0.0, 0, None
    with torch.inference_mode():
        for batch in batches:
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                scored = loss(model, to_device(batch, device), state)
            state = scored.state
            total += scored.total.item()
            count += scored.count
    return total / max(count, 1)


def choose_device(name: str) -> torch.device:
    """The device asked for, or with ``auto`` the best there is; raises TrainingError for one that is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, present in there.items() if present))
    if not there[name]:
        present = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise TrainingError(f"train.device: {name!r} is not on this machine; expected auto or one of: {present}")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is bfloat16 where the device gains from it: CUDA since Ampere, processors with AMX."""
    if name == "auto":
        if device.type == "cuda":
            gains = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            gains = device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported())
        return torch.bfloat16 if gains else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on ``device``."""
    if device.type == "cpu":
        return batch
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def detach(state: Any) -> Any:
    """The same state, cut from the graph that made it."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple):
        return tuple(detach(part) for part in state)
    return state


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Dropout draws from torch's global generator: seed it for one epoch and give it back as it was."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.default_rng([seed, epoch, 1]).integers(2**62)))
        yield


def _require_finite(epoch: int, train_loss: float, validation_loss: float) -> None:
    if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
        raise TrainingError(
            f"epoch {epoch}: loss {train_loss} on train, {validation_loss} on validation; expected finite numbers "
            "(lower train.learning_rate, or set train.clip_norm)"
        )
