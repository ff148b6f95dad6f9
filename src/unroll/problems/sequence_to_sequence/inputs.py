"""From raw sources to answers, searched for or drawn. Shapes: N sources, B batch, S source steps, T target steps."""

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import TableError
from unroll.features import strings
from unroll.features.strings import Flat
from unroll.problems.common.answering import Answering
from unroll.problems.common.base import Meta, Prepared
from unroll.problems.common.capabilities import Addition
from unroll.problems.common.inputs import Column, Inputs, few
from unroll.problems.sequence_to_sequence import number_vectors, pairs
from unroll.problems.sequence_to_sequence.build import sequence_network

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from unroll.problems.sequence_to_sequence.network.encoder_decoder import SequenceNetwork

    Search = Callable[[Tensor, Tensor, slice], tuple[Tensor, Tensor]]

SAMPLING: dict[str, tuple[float, float]] = {"temperature": (0.0, 10.0), "seed": (0, 2**31 - 1)}
"""Columns that a request may have beside its sources, and their range."""
FEW = 512
"""Sources that are answered at a time."""
ABOUT = {"temperature": "Above 0 the answer is drawn; 0: the most probable one", "seed": "Of the drawing"}


class PairAnswering(Answering):
    """An answer to each source."""

    optional_inputs = tuple(SAMPLING)

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """The source, one of a few words where each is one symbol, and ``SAMPLING`` beside it."""
        whole = pairs.whole_sources(meta)
        words = few(meta["sources"]) if whole else ()
        longest = cell_characters if whole else meta["longest_source"]
        columns = [Column("source", "text", "What is to be answered", words=words, longest=longest)]
        for name, (low, high) in SAMPLING.items():
            is_whole = name == "seed"
            columns.append(Column(name, "number", ABOUT[name], False, whole=is_whole, low=low, high=high, default=0))
        about = {"reading": meta["reading"], "longest_source": meta["longest_source"], "words": list(words)}
        about |= {} if whole else {"characters": meta["source_characters"]}
        return Inputs.of(columns, about, "pair", line="source")

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """A known source, or a known character."""
        return [{"source": (meta["sources"] or meta["source_characters"])[0]}]

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first questions of the test part."""
        import pandas as pd

        return pd.DataFrame({"source": pairs.texts_of(prepared, "source", prepared.arrays["test"][:3])})

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """``answer`` and its ``probability`` for each ``source``.

        Columns ``temperature`` and ``seed`` may stand beside it: above a temperature of 0 an answer is drawn, from the
        row's seed alone, else searched for. An answer that has not ended at train's longest is cut there.
        """
        import pandas as pd

        network, sources = sequence_network(model), _sources(frame, meta)
        (temperature_N, seeds), flat = _sampling(frame), pairs.encode_sources(sources, meta)
        best = answer(network, meta, flat, np.arange(len(sources)), FEW)
        if temperature_N.any():
            warm_N = temperature_N > 0
            drawn = draw(network, meta, flat, np.where(warm_N, temperature_N, 1.0), seeds)
            texts = [drawn[0][row] if warm else best[0][row] for row, warm in enumerate(warm_N)]
            best = texts, np.where(warm_N, drawn[1], best[1])
        return pd.DataFrame({"answer": pd.Series(best[0], dtype="str"), "probability": best[1]})


class Sums(Addition):
    """Sums such as 12+345, or turned round, as train has them."""

    def source(self, a: str, b: str, meta: Meta) -> str | None:
        """``a+b`` the way round that train has it."""
        source = f"{a}+{b}"
        return {"forward": source, "backward": source[::-1]}.get(meta["reading"])

    def longest(self, meta: Meta) -> int:
        """As many characters as the longest source of train."""
        return int(meta["longest_source"])


def answer(
    model: "SequenceNetwork", meta: Meta, sources: Flat, index: np.ndarray, batch_size: int
) -> tuple[list[str], np.ndarray]:
    """The answers that the network's own search finds, and the probability of each."""

    def search(source_BS: "Tensor", lengths_B: "Tensor", rows: slice) -> "tuple[Tensor, Tensor]":  # noqa: ARG001
        return model.answer(source_BS, lengths_B, meta["longest_target"] + 1)

    return _answer_all(model, meta, sources, index, batch_size, search)


