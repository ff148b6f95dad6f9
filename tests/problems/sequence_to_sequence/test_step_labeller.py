"""A label for every step: which states tell it, in which order, and the end that the source sets."""

import pytest
import torch

from unroll.core.config import RecurrentConfig
from unroll.problems.sequence_to_sequence.network.step_labeller import StepLabeller


def build(bidirectional: bool = False, reversed_source: bool = False) -> StepLabeller:
    torch.manual_seed(0)
    config = RecurrentConfig(cell="gru", hidden=4, layers=1, dropout=0.0)
    network = StepLabeller(3, 5, config, bidirectional, reversed_source)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network.double().eval()


def test_labels_are_read_from_the_states_of_their_steps() -> None:
    network, source = build(), torch.tensor([[1, 2, 0, 1]])
    states, _ = network.encoder.layers(torch.nn.functional.one_hot(source, 3).double())
    found = network(source, torch.tensor([4]), 5)
    torch.testing.assert_close(found[0, :4, 1:], network.head(states[0]), rtol=0, atol=1e-12)


def test_a_reversed_source_has_its_labels_put_back() -> None:
    straight, back = build(), build(reversed_source=True)
    source, lengths = torch.tensor([[1, 2, 0, 1], [2, 1, -1, -1]]), torch.tensor([4, 2])
    expected, found = straight(source, lengths, 5), back(source, lengths, 5)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row, :length], expected[row, :length].flip(0), rtol=0, atol=0)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_only_both_directions_see_what_follows(bidirectional: bool) -> None:
    network, lengths = build(bidirectional), torch.tensor([3])
    one, other = (network(torch.tensor([source]), lengths, 3)[0, 0] for source in ([1, 2, 0], [1, 0, 0]))
    assert torch.equal(one, other) is not bidirectional


def test_the_end_is_certain_after_the_source_and_nowhere_before() -> None:
    network, lengths = build(), torch.tensor([3, 1])
    chances = network(torch.tensor([[0, 1, 2], [1, -1, -1]]), lengths, 5).softmax(-1)
    for row, length in enumerate(lengths.tolist()):
        assert (chances[row, :length, 0] == 0).all()
        assert (chances[row, length:, 0] == 1).all()
    ids, logp = network.answer(torch.tensor([[0, 1, 2], [1, -1, -1]]), lengths, 5)
    assert ((ids != 0).sum(1) == lengths).all()
    for row, length in enumerate(lengths.tolist()):
        assert logp[row].item() == pytest.approx(chances[row, :length].amax(-1).log().sum().item())
    network.beam_width = 4
    assert torch.equal(network.answer(torch.tensor([[0, 1, 2], [1, -1, -1]]), lengths, 5)[0], ids)
