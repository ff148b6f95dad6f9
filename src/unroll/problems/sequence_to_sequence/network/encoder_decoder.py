"""Networks that answer a sequence with a sequence of a length of its own.

Shapes: B batch, S source steps, T target steps, L layers, H hidden, C width of a source's vector, I symbols of the
source, V of the answer. Symbol 0 of an answer is its end, and what a decoder reads before the first symbol.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from unroll.core.config import RecurrentConfig
from unroll.nn import decoding
from unroll.nn.cells import State
from unroll.nn.decoding import Step
from unroll.nn.recurrent import RecurrentEncoder
from unroll.problems.sequence_to_sequence.network.source_encoders import Memory, SourceEncoder
from unroll.problems.sequence_to_sequence.network.source_views import SourceView

END = 0


class SequenceNetwork(nn.Module, ABC):
    """What every network that answers sequences can be asked, however it reads them and writes."""

    says_end: ClassVar[bool] = True
    """Whether it tells where an answer ends; else the source's length does."""
    beam_width: int = 1
    """Hypotheses that ``answer`` keeps; 1 is greedy."""
    length_penalty: float = 0.0
    """Of ``decoding.beam_search``."""

    def progress(self, share: float) -> None:
        """Hear how much of the training is over, from 0 to 1, before a step of it; most networks do not care."""

    @abstractmethod
    def scores(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, T, V) of each symbol of ``target_BT``, given what the network may read.

        Out of training they are those of the true answer: their log-softmax sums up to its log-likelihood.
        """

    @abstractmethod
    def begin(self, source_BS: Tensor, lengths_B: Tensor, steps: int) -> tuple[Step, decoding.State]:
        """The step that ``decoding`` drives, at most ``steps`` times, and its first state."""

    def answer(self, source_BS: Tensor, lengths_B: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """The best answers (B, T) found in at most ``steps`` symbols, the end among them, and log-probabilities (B)."""
        step, state = self.begin(source_BS, lengths_B, steps)
        if self.beam_width == 1:
            return decoding.greedy(step, state, END, END, steps)
        return decoding.beam_search(step, state, END, END, self.beam_width, steps, self.length_penalty)

    def sample(
        self, source_BS: Tensor, lengths_B: Tensor, uniform_BT: Tensor, temperature_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Answers (B, T) drawn with the caller's ``uniform_BT``, and their log-probabilities (B)."""
        step, state = self.begin(source_BS, lengths_B, uniform_BT.shape[1])
        return decoding.sample(step, state, END, END, uniform_BT, temperature_B)

    def attended(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor | None:  # noqa: ARG002
        """How much each symbol of an answer looks at each one of the source, (B, T, S); None for no attention."""
        return None


class EncoderDecoder(SequenceNetwork):
    """An encoder's last state, repeated at every step of a decoder, with a softmax layer's scores at each step.

    The vector c enters every step, as in Cho et al. 2014, but no symbol does: s_t = cell(c, s_{t-1}), and
    P(y_t | x) = softmax(W s_t + b), learned by cross-entropy (Bridle 1990). So the symbols of an answer are independent
    of each other given the source: no step sees what an earlier one said.
    Symbol numbers below 0 are padding: no input unit is on.

    >>> config = RecurrentConfig(cell="lstm", hidden=8, layers=1, dropout=0.0)
    >>> network = EncoderDecoder(12, 11, config)
    >>> network(torch.tensor([[1, 0, 2], [3, -1, -1]]), torch.tensor([3, 1]), steps=4).shape
    torch.Size([2, 4, 11])
    """

    def __init__(self, sources: int, targets: int, config: RecurrentConfig, bidirectional: bool = False) -> None:
        """``sources`` and ``targets`` count the symbols that go in and come out."""
        super().__init__()
        self.sources = sources
        self.encoder = RecurrentEncoder(sources, config, bidirectional)
        self.decoder = RecurrentEncoder(self.encoder.outputs, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, targets)

    def forward(self, source_BS: Tensor, lengths_B: Tensor, steps: int) -> Tensor:
        """Unnormalised log-probabilities (B, T, V) of the symbols at the first ``steps`` steps of the answer."""
        return self.decode(self.encode(source_BS, lengths_B), steps)

    def scores(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor:
        """As many steps as the target has; its symbols are not read."""
        scores_BTV: Tensor = self(source_BS, lengths_B, target_BT.shape[1])
        return scores_BTV

    def begin(self, source_BS: Tensor, lengths_B: Tensor, steps: int) -> tuple[Step, decoding.State]:
        """All steps are known at once."""
        return decoding.independent(self(source_BS, lengths_B, steps))

    def encode(self, source_BS: Tensor, lengths_B: Tensor) -> Tensor:
        """One vector (B, C) a source: the top layer's state after its own last symbol, and before its first one.

        A state that reads forward depends only on what stands before it, so padding at the end needs no packing (on a
        CPU packed sequences miss the fused kernels): the state is picked at the right step.
        """
        input_BSI = one_hot(source_BS + 1, self.sources + 1)[..., 1:].to(self.head.weight.dtype)
        both_ways = self.encoder.bidirectional
        states_BSC, context_BC, _ = self.encoder(input_BSI, lengths_B if both_ways else None)
        last_BC: Tensor = states_BSC[torch.arange(len(lengths_B), device=lengths_B.device), lengths_B - 1]
        return context_BC if both_ways else last_BC

    def decode(self, context_BC: Tensor, steps: int) -> Tensor:
        """Scores (B, T, V) of the answers to encoded sources."""
        context_BTC = self.dropout(context_BC)[:, None].expand(-1, steps, -1)
        states_BTH, _, _ = self.decoder(context_BTC)
        scores_BTV: Tensor = self.head(self.dropout(states_BTH))
        return scores_BTV


class FeedbackDecoder(SequenceNetwork):
    """A decoder that starts in the state in which a source was read, and reads its own last symbol at each step.

    How the source is read and what of it the decoder sees later are parts of their own. In training it reads the true
    symbol before, at a share of the steps that ``truth_share`` gives, and else the one it holds for the most probable
    (scheduled sampling, Bengio et al. 2015). With the share at 1, teacher forcing, all steps run at once.
    """

    def __init__(
        self,
        source: SourceEncoder,
        view: SourceView,
        targets: int,
        config: RecurrentConfig,
        truth_share: Callable[[float], float],
    ) -> None:
        """``truth_share`` tells, from the share of the training that is over, how much truth a decoder reads."""
        super().__init__()
        self.targets = targets
        self.source, self.view = source, view
        self.decoder = RecurrentEncoder(targets + view.enters, config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(view.leaves, targets)
        self.truth_share = truth_share
        self.progress(0.0)

    def progress(self, share: float) -> None:
        """Take the schedule's value: it depends on the step alone, so that a resumed run goes on exactly."""
        self.truth = self.truth_share(share)

    def forward(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor:
        """Scores (B, T, V) of each symbol of ``target_BT`` after those before it."""
        memory, state = self._read(source_BS, lengths_B)
        previous_BT = _shifted(target_BT)
        if self.training and self.truth < 1:
            return self._with_own_guesses(previous_BT, memory, state)
        return self._run(previous_BT, memory, state)[0]

    def scores(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor:
        """``forward``."""
        scores_BTV: Tensor = self(source_BS, lengths_B, target_BT)
        return scores_BTV

    def begin(self, source_BS: Tensor, lengths_B: Tensor, steps: int) -> tuple[Step, decoding.State]:  # noqa: ARG002
        """A step reads one symbol; its state is the memory of the source and the decoder's, rows first."""
        memory, state = self._read(source_BS, lengths_B)

        def step(ids_B: Tensor, carried: decoding.State) -> tuple[Tensor, decoding.State]:
            memory, state = carried[0], decoding.rows(carried[1], _layers_first)
            scores_B1V, state = self._run(ids_B[:, None], memory, state)
            return scores_B1V[:, 0].log_softmax(-1), (memory, decoding.rows(state, _rows_first))

        return step, (memory, decoding.rows(state, _rows_first))

    def attended(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor | None:
        """The weights of the view, as the decoder writes ``target_BT``."""
        memory, state = self._read(source_BS, lengths_B)
        previous_BTV = self._inputs(_shifted(target_BT))
        states_BTH, _, _ = self.decoder(self.view.before(previous_BTV, memory), None, state)
        return self.view.weights(self.dropout(states_BTH), memory)

    def _read(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Memory, State]:
        memory, state = self.source(source_BS, lengths_B)
        return self.view.remember(memory), state

    def _inputs(self, ids_BT: Tensor) -> Tensor:
        return one_hot(ids_BT + 1, self.targets + 1)[..., 1:].to(self.head.weight.dtype)

    def _run(self, previous_BT: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Any number of steps whose inputs are known, and the state after them."""
        previous_BTV = self._inputs(previous_BT)
        states_BTH, _, state = self.decoder(self.view.before(previous_BTV, memory), None, state)
        scores_BTV: Tensor = self.head(self.view.after(self.dropout(states_BTH), previous_BTV, memory))
        return scores_BTV, state

    def _with_own_guesses(self, previous_BT: Tensor, memory: Memory, state: State) -> Tensor:
        """Step by step; a coin for each row and step decides between truth and the network's own last guess."""
        truth_BT = torch.rand(previous_BT.shape, device=previous_BT.device) < self.truth
        steps: list[Tensor] = []
        for place in range(previous_BT.shape[1]):
            read_B = previous_BT[:, place]
            if place:
                read_B = torch.where(truth_BT[:, place], read_B, steps[-1][:, 0].argmax(-1))
            scores_B1V, state = self._run(read_B[:, None], memory, state)
            steps.append(scores_B1V)
        return torch.cat(steps, dim=1)


def _shifted(target_BT: Tensor) -> Tensor:
    """The symbol before each one; END before the first."""
    return torch.cat([torch.full_like(target_BT[:, :1], END), target_BT[:, :-1]], dim=1)


def _rows_first(part_LBH: Tensor) -> Tensor:
    return part_LBH.transpose(0, 1)


def _layers_first(part_BLH: Tensor) -> Tensor:
    return part_BLH.transpose(0, 1).contiguous()
