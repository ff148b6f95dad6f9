"""Tell the class of a whole series. Shapes: B batch, N series, T steps, C classes, E experts, S shares."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from unroll.core.config import Pooling, RecurrentConfig
from unroll.core.errors import TableError
from unroll.core.scores import Scores
from unroll.features import scaling
from unroll.problems.common import classification
from unroll.problems.common.base import Asked, Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split, rows_at_once
from unroll.problems.common.inputs import Inputs
from unroll.problems.series_classification import inputs, lengths, symbolic_words
from unroll.problems.series_classification import prepare as labelled
from unroll.problems.series_classification.prepare import SPLITS, SeriesClassificationPrepare

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

__all__ = ["PROBLEM", "SPLITS", "SeriesClassification", "SeriesClassificationModel", "SeriesClassificationPrepare"]
SHARES = np.linspace(0, 1, 21)
"""Of the recurrent expert beside the bag of words, to choose from."""


class SeriesClassificationModel(RecurrentConfig):
    """The ``model`` block of a series classification task."""

    bidirectional: bool
    pooling: tuple[Pooling, ...] = Field(strict=False, min_length=1)
    difference: bool = Field(description="Whether the change from step to step is a second input")
    bag_dropout: float = Field(ge=0, lt=1, description="Of single words")
    bag_scale: float = Field(gt=0, description="Factor of the bag of words: how fast it learns beside the rest")

    def one_way(self) -> dict[str, Any] | None:
        """Unless ``bidirectional``."""
        return None if self.bidirectional else {"bidirectional": True}


class SeriesClassification(Problem[SeriesClassificationPrepare, SeriesClassificationModel]):
    """Many to one: a class for each series."""

    Prepare = SeriesClassificationPrepare
    Model = SeriesClassificationModel
    takes = "labelled series"
    headline = "accuracy"
    metric_names = ("accuracy", "macro_f1")
    baseline_names = ("majority", "nearest_neighbour", "random_kernels")
    unit = "series"

    def prepare(
        self, table: "pd.DataFrame", config: SeriesClassificationPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """The arrays of ``_labelled_series.prepare``."""
        return labelled.prepare(table, config, folder, fitted)

    def asked(self, prepared: Prepared, split: Split, metric: str) -> Asked:  # noqa: ARG002
        """The label of each series; those left out for a missing value are not counted among the rows."""
        found = classification.asked(prepared, split)
        return replace(found, about={**found.about, "series_left_out": prepared.meta.get("series_left_out", 0)})

    def check(self, prepared: Prepared, config: SeriesClassificationPrepare) -> Check:  # noqa: ARG002
        """Each series once in one split; no series of validation stands in train; every class in train."""
        return labelled.check(prepared)

    def model(self, config: SeriesClassificationModel, meta: Meta) -> "nn.Module":
        """Recurrent layers, pooled over time."""
        from unroll.problems.series_classification.network import SeriesClassifier

        return SeriesClassifier(
            len(meta["classes"]),
            config,
            config.bidirectional,
            config.pooling,
            config.difference,
            symbolic_words.buckets(meta["words"]),
            config.bag_dropout,
            config.bag_scale,
        )

    def finish(self, model: Any, prepared: Prepared) -> None:
        """Mix the experts in the share with which validation finds its classes most probable."""
        truth_N = np.asarray(prepared.arrays["labels"][prepared.arrays["validation"]])
        parts = [_experts(model, batch) for batch in self.batches(prepared, "validation", 512)]
        logp_END = np.concatenate(parts, axis=1)
        if len(logp_END) == 2:
            losses_S = [_log_loss(share * logp_END[0] + (1 - share) * logp_END[1], truth_N) for share in SHARES]
            model.recurrent_share.fill_(float(SHARES[np.argmin(losses_S)]))

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Series in random order."""
        return _batches(prepared, rng.permutation(prepared.arrays["train"]), batch_size)

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Series in the source's order."""
        return _batches(prepared, prepared.arrays[split], batch_size)

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Cross-entropy: the mean of the experts', each of which learns by itself."""
        import torch
        from torch.nn.functional import cross_entropy

        experts_EBC = torch.stack(model.experts(*_inputs(batch))).float()  # type: ignore[operator]
        label_EB = batch["y_B"].expand(len(experts_EBC), -1)
        total = cross_entropy(experts_EBC.flatten(0, 1), label_EB.flatten(), reduction="sum")
        return Loss(total / len(experts_EBC), len(batch["y_B"]))

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Class and probability of each series."""
        chances = [_chances(model, batch) for batch in self.batches(prepared, split, batch_size)]
        chances_NC = np.concatenate(chances)
        return _scores(prepared, split, chances_NC.argmax(axis=1), chances_NC.max(axis=1))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The largest class, the nearest neighbour by Euclidean distance, and many fixed convolution kernels."""
        from unroll.problems.series_classification.baselines import majority, nearest_neighbour
        from unroll.problems.series_classification.kernels import random_kernels

        values, labels = prepared.arrays["values"], prepared.arrays["labels"]
        train, index = prepared.arrays["train"], prepared.arrays[split]
        neighbours = nearest_neighbour(values[train], labels[train], values[index])
        return {
            "majority": _scores(prepared, split, majority(labels[train], len(index))),
            "nearest_neighbour": _scores(prepared, split, neighbours),
            "random_kernels": _scores(prepared, split, random_kernels(values[train], labels[train], values[index])),
        }

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:
        """Accuracy and macro-F1."""
        return classification.metrics(sums, len(meta["classes"]))

    def breakdown(self, scores: Scores, meta: Meta) -> dict[str, dict[str, dict[str, float]]]:
        """Precision, recall and F1 by class."""
        return {"by_class": classification.by_class(scores.sums(), meta["classes"])}

    def figures(
        self,
        model: "nn.Module",  # noqa: ARG002
        prepared: Prepared,
        scores: Scores,
        baselines: Mapping[str, Scores],  # noqa: ARG002
    ) -> Iterable[Figure]:
        """Confusion matrix, recall by class, and the mean series of each class."""
        import pandas as pd

        names = prepared.meta["classes"]
        yield classification.confusion_figure(scores.sums(), names)
        yield classification.class_figure(scores.sums(), names)
        train = prepared.arrays["train"]
        labels = prepared.arrays["labels"][train]
        values = prepared.arrays["values"][train]
        inside_NT = np.arange(values.shape[1]) < labelled.steps(prepared, train)[:, None]
        means = {f"class {name}": _mean(values, inside_NT, labels == number) for number, name in enumerate(names)}
        frame = pd.DataFrame({"step": np.arange(prepared.meta["steps"]), **means})
        yield Figure("class_means", "lines", "Mean series of each class in train", frame, "step", "step", "scaled")

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Class and probabilities for each row of columns t000, t001, …"""
        import pandas as pd

        raw_NT, lengths_N = _numbers(frame, meta)
        values = scaling.apply(raw_NT[..., None], meta["scaler"])[..., 0]
        values[np.arange(meta["steps"]) >= lengths_N[:, None]] = 0.0
        slices = [slice(low, low + 512) for low in range(0, len(values), 512)]
        parts = [_chances(model, _series(values[part], lengths_N[part], meta)) for part in slices]
        chances_NC = np.concatenate(parts)
        names = meta["classes"]
        answer: dict[str, Any] = {"label": np.array(names, dtype=object)[chances_NC.argmax(axis=1)]}
        answer |= {f"probability_{name}": chances_NC[:, number] for number, name in enumerate(names)}
        return pd.DataFrame(answer).astype({"label": "str"})

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """All rows of all frames in one pass."""
        return rows_at_once(lambda frame: self.predict(model, meta, frame), frames)

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:  # noqa: ARG002
        """One value a step."""
        return inputs.inputs(meta)

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """A flat series."""
        return inputs.made_up(meta)

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first test series, as the source has them."""
        import pandas as pd

        scaler, rows = prepared.meta["scaler"], prepared.arrays["test"][:3]
        raw = prepared.arrays["values"][rows] * np.float32(scaler["deviation"]) + np.float32(scaler["mean"])
        raw[np.arange(prepared.meta["steps"]) >= labelled.steps(prepared, rows)[:, None]] = np.nan
        return pd.DataFrame(raw, columns=_step_names(prepared.meta))


