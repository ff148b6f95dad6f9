"""``unroll diagnose gradients``: training through time made visible, on a task's own data and network.

How much of a gradient is left some steps back, for several cells; what a larger or smaller recurrent matrix makes of
it; what clipping does to the first steps of training. A picture, two tables, a few lines on the screen.
"""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from unroll.core import store
from unroll.core.config import Cell, RecurrentConfig, TrainConfig
from unroll.core.errors import ConfigError, DataError
from unroll.problems.common.base import Prepared, Problem
from unroll.stages.common.task import Task

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from torch import nn

    from unroll.workbench.gradients.clipping import Step
    from unroll.workbench.gradients.flow import Flow

SEQUENCES = 64
"""The most sequences of the batch that gradients are measured on."""
SCALED: tuple[Cell, ...] = ("rnn", "rnn_relu")
FACTORS = (0.5, 1.0, 1.5, 2.0)
"""The cells whose recurrent matrix is scaled, and by what: it starts orthogonal, so 1 neither shrinks nor stretches."""
EXPLODING: Cell = "rnn_relu"
STRETCH, LONGEST_STEP = 1.5, 0.3
"""Where clipping shows best: a cell that does not saturate, its matrix stretched, and plain SGD, whose steps are in
proportion to the gradient; its learning rate makes a clipped step at most so long."""
CLIP_NORM = 1.0
"""The bound that is shown for a task that trains without one."""


@dataclass(frozen=True)
class Measured:
    """The flows of one recurrent part of a network with one cell."""

    cell: Cell
    weights: str
    factor: float
    part: str
    flows: "Sequence[Flow]"


@dataclass(frozen=True)
class Clipping:
    """The first steps of one network's training, without and with a bound on the gradient's norm."""

    cell: Cell
    factor: float
    optimizer: str
    clip_norm: float
    free: "Sequence[Step]"
    clipped: "Sequence[Step]"


@dataclass(frozen=True)
class Diagnosis:
    """All that the picture shows."""

    task: str
    cells: Sequence[Measured]
    scaled: Sequence[Measured]
    clippings: Sequence[Clipping]


def main(root: Path, name: str, cells: str, trained: bool, steps: int, output: Path | None, console: "Console") -> None:
    """Measure, draw, write and print; ``cells`` are names between commas.

    Raises ConfigError for an unknown cell, an output that is not a .png, or a network without recurrent layers,
    StoreError where data or model are not there, DataError where the model is one of other data.
    """
    from unroll.workbench.gradients import picture

    if output and output.suffix != ".png":
        raise ConfigError(f"--output: {output} is not allowed; expected a file that ends in .png")
    task = Task.open(root, name)
    diagnosis = diagnose(task, _cells(cells), trained, steps)
    path = output or task.layout.reports / "diagnosis" / "gradients.png"
    store.write_csv(path.with_suffix(".csv"), gradient_table(diagnosis))
    store.write_csv(path.with_name(f"{path.stem}_clipping.csv"), clipping_table(diagnosis))
    picture.write(diagnosis, path)
    picture.show(diagnosis, console)
    console.print(f"picture: {path}", soft_wrap=True)


def diagnose(task: Task, cells: Sequence[Cell], trained: bool, steps: int) -> Diagnosis:
    """Everything measured on one task, in float32 but for the recurrent layers' double precision."""
    import torch

    problem, config, own = task.problem(), task.train_config(), _own_cell(task)
    prepared = Prepared.load(task.layout.prepared)
    torch.set_num_threads(config.threads)
    of_cells: list[Measured] = []
    for cell in cells:
        network = _untrained(task, problem, prepared, config, cell)
        of_cells += measure(network, problem, prepared, config, cell)
    if trained:
        of_cells += measure(_trained(task, prepared), problem, prepared, config, own, weights="trained")
    scaled: list[Measured] = []
    for cell in SCALED:
        for factor in FACTORS:
            network = _scaled(_untrained(task, problem, prepared, config, cell), factor)
            scaled += measure(network, problem, prepared, config, cell, factor)[:1]
    return Diagnosis(task.name, of_cells, scaled, _clippings(task, problem, prepared, config, own, steps))


def measure(
    network: "nn.Module",
    problem: Problem[Any, Any],
    prepared: Prepared,
    config: TrainConfig,
    cell: Cell,
    factor: float = 1.0,
    weights: str = "untrained",
) -> list[Measured]:
    """The flows of each recurrent part of ``network`` on one batch of train, with dropout off."""
    from unroll.workbench.gradients.flow import flows

    network.eval()
    rng = np.random.default_rng([config.seed, 1])
    batch = next(iter(problem.learning.train_batches(prepared, min(SEQUENCES, config.batch_size), rng)))
    with ExitStack() as recordings:
        parts = {name: recordings.enter_context(encoder.recording()) for name, encoder in _parts(network).items()}
        loss = problem.learning.loss(network, batch).total
    return [
        Measured(cell, weights, factor, name, flows(recording.longest, loss, config.seed))
        for name, recording in parts.items()
        if recording.runs
    ]


