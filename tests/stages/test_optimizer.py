"""Steps are torch's own, and take no compiler."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from unroll.core.config import TrainConfig
from unroll.stages.train.optimizer import make_optimizer, step_of

CONFIG = {
    "seed": 1, "threads": 1, "device": "cpu", "precision": "float32", "epochs": 1, "batch_size": 8, "momentum": 0.8,
    "learning_rate": 0.05, "weight_decay": 0.01, "schedule": "constant", "clip_norm": None, "patience": None,
}  # fmt: skip
PLAIN: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda p: torch.optim.Adam(p, 0.05, betas=(0.8, 0.999), weight_decay=0.01, foreach=False),
    "adamw": lambda p: torch.optim.AdamW(p, 0.05, betas=(0.8, 0.999), weight_decay=0.01, foreach=False),
    "sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.8, weight_decay=0.01, foreach=False),
}
ALONE = """
import sys
import torch
from torch import nn
from unroll.core.config import TrainConfig
from unroll.stages.train.optimizer import make_optimizer, step_of
model = nn.Linear(2, 1)
optimizer = make_optimizer(model, TrainConfig.model_validate({config}), torch.device("cpu"))
model(torch.ones(3, 2)).sum().backward()
before = model.weight.detach().clone()
step_of(optimizer)
optimizer.zero_grad(set_to_none=True)
optimizer.load_state_dict(optimizer.state_dict())
assert not torch.equal(before, model.weight)
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("name", PLAIN)
def test_steps_are_those_of_torch(name: str) -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    config = TrainConfig.model_validate({**CONFIG, "optimizer": name})
    own, plain = make_optimizer(ours, config, torch.device("cpu")), PLAIN[name](theirs.parameters())
    for _ in range(5):
        x = torch.randn(8, 3)
        for model in (ours, theirs):
            model.zero_grad()
            model(x).square().mean().backward()
        step_of(own)
        plain.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PLAIN)
def test_a_step_loads_no_compiler(name: str) -> None:
    code = ALONE.replace("{config}", repr({**CONFIG, "optimizer": name}))
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.stdout.strip() == "False", said.stderr