def _step_names(meta: Meta) -> list[str]:
    return [f"t{step:03d}" for step in range(meta["steps"])]


def _numbers(frame: "pd.DataFrame", meta: Meta) -> tuple[np.ndarray, np.ndarray]:
    """The values of a raw input (N, T) and the steps of each series (N,), or TableError for a row and column.

    Where train has series of several lengths, a series may end early.
    """
    names = _step_names(meta)
    needed = names[:1] if "shortest" in meta else names
    missing = [name for name in needed if name not in frame]
    if missing:
        raise TableError(f"column {missing[0]!r} is missing; expected {names[0]} … {names[-1]}", column=missing[0])
    if frame.empty:
        raise TableError("no rows; expected at least one series")
    frame = frame.reindex(columns=names)
    values = np.stack([scaling.floats(frame[name]) for name in names], axis=1)
    said_NT = frame.notna().to_numpy()
    lengths_N = np.full(len(values), len(names))
    if "shortest" in meta:
        lengths_N = np.maximum(lengths.of(said_NT), 1)
    if meta.get("missing") == "interpolate":
        values = np.where(said_NT & ~np.isfinite(values), np.float32("inf"), values)  # a word is told below
        values = lengths.interpolate(values, lengths_N)
    bad = np.argwhere(~np.isfinite(values) & (np.arange(len(names)) < lengths_N[:, None]))
    if len(bad):
        row, column = bad[0]
        (seen,) = frame[names[column]].iloc[[row]].tolist()
        raise TableError(f"{seen!r:.80}; expected a finite number", row=int(row) + 1, column=names[column])
    return np.nan_to_num(values), lengths_N


