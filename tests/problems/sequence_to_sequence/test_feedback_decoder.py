"""Decoders that read their own symbols against NumPy decoders stepped by hand, and identities between their ways."""

from typing import Any

import numpy as np
import pytest
import torch

from unroll.core.config import Cell, RecurrentConfig
from unroll.nn import decoding
from unroll.nn.attention import AdditiveAttention, DotAttention
from unroll.problems.sequence_to_sequence.network.encoder_decoder import (
    END,
    EncoderDecoder,
    FeedbackDecoder,
    SequenceNetwork,
)
from unroll.problems.sequence_to_sequence.network.source_encoders import CategorySource, SequenceSource
from unroll.problems.sequence_to_sequence.network.source_views import Attended, FirstStateOnly, Peeking, SourceView
from unroll.problems.sequence_to_sequence.network.step_labeller import StepLabeller

SOURCES, TARGETS, HIDDEN = 5, 4, 3
FEEDBACK = ["plain", "peeking", "additive", "dot"]
ALL = [*FEEDBACK, "repeat", "aligned", "one_to_many"]


def build(
    kind: str,
    cell: Cell = "lstm",
    layers: int = 1,
    bidirectional: bool = False,
    truth: float = 1.0,
    dropout: float = 0.0,
) -> Any:
    config = RecurrentConfig(cell=cell, hidden=HIDDEN, layers=layers, dropout=dropout)
    torch.manual_seed(1)
    source = SequenceSource(SOURCES, config, bidirectional)
    views: dict[str, SourceView] = {
        "plain": FirstStateOnly(HIDDEN),
        "peeking": Peeking(HIDDEN, source.width, TARGETS),
        "additive": Attended(HIDDEN, source.width, AdditiveAttention(HIDDEN, source.width, 4)),
        "dot": Attended(HIDDEN, source.width, DotAttention(HIDDEN, source.width)),
    }
    network: SequenceNetwork
    if kind == "repeat":
        network = EncoderDecoder(SOURCES, TARGETS, config, bidirectional)
    elif kind == "aligned":
        network = StepLabeller(SOURCES, TARGETS, config, bidirectional, reversed_source=False)
    elif kind == "one_to_many":
        network = FeedbackDecoder(
            CategorySource(SOURCES, config), FirstStateOnly(HIDDEN), TARGETS, config, lambda share: truth
        )
    else:
        network = FeedbackDecoder(source, views[kind], TARGETS, config, lambda share: truth)
    for parameter in network.parameters():  # no zeros: every parameter must enter
        torch.nn.init.normal_(parameter, std=0.7)
    return network.double().eval()


def mixed() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[tuple[list[int], list[int]]]]:
    """Sources and targets of mixed lengths, padded and one by one; targets are as long as their sources, then END."""
    rows = [([1, 2, 3, 4, 0], [1, 3, 2, 1, 1, 0]), ([2], [3, 0]), ([4, 4, 1], [1, 2, 3, 0])]
    source = torch.tensor([s + [-1] * (7 - len(s)) for s, _ in rows])
    target = torch.tensor([t + [-1] * (8 - len(t)) for _, t in rows])
    return source, torch.tensor([len(s) for s, _ in rows]), target, rows


