"""Searches against the enumeration of every answer there is, on small random processes whose rows differ."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from unroll.nn import decoding
from unroll.nn.decoding import Step

BOS, EOS = 0, 0


def process(batch: int, steps: int, symbols: int, seed: int) -> tuple[Step, Any, np.ndarray]:
    """A step whose probabilities depend on row, place and last symbol, its state, and all log-probabilities BTVV."""
    generator = torch.Generator().manual_seed(seed)
    scores = 1.5 * torch.randn(batch, steps, symbols, symbols, generator=generator, dtype=torch.float64)
    table_BTVV = scores.log_softmax(-1)

    def step(ids_B: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        table, inner = state["table"], state["inner"]
        rows = torch.arange(len(ids_B))
        return table[rows, inner[0], ids_B], {"table": table, "inner": (inner[0] + 1, [inner[1], None])}

    state = {"table": table_BTVV, "inner": (torch.zeros(batch, dtype=torch.int64), [torch.zeros(batch), None])}
    return step, state, table_BTVV.numpy()


def answers(steps: int, symbols: int) -> list[tuple[int, ...]]:
    """Every answer: ended by EOS, or as long as it may be without one."""
    others = [symbol for symbol in range(symbols) if symbol != EOS]
    ended = [(*head, EOS) for n in range(steps) for head in itertools.product(others, repeat=n)]
    return ended + list(itertools.product(others, repeat=steps))


def logp(table_TVV: np.ndarray, answer: tuple[int, ...]) -> float:
    return float(sum(table_TVV[t, last, s] for t, (last, s) in enumerate(zip((BOS, *answer), answer, strict=False))))


def score(table_TVV: np.ndarray, answer: tuple[int, ...], penalty: float) -> float:
    return logp(table_TVV, answer) / ((5 + len(answer)) / 6) ** penalty


@pytest.mark.parametrize("penalty", [0.0, 0.6, 3.0])
@pytest.mark.parametrize(("steps", "symbols"), [(1, 4), (3, 3), (4, 3)])
def test_a_wide_enough_beam_finds_the_best_of_all_answers(steps: int, symbols: int, penalty: float) -> None:
    lengths = set()
    for seed in range(10):
        step, state, table = process(3, steps, symbols, seed)
        ids_BT, logp_B = decoding.beam_search(step, state, BOS, EOS, symbols**steps, steps, penalty)
        for row in range(3):
            best = max(answers(steps, symbols), key=lambda a, t=table[row]: score(t, a, penalty))  # type: ignore[misc]
            assert ids_BT[row].tolist() == [*best, *[EOS] * (steps - len(best))]
            assert logp_B[row].item() == pytest.approx(logp(table[row], best), abs=1e-12)
            lengths.add((len(best), best[-1] == EOS))
    assert len(lengths) > steps // 2 + 1  # answers that end at once, later, and not at all


@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_a_beam_of_one_is_greedy_search(penalty: float) -> None:
    for seed in range(20):
        step, state, _ = process(5, 6, 4, seed)
        greedy = decoding.greedy(step, state, BOS, EOS, 6)
        beam = decoding.beam_search(step, state, BOS, EOS, 1, 6, penalty)
        assert torch.equal(greedy[0], beam[0])
        assert torch.equal(greedy[1], beam[1])


def test_of_equally_probable_symbols_both_take_the_first() -> None:
    step, state = decoding.independent(torch.zeros(1, 3, 4))
    assert decoding.greedy(step, state, BOS, 3, 3)[0].tolist() == [[0, 0, 0]]
    assert decoding.beam_search(step, state, BOS, 3, 1, 3)[0].tolist() == [[0, 0, 0]]


def plain_beam(table_TVV: np.ndarray, width: int, steps: int, penalty: float) -> tuple[tuple[int, ...], float]:
    """The search as its text says, with lists."""
    live: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    finished: list[tuple[tuple[int, ...], float]] = []
    for place in range(steps):
        ahead = [
            ((*ids, symbol), total + float(table_TVV[place, ids[-1] if ids else BOS, symbol]))
            for ids, total in live
            for symbol in range(table_TVV.shape[-1])
        ]
        kept = sorted(ahead, key=lambda each: -each[1])[: width - len(finished)]
        finished += [each for each in kept if each[0][-1] == EOS]
        live = [each for each in kept if each[0][-1] != EOS]
    return max(finished + live, key=lambda each: each[1] / ((5 + len(each[0])) / 6) ** penalty)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("width", [2, 3, 5])
def test_narrow_beams_are_those_of_plain_lists(width: int, penalty: float) -> None:
    worse = 0
    for seed in range(15):
        step, state, table = process(4, 6, 4, seed)
        ids_BT, logp_B = decoding.beam_search(step, state, BOS, EOS, width, 6, penalty)
        for row in range(4):
            ids, total = plain_beam(table[row], width, 6, penalty)
            assert ids_BT[row].tolist() == [*ids, *[EOS] * (6 - len(ids))]
            assert logp_B[row].item() == pytest.approx(total, abs=1e-12)
            best = max(answers(6, 4), key=lambda a, t=table[row]: score(t, a, penalty))  # type: ignore[misc]
            worse += ids != best
    assert worse or width > 2  # a narrow beam misses some


def test_a_finished_hypothesis_waits_while_others_go_on() -> None:
    """Ending at once has 0.3; the two better beginnings break up into many endings, each below 0.3."""
    first = torch.tensor([0.3, 0.35, 0.35]).log()
    later = torch.tensor([0.34, 0.33, 0.33]).log()
    table = torch.stack([first.expand(3, 3), later.expand(3, 3), later.expand(3, 3)])[None]

    def step(ids_B: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        return state[0][torch.arange(len(ids_B)), state[1], ids_B], (state[0], state[1] + 1)

    state = (table, torch.zeros(1, dtype=torch.int64))
    ids, total = decoding.beam_search(step, state, BOS, EOS, 3, 3)
    assert ids.tolist() == [[EOS, EOS, EOS]]
    assert total.exp().item() == pytest.approx(0.3)
    longer, _ = decoding.beam_search(step, state, BOS, EOS, 3, 3, length_penalty=8.0)
    assert longer.tolist() == [[1, EOS, EOS]]


def test_an_answer_does_not_depend_on_the_rows_beside_it() -> None:
    step, state, _ = process(6, 5, 4, seed=3)
    together = decoding.beam_search(step, state, BOS, EOS, 3, 5, 0.5)
    for row in range(6):
        one = decoding.rows(state, lambda tensor, r=row: tensor[r : r + 1])  # type: ignore[misc]
        alone = decoding.beam_search(step, one, BOS, EOS, 3, 5, 0.5)
        assert torch.equal(alone[0][0], together[0][row])
        assert torch.equal(alone[1][0], together[1][row])


def test_a_search_stops_early_when_nothing_can_catch_up() -> None:
    steps = []
    certain = torch.tensor([[[0.999, 0.001]] * 50]).log()
    step, state = decoding.independent(certain)

    def counted(ids_B: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        steps.append(len(ids_B))
        return step(ids_B, state)

    decoding.beam_search(counted, state, BOS, EOS, 4, 50)
    assert steps == [4]
    steps.clear()
    decoding.greedy(counted, state, BOS, EOS, 50)
    assert steps == [1]


def test_draws_have_the_models_frequencies() -> None:
    step, state, table = process(1, 2, 3, seed=1)
    count = 4000
    many = decoding.rows(state, lambda tensor: tensor.repeat_interleave(count, 0))
    uniform = torch.from_numpy(np.random.default_rng(0).random((count, 2)))
    ids, total = decoding.sample(step, many, BOS, EOS, uniform, torch.ones(count, dtype=torch.float64))
    for answer in answers(2, 3):
        chance = math.exp(logp(table[0], answer))
        same = (ids == torch.tensor([*answer, *[EOS] * (2 - len(answer))])).all(1)
        assert same.float().mean().item() == pytest.approx(chance, abs=4 * math.sqrt(chance / count))
        assert torch.allclose(total[same].exp(), torch.tensor(chance, dtype=torch.float64))


def test_a_cold_draw_is_greedy_and_a_hot_one_even() -> None:
    step, state, _ = process(4, 5, 4, seed=2)
    uniform = torch.from_numpy(np.random.default_rng(0).random((4, 5)))
    cold, total = decoding.sample(step, state, BOS, EOS, uniform, torch.full((4,), 1e-6, dtype=torch.float64))
    greedy = decoding.greedy(step, state, BOS, EOS, 5)
    assert torch.equal(cold, greedy[0])
    assert torch.equal(total, greedy[1])
    edges = torch.tensor([[0.0], [0.2499], [0.2501], [0.9999]], dtype=torch.float64)
    hot, _ = decoding.sample(step, state, BOS, 9, edges, torch.full((4,), 1e9, dtype=torch.float64))
    assert hot.tolist() == [[0], [0], [1], [3]]


def test_a_state_without_a_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no tensor"):
        decoding.greedy(lambda ids_B, state: (torch.zeros(1, 2), state), (None, {}), BOS, EOS, 3)
