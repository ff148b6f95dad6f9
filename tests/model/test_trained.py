"""Loading a trained model, and one clear line for whatever is wrong with its files."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import line, write_trained
from problems import tables

from unroll import problems
from unroll.core import store
from unroll.core.errors import ConfigError, StoreError
from unroll.model.trained import Trained


def only_line(name: str) -> object:
    if name != "line":
        raise ConfigError(f"prepare.problem: {name!r} is not allowed; expected one of line")
    return line()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(problems, "load", only_line)
    return write_trained(tmp_path, weight=2.0, bias=0.5).model


def change(folder: Path, **values: Any) -> None:
    store.write_json(folder / "config.json", store.read_json(folder / "config.json") | values)


def fails(folder: Path, file: str, message: str) -> None:
    with pytest.raises(StoreError, match=re.escape(message)) as caught:
        Trained.load(folder)
    assert str(caught.value).startswith(str(folder / file))
    assert "\n" not in str(caught.value)


def test_loads_the_network_with_its_weights(folder: Path) -> None:
    trained = Trained.load(folder)
    assert trained.model(torch.tensor([[3.0]])).item() == 6.5
    assert not trained.model.training
    assert trained.meta["examples"]["train"] == 1000
    assert trained.problem.about == "Fits a straight line."


def test_missing_files(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    fails(folder, "weights.safetensors", "not there; expected the weights")
    (folder / "config.json").unlink()
    fails(folder, "config.json", "not there; expected the output of an earlier stage")


def test_damaged_files(folder: Path) -> None:
    whole = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(whole[:-3])
    fails(folder, "weights.safetensors", "no valid safetensors file")
    (folder / "config.json").write_text("{", encoding="utf-8")
    fails(folder, "config.json", "no valid JSON")
    (folder / "config.json").write_text("[]", encoding="utf-8")
    fails(folder, "config.json", "list at the top; expected an object with problem, model, meta")


def test_faulty_config(folder: Path) -> None:
    change(folder, model={"inputs": "one"})
    fails(folder, "config.json", "model.inputs: 'one' is not allowed; input should be a valid integer")
    change(folder, model={"inputs": 1, "outputs": 2})
    told = "model.outputs: unknown key (value 2)"
    fails(folder, "config.json", told)
    fails(
        folder,
        "config.json",
        "; if another version of Unroll trained it, correct the key in params.yaml and",
    )
    change(folder, model={})
    fails(folder, "config.json", "model.inputs: missing; every tuned value must be given")
    change(folder, model=[1])
    fails(folder, "config.json", "model: [1] is not allowed; expected a mapping")
    change(folder, problem="circle")
    fails(folder, "config.json", "problem: prepare.problem: 'circle' is not allowed; expected one of line")
    store.write_json(folder / "config.json", {"problem": "line", "model": {"inputs": 1}})
    fails(folder, "config.json", "meta: missing; expected the keys problem, model, meta")


def test_tensors_that_do_not_fit(folder: Path) -> None:
    path = folder / "weights.safetensors"
    change(folder, model={"inputs": 3})
    fails(folder, path.name, "tensor 'weight' has the shape (1, 1); expected (1, 3)")
    change(folder, model={"inputs": 1})
    store.write_tensors(path, {"weight": torch.ones(1, 1)})
    fails(folder, path.name, "tensor 'bias' is missing")
    store.write_tensors(path, {"weight": torch.ones(1, 1), "bias": torch.ones(1), "gate": torch.ones(1)})
    fails(folder, path.name, "tensor 'gate' is not part of the network")


# ---- models of an older version


def older(folder: Path, block: dict[str, Any], trained_as: dict[str, Any]) -> torch.nn.Module:
    """A forecaster on disk, with another block in its file than the one that it was trained with."""
    case = tables.CASES["forecasting"]
    prepared, problem = case.run(folder / "prepared"), problems.load("forecasting")
    config = problem.Model.model_validate(trained_as)
    model = problem.learning.solve(config, prepared) or problem.learning.model(config, prepared.meta)
    store.write_tensors(folder / "weights.safetensors", model.state_dict())
    store.write_json(folder / "config.json", {"problem": "forecasting", "model": block, "meta": dict(prepared.meta)})
    return model


@pytest.mark.parametrize(
    ("whole", "since_refused"),
    [
        ({}, {"merge": "sum"}),
        ({}, {"forget_bias": 2.0}),  # of a GRU
        ({}, {"merge": "sum", "forget_bias": 2.0}),
        ({}, {"quantiles": [0.1, 0.5, 0.9]}),
        ({"multi_step": "autoregressive", "head": "gaussian", "trajectories": 9}, {"robust": 1.0}),
    ],
)
def test_keys_that_did_nothing_and_are_refused_since_are_left_out(
    tmp_path: Path, whole: dict[str, Any], since_refused: dict[str, Any]
) -> None:
    block = {**tables.CASES["forecasting"].model, **whole}
    with pytest.raises(ValueError, match=next(iter(since_refused))):
        problems.load("forecasting").Model.model_validate({**block, **since_refused})
    expected = older(tmp_path, {**block, **since_refused}, block).state_dict()
    found = Trained.load(tmp_path)
    assert found.model.state_dict().keys() == expected.keys()
    assert all(torch.equal(found.model.state_dict()[name], tensor) for name, tensor in expected.items())
    assert found.config["model"] == {**block, **since_refused}  # what it was trained with stands as it stood


def test_a_key_that_did_something_is_not_left_out(tmp_path: Path) -> None:
    """Paths never had the share of a VAR; a file that says so has weights that tell."""
    block = {**tables.CASES["forecasting"].model, "expert": 0.3}
    older(tmp_path, {**block, "multi_step": "autoregressive", "head": "gaussian", "trajectories": 9}, block)
    fails(tmp_path, "weights.safetensors", "tensor ")


def test_keys_that_nothing_mends_are_told_with_what_to_do(tmp_path: Path) -> None:
    block = tables.CASES["forecasting"].model
    older(tmp_path, {**block, "head": "student_t", "cell": "lru"}, block)
    fails(tmp_path, "config.json", "model.cell: 'lru' is not allowed")
    fails(tmp_path, "config.json", "correct the key in params.yaml and train again: unroll repro")
    older(tmp_path, {**block, "multi_step": "autoregressive", "head": "gaussian"}, block)
    fails(tmp_path, "config.json", "model: trajectories: None with multi_step autoregressive; expected a number")


def test_a_state_space_model_from_before_there_were_inputs_has_none(tmp_path: Path) -> None:
    block = {"kind": "state_space", "states": 1, "iterations": 1, "tolerance": 0.1, "rows": 100}
    older(tmp_path, block, {**block, "inputs": "none"})
    found = Trained.load(tmp_path)
    assert "affine.inputs_HRU" not in found.model.state_dict()
    older(tmp_path, {**block, "inputs": "calendar"}, block)
    assert Trained.load(tmp_path).model.state_dict()["affine.inputs_HRU"].shape == (1, 6 + 2, 4)
