"""How a source is read before an answer is given: symbol by symbol, as one category, or as one vector of numbers.

Either gives what it remembers of each source and the state in which the decoder starts.

Shapes: B batch, S source steps, D numbers of a vector, L decoder layers, H hidden units, C width of what an encoder
gives, I symbols of the source, P parts of a state, K = P x L x H.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from unroll.core.config import RecurrentConfig
from unroll.nn.cells import State
from unroll.nn.recurrent import RecurrentEncoder

Memory = dict[str, Tensor]
"""What a decoder may look at, as far as the encoder has it; the first dimension of each tensor is the source.

``states_BSC``: the encoder's states at each step. ``inside_BS``: False on padding. ``context_BC``: one vector.
"""


class SourceEncoder(nn.Module, ABC):
    """From sources to memories and the decoder's first states."""

    width: int
    """C, or 0 for an encoder that remembers nothing beside the decoder's first state."""

    @abstractmethod
    def forward(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Memory, State]:
        """The memory, and the state of all the decoder's layers, (L, B, H) each part."""


class SequenceSource(SourceEncoder):
    """Recurrent layers whose last states, of all layers, start the decoder (Sutskever et al. 2014).

    Where they read in both directions, a linear layer for each of the decoder's layers joins the two last states
    (Bahdanau et al. 2015 use the backward one alone). Symbol numbers below 0 are padding: no input unit is on.
    """

    def __init__(self, symbols: int, config: RecurrentConfig, bidirectional: bool) -> None:
        """``symbols`` counts what a source is made of."""
        super().__init__()
        self.symbols, self.layers = symbols, config.layers
        self.encoder = RecurrentEncoder(symbols, config, bidirectional)
        self.width = self.encoder.outputs
        bridges = parts(config) * config.layers if bidirectional else 0
        self.bridges = nn.ModuleList(nn.Linear(2 * config.hidden, config.hidden) for _ in range(bridges))

    def forward(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Memory, State]:
        """States at each step, which of them count, and the top layer's last one."""
        steps = source_BS.shape[1]
        weight = next(self.encoder.parameters())
        input_BSI = one_hot(source_BS + 1, self.symbols + 1)[..., 1:].to(weight.dtype)
        # Batches are made of like lengths, and most need no packing, which misses a CPU's fused kernels.
        packed_B = None if bool((lengths_B == steps).all()) else lengths_B
        states_BSC, context_BC, state = self.encoder(input_BSI, packed_B)
        inside_BS = torch.arange(steps, device=lengths_B.device) < lengths_B[:, None]
        memory = {"states_BSC": states_BSC, "inside_BS": inside_BS, "context_BC": context_BC}
        return memory, self._bridge(state) if len(self.bridges) else state

    def _bridge(self, state: State) -> State:
        """Both directions' last states of each layer, (2L, B, H), as one, (L, B, H)."""
        bridges = iter(self.bridges)
        joined = []
        for part in state if isinstance(state, tuple) else (state,):
            by_layer_L2BH = part.view(self.layers, 2, *part.shape[1:])
            joined.append(torch.stack([next(bridges)(torch.cat([*layer], dim=-1)) for layer in by_layer_L2BH]))
        return (joined[0], joined[1]) if isinstance(state, tuple) else joined[0]


class CategorySource(SourceEncoder):
    """The source is one category, whose vector is the state in which the decoder starts: one to many.

    >>> config = RecurrentConfig(cell="gru", hidden=4, layers=2, dropout=0.0)
    >>> memory, state = CategorySource(3, config)(torch.tensor([[2], [0]]), torch.tensor([1, 1]))
    >>> memory, state.shape
    ({}, torch.Size([2, 2, 4]))
    """

    width = 0

    def __init__(self, categories: int, config: RecurrentConfig) -> None:
        """``categories`` counts the different sources; a number below 0 starts with zeros."""
        super().__init__()
        self.shape = parts(config), config.layers, config.hidden
        numbers = parts(config) * config.layers * config.hidden
        self.start = nn.Embedding(categories + 1, numbers, padding_idx=0)

    def forward(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Memory, State]:  # noqa: ARG002
        """An empty memory, and the state of each source's category."""
        return {}, _state(self.start(source_BS[:, 0] + 1), self.shape)


class VectorSource(SourceEncoder):
    """The source is a vector of numbers, brought by a linear layer to the state in which the decoder starts.

    As a vector of an image starts a sentence (Xu et al. 2015, section 3.1.2): s_0 = W (x − mean) / deviation + b, an
    LSTM's cell by rows of W of its own.

    >>> config = RecurrentConfig(cell="lstm", hidden=4, layers=2, dropout=0.0)
    >>> source = VectorSource({"mean": [0.0, 1.0, 2.0], "deviation": [1.0, 1.0, 5.0]}, config)
    >>> memory, (hidden, cell) = source(torch.tensor([[0.5, -2.0, 7.0]]), torch.tensor([3]))
    >>> memory, hidden.shape, cell.shape
    ({}, torch.Size([2, 1, 4]), torch.Size([2, 1, 4]))
    """

    width = 0
    mean_D: Tensor
    deviation_D: Tensor

    def __init__(self, scaler: Mapping[str, Sequence[float]], config: RecurrentConfig) -> None:
        """``scaler`` has the ``mean`` and the ``deviation`` of each of the D numbers in train."""
        super().__init__()
        self.shape = parts(config), config.layers, config.hidden
        for name in ("mean", "deviation"):
            self.register_buffer(f"{name}_D", torch.tensor(scaler[name], dtype=torch.float32), persistent=False)
        self.start = nn.Linear(len(self.mean_D), parts(config) * config.layers * config.hidden)

    def forward(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Memory, State]:  # noqa: ARG002
        """An empty memory, and the state that each source's numbers (B, D) give."""
        scaled_BD = ((source_BS - self.mean_D) / self.deviation_D).to(self.start.weight.dtype)
        return {}, _state(self.start(scaled_BD), self.shape)


def _state(numbers_BK: Tensor, shape: tuple[int, int, int]) -> State:
    """The state of ``shape`` (parts, layers, hidden) whose numbers stand in a row of each source."""
    state_PLBH = numbers_BK.view(-1, *shape).permute(1, 2, 0, 3).contiguous()
    return (state_PLBH[0], state_PLBH[1]) if len(state_PLBH) == 2 else state_PLBH[0]


def parts(config: RecurrentConfig) -> int:
    """Tensors of which a state is made: an LSTM has a cell beside its output."""
    return 2 if config.cell == "lstm" else 1
