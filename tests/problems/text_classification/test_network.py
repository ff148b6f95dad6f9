"""The network that classifies texts: members side by side."""

from typing import Any

import torch
from torch.nn import functional

from unroll.core.config import RecurrentConfig
from unroll.problems.text_classification.network import TextClassifier

TOKENS, CLASSES, WIDTH, BUCKETS = 9, 3, 4, 16
BATCH = (
    torch.tensor([[2, 3, 4, 1], [5, 2, 0, 0], [8, 0, 0, 0]]),
    torch.tensor([4, 2, 1]),
    torch.tensor([0, 3, 3, 15, 7, 1]),
    torch.tensor([0, 3, 5]),
)


def network(**changed: Any) -> TextClassifier:
    torch.manual_seed(3)
    config = RecurrentConfig(cell="gru", hidden=5, layers=1, dropout=changed.pop("dropout", 0.0))
    options: dict[str, Any] = {"buckets": BUCKETS, "bag_dropout": 0.0, "bag_scale": 2.0, **changed}
    made = TextClassifier(TOKENS, CLASSES, WIDTH, config, bidirectional=True, pooling=("last", "max"), **options)
    if made.bag is not None:
        torch.nn.init.normal_(made.bag)
    return made.eval()


def alone(whole: TextClassifier, number: int) -> TextClassifier:
    """A network of one member with the weights of member ``number`` of another."""
    single = network(members=1)
    columns = slice(number * WIDTH, (number + 1) * WIDTH), slice(number * CLASSES, (number + 1) * CLASSES)
    weights = {"embedding.weight": whole.embedding.weight[:, columns[0]]}
    if whole.bag is not None:
        weights["bag"] = whole.bag[:, columns[1]]
    weights |= {f"members.0.{name}": value for name, value in whole.members[number].state_dict().items()}
    single.load_state_dict(weights)
    return single


def test_the_mix_is_the_mean_of_the_log_probabilities_of_networks_alone() -> None:
    whole = network(members=3)
    each = [alone(whole, number)(*BATCH) for number in range(3)]
    assert not torch.allclose(each[0], each[1])
    torch.testing.assert_close(whole.each(*BATCH), torch.stack(each))
    geometric = torch.stack([functional.softmax(one, dim=1) for one in each]).prod(0) ** (1 / 3)
    expected = geometric / geometric.sum(1, keepdim=True)
    torch.testing.assert_close(whole(*BATCH).softmax(dim=1), expected)


def test_one_member_answers_for_itself() -> None:
    single = network()
    torch.testing.assert_close(single(*BATCH), single.each(*BATCH)[0])


def test_no_member_learns_from_another() -> None:
    whole = network(members=2)
    whole.each(*BATCH)[0].square().sum().backward()  # type: ignore[no-untyped-call]
    reached = [any(p.grad is not None and p.grad.any() for p in member.parameters()) for member in whole.members]
    assert reached == [True, False]
    assert whole.bag is not None
    for table, width in ((whole.embedding.weight, WIDTH), (whole.bag, CLASSES)):
        assert table.grad is not None
        assert table.grad[:, :width].any()
        assert not table.grad[:, width:].any()


def test_given_vectors_begin_every_member() -> None:
    whole, given = network(members=2, vectors="frozen"), torch.arange(32.0).view(8, WIDTH)
    padding = whole.embedding.weight[0].clone()
    whole.begin_with(given)
    assert torch.equal(whole.embedding.weight[1:], torch.cat([given, given], dim=1))
    assert torch.equal(whole.embedding.weight[0], padding)
