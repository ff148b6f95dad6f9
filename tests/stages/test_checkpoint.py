"""Checkpoints: all that an optimiser knows comes back, and no more is written than is worth it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.stages.train.checkpoint import Checkpoint

EPOCHS: list[dict[str, Any]] = [{"epoch": 1, "train_loss": 0.1, "validation_metric": float("nan")}]
OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, amsgrad=True),
    "sgd": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
    "plain sgd": lambda p: torch.optim.SGD(p, 0.01),
}


class Model(nn.Module):
    """With a buffer, which is no parameter but part of the state, and with two names for one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.outer = nn.Linear(4, 4)
        self.outer.weight = self.inner.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.norm(self.inner(x)))


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(x).square().sum().backward()
    optimizer.step()


def require_same(a: nn.Module, b: nn.Module) -> None:
    for (name, left), (other, right) in zip(a.state_dict().items(), b.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(left, right), name


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_next_steps_are_those_that_would_have_been(tmp_path: Path, kind: str) -> None:
    model = Model()
    optimizer = OPTIMIZERS[kind](model.parameters())
    for seed in (1, 2, 3):
        step(model, optimizer, seed)
    best = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    Checkpoint(tmp_path / "c", "f", every_s=0).save(model, optimizer, best, EPOCHS)

    other = Model()
    other_optimizer = OPTIMIZERS[kind](other.parameters())
    saved = Checkpoint(tmp_path / "c", "f").load(other, other_optimizer)
    assert saved is not None
    assert str(saved.epochs) == str(EPOCHS)  # as text: NaN is not equal to itself
    assert saved.best.keys() == best.keys()
    assert all(torch.equal(saved.best[name], best[name]) for name in best)
    require_same(model, other)
    for seed in (4, 5):
        step(model, optimizer, seed)
        step(other, other_optimizer, seed)
    require_same(model, other)


def test_nothing_is_loaded_where_nothing_fits(tmp_path: Path) -> None:
    model = Model()
    optimizer = OPTIMIZERS["adam"](model.parameters())
    assert Checkpoint(tmp_path / "c", "f").load(model, optimizer) is None
    Checkpoint(tmp_path / "c", "f", every_s=0).save(model, optimizer, model.state_dict(), EPOCHS)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    step(model, optimizer, 1)
    after = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert Checkpoint(tmp_path / "c", "g").load(model, optimizer) is None
    assert all(torch.equal(tensor, after[name]) for name, tensor in model.state_dict().items())
    assert Checkpoint(tmp_path / "c", "f").load(model, optimizer) is not None
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_it_is_written_no_more_often_than_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    checkpoint = Checkpoint(tmp_path / "c", "f", every_s=2.0)
    checkpoint._last = now  # the clock of its birth is the real one
    written = []
    for now, epoch in ((101.0, 1), (102.0, 2), (103.5, 3), (104.5, 4)):  # noqa: B007 - the clock reads it
        checkpoint.save(model, optimizer, model.state_dict(), [{"epoch": epoch}])
        saved = checkpoint.load(model, optimizer)
        written.append(saved and saved.epochs[0]["epoch"])
    assert written == [None, 2, 2, 4]


def test_cleared_it_is_gone_and_may_be_cleared_again(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    checkpoint = Checkpoint(tmp_path / "deep" / "c", "f", every_s=0)
    checkpoint.save(model, optimizer, model.state_dict(), EPOCHS)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["c"]
    checkpoint.clear()
    checkpoint.clear()
    assert not list((tmp_path / "deep").iterdir())


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    (tmp_path / "c").write_bytes(b"half a file")
    with pytest.raises(StoreError, match=f"^{tmp_path / 'c'}: no valid safetensors file: "):
        Checkpoint(tmp_path / "c", "f").load(model, optimizer)


def test_it_is_safetensors_and_nothing_else(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    Checkpoint(tmp_path / "c", "f", every_s=0).save(model, optimizer, model.state_dict(), EPOCHS)
    tensors, metadata = store.read_tensors(tmp_path / "c")
    assert set(tensors) == {"model.weight", "model.bias", "best.weight", "best.bias"}
    assert metadata["fingerprint"] == "f"
