"""From a network's next-symbol probabilities to whole answers: greedy, beam search, sampling.

All three drive a *step*: given each row's last symbol and a state it returns the log-probabilities of the next symbol
and the state after it. A state is a tensor, or tuples, lists and dicts of tensors (or None), and in **every tensor of
it the first dimension is the row**, so that rows can be copied and reordered. ``bos`` is what a step reads before the
first symbol. Answers have ``max_len`` places: after its first ``eos`` an answer is filled up with ``eos``; one that
does not end within ``max_len`` symbols is cut there. The log-probability of an answer counts its ``eos``.

Shapes: B sequences, W beam width, R = B x W rows of a beam, T = max_len, V symbols, C = W x V.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

State = Any
Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""(ids_B, state) to (logp_BV, state)."""


def greedy(step: Step, state: State, bos: int, eos: int, max_len: int) -> tuple[Tensor, Tensor]:
    """The most probable symbol at each step up to the end: answers (B, T) and their log-probabilities (B).

    >>> logp_BV = torch.tensor([[0.2, 0.5, 0.3]]).log()
    >>> greedy(lambda ids_B, state: (logp_BV, state), logp_BV, bos=0, eos=0, max_len=2)[0]
    tensor([[1, 1]])
    """
    return _follow(step, state, bos, eos, max_len, lambda logp_BV, place: logp_BV.argmax(-1))  # noqa: ARG005


def sample(
    step: Step, state: State, bos: int, eos: int, uniform_BT: Tensor, temperature_B: Tensor
) -> tuple[Tensor, Tensor]:
    """Each symbol drawn from the probabilities to the power 1 / temperature: answers (B, T), log-probabilities (B).

    ``uniform_BT`` are the caller's draws from [0, 1), one for each place, so that nothing here is random. The
    log-probabilities are those of the model itself, at temperature 1.
    """

    def draw(logp_BV: Tensor, place: int) -> Tensor:
        cumulative_BV = (logp_BV / temperature_B[:, None]).softmax(-1).cumsum(-1)
        threshold_B1 = (uniform_BT[:, place].to(cumulative_BV) * cumulative_BV[:, -1])[:, None]
        return (cumulative_BV <= threshold_B1).sum(-1).clamp(max=logp_BV.shape[-1] - 1)

    return _follow(step, state, bos, eos, uniform_BT.shape[1], draw)


