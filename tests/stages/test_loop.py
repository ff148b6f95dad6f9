"""The loop against torch's own schedules and closed forms, and its promises: best weights, exact resume, same bytes."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unroll.core.config import TrainConfig
from unroll.core.errors import TrainingError
from unroll.problems.common.base import Batch
from unroll.problems.common.learning import Loss
from unroll.stages.train import loop
from unroll.stages.train import optimizer as optimization
from unroll.stages.train.checkpoint import Checkpoint
from unroll.stages.train.loop import Epoch, History, fit

torch.set_num_threads(1)  # a second one only waits for networks this small

CPU = torch.device("cpu")


def config(**changed: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "seed": 1,
        "threads": 1,
        "device": "cpu",
        "precision": "float32",
        "epochs": 6,
        "batch_size": 16,
        "optimizer": "adam",
        "learning_rate": 0.05,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "schedule": "one_cycle",
        "clip_norm": 1.0,
        "patience": None,
    }
    return TrainConfig(**{**values, **changed})


class Points:
    """A noisy plane, in batches: what ``fit`` is given to learn."""

    def __init__(self, rows: int = 100, batch_size: int = 16) -> None:
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(rows, 3)).astype(np.float32)
        self.y = (self.x @ [1.0, -2.0, 0.5] + 0.3 + 0.01 * rng.normal(size=rows)).astype(np.float32)
        self.batch_size = batch_size

    def batches(self, order: np.ndarray) -> Iterator[Batch]:
        for low in range(0, len(order), self.batch_size):
            rows = order[low : low + self.batch_size]
            yield {"x": torch.from_numpy(self.x[rows]), "y": torch.from_numpy(self.y[rows])}

    def train(self, rng: np.random.Generator) -> Iterator[Batch]:
        return self.batches(rng.permutation(len(self.x)))

    def valid(self) -> Iterator[Batch]:
        return self.batches(np.arange(len(self.x)))


def squares(model: nn.Module, batch: Batch, state: Any = None) -> Loss:
    error = model(batch["x"])[:, 0].float() - batch["y"]
    return Loss(error.square().sum(), len(error))


def network(dropout: float = 0.0, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))


def run(
    model: nn.Module,
    asked: TrainConfig,
    loss: loop.LossFunction = squares,
    points: Points | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
) -> History:
    points = points or Points()

    def tell(epoch: Epoch, seconds: float, units: int) -> None:
        assert seconds >= 0
        assert units == len(points.x)
        on_epoch(epoch)

    return fit(model, loss, points.train, points.valid, lambda model: 0.5, asked, tell, checkpoint)


def raw(model: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def scripted(losses: list[float]) -> loop.LossFunction:
    """Trains as ``squares`` does; the validation losses, an epoch each, are those of the script."""
    script = iter(losses)
    calls = {"valid": 0}

    def loss(model: nn.Module, batch: Batch, state: Any = None) -> Loss:
        if model.training:
            return squares(model, batch)
        calls["valid"] += 1
        last = calls["valid"] % 7 == 0  # 100 points are 7 batches of 16
        return Loss(torch.tensor(next(script) if last else 0.0), 1 if last else 0)

    return loss


# ---- schedules


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 10, 100, 333])
def test_one_cycle_is_that_of_torch(steps: int) -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], 1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.03, total_steps=steps, cycle_momentum=False)
    asked = config(learning_rate=0.03)
    for step in range(steps):
        ours = optimization.learning_rate(step, steps, asked)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9), f"step {step}"
        optimizer.step()
        if step < steps - 1:
            theirs.step()


@pytest.mark.parametrize("steps", [2, 5, 100])
def test_cosine_is_that_of_torch(steps: int) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.03)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - 1)
    asked = config(learning_rate=0.03, schedule="cosine")
    for step in range(steps):
        ours = optimization.learning_rate(step, steps, asked)
        assert ours == pytest.approx(0.03 * (1 + np.cos(np.pi * step / (steps - 1))) / 2, abs=1e-12)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        theirs.step()
    assert optimization.learning_rate(0, 1, asked) == 0.03


def test_constant_is_constant() -> None:
    asked = config(learning_rate=0.03, schedule="constant")
    assert {optimization.learning_rate(step, 50, asked) for step in range(50)} == {0.03}


def test_the_schedule_runs_over_all_epochs() -> None:
    asked = config(epochs=4, schedule="cosine")
    history = run(network(), asked)
    steps = 4 * 7
    expected = [optimization.learning_rate(7 * epoch - 1, steps, asked) for epoch in range(1, 5)]
    assert [epoch.learning_rate for epoch in history.epochs] == pytest.approx(expected)


# ---- what is learned


def test_a_plane_is_found_as_least_squares_finds_it() -> None:
    points = Points()
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    history = run(model, config(epochs=40, learning_rate=0.1), points=points)
    design = np.column_stack([points.x, np.ones(len(points.x))])
    expected, *_ = np.linalg.lstsq(design, points.y, rcond=None)
    found = torch.cat([model.weight[0], model.bias]).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)
    residual = points.y - design @ expected
    assert history.best.validation_loss == pytest.approx((residual**2).mean(), rel=0.02)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_optimizer_is_that_of_torch(optimizer: str) -> None:
    asked = config(
        optimizer=optimizer, epochs=2, schedule="constant", learning_rate=0.02, weight_decay=0.1, clip_norm=None
    )
    points, ours, theirs = Points(), network(), network()
    run(ours, asked, points=points)
    peer = {
        "adam": lambda p: torch.optim.Adam(p, 0.02, betas=(0.9, 0.999), weight_decay=0.1, fused=False),
        "adamw": lambda p: torch.optim.AdamW(p, 0.02, betas=(0.9, 0.999), weight_decay=0.1, fused=False),
        "sgd": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, weight_decay=0.1, fused=False),
    }[optimizer](theirs.parameters())
    for epoch in (1, 2):
        for batch in points.train(np.random.default_rng([1, epoch])):
            peer.zero_grad()
            nn.functional.mse_loss(theirs(batch["x"])[:, 0], batch["y"]).backward()
            peer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_losses_are_means_over_units_not_over_batches() -> None:
    points = Points(rows=20, batch_size=16)  # a batch of 16 and one of 4
    model = network()
    with torch.no_grad():
        error = model(torch.from_numpy(points.x))[:, 0].numpy() - points.y
    assert loop.mean_loss(model, squares, points.valid(), CPU, torch.float32) == pytest.approx((error**2).mean())
    history = run(model, config(epochs=1, learning_rate=1e-12, schedule="constant", optimizer="sgd"), points=points)
    assert history.epochs[0].train_loss == pytest.approx((error**2).mean(), rel=1e-5)
    assert history.epochs[0].validation_loss == pytest.approx((error**2).mean(), rel=1e-5)


def test_validation_looks_on_while_nothing_learns() -> None:
    modes: list[tuple[bool, bool]] = []

    def loss(model: nn.Module, batch: Batch, state: Any = None) -> Loss:
        modes.append((model.training, torch.is_grad_enabled()))
        return squares(model, batch)

    run(network(dropout=0.5), config(epochs=2), loss)
    assert modes == ([(True, True)] * 7 + [(False, False)] * 7) * 2


# ---- clipping


def test_clipping_bounds_every_step() -> None:
    model = network()
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    moves: list[float] = []

    def loss(model: nn.Module, batch: Batch, state: Any = None) -> Loss:
        nonlocal before
        if model.training:
            now = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
            moves.append(float((now - before).norm()))
            before = now
        scored = squares(model, batch)
        return Loss(scored.total * 1e6, scored.count)

    asked = config(optimizer="sgd", momentum=0.0, schedule="constant", learning_rate=0.01, clip_norm=0.5, epochs=3)
    history = run(model, asked, loss)
    assert min(epoch.gradient_norm for epoch in history.epochs) > 1e4  # what is told is the norm before clipping
    np.testing.assert_allclose(moves[1:], 0.01 * 0.5, rtol=1e-3)


def test_small_gradients_are_left_as_they_are() -> None:
    clipped, free = network(), network()
    run(clipped, config(clip_norm=1e9))
    run(free, config(clip_norm=None))
    assert raw(clipped) == raw(free)


# ---- best weights, early stop, no numbers


def test_the_best_weights_are_in_the_model_afterwards() -> None:
    model, seen = network(), {}

    def keep(epoch: Epoch) -> None:
        seen[epoch.epoch] = raw(model)

    history = run(model, config(epochs=5), scripted([5.0, 3.0, 4.0, 3.0, 6.0]), on_epoch=keep)
    assert [epoch.validation_loss for epoch in history.epochs] == [5.0, 3.0, 4.0, 3.0, 6.0]
    assert history.best.epoch == 2  # the first of equals
    assert raw(model) == seen[2]
    assert len(set(map(str, seen.values()))) == 5


@pytest.mark.parametrize(
    ("patience", "epochs"),
    [(1, 4), (2, 5), (3, 8), (None, 8)],
)
def test_training_stops_after_as_many_epochs_without_a_better_one(patience: int | None, epochs: int) -> None:
    losses = [5.0, 4.0, 3.0, 3.0, 3.5, 2.0, 2.5, 2.6]
    history = run(network(), config(epochs=8, patience=patience), scripted(losses))
    assert len(history.epochs) == epochs


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_training_in_one_line(value: float) -> None:
    with pytest.raises(TrainingError) as caught:
        run(network(), config(), scripted([1.0, value]))
    message = str(caught.value)
    assert message.startswith("epoch 2: loss ")
    assert f"{value} on validation; expected finite numbers" in message
    assert "\n" not in message


def test_no_score_is_asked_of_a_model_that_is_lost() -> None:
    def metric(model: nn.Module) -> float:
        raise AssertionError("asked")

    points = Points()
    points.y[3] = np.nan
    with pytest.raises(TrainingError, match="epoch 1: loss nan on train"):
        fit(network(), squares, points.train, points.valid, metric, config(), lambda *_: None)


# ---- carried state


def test_state_is_carried_within_an_epoch_and_cut_from_its_graph() -> None:
    given: list[Any] = []

    def loss(model: nn.Module, batch: Batch, state: Any = None) -> Loss:
        given.append((model.training, state))
        scored = squares(model, batch)
        before = 0.0 if state is None else state[0]
        after = model(batch["x"]).mean() + before  # type: ignore[operator]
        # A graph that reached into the batch before would be gone by now: backward would fail.
        return Loss(scored.total + 0 * after, scored.count, (after, (torch.ones(2), None)))

    run(network(), config(epochs=2), loss)
    assert len(given) == 4 * 7
    for epoch in range(4):
        (_, first), *others = given[7 * epoch : 7 * epoch + 7]
        assert first is None
        for training_now, state in others:
            assert training_now is (epoch % 2 == 0)
            assert isinstance(state[0], Tensor)
            assert not state[0].requires_grad
            assert torch.equal(state[1][0], torch.ones(2))
            assert state[1][1] is None


# ---- the same bytes


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    models, histories = [], []
    for seed in (1, 1, 2):
        models.append(network(dropout=0.5))
        torch.manual_seed(np.random.default_rng().integers(1 << 30))
        histories.append(run(models[-1], config(seed=seed)))
    assert raw(models[0]) == raw(models[1])
    assert histories[0] == histories[1]
    assert raw(models[0]) != raw(models[2])


def test_every_epoch_draws_its_own_dropout_and_the_same_each_time() -> None:
    def drawn() -> list[float]:
        found: list[float] = []

        def loss(model: nn.Module, batch: Batch, state: Any = None) -> Loss:
            if model.training:
                found.append(float(torch.rand(())))
            return squares(model, batch)

        run(network(), config(epochs=3), loss)
        return found

    first = drawn()
    assert len(set(first)) == len(first) == 3 * 7
    assert drawn() == first


def test_the_global_generator_is_left_as_it_was() -> None:
    model = network(dropout=0.5)
    before = torch.get_rng_state()
    run(model, config(epochs=2))
    assert torch.equal(torch.get_rng_state(), before)


class KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
@pytest.mark.parametrize("kills", [(2,), (1, 3, 4), (6,)])
def test_resumed_equals_uninterrupted(tmp_path: Path, optimizer: str, schedule: str, kills: tuple[int, ...]) -> None:
    asked = config(optimizer=optimizer, schedule=schedule, weight_decay=0.01, epochs=6)
    whole = network(dropout=0.5)
    expected = run(whole, asked)
    told: list[int] = []
    for attempt, kill in enumerate((*kills, None)):

        def die(epoch: Epoch, kill: int | None = kill) -> None:
            told.append(epoch.epoch)
            if epoch.epoch == kill:
                raise KilledError

        model = network(dropout=0.5, seed=attempt)  # another start each time: all comes from the checkpoint
        model = model if attempt else network(dropout=0.5)
        checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors", "this", every_s=0)
        if kill is None:
            history = run(model, asked, on_epoch=die, checkpoint=checkpoint)
        else:
            with pytest.raises(KilledError):
                run(model, asked, on_epoch=die, checkpoint=checkpoint)
    assert told == [1, 2, 3, 4, 5, 6]  # no epoch was trained twice
    assert history == expected
    assert raw(model) == raw(whole)


def test_killed_in_the_middle_of_an_epoch_it_goes_on_from_the_one_before(tmp_path: Path) -> None:
    class Falling(Points):
        def train(self, rng: np.random.Generator) -> Iterator[Batch]:
            for number, batch in enumerate(super().train(rng)):
                self.seen = getattr(self, "seen", 0) + 1
                if self.seen > 7 * 4 and number == 3:  # one epoch is counted beforehand: this is the fourth
                    raise KilledError
                yield batch

    whole, model = network(dropout=0.5), network(dropout=0.5)
    expected = run(whole, config())
    with pytest.raises(KilledError):
        run(model, config(), points=Falling(), checkpoint=Checkpoint(tmp_path / "c", "this", every_s=0))
    again, epochs = network(dropout=0.5, seed=9), []
    checkpoint = Checkpoint(tmp_path / "c", "this", every_s=0)
    history = run(again, config(), on_epoch=lambda epoch: epochs.append(epoch.epoch), checkpoint=checkpoint)
    assert epochs == [4, 5, 6]
    assert history == expected
    assert raw(again) == raw(whole)


def test_a_resumed_run_stops_early_where_the_other_would(tmp_path: Path) -> None:
    losses = [5.0, 3.0, 4.0, 4.5, 4.6, 1.0]
    asked = config(patience=2)
    expected = run(network(), asked, scripted(losses))
    assert len(expected.epochs) == 4

    def die(epoch: Epoch) -> None:
        if epoch.epoch == 4:
            raise KilledError

    with pytest.raises(KilledError):
        run(network(), asked, scripted(losses), on_epoch=die, checkpoint=Checkpoint(tmp_path / "c", "this", every_s=0))
    again = network(seed=5)
    history = run(again, asked, scripted([]), checkpoint=Checkpoint(tmp_path / "c", "this", every_s=0))
    assert history == expected


def test_a_checkpoint_of_other_data_or_parameters_is_not_continued(tmp_path: Path) -> None:
    run(network(), config(epochs=3), checkpoint=Checkpoint(tmp_path / "c", "other", every_s=0))
    fresh, model, epochs = network(), network(), []
    run(fresh, config())
    checkpoint = Checkpoint(tmp_path / "c", "this", every_s=0)
    run(model, config(), on_epoch=lambda epoch: epochs.append(epoch.epoch), checkpoint=checkpoint)
    assert epochs == [1, 2, 3, 4, 5, 6]
    assert raw(model) == raw(fresh)


# ---- devices and precision


def test_a_device_that_is_not_there_is_told_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "mps"):
        with pytest.raises(TrainingError) as caught:
            loop.choose_device(name)
        assert str(caught.value) == f"train.device: {name!r} is not on this machine; expected auto or one of: cpu"
    assert loop.choose_device("auto") == CPU
    assert loop.choose_device("cpu") == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert loop.choose_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert loop.choose_device("auto") == torch.device("cuda")


def test_precision_follows_the_processor_unless_it_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda there=there: there)
        assert loop.choose_precision("auto", CPU) == expected
        assert loop.choose_precision("float32", CPU) == torch.float32
        assert loop.choose_precision("bfloat16", CPU) == torch.bfloat16
    assert loop.choose_precision("auto", torch.device("mps")) == torch.float32


def runs_in_bfloat16(cell: type[nn.Module]) -> bool:
    """Whether torch itself can: oneDNN has no LSTM in bfloat16 on processors without AVX-512."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            cell(3, 8)(torch.zeros(1, 2, 3))
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.Linear])
def test_bfloat16_trains_on_the_cpu_and_leaves_float32_weights(cell: type[nn.Module]) -> None:
    if not runs_in_bfloat16(cell):
        pytest.skip(f"this processor has no {cell.__name__} in bfloat16")

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = cell(3, 8), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            states = self.layer(x)
            types.append((states[0] if isinstance(states, tuple) else states).dtype)
            return self.head(states[0] if isinstance(states, tuple) else states)

    types: list[torch.dtype] = []
    torch.manual_seed(0)
    model = Model()
    history = run(model, config(epochs=8, precision="bfloat16"))
    assert set(types) == {torch.float32 if cell is nn.GRU else torch.bfloat16}  # torch has no GRU of bfloat16 on a CPU
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert history.epochs[-1].validation_loss < 0.3 * history.epochs[0].validation_loss


def test_a_batch_is_moved_whole() -> None:
    batch = {"x": torch.zeros(2), "y": torch.ones(3)}
    assert loop.to_device(batch, CPU) is batch
    moved = loop.to_device(batch, torch.device("meta"))
    assert {name: tensor.device.type for name, tensor in moved.items()} == {"x": "meta", "y": "meta"}


def test_an_epoch_is_plain_data() -> None:
    epoch = Epoch(1, 0.5, 0.25, 0.125, 0.01, 2.0)
    assert Epoch(**dataclasses.asdict(epoch)) == epoch
