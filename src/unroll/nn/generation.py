"""Text drawn from a language model, one token after the other. Shapes: V symbols."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class Drawing:
    """How the next token is drawn from a network's scores; each step narrows what the one before it left.

    ``repetition_penalty`` (Keskar et al. 2019, section 4.1): each of the last ``recent`` tokens becomes less probable,
    p to the power of the penalty; 1 leaves all as they are. The paper divides scores, whose zero is arbitrary; here
    they are log-probabilities, so that the network's constant offset does not matter.
    ``temperature``: probabilities to the power of 1/temperature; 0 takes the most probable token.
    ``top_k``: only so many of the most probable tokens (Fan et al. 2018); 0 for all.
    ``top_p``: only the nucleus, the fewest tokens whose probabilities sum to at least that (Holtzman et al. 2020,
    eq. 2 and 3); 1 for all. Of equally probable tokens the one of the lowest number comes first.
    """

    temperature: float
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    recent: int = 64

    def chances(self, scores_V: np.ndarray, before: Sequence[int], never: int) -> np.ndarray:
        """The probability with which each token is drawn, (V,), after the tokens ``before``; 0 for ``never``.

        >>> Drawing(1.0, top_k=2).chances(np.log([0.2, 0.4, 0.1, 0.3]), [], never=0).round(3).tolist()
        [0.0, 0.571, 0.0, 0.429]
        """
        logp_V = np.array(scores_V, dtype=np.float64)
        logp_V[never] = -np.inf
        logp_V -= np.logaddexp.reduce(logp_V)
        if self.repetition_penalty != 1:
            seen = [number for number in set(before[-self.recent :]) if number != never]
            logp_V[seen] *= self.repetition_penalty
        if self.temperature == 0:
            chances_V = np.zeros(len(logp_V))
            chances_V[logp_V.argmax()] = 1.0
            return chances_V
        chances_V = np.exp((logp_V - logp_V.max()) / self.temperature)
        chances_V[self._outside(chances_V / chances_V.sum())] = 0.0
        return chances_V / chances_V.sum()

    def _outside(self, chances_V: np.ndarray) -> np.ndarray:
        """The numbers of all tokens that top-k and top-p leave out."""
        order_V = np.argsort(-chances_V, kind="stable")
        inside = min(self.top_k or len(order_V), len(order_V))
        if self.top_p < 1:
            shares = np.cumsum(chances_V[order_V[:inside]])
            inside = int(np.searchsorted(shares, self.top_p * shares[-1])) + 1
        return order_V[inside:]


def stream(
    model: nn.Module, ids: Sequence[int], drawing: Drawing, never: int, rng: np.random.Generator
) -> Iterator[int]:
    """Token after token to follow ``ids``, without an end.

    ``model`` takes ids (B, T) and a state and gives scores (B, T, V) and a state, which is carried: no token is read
    twice. Raises ValueError for no ids at all.
    """
    if not len(ids):
        raise ValueError("nothing to go on from; expected at least one token")
    model.eval()
    device = next(model.parameters()).device
    before, following, state = list(ids), list(ids), None
    while True:
        scores_V, state = _scores(model, following, state, device)
        chances_V = drawing.chances(scores_V, before, never)
        drawn = int(rng.choice(len(chances_V), p=chances_V))
        yield drawn
        following = [drawn]
        before = [*before[-drawing.recent :], drawn]


def sample(
    model: nn.Module, ids: Sequence[int], length: int, drawing: Drawing, never: int, rng: np.random.Generator
) -> list[int]:
    """``length`` tokens to follow ``ids``: the first of ``stream``."""
    return list(islice(stream(model, ids, drawing, never, rng), length))


def _scores(model: nn.Module, following: list[int], state: Any, device: torch.device) -> tuple[np.ndarray, Any]:
    """Scores (V,) after the last of ``following``. The mode without gradients ends before a token is handed out."""
    with torch.inference_mode():
        scores_BTV, state = model(torch.tensor([following], device=device), state)
        return scores_BTV[0, -1].float().cpu().numpy(), state
