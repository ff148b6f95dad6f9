"""Loading a trained model, and one clear line for whatever is wrong with its files."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import Line, write_trained

from unroll import problems, store
from unroll.errors import ConfigError, StoreError
from unroll.trained import Trained


def only_line(name: str) -> Line:
    if name != "line":
        raise ConfigError(f"prepare.problem: {name!r} is not allowed; expected one of line")
    return Line()


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
    assert isinstance(trained.problem, Line)


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
