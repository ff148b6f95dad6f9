"""``unroll diagnose gradients`` on a small task of every kind: files, table, errors."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from problems.tables import CASES
from projects import write_yaml
from rich.console import Console
from typer.testing import CliRunner

from unroll import problems
from unroll.core import store
from unroll.core.errors import ConfigError, DataError, StoreError
from unroll.stages.common.task import Task
from unroll.workbench import gradients
from unroll.workbench.gradients import picture
from unroll.workbench.gradients.picture import power

TRAIN = {
    "seed": 1, "threads": 1, "device": "cpu", "precision": "float32", "epochs": 2, "batch_size": 8,
    "optimizer": "adam", "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.0, "schedule": "constant",
    "clip_norm": 0.5, "patience": None,
}  # fmt: skip
FIVE = ("forecasting", "series_classification", "text_classification", "language_model", "sequence_to_sequence")


def project(root: Path, kind: str, **model: Any) -> Task:
    """A project with one task, prepared."""
    case = CASES[kind]
    block = {"prepare": case.prepare, "model": {**case.model, **model}, "train": TRAIN}
    write_yaml(root / "params.yaml", {"source": "sample", "tasks": {"small": block}})
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    task, problem = Task.open(root, "small"), problems.load(kind)
    task.layout.prepared.mkdir(parents=True)
    meta = problem.preparation.prepare(case.table(), problem.Prepare.model_validate(case.prepare), task.layout.prepared)
    store.write_json(task.layout.prepared / "meta.json", meta)
    return task


def run(root: Path, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=160)
    values: dict[str, Any] = {"cells": "rnn,lstm,gru", "trained": False, "steps": 3, "output": None, **options}
    gradients.main(root, "small", console=console, **values)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("kind", FIVE)
def test_every_kind_of_task_gets_a_picture_and_tables(tmp_path: Path, kind: str) -> None:
    task = project(tmp_path, kind)
    printed = run(tmp_path)
    folder = task.layout.reports / "diagnosis"
    assert (folder / "gradients.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(folder / "gradients.csv")
    parts = {"sequence_to_sequence": {"source.encoder", "decoder"}}.get(kind)
    if parts:
        assert parts <= set(table["part"])
    assert set(table["cell"]) >= {"rnn", "rnn_relu", "lstm", "gru"}
    both = any(CASES[kind].model.get(key) for key in ("bidirectional", "bidirectional_encoder"))
    assert set(table["direction"]) == ({"forward", "backward"} if both else {"forward"})
    ours = table[(table["state"] == "h") & (table["distance"] == 0) & (table["layer"] == table["layer"].max())]
    np.testing.assert_allclose(ours["gradient_norm"], 1)
    assert table.loc[table["state"] == "h", "gradient_norm"].notna().all()
    steps = pd.read_csv(folder / "gradients_clipping.csv")
    assert set(steps["step"]) <= {1, 2, 3}
    assert len(steps) >= 4
    assert "RNN (tanh)" in printed
    assert "LSTM" in printed
    assert f"picture: {folder / 'gradients.png'}" in printed


def test_the_same_task_gives_the_same_bytes_and_output_goes_where_it_is_told(tmp_path: Path) -> None:
    task = project(tmp_path, "language_model")
    run(tmp_path, cells="gru", steps=1)
    run(tmp_path, cells="gru", steps=1, output=tmp_path / "elsewhere" / "flow.png")
    folder = task.layout.reports / "diagnosis"
    for name, other in (("gradients.png", "flow.png"), ("gradients.csv", "flow.csv")):
        assert (folder / name).read_bytes() == (tmp_path / "elsewhere" / other).read_bytes()
    assert (tmp_path / "elsewhere" / "flow_clipping.csv").is_file()


def test_a_stretched_matrix_explodes_and_clipping_bounds_the_step(tmp_path: Path) -> None:
    found = gradients.diagnose(project(tmp_path, "language_model", hidden=16), ["rnn"], False, 4)
    ends = {one.factor: one.flows[0].norm_D[-1] for one in found.scaled if one.cell == "rnn_relu"}
    assert ends[0.5] < ends[1.0] < ends[1.5] < ends[2.0]
    assert ends[0.5] < 1e-3
    own, exploding = found.clippings
    assert (own.cell, own.factor, own.optimizer, own.clip_norm) == ("lstm", 1.0, "Adam", 0.5)
    assert (exploding.cell, exploding.factor, exploding.optimizer) == ("rnn_relu", 1.5, "plain SGD")
    assert own.free[0] == own.clipped[0]


def test_a_network_of_layers_and_directions_has_a_panel_for_each_layer(tmp_path: Path) -> None:
    task = project(tmp_path, "series_classification", layers=3, merge="sum", layer_norm=True)
    found = gradients.diagnose(task, ["gru", "rnn_sigmoid"], False, 1)
    assert {(flow.layer, flow.direction) for one in found.cells for flow in one.flows} == {
        (layer, direction) for layer in range(3) for direction in range(2)
    }
    picture.write(found, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_the_trained_network_is_measured_beside_the_untrained(tmp_path: Path) -> None:
    task = project(tmp_path, "language_model")
    with pytest.raises(StoreError, match=r"config.json: not there; expected the output of an earlier stage"):
        run(tmp_path, trained=True)
    meta = store.read_json(task.layout.prepared / "meta.json")
    problem, block = task.problem(), CASES["language_model"].model
    model = problem.learning.model(problem.Model.model_validate(block), meta)
    config = {"problem": "language_model", "model": block, "meta": meta}
    store.write_tensors(task.layout.model / "weights.safetensors", model.state_dict())
    store.write_json(task.layout.model / "config.json", config)
    assert "LSTM, trained" in run(tmp_path, trained=True)
    table = pd.read_csv(task.layout.reports / "diagnosis" / "gradients.csv")
    assert set(table.loc[table["weights"] == "trained", "cell"]) == {"lstm"}
    store.write_json(task.layout.model / "config.json", {**config, "meta": {**meta, "lower_case": False}})
    with pytest.raises(DataError, match=r"meta is not that of .*; expected a model trained on these prepared data"):
        run(tmp_path, trained=True)


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    project(tmp_path, "language_model")
    with pytest.raises(ConfigError, match="--cells: 'lsmt' is not a cell; expected some of rnn, rnn_relu, "):
        run(tmp_path, cells="rnn,lsmt")
    with pytest.raises(ConfigError, match=r"tasks.none: no such task; expected one of small"):
        gradients.main(tmp_path, "none", "rnn", False, 1, None, Console(file=io.StringIO()))
    store.write_json(tmp_path / "data" / "prepared" / "small" / "meta.json", {"examples": {}})
    with pytest.raises(DataError, match=r"meta.json: '.*' is missing; expected data that this version prepared"):
        run(tmp_path)
    (tmp_path / "data" / "prepared" / "small" / "meta.json").unlink()
    with pytest.raises(StoreError, match=r"meta.json: not there; expected the output of an earlier stage"):
        run(tmp_path)


def test_an_output_that_is_no_png_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--output: flow\.svg is not allowed; expected a file that ends in \.png$"):
        run(tmp_path, output=Path("flow.svg"))


def test_the_command_runs_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unroll.cli import app

    task = project(tmp_path, "language_model")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["diagnose", "gradients", "small", "--cells", "rnn_sigmoid", "--steps", "1"])
    assert done.exit_code == 0, done.output
    assert "RNN (sigmoid)" in done.output
    assert (task.layout.reports / "diagnosis" / "gradients.png").is_file()


def test_powers_of_ten_are_written_as_people_do() -> None:
    assert [power(10.0**e) for e in (-12, -3, -2, 0, 3, 4)] == ["10⁻¹²", "10⁻³", "0.01", "1", "1,000", "10⁴"]
    assert [power(433.2, about=True), power(2.9e18, about=True)] == ["433.2", "about 10¹⁸"]
