"""Train the network of one task: from prepared arrays to ``models/<task>/``."""

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unroll.core import store
from unroll.core.config import Config, TrainConfig
from unroll.problems.common.base import SPLITS, Prepared, Problem
from unroll.stages.common.task import Task
from unroll.stages.train.checkpoint import Checkpoint
from unroll.stages.train.epoch_lines import Progress
from unroll.stages.train.loop import Epoch, History, fit, mean_loss
from unroll.tracking import runs
from unroll.tracking.live import LiveRun

TELLING = ("unroll.display", "unroll.tracking")
"""Packages that show and publish a training: it goes on after a change of theirs."""


def train(task: Task) -> None:
    """Fit the task's network and write weights, configuration and history; go on where a killed run stopped."""
    problem, prepare, model, config = task.problem(), task.prepare_config(), task.model_config(), task.train_config()
    headline = problem.scoring.headline
    prepared = Prepared.load(task.layout.prepared)
    blocks = {"prepare": _plain(prepare), "model": _plain(model), "train": _plain(config)}
    fingerprint = store.fingerprint(task.layout.prepared, task.name, blocks, torch.__version__)
    torch.set_num_threads(config.threads)
    solved = problem.learning.solve(model, prepared)
    network = solved or build(problem, model, prepared, config)
    # Only the same code may go on with a training, so its hash is part of the checkpoint's key.
    checkpoint = Checkpoint(task.layout.state / "checkpoint.safetensors", f"{fingerprint}-{code_hash()}")

    live = LiveRun.start(task.layout.root, task.name, fingerprint, blocks, config.epochs)
    try:
        with Progress(task.name, config.epochs, headline, problem.scoring.unit) as progress:

            def on_epoch(epoch: Epoch, seconds: float, units: int) -> None:
                progress.update(epoch, seconds, units)
                live.log(epoch.epoch, record(epoch, headline))

            if solved:
                history = judge_solved(network, problem, prepared, config, on_epoch)
            else:
                history = fit_network(network, problem, prepared, config, on_epoch, checkpoint)
        problem.learning.finish(network, prepared)
        _write(task, network, history, headline, {**blocks, "meta": prepared.meta, "fingerprint": fingerprint})
    except BaseException as error:
        live.finish(None, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    live.finish(runs.model_hash(task.layout.model))
    checkpoint.clear()


def code_hash() -> str:
    """The SHA-256 over all modules of this package that are imported now and may change what is learned."""
    names = sorted(name for name in sys.modules if f"{name}.".startswith("unroll.") and not _only_tells(name))
    files = [Path(file) for name in names if (file := sys.modules[name].__file__)]
    return hashlib.sha256("\n".join(store.sha256(file) for file in files).encode()).hexdigest()


def _only_tells(module: str) -> bool:
    return ".".join(module.split(".")[:2]) in TELLING


def build(problem: Problem[Any, Any], model: Config, prepared: Prepared, config: TrainConfig) -> nn.Module:
    """The untrained network, its weights drawn from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = problem.learning.model(model, prepared.meta)
    problem.learning.begin(network, prepared)
    return network


def fit_network(
    network: nn.Module,
    problem: Problem[Any, Any],
    prepared: Prepared,
    config: TrainConfig,
    on_epoch: Any,
    checkpoint: Checkpoint | None = None,
) -> History:
    """``loop.fit`` with the data path, loss and validation metric of ``problem``."""
    learning = problem.learning
    return fit(
        network,
        learning.loss,
        train=lambda rng: learning.train_batches(prepared, config.batch_size, rng),
        valid=lambda: learning.batches(prepared, "validation", config.batch_size),
        metric=lambda model: _validation_metric(model, problem, prepared, config),
        config=config,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
        on_step=lambda share: learning.progress(network, share),
    )


def judge_solved(
    model: nn.Module, problem: Problem[Any, Any], prepared: Prepared, config: TrainConfig, on_epoch: Any
) -> History:
    """The history of a model that took no epoch to make: one row with its losses and its validation metric."""
    started = time.monotonic()
    learning, device = problem.learning, torch.device("cpu")
    train_loss, validation_loss = (
        mean_loss(model, learning.loss, learning.batches(prepared, split, config.batch_size), device, torch.float32)
        for split in SPLITS[:2]
    )
    epoch = Epoch(1, train_loss, validation_loss, _validation_metric(model, problem, prepared, config), 0.0, 0.0)
    on_epoch(epoch, time.monotonic() - started, prepared.meta["examples"]["train"])
    return History([epoch])


def _validation_metric(model: nn.Module, problem: Problem[Any, Any], prepared: Prepared, config: TrainConfig) -> float:
    scoring = problem.scoring
    scores = scoring.score(model, prepared, "validation", config.batch_size)
    return float(scoring.metrics(scores.sums(), prepared.meta)[scoring.headline])


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