# ---- by hand


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def cell_step(
    w: dict[str, np.ndarray], cell: str, layer: int, x: np.ndarray, state: list[np.ndarray]
) -> list[np.ndarray]:
    """One step of one layer: Gers et al. 2000, or torch's form of Cho et al. 2014."""
    wi, wh, bi, bh = (w[f"{part}_l{layer}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    if cell == "lstm":
        i, f, g, o = np.split(wi @ x + bi + wh @ state[0] + bh, 4)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    (ri, zi, ni), (rh, zh, nh) = np.split(wi @ x + bi, 3), np.split(wh @ state[0] + bh, 3)
    z = sigmoid(zi + zh)
    return [(1 - z) * np.tanh(ni + sigmoid(ri + rh) * nh) + z * state[0]]


def stack_step(
    w: dict[str, np.ndarray], cell: str, x: np.ndarray, states: list[list[np.ndarray]]
) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    after = []
    for layer, state in enumerate(states):
        after.append(cell_step(w, cell, layer, x, state))
        x = after[-1][0]
    return x, after


def under(network: torch.nn.Module, prefix: str) -> dict[str, np.ndarray]:
    named = network.named_parameters()
    return {n.removeprefix(prefix): p.detach().numpy() for n, p in named if n.startswith(prefix)}


def by_hand(network: FeedbackDecoder, kind: str, cell: str, layers: int, source: list[int], target: list[int]) -> Any:
    """Log-probabilities (T, V) of a decoder that reads the truth, and its attention (T, S)."""
    encoder, decoder = under(network, "source.encoder.layers."), under(network, "decoder.layers.")
    states = [[np.zeros(HIDDEN) for _ in range(2 if cell == "lstm" else 1)] for _ in range(layers)]
    seen = []
    for symbol in source:
        top, states = stack_step(encoder, cell, np.eye(SOURCES)[symbol], states)
        seen.append(top)
    head, view, found, attended = under(network, "head."), under(network, "view."), [], []
    for previous in [END, *target[:-1]]:
        symbol = np.eye(TARGETS)[previous]
        top, states = stack_step(
            decoder, cell, np.concatenate([symbol, seen[-1]]) if kind == "peeking" else symbol, states
        )
        read = np.concatenate([top, symbol, seen[-1]]) if kind == "peeking" else top
        if kind in ("additive", "dot"):
            if kind == "dot":
                scores = np.array([h @ top / np.sqrt(HIDDEN) for h in seen])
            else:
                key = [view["attention.key.weight"] @ h + view["attention.key.bias"] for h in seen]
                query = view["attention.query.weight"] @ top
                scores = np.array([view["attention.judge.weight"][0] @ np.tanh(query + k) for k in key])
            weights = np.exp(scores) / np.exp(scores).sum()
            attended.append(weights)
            joined = np.concatenate([weights @ np.stack(seen), top])
            read = np.tanh(view["join.weight"] @ joined + view["join.bias"])
        raw = head["weight"] @ read + head["bias"]
        found.append(raw - np.log(np.exp(raw).sum()))
    return np.stack(found), np.array(attended)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", FEEDBACK)
def test_scores_are_those_of_a_decoder_stepped_by_hand(kind: str, cell: Cell, layers: int) -> None:
    network, source, target = build(kind, cell, layers), [3, 0, 4, 3], [2, 1, 1, 3, 0]
    arguments = torch.tensor([source]), torch.tensor([4]), torch.tensor([target])
    expected, attended = by_hand(network, kind, cell, layers, source, target)
    found = network.scores(*arguments)[0].log_softmax(-1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    weights = network.attended(*arguments)
    if len(attended):
        np.testing.assert_allclose(weights[0].detach().numpy(), attended, atol=1e-12)
    else:
        assert weights is None


def test_a_category_is_the_state_the_decoder_starts_in() -> None:
    network = build("one_to_many", "lstm", layers=2)
    start = under(network, "source.")["start.weight"][3 + 1].reshape(2, 2, HIDDEN)
    states = [[start[0, layer], start[1, layer]] for layer in range(2)]
    decoder, head = under(network, "decoder.layers."), under(network, "head.")
    found = network.scores(torch.tensor([[3]]), torch.tensor([1]), torch.tensor([[2, 1, 0]]))[0].detach().numpy()
    for place, previous in enumerate([END, 2, 1]):
        top, states = stack_step(decoder, "lstm", np.eye(TARGETS)[previous], states)
        np.testing.assert_allclose(found[place], head["weight"] @ top + head["bias"], atol=1e-12)


# ---- padding


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_sigmoid"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ALL)
def test_padded_equals_unpadded(kind: str, bidirectional: bool, cell: Cell) -> None:
    network = build(kind, cell, layers=2, bidirectional=bidirectional)
    source, lengths, target, rows = mixed()
    together, answers = network.scores(source, lengths, target), network.answer(source, lengths, 8)
    network.beam_width = 3
    beams = network.answer(source, lengths, 8)
    for row, (own_source, own_target) in enumerate(rows):
        one = torch.tensor([own_source]), torch.tensor([len(own_source)])
        alone = network.scores(*one, torch.tensor([own_target]))[0]
        torch.testing.assert_close(together[row, : len(own_target)], alone, rtol=0, atol=1e-13)
        for width, found in ((1, answers), (3, beams)):
            network.beam_width = width
            ids, logp = network.answer(*one, 8)
            assert torch.equal(ids[0], found[0][row])
            torch.testing.assert_close(logp[0], found[1][row], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["additive", "dot"])
def test_no_step_attends_to_padding(kind: str) -> None:
    source, lengths, target, rows = mixed()
    weights = build(kind, bidirectional=True).attended(source, lengths, target)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    for row, (own, _) in enumerate(rows):
        assert (weights[row, :, len(own) :] == 0).all()


@pytest.mark.parametrize("kind", ["plain", "peeking", "additive", "dot"])
def test_both_directions_reach_the_decoder(kind: str) -> None:
    network = build(kind, bidirectional=True)
    lengths, target = torch.tensor([3]), torch.tensor([[1, 2, 0]])
    scores = [network.scores(torch.tensor([source]), lengths, target) for source in ([1, 2, 3], [1, 2, 4], [0, 2, 3])]
    assert not torch.allclose(scores[0], scores[1])
    assert not torch.allclose(scores[0], scores[2])


# ---- one way of running is another


@pytest.mark.parametrize("kind", ALL)
def test_a_forced_log_likelihood_is_the_stepped_one(kind: str) -> None:
    network = build(kind, layers=2)
    source, lengths, target, _ = mixed()
    forced = network.scores(source, lengths, target).log_softmax(-1)
    step, state = network.begin(source, lengths, target.shape[1])
    last = torch.full_like(lengths, END)
    for place in range(target.shape[1]):
        logp, state = step(last, state)
        inside = target[:, place] >= 0
        torch.testing.assert_close(logp[inside], forced[inside, place], rtol=0, atol=1e-12)
        last = target[:, place]


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("kind", ALL)
def test_an_answers_probability_is_the_models_own_of_it(kind: str, width: int) -> None:
    network = build(kind)
    network.beam_width = width
    source, lengths, _, _ = mixed()
    ids, logp = network.answer(source, lengths, 8)
    scores = network.scores(source, lengths, ids).log_softmax(-1).gather(2, ids[..., None])[..., 0]
    for row in range(len(ids)):
        ended = (ids[row] == END).nonzero()
        length = int(ended[0]) + 1 if len(ended) else 8
        assert logp[row].item() == pytest.approx(scores[row, :length].sum().item(), abs=1e-12)


@pytest.mark.parametrize("kind", FEEDBACK)
def test_a_wide_beam_finds_what_enumeration_does(kind: str) -> None:
    import itertools

    network = build(kind)
    source, lengths = torch.tensor([[3, 1]]), torch.tensor([2])
    others = range(1, TARGETS)
    answers = [[*head, END] for n in range(3) for head in itertools.product(others, repeat=n)]
    answers += [list(answer) for answer in itertools.product(others, repeat=3)]
    chances = {}
    for answer in answers:
        scores = network.scores(source, lengths, torch.tensor([answer]))[0].log_softmax(-1)
        chances[tuple(answer)] = sum(scores[place, symbol].item() for place, symbol in enumerate(answer))
    assert sum(np.exp(list(chances.values()))) == pytest.approx(1)
    network.beam_width = TARGETS**3
    ids, logp = network.answer(source, lengths, 3)
    best = max(chances, key=lambda answer: chances[answer])
    assert ids[0].tolist() == [*best, *[END] * (3 - len(best))]
    assert logp.item() == pytest.approx(chances[best], abs=1e-12)


# ---- teacher forcing


@pytest.mark.parametrize("kind", [*FEEDBACK, "one_to_many"])
def test_all_truth_step_by_step_is_all_at_once(kind: str) -> None:
    network = build(kind, layers=2).train()
    source, lengths, target, _ = mixed()
    at_once = network.scores(source, lengths, target)
    memory, state = network._read(source, lengths)
    previous = torch.cat([torch.zeros_like(target[:, :1]), target[:, :-1]], dim=1)
    torch.testing.assert_close(network._with_own_guesses(previous, memory, state), at_once, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [*FEEDBACK, "one_to_many"])
def test_without_truth_a_decoder_reads_its_own_guesses(kind: str) -> None:
    network = build(kind, truth=0.0).train()
    source, lengths, target, _ = mixed()
    found = network.scores(source, lengths, target)
    guesses = found.argmax(-1)
    network.eval()
    torch.testing.assert_close(found, network.scores(source, lengths, guesses), rtol=0, atol=1e-12)
    forced = network.scores(source, lengths, target)
    assert not torch.allclose(found, forced)  # out of training the truth is read, whatever the share


def test_the_share_of_truth_is_that_of_the_schedule() -> None:
    network = build("plain").train()
    network.truth_share = lambda share: 1 - 0.75 * share
    target = torch.randint(1, TARGETS, (400, 10), generator=torch.Generator().manual_seed(0))
    source, lengths = torch.zeros(400, 1, dtype=torch.int64), torch.ones(400, dtype=torch.int64)
    for share, expected in ((0.0, 1.0), (0.5, 0.625), (1.0, 0.25)):
        network.progress(share)
        assert network.truth == expected
        torch.manual_seed(0)
        found = network.scores(source, lengths, target)
        previous = target[:, :-1]
        read = read_symbols(network, source, lengths, found)
        same = (read == previous)[found.argmax(-1)[:, :-1] != previous].float().mean().item()
        assert same == pytest.approx(expected, abs=0.03)


def read_symbols(network: Any, source: torch.Tensor, lengths: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Which symbol each later step must have read: the one after which the decoder gives these scores."""
    _, state = network._read(source, lengths)
    _, state = network._run(torch.zeros_like(lengths)[:, None], {}, state)
    read = []
    for place in range(1, scores.shape[1]):
        tried = [network._run(torch.full_like(lengths, symbol)[:, None], {}, state) for symbol in range(TARGETS)]
        away = torch.stack([(one[:, 0] - scores[:, place]).abs().amax(-1) for one, _ in tried])
        assert (away.amin(0) < 1e-10).all()
        read.append(away.argmin(0))
        _, state = network._run(read[-1][:, None], {}, state)
    return torch.stack(read, dim=1)


def test_dropout_acts_in_training_alone() -> None:
    source, lengths, target, _ = mixed()
    for kind in ALL:
        network = build(kind, dropout=0.5)
        assert torch.equal(*(network.scores(source, lengths, target) for _ in range(2)))
        network.train()
        assert not torch.equal(*(network.scores(source, lengths, target) for _ in range(2)))


@pytest.mark.parametrize("kind", ALL)
def test_every_parameter_learns_under_autocast(kind: str) -> None:
    # Some processors have no LSTM in bfloat16.
    network = build(kind, "gru", layers=2, bidirectional=kind != "one_to_many", truth=0.5).float().train()
    source, lengths, target, _ = mixed()
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        scores = network.scores(source, lengths, target).float()
    loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=-1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert (parameter.grad != 0).any(), name


def test_draws_need_no_global_generator() -> None:
    network = build("one_to_many")
    before = torch.get_rng_state()
    uniform = torch.full((1, 6), 0.5, dtype=torch.float64)
    ids, logp = network.sample(torch.tensor([[2]]), torch.tensor([1]), uniform, torch.ones(1, dtype=torch.float64))
    assert torch.equal(torch.get_rng_state(), before)
    assert ids.shape == (1, 6)
    assert logp.item() < 0
    assert decoding.rows(ids, lambda tensor: tensor[:0]).shape == (0, 6)
