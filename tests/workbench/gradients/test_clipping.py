"""The first steps of training with and without clipping."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from problems.tables import CASES
from torch import nn

from unroll import problems
from unroll.core import store
from unroll.core.config import TrainConfig
from unroll.problems.common.base import Prepared
from unroll.stages.train.loop import detach
from unroll.workbench.gradients.clipping import first_steps

CONFIG = TrainConfig(
    seed=1, threads=1, device="cpu", precision="float32", epochs=2, batch_size=8, optimizer="sgd", learning_rate=0.5,
    momentum=0.0, weight_decay=0.0, schedule="constant", clip_norm=None, patience=None,
)  # fmt: skip
PROBLEM = problems.load("language_model")


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    case = CASES["language_model"]
    meta = PROBLEM.preparation.prepare(case.table(), PROBLEM.Prepare.model_validate(case.prepare), tmp_path)
    store.write_json(tmp_path / "meta.json", meta)
    return Prepared.load(tmp_path)


def network(prepared: Prepared) -> nn.Module:
    values = {**CASES["language_model"].model, "dropout": 0.0, "embedding_dropout": 0.0, "direct_dropout": 0.0}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PROBLEM.learning.model(PROBLEM.Model.model_validate(values), prepared.meta)


def by_hand(prepared: Prepared, steps: int, bound: float) -> list[tuple[float, float]]:
    """Plain gradient descent, the gradient shortened to ``bound``, over as many epochs as the steps take."""
    model, done, epoch = network(prepared), [], 0
    while len(done) < steps:
        epoch, state = epoch + 1, None
        for batch in PROBLEM.learning.train_batches(prepared, 8, np.random.default_rng([1, epoch])):
            scored = PROBLEM.learning.loss(model, batch, state)
            state = detach(scored.state)
            loss = scored.total / scored.count
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.data -= 0.5 * gradient * min(1.0, bound / norm)
            done.append((loss.item(), norm))
    return done[:steps]


@pytest.mark.parametrize("bound", [None, 0.2])
def test_steps_are_those_of_gradient_descent_by_hand(prepared: Prepared, bound: float | None) -> None:
    per_epoch = sum(1 for _ in PROBLEM.learning.train_batches(prepared, 8, np.random.default_rng(0)))
    steps = 2 * per_epoch + 1
    done = first_steps(network(prepared), PROBLEM, prepared, CONFIG, steps, bound)
    expected = by_hand(prepared, steps, bound or math.inf)
    assert [step.step for step in done] == list(range(1, steps + 1))
    np.testing.assert_allclose([(step.loss, step.norm) for step in done], expected, rtol=2e-3)


def test_the_network_stays_as_it_was(prepared: Prepared) -> None:
    model = network(prepared)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    first_steps(model, PROBLEM, prepared, CONFIG, 3, None)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())


def test_it_ends_where_there_is_no_number_any_more(prepared: Prepared) -> None:
    model = network(prepared)
    wild = CONFIG.model_copy(update={"learning_rate": 1e38})
    done = first_steps(model, PROBLEM, prepared, wild, 20, None)
    assert len(done) < 20
    assert not math.isfinite(done[-1].norm)
    assert all(math.isfinite(step.norm) for step in done[:-1])