def draw(
    model: "SequenceNetwork", meta: Meta, sources: Flat, temperature_N: np.ndarray, seeds: Sequence[int]
) -> tuple[list[str], np.ndarray]:
    """An answer drawn for each source, from its own seed alone, and its probability."""
    import torch

    steps = meta["longest_target"] + 1
    uniform_NT = np.stack([np.random.default_rng(seed).random(steps) for seed in seeds])

    def sample(source_BS: "Tensor", lengths_B: "Tensor", rows: slice) -> "tuple[Tensor, Tensor]":
        chances = torch.from_numpy(uniform_NT[rows]), torch.from_numpy(temperature_N[rows])
        return model.sample(source_BS, lengths_B, *(part.float().to(source_BS.device) for part in chances))

    return _answer_all(model, meta, sources, np.arange(len(seeds)), FEW, sample)


def _answer_all(
    model: "SequenceNetwork",
    meta: Meta,
    sources: Flat,
    index: np.ndarray,
    batch_size: int,
    search: "Search",
) -> tuple[list[str], np.ndarray]:
    """Texts and probabilities, batch by batch, of the ids (B, T) and log-probabilities (B) that ``search`` gives."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    guesses: list[str] = []
    probabilities: list[np.ndarray] = [np.empty(0)]
    for low in range(0, len(index), batch_size):
        rows = slice(low, low + batch_size)
        source_BS, lengths_B = (torch.from_numpy(x).to(device) for x in sources.padded(index[rows]))
        with torch.inference_mode():
            found_BT, logp_B = (each.cpu().numpy() for each in search(source_BS, lengths_B, rows))
        probabilities.append(np.exp(logp_B.astype(np.float64)))
        before_BT = np.cumsum(found_BT == 0, axis=1) == 0
        answers = Flat(found_BT[before_BT] - 1, np.concatenate([[0], before_BT.sum(axis=1).cumsum()]))
        guesses += strings.decode(answers, np.arange(len(found_BT)), meta["target_characters"])
    return guesses, np.concatenate(probabilities)


def _sources(frame: "pd.DataFrame", meta: Meta) -> list[str]:
    """The sources of a raw input, or TableError for a row."""
    if "source" not in frame:
        raise TableError(
            f"column 'source' is missing; expected it among {', '.join(map(str, frame.columns))}", column="source"
        )
    sources: list[str] = frame["source"].tolist()
    if pairs.unit(meta) == "numbers":
        number_vectors.rows(sources, lambda row, fault: _fault(row + 1, fault), meta["longest_source"])
        return sources
    check = _require_known if pairs.whole_sources(meta) else _require_readable
    for row, text in enumerate(sources, start=1):
        check(row, text, meta)
    return sources


def _fault(row: int, fault: str) -> TableError:
    return TableError(fault, row=row, column="source")


def _require_readable(row: int, text: object, meta: Meta) -> None:
    known, most = meta["source_characters"], meta["longest_source"]
    if not isinstance(text, str) or not text:
        raise _fault(row, f"{text!r:.60}; expected a text of at most {most} characters among {known!r}")
    unknown = next((character for character in text if character not in known), None)
    if unknown is not None:
        raise _fault(row, f"{text!r:.60}: character {unknown!r} is unknown; expected only {known!r}")
    if len(text) > most:
        raise _fault(row, f"{text!r:.60}: {len(text)} characters; expected at most {most}, the longest in train")


def _require_known(row: int, text: object, meta: Meta) -> None:
    known: list[str] = meta["sources"]
    if text not in known:
        near = difflib.get_close_matches(text, known, n=1) if isinstance(text, str) else []
        first = ", ".join(map(repr, near or known[:8])) + ("" if near or len(known) <= 8 else ", …")
        raise _fault(row, f"{text!r:.60}: no source of train; expected one of its {len(known)}, such as {first}")


def _sampling(frame: "pd.DataFrame") -> tuple[np.ndarray, list[int]]:
    """Temperature and seed of each row, 0 where none is told; at temperature 0 nothing is drawn."""
    options = {}
    for name, (low, high) in SAMPLING.items():
        values = frame[name].where(frame[name].notna(), 0).tolist() if name in frame else [0] * len(frame)
        for row, value in enumerate(values, start=1):
            number = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
            if not number or (name == "seed" and value != int(value)):
                kind = "a whole number" if name == "seed" else "a number"
                expected = f"expected {kind} from {low:g} to {high:g}"
                raise TableError(f"{value!r:.60}; {expected}", row=row, column=name)
        options[name] = values
    return np.array(options["temperature"], dtype=np.float64), [int(seed) for seed in options["seed"]]