def beam_search(
    step: Step, state: State, bos: int, eos: int, width: int, max_len: int, length_penalty: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The best answer (B, T) of a search that keeps ``width`` hypotheses, and its log-probability (B).

    A hypothesis that ends leaves the beam for the finished ones, and its place stays empty (Sutskever et al. 2014), so
    that a finished hypothesis is never pushed out by an unfinished one, and width 1 is greedy search. The answer is the
    hypothesis, finished or cut at ``max_len``, with the highest log-probability divided by ((5 + length) / 6) **
    ``length_penalty`` (Wu et al. 2016), the end counting as a symbol; 0 compares the log-probabilities as they are. A
    search stops once no unfinished hypothesis can catch up, so that an answer does not depend on the rows beside it.
    """
    first = _first_tensor(state)
    beam = _Beam(len(first), width, max_len, eos, length_penalty, first.device)
    state = rows(state, lambda tensor: tensor.repeat_interleave(width, 0))
    last_R = torch.full((len(first) * width,), bos, device=first.device)
    for place in range(max_len):
        logp_RV, state = step(last_R, state)
        from_R = beam.advance(logp_RV, place)
        if beam.is_decided():
            break
        state = rows(state, partial(torch.index_select, dim=0, index=from_R))
        last_R = beam.ids_BWT[:, :, place].flatten()
    return beam.done_BT, beam.done_logp_B


class _Beam:
    """The hypotheses of a search: W live ones a sequence, each with its place, and the best finished one."""

    def __init__(self, batch: int, width: int, max_len: int, eos: int, penalty: float, device: torch.device) -> None:
        self.max_len, self.eos, self.penalty = max_len, eos, penalty
        self.ids_BWT = torch.full((batch, width, max_len), eos, device=device)
        self.logp_BW = torch.full((batch, width), -torch.inf, device=device)  # takes the type of what is added
        self.logp_BW[:, 0] = 0.0  # all W are the empty hypothesis at first: one of them is enough
        self.room_B = torch.full((batch,), width, device=device)
        self.done_BT = self.ids_BWT[:, 0].clone()
        self.done_logp_B = torch.full((batch,), -torch.inf, device=device)
        self.done_score_B = self.done_logp_B.clone()

    def advance(self, logp_RV: Tensor, place: int) -> Tensor:
        """Add the symbol at ``place``; the row (R) that each hypothesis continues."""
        (batch, width), symbols = self.logp_BW.shape, logp_RV.shape[1]
        ahead_BC = (self.logp_BW.flatten()[:, None] + logp_RV).view(batch, width * symbols)
        # A stable sort, so that of equals the first is taken, as argmax does in greedy search.
        ranked_BC, order_BC = ahead_BC.sort(dim=1, descending=True, stable=True)
        chosen_BW, logp_BW = order_BC[:, :width], ranked_BC[:, :width]
        logp_BW = logp_BW.masked_fill(torch.arange(width, device=logp_BW.device) >= self.room_B[:, None], -torch.inf)
        parent_BW, symbol_BW = chosen_BW // symbols, chosen_BW % symbols
        self.ids_BWT = self.ids_BWT.gather(1, parent_BW[:, :, None].expand(-1, -1, self.max_len))
        self.ids_BWT[:, :, place] = symbol_BW
        ends_BW = (symbol_BW == self.eos) & (logp_BW > -torch.inf)
        self._finish(logp_BW.masked_fill(~ends_BW, -torch.inf), place + 1)
        self.room_B = self.room_B - ends_BW.sum(1)
        self.logp_BW = logp_BW.masked_fill(ends_BW, -torch.inf)
        if place + 1 == self.max_len:
            self._finish(self.logp_BW, self.max_len)
        first_row_B1 = (torch.arange(batch, device=parent_BW.device) * width)[:, None]
        return (first_row_B1 + parent_BW).flatten()

    def _finish(self, logp_BW: Tensor, length: int) -> None:
        """Let finished hypotheses (others: -inf) compete with the best one so far."""
        logp_B, winner_B = logp_BW.max(1)
        score_B = self._score(logp_B, length)
        better_B = score_B > self.done_score_B
        ids_BT = self.ids_BWT[torch.arange(len(winner_B), device=winner_B.device), winner_B]
        self.done_BT = torch.where(better_B[:, None], ids_BT, self.done_BT)
        self.done_logp_B = torch.where(better_B, logp_B, self.done_logp_B)
        self.done_score_B = torch.where(better_B, score_B, self.done_score_B)

    def _score(self, logp_B: Tensor, length: int) -> Tensor:
        penalised_B: Tensor = logp_B / ((5 + length) / 6) ** self.penalty
        return penalised_B

    def is_decided(self) -> bool:
        """Whether no live hypothesis can catch up: it only loses, and is divided by no more than at full length."""
        bound_B = self._score(self.logp_BW.amax(1), self.max_len)
        return bool((bound_B <= self.done_score_B).all())


def independent(scores_BTV: Tensor) -> tuple[Step, State]:
    """A step for symbols that do not depend on each other, and its state: their scores at all steps, and the place."""

    def step(ids_B: Tensor, state: State) -> tuple[Tensor, State]:
        logp_BTV, place_B = state
        return logp_BTV[torch.arange(len(ids_B), device=ids_B.device), place_B], (logp_BTV, place_B + 1)

    return step, (scores_BTV.log_softmax(-1), scores_BTV.new_zeros(len(scores_BTV), dtype=torch.int64))


def rows(state: State, change: Callable[[Tensor], Tensor]) -> State:
    """The same tuples, lists and dicts with each tensor changed.

    >>> rows((torch.zeros(2, 3), {"a": None}), lambda tensor: tensor[:1])
    (tensor([[0., 0., 0.]]), {'a': None})
    """
    if isinstance(state, Tensor):
        return change(state)
    if isinstance(state, dict):
        return {key: rows(part, change) for key, part in state.items()}
    if isinstance(state, tuple | list):
        return type(state)(rows(part, change) for part in state)
    return state


def _first_tensor(state: State) -> Tensor:
    """Any tensor of the state; raises ValueError where there is none: the number of sequences is read from it."""
    tensors: list[Tensor] = []
    rows(state, lambda tensor: tensors.append(tensor) or tensor)  # type: ignore[func-returns-value]
    if not tensors:
        raise ValueError("the state holds no tensor; expected at least one, with a row for each sequence")
    return tensors[0]


def _follow(
    step: Step, state: State, bos: int, eos: int, max_len: int, choose: Callable[[Tensor, int], Tensor]
) -> tuple[Tensor, Tensor]:
    """One hypothesis a sequence, which goes on with the symbol that ``choose`` takes at each place."""
    first = _first_tensor(state)
    last_B = torch.full((len(first),), bos, device=first.device)
    ids_BT = torch.full((len(first), max_len), eos, device=first.device)
    unfinished_B = torch.ones_like(last_B, dtype=torch.bool)
    total_B = torch.zeros(len(first), device=first.device)  # takes the type of what is added
    for place in range(max_len):
        logp_BV, state = step(last_B, state)
        last_B = torch.where(unfinished_B, choose(logp_BV, place), eos)
        ids_BT[:, place] = last_B
        total_B = total_B + logp_BV.gather(1, last_B[:, None])[:, 0].masked_fill(~unfinished_B, 0.0)
        unfinished_B = unfinished_B & (last_B != eos)
        if not bool(unfinished_B.any()):
            break
    return ids_BT, total_B