def _mean(values_NT: np.ndarray, inside_NT: np.ndarray, which_N: np.ndarray) -> np.ndarray:
    """The mean series (T,) of some rows, over those that are as long."""
    if inside_NT.all():
        mean_T: np.ndarray = values_NT[which_N].mean(axis=0)
        return mean_T
    count_T = inside_NT[which_N].sum(axis=0)
    total_T = np.where(inside_NT, values_NT, 0.0)[which_N].sum(axis=0)
    return np.divide(total_T, count_T, out=np.full(len(count_T), np.nan), where=count_T > 0)


def _batches(prepared: Prepared, index: np.ndarray, batch_size: int) -> Iterator[Batch]:
    import torch

    values, labels = prepared.arrays["values"], prepared.arrays["labels"]
    for low in range(0, len(index), batch_size):
        rows = index[low : low + batch_size]
        series = _series(values[rows], labelled.steps(prepared, rows), prepared.meta)
        yield {**series, "y_B": torch.from_numpy(labels[rows].astype(np.int64))}


def _series(values_BT: np.ndarray, lengths_B: np.ndarray, meta: Meta) -> Batch:
    """What the network reads of scaled series: their values and their bags of words, made here and never stored.

    Where series are of several lengths, these, too.
    """
    import torch

    own_B = lengths_B if "shortest" in meta else None
    words_G, weights_G, starts_B = symbolic_words.bags(values_BT, meta["words"], own_B)
    arrays = {"x_BT": values_BT, "words_G": words_G, "weights_G": weights_G, "starts_B": starts_B}
    if own_B is not None:
        arrays["lengths_B"] = own_B
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _inputs(batch: Batch) -> "list[Tensor]":
    return [batch[name] for name in ("x_BT", "words_G", "weights_G", "starts_B", "lengths_B") if name in batch]


def _experts(model: "nn.Module", batch: Batch) -> np.ndarray:
    """Log-probabilities of each expert (E, B, C)."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        scores_EBC = torch.stack(model.experts(*(part.to(device) for part in _inputs(batch))))  # type: ignore[operator]
    logp_EBC: np.ndarray = scores_EBC.cpu().double().log_softmax(dim=2).numpy()
    return logp_EBC


def _log_loss(scores_NC: np.ndarray, truth_N: np.ndarray) -> float:
    """Of unnormalised log-probabilities."""
    top_N1 = scores_NC.max(axis=1, keepdims=True)
    logp_NC = scores_NC - top_N1 - np.log(np.exp(scores_NC - top_N1).sum(axis=1, keepdims=True))
    return float(-logp_NC[np.arange(len(truth_N)), truth_N].mean())


def _chances(model: "nn.Module", batch: Batch) -> np.ndarray:
    """Probability of each class (B, C)."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        scores_BC = model(*(part.to(device) for part in _inputs(batch)))
    chances_BC: np.ndarray = scores_BC.cpu().double().softmax(dim=1).numpy()
    return chances_BC


def _scores(prepared: Prepared, split: Split, guess_N: np.ndarray, probability_N: np.ndarray | None = None) -> Scores:
    import pandas as pd

    names = np.array(prepared.meta["classes"])
    truth_N = np.asarray(prepared.arrays["labels"][prepared.arrays[split]])
    rows = pd.DataFrame({"truth": names[truth_N], "guess": names[guess_N]})
    if probability_N is not None:
        rows["probability"] = probability_N
    return Scores(classification.statistics(truth_N, guess_N, len(names)), rows=rows)


PROBLEM = SeriesClassification()
