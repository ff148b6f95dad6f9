"""Drawing tokens: which ones may be drawn, how often each is, against brute force; a stream and its repeats."""

import doctest
from collections.abc import Iterator
from itertools import combinations, islice
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from unroll.problems.language_model import generation
from unroll.problems.language_model.generation import Drawing, Text, draw_all, stream

V = 7


class Counting(nn.Module):
    """Scores that depend on the last token and on how many were read; it counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.from_numpy(np.random.default_rng(0).normal(0, 1.5, (V, V))).float())
        self.calls: list[int] = []

    def forward(self, ids_BT: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        self.calls.append(ids_BT.shape[1])
        read = (state or 0) + ids_BT.shape[1]
        return self.table[ids_BT] + 0.3 * torch.sin(torch.arange(V) * read), read


def scores(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, V)


def softmax(scores_V: np.ndarray) -> np.ndarray:
    return np.exp(scores_V) / np.exp(scores_V).sum()


def nucleus(chances: np.ndarray, share: float) -> set[int]:
    """Of the smallest sets of tokens with this share, the most probable one: all sets are tried."""
    for size in range(1, len(chances) + 1):
        enough = [s for s in combinations(range(len(chances)), size) if chances[list(s)].sum() >= share - 1e-12]
        if enough:
            return set(max(enough, key=lambda s: chances[list(s)].sum()))
    raise AssertionError


def drawable(drawing: Drawing, scores_V: np.ndarray, never: int = 0) -> set[int]:
    return set(np.flatnonzero(drawing.chances(scores_V, [], never)).tolist())


class Reading(nn.Module):
    """Recurrent layers whose state is a tuple of tensors, with None among them, as that of language models is."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.lstm, self.head = nn.Embedding(V, 5), nn.LSTM(5, 8, 2, batch_first=True), nn.Linear(8, V)
        self.sizes: list[tuple[int, int]] = []

    def forward(self, ids_BT: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        self.sizes.append((ids_BT.shape[0], ids_BT.shape[1]))
        states_BTH, inner = self.lstm(self.embedding(ids_BT), state[0] if state else None)
        return 5 * self.head(states_BTH), (inner, None)


class Remembering(nn.Module):
    """Scores by the last three tokens: a state that grows until it has its length."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.from_numpy(np.random.default_rng(1).normal(0, 2, (V, V, V, V))).float())

    def forward(self, ids_BT: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        known_BT = ids_BT if state is None else torch.cat([state, ids_BT], dim=1)
        last_B3 = nn.functional.pad(known_BT, (2, 0))[:, -3:]
        scores_BV = self.table[last_B3[:, 0], last_B3[:, 1], last_B3[:, 2]]
        return scores_BV[:, None].expand(-1, ids_BT.shape[1], -1), known_BT[:, -2:]


def text(ids: list[int], length: int, drawing: Drawing, seed: int) -> Text:
    return Text(ids, length, drawing, 0, np.random.default_rng(seed))


def sample(model: nn.Module, ids: list[int], length: int, drawing: Drawing, seed: int) -> list[int]:
    return list(islice(stream(model, text(ids, length, drawing, seed)), length))


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(generation).failed == 0


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("seed", range(4))
def test_without_limits_it_is_the_softmax_without_what_is_never_drawn(seed: int, temperature: float) -> None:
    expected = softmax(np.delete(scores(seed), 2) / temperature)
    found = Drawing(temperature).chances(scores(seed), [], never=2)
    np.testing.assert_allclose(np.delete(found, 2), expected)
    assert found[2] == 0


@pytest.mark.parametrize("k", [1, 2, 4, V - 1, V, 50])
@pytest.mark.parametrize("seed", range(4))
def test_top_k_keeps_the_most_probable_in_their_proportion(seed: int, k: int) -> None:
    found = Drawing(1.0, top_k=k).chances(scores(seed), [], never=0)
    best = sorted(range(1, V), key=lambda number: scores(seed)[number])[-k:]
    assert set(np.flatnonzero(found).tolist()) == set(best)
    np.testing.assert_allclose(found[best], softmax(scores(seed)[best]))


@pytest.mark.parametrize("share", [0.001, 0.3, 0.6, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_top_p_keeps_the_smallest_set_that_has_the_share(seed: int, share: float) -> None:
    chances = softmax(scores(seed)[1:])
    assert drawable(Drawing(1.0, top_p=share), scores(seed)) == {number + 1 for number in nucleus(chances, share)}


def test_a_nucleus_that_has_the_share_exactly_is_enough() -> None:
    halves = np.log([1e-12, 0.5, 0.25, 0.125, 0.125])
    assert drawable(Drawing(1.0, top_p=0.5), halves) == {1}
    assert drawable(Drawing(1.0, top_p=0.75), halves) == {1, 2}
    assert drawable(Drawing(1.0, top_p=0.76), halves) == {1, 2, 3}  # of equals the first


def test_top_p_looks_at_what_top_k_and_temperature_left() -> None:
    values = np.log([1e-12, 0.4, 0.3, 0.2, 0.1])
    assert drawable(Drawing(1.0, top_p=0.6), values) == {1, 2}
    assert drawable(Drawing(1.0, top_k=3, top_p=0.5), values) == {1, 2}  # 0.4 / 0.9 is less than a half
    assert drawable(Drawing(1.0, top_k=2, top_p=0.5), values) == {1}  # 0.4 / 0.7 is more
    assert drawable(Drawing(0.1, top_p=0.6), values) == {1}
    assert drawable(Drawing(10.0, top_p=0.6), values) == {1, 2, 3}


def test_temperature_goes_from_the_best_token_to_all_alike() -> None:
    best = int(scores(1)[1:].argmax()) + 1
    greedy = Drawing(0.0).chances(scores(1), [], never=0)
    assert greedy.tolist() == [float(number == best) for number in range(V)]
    np.testing.assert_allclose(Drawing(1e-4).chances(scores(1), [], 0), greedy, atol=1e-12)
    np.testing.assert_allclose(Drawing(1e6).chances(scores(1), [], 0)[1:], 1 / (V - 1), atol=1e-5)
    assert Drawing(0.0).chances(np.zeros(V), [], never=0).argmax() == 1


def test_the_penalty_makes_recent_tokens_less_probable_whatever_the_scores_zero() -> None:
    drawing = Drawing(1.0, repetition_penalty=1.7, recent=3)
    before = [4, 5, 2, 2, 0, 6]  # the last three: 2, 0 and 6
    chances = softmax(np.delete(scores(3), 0))
    powered = chances.copy()
    powered[[1, 5]] **= 1.7
    for offset in (-30.0, 0.0, 12.0):
        found = drawing.chances(scores(3) + offset, before, never=0)
        np.testing.assert_allclose(found[1:], powered / powered.sum())
    greedy = Drawing(0.0, repetition_penalty=50.0)
    best = int(scores(3)[1:].argmax()) + 1
    assert greedy.chances(scores(3), [best], never=0)[best] == 0


@pytest.mark.parametrize(
    "drawing",
    [Drawing(1.3), Drawing(1.0, top_k=3), Drawing(1.5, top_p=0.8), Drawing(2.0, top_k=5, top_p=0.9)],
)
def test_frequencies_of_what_is_drawn_are_the_probabilities(drawing: Drawing) -> None:
    model, rng = Counting(), np.random.default_rng(7)
    first = [next(stream(model, Text([3], 1, drawing, 0, rng))) for _ in range(4000)]
    counts = np.bincount(first, minlength=V)
    with torch.no_grad():
        chances = drawing.chances(model(torch.tensor([[3]]))[0][0, -1].numpy(), [3], never=0)
    inside = chances > 0
    assert counts[~inside].sum() == 0
    assert stats.chisquare(counts[inside], 4000 * chances[inside]).pvalue > 0.001


def test_a_stream_is_the_batch_token_by_token_and_reads_nothing_twice() -> None:
    model, drawing = Counting(), Drawing(1.0, top_p=0.95, repetition_penalty=1.2)
    drawn = stream(model, text([1, 2, 3], 30, drawing, 5))
    assert isinstance(drawn, Iterator)
    assert model.calls == []  # nothing is computed before a token is asked for
    first = next(drawn)
    assert model.calls == [3]
    streamed = [first, *islice(drawn, 29)]
    assert model.calls == [3] + [1] * 29
    assert streamed == sample(model, [1, 2, 3], 30, drawing, 5)
    assert streamed != sample(model, [1, 2, 3], 30, drawing, 6)
    assert 0 not in streamed


def test_between_two_tokens_gradients_are_as_the_caller_has_them() -> None:
    drawn = stream(Counting(), text([1], 1, Drawing(1.0), 5))
    next(drawn)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_nothing_to_go_on_from() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        next(stream(Counting(), text([], 1, Drawing(1.0), 0)))
    with pytest.raises(ValueError, match="at least one token"):
        draw_all(Counting(), [text([1], 1, Drawing(1.0), 0), text([], 1, Drawing(1.0), 0)])


DRAWINGS = [Drawing(0.9), Drawing(0.0), Drawing(1.2, top_k=4), Drawing(1.0, top_p=0.7, repetition_penalty=1.5)]


@pytest.mark.parametrize("kind", [Reading, Remembering])
@pytest.mark.parametrize("count", [1, 3, 20, 150])
def test_side_by_side_each_text_is_what_it_is_alone(kind: type[nn.Module], count: int) -> None:
    model, rng = kind(), np.random.default_rng(count)
    asked = [
        (rng.integers(1, V, rng.integers(1, 9)).tolist(), int(rng.integers(1, 30)), DRAWINGS[i % 4], i)
        for i in range(count)
    ]
    texts = [text(*each) for each in asked]
    draw_all(model, texts)
    assert [each.drawn for each in texts] == [sample(model, *each) for each in asked]


def test_texts_share_the_steps_of_the_network_and_leave_when_they_have_enough() -> None:
    model = Reading()
    draw_all(model, [text([1] * length, length, Drawing(1.0), 0) for length in (2, 2, 5)])
    assert sorted(model.sizes[:2]) == [(1, 5), (2, 2)]
    assert model.sizes[2:] == [(3, 1), (1, 1), (1, 1), (1, 1)]


def test_a_long_text_is_read_in_pieces_and_gives_what_it_gives_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = Reading(), np.random.default_rng(3).integers(1, V, 50).tolist()
    at_once = sample(model, ids, 20, Drawing(1.0), 1)
    monkeypatch.setattr(generation, "READ_AT_ONCE", 16)
    model.sizes.clear()
    assert sample(model, ids, 20, Drawing(1.0), 1) == at_once
    assert model.sizes[:4] == [(1, 16), (1, 16), (1, 16), (1, 2)]
    texts = [text(ids, 20, Drawing(1.0), 1) for _ in range(5)]
    draw_all(model, texts)
    assert all(each.drawn == at_once for each in texts)
