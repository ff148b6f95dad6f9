"""From raw series to their classes. Shapes: N series, T steps, C classes."""

from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import TableError
from unroll.features import scaling
from unroll.problems.common import classification
from unroll.problems.common.answering import Answering
from unroll.problems.common.base import Meta, Prepared
from unroll.problems.common.inputs import Column, Inputs
from unroll.problems.series_classification import lengths, prepare
from unroll.problems.series_classification.build import INPUTS, series

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

FEW = 512
"""Series that are answered at a time."""


class SeriesAnswering(Answering):
    """A class for each row of steps."""

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:  # noqa: ARG002
        """The steps; where train has series of several lengths, a series may end early."""
        uneven, gaps = "shortest" in meta, meta.get("missing") == "interpolate"
        columns = [
            Column(name, "number", f"Step {step}", required=step == 0 or not uneven, nullable=uneven or gaps)
            for step, name in enumerate(_step_names(meta))
        ]
        scale = {key: meta["scaler"][key][0] for key in ("mean", "deviation")}
        return Inputs.of(columns, {"steps": meta["steps"], "classes": meta["classes"], **scale}, "curve")

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """A series that stays at the mean of train."""
        return [dict.fromkeys(_step_names(meta), meta["scaler"]["mean"][0])]

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The first test series, as the source has them."""
        import pandas as pd

        scaler, rows = prepared.meta["scaler"], prepared.arrays["test"][:3]
        raw = prepared.arrays["values"][rows] * np.float32(scaler["deviation"]) + np.float32(scaler["mean"])
        raw[np.arange(prepared.meta["steps"]) >= prepare.steps(prepared, rows)[:, None]] = np.nan
        return pd.DataFrame(raw, columns=_step_names(prepared.meta))

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Class and probabilities for each row of columns t000, t001, …"""
        raw_NT, lengths_N = _numbers(frame, meta)
        values = scaling.apply(raw_NT[..., None], meta["scaler"])[..., 0]
        values[np.arange(meta["steps"]) >= lengths_N[:, None]] = 0.0
        slices = (slice(low, low + FEW) for low in range(0, len(values), FEW))
        batches = (series(values[part], lengths_N[part], meta) for part in slices)
        return classification.answers(classification.probabilities(model, INPUTS, batches), meta["classes"])


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
