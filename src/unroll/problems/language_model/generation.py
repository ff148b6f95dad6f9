"""Text drawn from a language model, one token after the other. Shapes: B texts, T tokens, V symbols."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

READ_AT_ONCE = 512
"""Tokens that go through the network at once, of all texts together: a longer text is read in pieces."""
TEXTS_AT_ONCE = 64
"""Texts that are drawn side by side."""


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
        if self.top_k or self.top_p < 1:
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


@dataclass
class Text:
    """A text to go on with: the numbers of its tokens, how the next ones are drawn, and what was drawn so far.

    ``length`` tokens are wanted; ``never`` is a token that is not drawn.
    """

    ids: Sequence[int]
    length: int
    drawing: Drawing
    never: int
    rng: np.random.Generator
    drawn: list[int] = field(default_factory=list)

    def draw(self, scores_V: np.ndarray) -> int:
        """One more token, by the scores after all tokens before it."""
        recent = self.drawing.recent
        before = [*self.ids[-recent:], *self.drawn[-recent:]]
        chances_V = self.drawing.chances(scores_V, before, self.never)
        self.drawn.append(int(self.rng.choice(len(chances_V), p=chances_V)))
        return self.drawn[-1]


def stream(model: nn.Module, text: Text) -> Iterator[int]:
    """Token after token to follow ``text``, without an end.

    ``model`` takes ids (B, T) and a state and gives scores (B, T, V) and a state, which is carried: no token is read
    twice. Raises ValueError for a text without ids.
    """
    _begin(model, [text])
    following, state = [text.ids], None
    while True:
        scores_BV, state = _scores(model, following, state)
        following = [[text.draw(scores_BV[0])]]
        yield following[0][0]


def draw_all(model: nn.Module, texts: Sequence[Text]) -> None:
    """Draw what follows each of the texts, many of them in one step of the network.

    Each text's tokens are those that ``stream`` would give it, up to the rounding of another batch size. ``model`` as
    of ``stream``; its state is a tensor with the texts in the last dimension but one, None, or a tuple of such. Raises
    ValueError for a text without ids.
    """
    _begin(model, texts)
    for low in range(0, len(texts), TEXTS_AT_ONCE):
        _draw(model, texts[low : low + TEXTS_AT_ONCE])


@dataclass
class _Group:
    """Texts whose states lie in one tensor, and the tokens that each is read on with: as many of each."""

    texts: list[Text]
    following: list[Sequence[int]]
    state: Any = None

    def step(self, model: nn.Module) -> None:
        """Draw one token of each text; those that have all that they want leave."""
        scores_BV, state = _scores(model, self.following, self.state)
        drawn = [text.draw(scores_V) for text, scores_V in zip(self.texts, scores_BV, strict=True)]
        left = [place for place, text in enumerate(self.texts) if len(text.drawn) < text.length]
        if 0 < len(left) < len(self.texts):
            state = _mapped(lambda parts: parts[0][..., left, :], state)
        self.state, self.texts = state, [self.texts[place] for place in left]
        self.following = [[drawn[place]] for place in left]


def _draw(model: nn.Module, texts: Sequence[Text]) -> None:
    alike: dict[int, list[Text]] = {}
    for text in texts:
        if text.length > 0:
            alike.setdefault(len(text.ids), []).append(text)
    groups = [_Group(same, [text.ids for text in same]) for same in alike.values()]
    while groups:
        for group in groups:
            group.step(model)
        groups = _joined([group for group in groups if group.texts])


def _joined(groups: Sequence[_Group]) -> list[_Group]:
    """Those whose states have one form as one group: they may differ as long as texts are shorter than a window."""
    by_form: dict[str, list[_Group]] = {}
    for group in groups:
        by_form.setdefault(_form(group.state), []).append(group)
    joined = []
    for same in by_form.values():
        if len(same) > 1:
            state = _mapped(lambda parts: torch.cat(parts, dim=-2), *(group.state for group in same))
            texts = [text for group in same for text in group.texts]
            joined.append(_Group(texts, [ids for group in same for ids in group.following], state))
        else:
            joined += same
    return joined


def _form(state: Any) -> str:
    if isinstance(state, tuple):
        return f"({','.join(map(_form, state))})"
    return "" if state is None else f"{(*state.shape[:-2], state.shape[-1])}"


def _mapped(change: Callable[[list[torch.Tensor]], torch.Tensor], *states: Any) -> Any:
    """``change`` of the tensors that stand in the same place of all states."""
    first = states[0]
    if isinstance(first, tuple):
        return tuple(_mapped(change, *parts) for parts in zip(*states, strict=True))
    return None if first is None else change(list(states))


def _begin(model: nn.Module, texts: Sequence[Text]) -> None:
    if any(not len(text.ids) for text in texts):
        raise ValueError("nothing to go on from; expected at least one token")
    model.eval()


def _scores(model: nn.Module, following: Sequence[Sequence[int]], state: Any) -> tuple[np.ndarray, Any]:
    """Scores (B, V) after the last of the tokens. The mode without gradients ends before one is handed out."""
    ids_BT = torch.tensor(following, device=next(model.parameters()).device)
    with torch.inference_mode():
        for part in torch.split(ids_BT, max(READ_AT_ONCE // len(ids_BT), 1), dim=1):
            scores, state = model(part, state)  # of a part's tokens, as many as it has
        return scores[:, -1].float().cpu().numpy(), state