def gradient_table(diagnosis: Diagnosis) -> "pd.DataFrame":
    """A row a distance."""
    import pandas as pd

    columns = ["cell", "weights", "recurrent_matrix_times", "part", "layer", "direction", "state", "distance"]
    rows = [
        (one.cell, one.weights, one.factor, one.part, flow.layer + 1, ("forward", "backward")[flow.direction],
         flow.part, distance, norm, count)
        for one in [*diagnosis.cells, *(one for one in diagnosis.scaled if one.factor != 1.0)]
        for flow in one.flows
        for distance, (norm, count) in enumerate(zip(flow.norm_D, flow.sequences_D, strict=True))
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*columns, "gradient_norm", "sequences"]).drop_duplicates(ignore_index=True)


def clipping_table(diagnosis: Diagnosis) -> "pd.DataFrame":
    """A row a step, with and without clipping."""
    import pandas as pd

    rows = [
        (one.cell, one.factor, one.optimizer, bound, step.step, step.loss, step.norm)
        for one in diagnosis.clippings
        for bound, steps in ((None, one.free), (one.clip_norm, one.clipped))
        for step in steps
    ]
    columns = ["cell", "recurrent_matrix_times", "optimizer", "clip_norm", "step", "loss", "gradient_norm"]
    return pd.DataFrame(rows, columns=columns)


def _cells(text: str) -> list[Cell]:
    known = {cell: cell for cell in get_args(Cell)}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ConfigError(f"--cells: {name!r} is not a cell; expected some of {', '.join(known)} between commas")
    return [known[name] for name in dict.fromkeys(names)]


def _own_cell(task: Task) -> Cell:
    """The cell of the task's own network."""
    config = task.model_config()
    if not isinstance(config, RecurrentConfig):
        raise ConfigError(f"{task.params.path}: tasks.{task.name}.model: it has no cell; expected a recurrent network")
    return config.cell


def _untrained(
    task: Task, problem: Problem[Any, Any], prepared: Prepared, config: TrainConfig, cell: Cell
) -> "nn.Module":
    """The task's network with another cell, its weights drawn from the task's seed."""
    from unroll.stages.train.train import build

    params = task.params.replaced({f"tasks.{task.name}.model.cell": cell})
    try:
        network = build(problem, Task(task.name, params, task.layout).model_config(), prepared, config)
    except KeyError as error:  # data that another version of the code prepared
        raise DataError(
            f"{task.layout.prepared / 'meta.json'}: {error} is missing; expected data that this version prepared "
            "(run: unroll repro)"
        ) from None
    if not _parts(network):
        raise ConfigError(
            f"{task.params.path}: tasks.{task.name}.model: {type(network).__name__} has no recurrent layers; expected "
            "a network that has some"
        )
    return network


def _trained(task: Task, prepared: Prepared) -> "nn.Module":
    from unroll.model.trained import Trained

    model = Trained.load(task.layout.model)
    if model.meta != prepared.meta:
        raise DataError(
            f"{task.layout.model / 'config.json'}: meta is not that of {task.layout.prepared / 'meta.json'}; expected "
            "a model trained on these prepared data (run: unroll repro)"
        )
    return model.model


def _parts(network: "nn.Module") -> dict[str, Any]:
    """The recurrent parts of a network by name; of parts alike but for a number, such as an ensemble's, the first."""
    from unroll.nn.recurrent import RecurrentEncoder

    parts: dict[tuple[str, int, int], tuple[str, Any]] = {}
    for name, module in network.named_modules():
        if isinstance(module, RecurrentEncoder):
            kind = re.sub(r"\d+", "", name), module.inputs, module.outputs
            parts.setdefault(kind, (name or "network", module))
    return dict(parts.values())


def _scaled(network: "nn.Module", factor: float) -> "nn.Module":
    """The same network, the recurrent matrices of its recurrent parts multiplied."""
    for part in _parts(network).values():
        for name, parameter in part.named_parameters():
            if ".weight_hh" in name:
                parameter.data.mul_(factor)
    return network


def _clippings(
    task: Task, problem: Problem[Any, Any], prepared: Prepared, config: TrainConfig, own: Cell, steps: int
) -> list[Clipping]:
    """The task's own training, and one that explodes."""
    from unroll.workbench.gradients.clipping import first_steps

    bound = config.clip_norm or CLIP_NORM
    plain = config.model_copy(update={"optimizer": "sgd", "momentum": 0.0, "learning_rate": LONGEST_STEP / bound})
    settings = [(own, 1.0, config.optimizer.capitalize(), config), (EXPLODING, STRETCH, "plain SGD", plain)]
    clippings = []
    for cell, factor, optimizer, used in settings:
        network = _scaled(_untrained(task, problem, prepared, config, cell), factor)
        free, clipped = (first_steps(network, problem, prepared, used, steps, limit) for limit in (None, bound))
        clippings.append(Clipping(cell, factor, optimizer, bound, free, clipped))
    return clippings
