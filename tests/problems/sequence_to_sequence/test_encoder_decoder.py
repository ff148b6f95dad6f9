"""The encoder and decoder against a NumPy LSTM stepped by hand, and padded against unpadded."""

import numpy as np
import pytest
import torch

from unroll.core.config import Cell, RecurrentConfig
from unroll.nn.recurrent import RecurrentEncoder
from unroll.problems.sequence_to_sequence.network.encoder_decoder import EncoderDecoder

SOURCES, TARGETS, HIDDEN, STEPS = 5, 4, 3, 6


def build(cell: Cell = "lstm", layers: int = 1, dropout: float = 0.0) -> EncoderDecoder:
    config = RecurrentConfig(cell=cell, hidden=HIDDEN, layers=layers, dropout=dropout)
    torch.manual_seed(1)
    network = EncoderDecoder(SOURCES, TARGETS, config)
    for parameter in network.parameters():  # no zeros: every parameter must enter
        torch.nn.init.normal_(parameter, std=0.7)
    return network.eval()


def run_lstm(layer: RecurrentEncoder, inputs: list[np.ndarray]) -> list[np.ndarray]:
    w = {name: parameter.detach().numpy().astype(np.float64) for name, parameter in layer.layers.named_parameters()}
    h, c, states = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    for x in inputs:
        gates = w["weight_ih_l0"] @ x + w["bias_ih_l0"] + w["weight_hh_l0"] @ h + w["bias_hh_l0"]
        i, f, g, o = np.split(gates, 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        states.append(h)
    return states


def test_scores_are_those_of_an_lstm_stepped_by_hand() -> None:
    network, source = build(), [3, 0, 4, 3]
    scores_TV = network(torch.tensor([source]), torch.tensor([4]), STEPS)[0].detach().numpy()
    context = run_lstm(network.encoder, list(np.eye(SOURCES)[source]))[-1]
    states = run_lstm(network.decoder, [context] * STEPS)
    weight, bias = network.head.weight.detach().numpy(), network.head.bias.detach().numpy()
    np.testing.assert_allclose(scores_TV, np.stack([weight @ state + bias for state in states]), atol=1e-5)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
def test_padded_equals_unpadded(cell: str, layers: int) -> None:
    network = build(cell, layers)
    sources = [[1, 2, 3, 4, 0], [2], [4, 4, 1]]
    padded = torch.tensor([source + [-1] * (7 - len(source)) for source in sources])
    together = network(padded, torch.tensor([5, 1, 3]), STEPS)
    for row, source in enumerate(sources):
        alone = network(torch.tensor([source]), torch.tensor([len(source)]), STEPS)
        torch.testing.assert_close(together[row], alone[0], rtol=0, atol=1e-6)


def test_the_state_picked_is_that_of_packed_sequences() -> None:
    network, lengths_B = build("gru", layers=2), torch.tensor([2, 4, 3])
    source_BS = torch.randint(0, SOURCES, (3, 4), generator=torch.Generator().manual_seed(0))
    source_BS[torch.arange(4) >= lengths_B[:, None]] = -1
    inputs = torch.nn.functional.one_hot(source_BS.clamp(min=0), SOURCES).float()
    _, last_BH, _ = network.encoder(inputs, lengths_B)
    torch.testing.assert_close(network.encode(source_BS, lengths_B), last_BH, rtol=0, atol=1e-6)


def test_more_steps_leave_the_first_ones_as_they_are() -> None:
    network, source = build(), (torch.tensor([[1, 2]]), torch.tensor([2]))
    torch.testing.assert_close(network(*source, 9)[:, :4], network(*source, 4), rtol=0, atol=1e-6)


def test_the_answer_depends_on_the_order_of_the_source() -> None:
    network, length = build(), torch.tensor([2])
    assert not torch.allclose(network(torch.tensor([[1, 2]]), length, 3), network(torch.tensor([[2, 1]]), length, 3))


def test_dropout_acts_in_training_alone() -> None:
    network, source = build(dropout=0.5), (torch.tensor([[1, 2]]), torch.tensor([2]), 3)
    assert torch.equal(network(*source), network(*source))
    network.train()
    assert not torch.equal(network(*source), network(*source))
