"""The network of a language model over characters. Shapes: B batch, T time, E embedding, H hidden, V symbols."""

import numpy as np
import torch
from torch import Tensor, nn

from unroll.config import RecurrentConfig
from unroll.nn.recurrent import RecurrentEncoder, State


class CharacterModel(nn.Module):
    """Recurrent layers that tell, after each character, how probable each next one is.

    Its state can be carried: a text read in pieces gives what it gives when read at once.
    """

    def __init__(self, symbols: int, embedding: int, embedding_dropout: float, config: RecurrentConfig) -> None:
        """``embedding`` is the width of the vector of each of ``symbols``."""
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.encoder = RecurrentEncoder(embedding, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, symbols)

    def forward(self, ids_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Unnormalised log-probabilities (B, T, V) of the character after each, and the state to carry."""
        states_BTH, _, state = self.encoder(self.embedding_dropout(self.embedding(ids_BT)), None, state)
        scores_BTV: Tensor = self.head(self.dropout(states_BTH))
        return scores_BTV, state


def sample(
    model: CharacterModel, ids: list[int], length: int, temperature: float, never: int, rng: np.random.Generator
) -> list[int]:
    """``length`` symbols to follow ``ids``, each drawn from the softmax of scores divided by ``temperature``.

    The symbol ``never`` is not drawn.
    """
    model.eval()
    device = next(model.parameters()).device
    drawn: list[int] = []
    following, state = torch.tensor([ids], device=device), None
    with torch.inference_mode():
        for _ in range(length):
            scores_BTV, state = model(following, state)
            scores_V = scores_BTV[0, -1].cpu().double().numpy() / temperature
            scores_V[never] = -np.inf
            chances_V = np.exp(scores_V - scores_V.max())
            drawn.append(int(rng.choice(len(chances_V), p=chances_V / chances_V.sum())))
            following = torch.tensor([[drawn[-1]]], device=device)
    return drawn
