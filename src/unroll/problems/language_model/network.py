"""Networks of language models.

Shapes: B batch, T tokens, C tokens before, P tokens that are predicted, N windows, W window, E embedding, K and H
states, O lengths of groups, V symbols.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from unroll.core.config import RecurrentConfig, Vectors
from unroll.nn.cells import State
from unroll.nn.recurrent import RecurrentEncoder

DIRECT_SCALE = 0.3
"""Of the table's scores: they are learned that much more slowly than all else, for each row is seen rarely."""
_MODULUS = 2**31 - 1
_MULTIPLIER, _SPREAD = 1_000_003, 1_327_217_885  # of the hash of a group, and of its row: near 0.618 times the modulus


class DirectScores(nn.Module):
    """Scores straight from the last tokens, beside the recurrent layers (RNNME of Mikolov et al. 2011).

    Each of the last 1, 2, … ``order`` tokens together choose, by a hash, a row of a table that holds scores of all
    symbols; the rows are added up. So frequent groups need no room in the recurrent state. Rows start at zero; while
    training, each is left out with the probability ``dropout``.
    """

    used: Tensor
    powers: Tensor
    """(order + 1, order): what each of the last tokens is multiplied with in the hash of a group, and what is added."""

    def __init__(self, symbols: int, order: int, buckets: int, min_count: int, dropout: float) -> None:
        super().__init__()
        self.order, self.min_count, self.dropout = order, min_count, dropout
        self.table = nn.Embedding(buckets, symbols)
        nn.init.zeros_(self.table.weight)
        self.register_buffer("used", torch.ones(buckets))
        self.register_buffer("powers", _powers(order), persistent=False)

    @torch.no_grad()
    def leave_out_rare(self, ids_N: Tensor) -> None:
        """Use no row that the text ``ids_N`` chooses less than ``min_count`` times: it could only learn it by heart."""
        rows_1NO = self.rows(torch.cat([ids_N.new_zeros(self.order - 1), ids_N])[None])
        counts = torch.bincount(rows_1NO.flatten(), minlength=len(self.used))
        self.used.copy_(counts >= self.min_count)

    def forward(self, ids_BT: Tensor, before_BC: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores (B, T, V) of the token after each, and the tokens that later ones need; a text starts after zeros."""
        if before_BC is None:
            before_BC = ids_BT.new_zeros(len(ids_BT), self.order - 1)
        known = torch.cat([before_BC, ids_BT], dim=1)
        rows_BTO = self.rows(known)
        weights_BTO = DIRECT_SCALE * functional.dropout(self.used[rows_BTO], self.dropout, self.training)
        scores_BTV = (self.table(rows_BTO) * weights_BTO[..., None]).sum(dim=2)
        return scores_BTV, known[:, ids_BT.shape[1] :]

    def rows(self, known: Tensor) -> Tensor:
        """The row of each group of tokens, (B, T, order), for all but the first order - 1 tokens."""
        length, mixed = known.shape[1] - self.order + 1, self.powers[-1]
        for back, powers_O in enumerate(self.powers[:-1]):  # a sum of products below 2^63, as V is far below 2^31
            first = self.order - 1 - back
            mixed = torch.addcmul(mixed, known[:, first : first + length, None], powers_O)
        return mixed % _MODULUS * _SPREAD % _MODULUS * self.table.num_embeddings // _MODULUS


def _powers(order: int) -> Tensor:
    """Of a hash that takes the tokens of a group one by one, the last first: h ← h · multiplier + token + 1 + place."""
    powers = [[pow(_MULTIPLIER, k - b, _MODULUS) if k >= b else 0 for k in range(order)] for b in range(order)]
    added = [sum((1 + b) * powers[b][k] for b in range(order)) % _MODULUS for k in range(order)]
    return torch.tensor([*powers, added])


class TokenReader(nn.Module):
    """What every language model begins with: the vector of each token (Bengio et al. 2003)."""

    def __init__(self, symbols: int, embedding: int, vectors: Vectors) -> None:
        super().__init__()
        self.vectors = vectors
        self.embedding = nn.Embedding(symbols, embedding)
        self.embedding.weight.requires_grad_(vectors != "frozen")

    def begin_with(self, vectors_VE: Tensor) -> None:
        """Give every token its vector, the unknown one's first."""
        with torch.no_grad():
            self.embedding.weight.copy_(vectors_VE)


class CarriedModel(TokenReader):
    """Recurrent layers that tell, after each token, how probable each next one is (Mikolov et al. 2010).

    P(w_{t+1} | w_1 … w_t) = softmax(W h_t + b): a softmax layer on each state, learned by cross-entropy (Bridle 1990).
    Their state can be carried: a text read in pieces gives what it gives when read at once.
    """

    def __init__(
        self,
        symbols: int,
        embedding: int,
        embedding_dropout: float,
        config: RecurrentConfig,
        direct: DirectScores | None = None,
        vectors: Vectors = "learned",
    ) -> None:
        """``embedding`` is the width of the vector of each of ``symbols``; ``direct`` adds its scores.

        ``vectors``: learned from a random start, or given to ``begin_with`` and tuned by training or frozen.
        """
        super().__init__(symbols, embedding, vectors)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.encoder = RecurrentEncoder(embedding, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, symbols)
        self.direct = direct

    def forward(
        self, ids_BT: Tensor, state: tuple[State | None, Tensor | None] | None = None
    ) -> tuple[Tensor, tuple[State, Tensor | None]]:
        """Unnormalised log-probabilities (B, T, V) of the token after each, and the state to carry."""
        inner, before_BC = state or (None, None)
        states_BTH, _, inner = self.encoder(self.embedding_dropout(self.embedding(ids_BT)), None, inner)
        scores_BTV: Tensor = self.head(self.dropout(states_BTH))
        if self.direct is not None:
            more_BTV, before_BC = self.direct(ids_BT, before_BC)
            scores_BTV = scores_BTV + more_BTV
        return scores_BTV, (inner, before_BC)


class WindowModel(TokenReader):
    """The textbook architecture: what follows a window of tokens, from a network that reads nothing else.

    A window of fixed length as in Bengio et al. 2003, read by recurrent layers in both directions (Schuster & Paliwal
    1997) instead of a layer for each place in it; softmax and cross-entropy as of CarriedModel.
    Embedding, bidirectional layers, one more layer in reading order, and of that the last vector. No state of the
    layers is carried: what stands for it are the tokens before, so that a window may begin in an earlier piece. Where
    a text begins the windows are shorter.
    """

    def __init__(
        self,
        symbols: int,
        embedding: int,
        embedding_dropout: float,
        config: RecurrentConfig,
        window: int,
        stride: int,
        vectors: Vectors = "learned",
    ) -> None:
        """While it is trained it predicts one token of ``stride``; the rest as for CarriedModel."""
        super().__init__(symbols, embedding, vectors)
        self.window, self.stride = window, stride
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.encoder = RecurrentEncoder(embedding, config, bidirectional=True)
        self.between = nn.Dropout(config.dropout)
        self.reader = RecurrentEncoder(self.encoder.outputs, config.model_copy(update={"layers": 1}))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, symbols)

    def forward(self, ids_BT: Tensor, before_BC: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores of the token after each, each from its own window, and the tokens that later windows need.

        While training (B, P, V), with P every ``stride``-th of the T tokens, the last one among them; else (B, T, V).
        ``before_BC`` are the tokens before.
        """
        known = ids_BT if before_BC is None else torch.cat([before_BC, ids_BT], dim=1)
        first, every = known.shape[1] - ids_BT.shape[1], self.stride if self.training else 1
        ends_P = torch.arange(known.shape[1])[first:][_spaced(ids_BT.shape[1], every)] + 1
        starts_P = (ends_P - self.window).clamp(min=0)
        at_PW = (starts_P[:, None] + torch.arange(self.window)).clamp(max=known.shape[1] - 1)
        windows_NW = known[:, at_PW.to(known.device)].flatten(0, 1)
        lengths_P = ends_P - starts_P
        lengths_N = lengths_P.repeat(len(ids_BT)) if int(lengths_P.min()) < self.window else None
        scores_NV = self._after(windows_NW, lengths_N)
        kept = min(self.window - 1, known.shape[1])
        return scores_NV.reshape(len(ids_BT), len(ends_P), -1), known[:, known.shape[1] - kept :]

    def _after(self, windows_NW: Tensor, lengths_N: Tensor | None) -> Tensor:
        """Scores (N, V) of what follows each window."""
        inputs_NWE = self.embedding_dropout(self.embedding(windows_NW))
        states_NWK, _, _ = self.encoder(inputs_NWE, lengths_N)
        _, last_NH, _ = self.reader(self.between(states_NWK), lengths_N)
        scores_NV: Tensor = self.head(self.dropout(last_NH))
        return scores_NV


def predicted(model: nn.Module, y_BT: Tensor) -> Tensor:
    """Those of the tokens whose probabilities the network gives just now, (B, P)."""
    return y_BT[:, _spaced(y_BT.shape[1], model.stride)] if isinstance(model, WindowModel) and model.training else y_BT


def _spaced(length: int, stride: int) -> slice:
    """Every ``stride``-th place, the last one among them."""
    return slice((length - 1) % stride, None, stride)
