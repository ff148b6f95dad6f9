"""Train the network of one task: from prepared arrays to ``models/<task>/``."""

import hashlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from unroll.core import store
from unroll.core.config import Config, TrainConfig
from unroll.problems.common.base import Batch, Prepared, Problem
from unroll.stages.common.task import Task
from unroll.stages.train.checkpoint import Checkpoint
from unroll.stages.train.epoch_lines import Progress
from unroll.stages.train.loop import Epoch, History, fit, mean_loss
from unroll.tracking import runs
from unroll.tracking.live import LiveRun


def train(task: Task) -> None:
    """Fit the task's network and write weights, configuration and history; go on where a killed run stopped."""
    problem, prepare, model, config = task.problem(), task.prepare_config(), task.model_config(), task.train_config()
    prepared = Prepared.load(task.layout.prepared)
    blocks = {"prepare": _plain(prepare), "model": _plain(model), "train": _plain(config)}
    fingerprint = store.fingerprint(task.layout.prepared, task.name, blocks, torch.__version__)
    torch.set_num_threads(config.threads)
    solved = problem.solve(model, prepared)
    network = solved or build(problem, model, prepared, config)
    # Half trained by other code is no half of this training: the checkpoint's key holds the code, too.
    checkpoint = Checkpoint(task.layout.state / "checkpoint.safetensors", f"{fingerprint}-{code_hash()}")

    live = LiveRun.start(task.layout.root, task.name, fingerprint, blocks, config.epochs)
    try:
        with Progress(task.name, config.epochs, problem.headline, problem.unit) as progress:

            def on_epoch(epoch: Epoch, seconds: float, units: int) -> None:
                progress.update(epoch, seconds, units)
                live.log(epoch.epoch, record(epoch, problem.headline))

            if solved:
                history = judge_solved(network, problem, prepared, config, on_epoch)
            else:
                history = fit_network(network, problem, prepared, config, on_epoch, checkpoint)
        problem.finish(network, prepared)
        _write(task, network, history, problem.headline, {**blocks, "meta": prepared.meta, "fingerprint": fingerprint})
    except BaseException as error:
        live.finish(None, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    live.finish(runs.model_hash(task.layout.model))
    checkpoint.clear()


def code_hash() -> str:
    """The SHA-256 over all modules of this package that are imported now."""
    names = sorted(name for name in sys.modules if name.partition(".")[0] == "unroll")
    files = [Path(file) for name in names if (file := sys.modules[name].__file__)]
    return hashlib.sha256("\n".join(store.sha256(file) for file in files).encode()).hexdigest()


def build(problem: Problem[Any, Any], model: Config, prepared: Prepared, config: TrainConfig) -> nn.Module:
    """The untrained network, its weights drawn from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = problem.model(model, prepared.meta)
    problem.begin(network, prepared)
    return network


def fit_network(
    network: nn.Module,
    problem: Problem[Any, Any],
    prepared: Prepared,
    config: TrainConfig,
    on_epoch: Any,
    checkpoint: Checkpoint | None = None,
) -> History:
    """``training.fit`` with the data path, loss and validation metric of ``problem``."""

    def train_batches(rng: np.random.Generator) -> Iterable[Batch]:
        return problem.train_batches(prepared, config.batch_size, rng)

    def valid_batches() -> Iterable[Batch]:
        return problem.batches(prepared, "validation", config.batch_size)

    def metric(model: nn.Module) -> float:
        return _validation_metric(model, problem, prepared, config)

    def on_step(share: float) -> None:
        problem.progress(network, share)

    return fit(network, problem.loss, train_batches, valid_batches, metric, config, on_epoch, checkpoint, on_step)


def judge_solved(
    model: nn.Module, problem: Problem[Any, Any], prepared: Prepared, config: TrainConfig, on_epoch: Any
) -> History:
    """The history of a model that took no epoch to make: one row with its losses and its validation metric."""
    started = time.monotonic()
    device = torch.device("cpu")
    train_loss, validation_loss = (
        mean_loss(model, problem.loss, problem.batches(prepared, split, config.batch_size), device, torch.float32)
        for split in ("train", "validation")
    )
    epoch = Epoch(1, train_loss, validation_loss, _validation_metric(model, problem, prepared, config), 0.0, 0.0)
    on_epoch(epoch, time.monotonic() - started, prepared.meta["examples"]["train"])
    return History([epoch])


def _validation_metric(model: nn.Module, problem: Problem[Any, Any], prepared: Prepared, config: TrainConfig) -> float:
    scores = problem.score(model, prepared, "validation", config.batch_size)
    return float(problem.metrics(scores.sums(), prepared.meta)[problem.headline])


def record(epoch: Epoch, headline: str) -> dict[str, float]:
    """One epoch as named numbers: a row of ``history.csv`` and a step of the run."""
    return {
        "train_loss": epoch.train_loss,
        "validation_loss": epoch.validation_loss,
        f"validation_{headline}": epoch.validation_metric,
        "learning_rate": epoch.learning_rate,
        "gradient_norm": epoch.gradient_norm,
    }


def _write(task: Task, network: nn.Module, history: History, headline: str, config: dict[str, Any]) -> None:
    import pandas as pd

    rows = [{"epoch": epoch.epoch, **record(epoch, headline)} for epoch in history.epochs]
    with store.atomic_folder(task.layout.model) as folder:
        store.write_tensors(folder / "weights.safetensors", network.state_dict())
        store.write_csv(folder / "history.csv", pd.DataFrame(rows))
        store.write_json(
            folder / "config.json",
            {
                "task": task.name,
                "problem": config["prepare"]["problem"],
                "epochs": len(rows),
                "best_epoch": history.best.epoch,
                "parameters": sum(p.numel() for p in network.parameters()),
                **config,
            },
        )


def _plain(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json")
