"""The networks of the two series problems: persistence first, differences by hand."""

import numpy as np
import torch

from unroll.config import Cell, RecurrentConfig
from unroll.nn.forecaster import Forecaster
from unroll.nn.recurrent import RecurrentEncoder
from unroll.nn.series_classifier import SeriesClassifier


def config(cell: Cell, hidden: int, layers: int = 1, dropout: float = 0.0) -> RecurrentConfig:
    return RecurrentConfig(cell=cell, hidden=hidden, layers=layers, dropout=dropout)


def test_untrained_it_forecasts_persistence() -> None:
    model = Forecaster(4, 2, config("lstm", 8, layers=2, dropout=0.5))
    x_BLF = torch.randn(5, 7, 4)
    assert torch.equal(model(x_BLF), x_BLF[:, -1, 2])


def test_the_forecast_is_the_last_value_plus_a_linear_change() -> None:
    torch.manual_seed(0)
    model = Forecaster(3, 1, config("gru", 4, dropout=0.3)).double().eval()
    torch.nn.init.normal_(model.head.weight)
    torch.nn.init.normal_(model.head.bias)
    x_BLF = torch.randn(5, 7, 3, dtype=torch.float64)
    states_BLH = model.encoder(x_BLF)[0].detach().numpy()
    change = states_BLH[:, -1] @ model.head.weight.detach().numpy()[0] + model.head.bias.item()
    np.testing.assert_allclose(model(x_BLF).detach().numpy(), x_BLF[:, -1, 1].numpy() + change, rtol=1e-12)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = Forecaster(3, 0, config("lstm", 4, layers=2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x_BLF, y_B = torch.randn(16, 7, 3), torch.randn(16)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(2):  # the head starts at zero: what is below it learns from the second step on
        optimizer.zero_grad()
        (model(x_BLF) - y_B).square().mean().backward()
        optimizer.step()
    assert all((p != before[name]).any() for name, p in model.named_parameters())


def test_the_classifier_sees_the_values_and_their_changes() -> None:
    torch.manual_seed(0)
    model = SeriesClassifier(4, config("gru", 3), True, ("mean", "last"), difference=True).double()
    x_BT = torch.randn(5, 9, dtype=torch.float64)
    values = x_BT.numpy()
    change = np.concatenate([np.zeros((5, 1)), values[:, 1:] - values[:, :-1]], axis=1)
    states_BTH, last_BH, _ = model.encoder(torch.from_numpy(np.stack([values, change], axis=2)))
    pooled = torch.cat([states_BTH.mean(dim=1), last_BH], dim=1)
    torch.testing.assert_close(model(x_BT), model.head(pooled))
    assert model(x_BT).shape == (5, 4)


def test_the_classifier_without_changes_has_one_input() -> None:
    model = SeriesClassifier(2, config("lstm", 3), False, ("max",), difference=False)
    assert isinstance(model.encoder, RecurrentEncoder)
    assert model.encoder.layers.input_size == 1
    x_BT = torch.randn(4, 6)
    states_BTH, _, _ = model.encoder(x_BT[..., None])
    torch.testing.assert_close(model(x_BT), model.head(states_BTH.amax(dim=1)))
