"""The pictures of a sequence-to-sequence task: questions with answers, wrong ones by group, attention."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.scores import Scores
from unroll.features import strings
from unroll.problems.common.base import Prepared
from unroll.problems.common.scoring import Figure
from unroll.problems.sequence_to_sequence.build import batch
from unroll.problems.sequence_to_sequence.pairs import flat, texts_of, whole_sources

if TYPE_CHECKING:
    from unroll.problems.sequence_to_sequence.network.encoder_decoder import SequenceNetwork

SHOWN_QUESTIONS = 6
"""Questions whose attention is drawn."""
_AXES = {
    "by_digits": ("digits", "digits of the longer number"),
    "by_carries": ("carries", "carries in the sum"),
    "by_length": ("length", "characters of the question"),
    "by_source": ("source", "source"),
}
MOST_BARS = 24
"""Groups that are drawn: the largest ones."""


def of_scores(scores: Scores) -> Iterator[Figure]:
    """Questions with truth and guess, wrong ones first, and the share of wrong answers by group."""
    import pandas as pd

    rows = scores.table()
    wrong = rows["truth"] != rows["guess"]
    shown = pd.concat([rows[wrong].head(10), rows[~wrong].head(10)])
    shown = shown.assign(right=["✓" if same else "✗" for same in shown["truth"] == shown["guess"]])
    yield Figure("questions", "table", "Questions of the test part, wrong answers first", shown)
    for name, labels in scores.groups.items():
        column, label = _AXES[name]
        totals = [(group, scores.statistics_NK[labels == group].sum(axis=0)) for group in _largest(labels)]
        bars = [{column: group, **wrong_share(int(count), int(exact))} for group, (count, exact, *_) in totals]
        title = f"Wrong answers by {label}"
        measured = "share of wrong answers, with Wilson's intervals"
        yield Figure(f"error_{name}", "bars", title, pd.DataFrame(bars), column, label, measured)


def _largest(labels: np.ndarray) -> list[Any]:
    """The MOST_BARS groups of the most examples, in order."""
    names, counts = np.unique(labels, return_counts=True)
    kept: list[Any] = names[np.sort(np.argsort(-counts, kind="stable")[:MOST_BARS])].tolist()
    return kept


def wrong_share(count: int, exact: int) -> dict[str, float]:
    """The share of wrong answers with its 95 % interval (Wilson 1927), which says something of a share of 0, too."""
    share, z2 = 1 - exact / count, 1.959964**2 / count
    middle, half = share + z2 / 2, (z2 * (share * (1 - share) + z2 / 4)) ** 0.5
    low, high = max((middle - half) / (1 + z2), 0.0), min((middle + half) / (1 + z2), 1.0)
    return {"value": share, "low": low, "high": high, "count": count}


def attention_maps(model: "SequenceNetwork", prepared: Prepared, guesses: Sequence[str]) -> Iterator[Figure]:
    """What the first answers of the test part look at in their questions, where the network attends to anything."""
    import pandas as pd
    import torch

    meta, count = prepared.meta, min(SHOWN_QUESTIONS, len(guesses))
    index, shown = np.asarray(prepared.arrays["test"])[:count], list(guesses[:count])
    flats = flat(prepared, "source"), strings.encode(shown, meta["target_characters"])
    source_BS, lengths_B = flats[0].padded(index)
    target_BT = batch((flats[1], flats[1]), np.arange(count))["target_BT"]
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        arrays = torch.from_numpy(source_BS), torch.from_numpy(lengths_B), target_BT
        weights_BTS = model.attended(*(each.to(device) for each in arrays))
    if weights_BTS is None:
        return
    rows = []
    for weights_TS, question, guess in zip(weights_BTS.cpu().numpy(), texts_of(prepared, "source", index), shown,
                                           strict=True):  # fmt: skip
        own = weights_TS[: len(guess) + 1, : 1 if whole_sources(meta) else len(question)]
        own = own[:, ::-1] if meta["reverse_source"] else own
        across = [question] if whole_sources(meta) else list(question)
        rows += [
            (f"{question} → {guess}", row, column, [*guess, "end"][row], across[column], round(float(value), 6))
            for (row, column), value in np.ndenumerate(own)
        ]
    frame = pd.DataFrame(rows, columns=["map", "row", "column", "row_label", "column_label", "value"])
    title = "What each character of an answer attends to in its question"
    yield Figure("attention", "heatmap", title, frame, "column_label", "question", "answer")
