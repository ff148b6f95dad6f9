"""The network of series classification: its two experts by hand, and how they are mixed."""

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unroll.core.config import RecurrentConfig
from unroll.problems.series_classification.network import SeriesClassifier

NO_WORDS = (torch.zeros(0, dtype=torch.int64), torch.zeros(0), torch.zeros(5, dtype=torch.int64))


def build(buckets: int = 0, difference: bool = True, pooling: Any = ("mean", "last")) -> SeriesClassifier:
    torch.manual_seed(0)
    config = RecurrentConfig(cell="gru", hidden=3, layers=1, dropout=0.0)
    return SeriesClassifier(4, config, difference, pooling, difference, buckets, bag_dropout=0.5, bag_scale=2.0)


def values(rows: int = 5) -> Tensor:
    return torch.randn(rows, 9, generator=torch.Generator().manual_seed(1))


def words() -> tuple[Tensor, Tensor, Tensor]:
    """Of five series: two words, none, one, three, one."""
    ids = torch.tensor([3, 0, 5, 1, 2, 3, 0])
    return ids, torch.linspace(0.1, 1, 7), torch.tensor([0, 2, 2, 3, 6])


def test_the_recurrent_expert_sees_the_values_and_their_changes() -> None:
    model, x_BT = build().double(), values().double()
    numbers = x_BT.numpy()
    change = np.concatenate([np.zeros((5, 1)), numbers[:, 1:] - numbers[:, :-1]], axis=1)
    states_BTH, last_BH, _ = model.encoder(torch.from_numpy(np.stack([numbers, change], axis=2)))
    expected = model.head(torch.cat([states_BTH.mean(dim=1), last_BH], dim=1))
    (scores_BC,) = model.experts(x_BT, *NO_WORDS)
    torch.testing.assert_close(scores_BC, expected)
    torch.testing.assert_close(model(x_BT, *NO_WORDS).exp().sum(dim=1), torch.ones(5))


def test_without_changes_it_has_one_input() -> None:
    model = build(difference=False, pooling=("max",))
    states_BTH, _, _ = model.encoder(values()[..., None])
    torch.testing.assert_close(model.experts(values(), *NO_WORDS)[0], model.head(states_BTH.amax(dim=1)))


def test_the_bag_sums_the_weights_of_each_series_words() -> None:
    model = build(buckets=6).eval()
    assert model.bag is not None
    assert model.bag_bias is not None
    torch.nn.init.normal_(model.bag)
    torch.nn.init.normal_(model.bag_bias)
    ids, weights, starts = words()
    bag, bounds = model.bag.detach().numpy(), [*starts.tolist(), len(ids)]
    expected = [
        sum((2.0 * float(weights[k]) * bag[ids[k]] for k in range(low, high)), model.bag_bias.detach().numpy())
        for low, high in itertools.pairwise(bounds)
    ]
    found = model.experts(values(), *words())[1].detach().numpy()
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5)


def test_the_answer_is_the_weighted_geometric_mean_of_the_experts() -> None:
    model = build(buckets=6).eval()
    assert model.bag is not None
    torch.nn.init.normal_(model.bag, std=3.0)
    recurrent, bag = (scores.softmax(dim=1).detach().numpy() for scores in model.experts(values(), *words()))
    for share in (0.0, 0.3, 1.0):
        model.recurrent_share.fill_(share)
        expected = recurrent**share * bag ** (1 - share)
        found = model(values(), *words()).softmax(dim=1).detach().numpy()
        np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4)


def test_single_words_are_dropped_while_training_alone() -> None:
    model = build(buckets=6)
    assert model.bag is not None
    torch.nn.init.normal_(model.bag)
    first, second = (model.experts(values(), *words())[1] for _ in range(2))
    assert not torch.equal(first, second)
    model.eval()
    assert torch.equal(model.experts(values(), *words())[1], model.experts(values(), *words())[1])
