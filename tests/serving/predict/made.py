"""Tasks on generated files, carried to an untrained network in ``models/<task>``: enough to ask it."""

import io
import os
import shutil
from pathlib import Path

import pandas as pd
import torch
from projects import ROOT
from workbench.new import files

from unroll.core import store
from unroll.problems.common.base import Prepared
from unroll.stages.common.task import Task
from unroll.stages.ingest import ingest
from unroll.stages.validate import validate
from unroll.workbench import new

NAME = "mine"


def make(root: Path, case: str) -> Task:
    """The task that ``unroll new`` proposes for the files of a case, with a network whose weights are drawn."""
    root.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, root / name)
    here = Path.cwd()
    os.chdir(root)
    try:
        new.main(root, NAME, files.CASES[case](root), True, io.StringIO())
    finally:
        os.chdir(here)
    task = Task.open(root, NAME)
    dataset, data = task.dataset()
    with store.atomic_folder(task.layout.raw) as folder:
        ingest.read(dataset, data, "", folder, root, NAME)
    validate.validate(dataset, data, task.layout)
    problem, config = task.problem(), task.prepare_config()
    with store.atomic_folder(task.layout.prepared) as folder:
        read = store.read_table(
            task.layout.validated / "table.parquet",
            problem.preparation.columns(config),
            problem.preparation.coded(config),
        )
        store.write_json(folder / "meta.json", problem.preparation.prepare(read, config, folder))
    prepared, model = Prepared.load(task.layout.prepared), task.model_config()
    torch.manual_seed(1)
    network = problem.learning.model(model, prepared.meta)
    problem.learning.begin(network, prepared)
    store.write_tensors(task.layout.model / "weights.safetensors", network.state_dict())
    blocks = {"problem": config.problem, "model": model.model_dump(mode="json"), "meta": prepared.meta}
    store.write_json(task.layout.model / "config.json", blocks)
    return task


def table(task: Task) -> pd.DataFrame:
    """What ingest made of the task's own files."""
    return store.read_table(task.layout.validated / "table.parquet")


def own_answer(task: Task, frame: pd.DataFrame) -> pd.DataFrame:
    """The network's answer to rows of the canonical table, with no file between."""
    from unroll.model.predictor import Predictor

    return Predictor.load(task.layout.model).predict(frame.reset_index(drop=True))
