"""The proposal for labelled series: ``series_classification``. Shapes: N series, T steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.errors import DataError
from unroll.core.params import Params
from unroll.datasets.files import Plan
from unroll.problems.series_classification import lengths
from unroll.workbench.new import later_rows, survey
from unroll.workbench.new import request as asking
from unroll.workbench.new.blocks import Line, Proposal
from unroll.workbench.new.label_counts import Labels
from unroll.workbench.new.parts import (
    aside_lines,
    batch_for,
    data_lines,
    epochs_for,
    file_names,
    percent,
    train_lines,
    unused_lines,
    warnings,
)
from unroll.workbench.new.request import Request
from unroll.workbench.new.survey import Survey

if TYPE_CHECKING:
    import pandas as pd

BUDGET = 5e6
"""Steps of a bidirectional cell of hidden size 64, forward and back, that a minute or two has."""
WORD_WINDOWS = (0.05, 0.0625, 0.0714, 0.0833, 0.1, 0.125, 0.1667, 0.2, 0.25, 0.3333, 0.5)
SHORTEST_WINDOW = 4


@dataclass
class _Series:
    """The lengths of all series, and how many have missing values inside."""

    labels: Labels = field(default_factory=Labels)
    lengths: list[np.ndarray] = field(default_factory=list)
    holes: int = 0

    def add(self, table: "pd.DataFrame") -> None:
        self.labels.add(table)
        steps = [name for name in table.columns if name[0] == "t" and name[1:].isdigit()]
        there_NT = np.isfinite(table[steps].to_numpy(dtype=np.float32))
        length_N = lengths.of(there_NT)
        self.lengths.append(length_N)
        self.holes += int((there_NT.sum(axis=1) < length_N).sum())


def propose(params: Params, name: str, wanted: Request, root: Path) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    plan, series, found, missing = _read(params, name, wanted, root)
    labels, length_N = series.labels, np.concatenate(series.lengths)
    if "data.split" not in wanted.given:
        _require_one_length(found.found["lengths"])
    changed, whys = labels.data(plan.config, plan.look.file)
    whys |= missing
    steps, mean = int(length_N.max()), float(length_N.mean())
    train = sum(labels.trained().values())
    whys["values"] = f"series of {steps} values" if length_N.min() == steps else f"{length_N.min()} to {steps} values"
    epochs = epochs_for(BUDGET, 0.8 * train * mean, 5, 40)
    return Proposal(
        [
            f"{file_names(plan)}: {labels.told()}, {whys['values']}",
            *labels.warnings(),
            *unused_lines(plan),
            *aside_lines(plan, found),
        ],
        {
            "data": data_lines(plan, found, whys, changed | {"values": "all"}),
            "prepare": [
                Line("problem", "series_classification"),
                *labels.split(plan.config),
                *_missing(series.holes, len(length_N)),
                Line("seed", 1),
                *_words(steps),
            ],
            "model": [
                Line("cell", "lstm"),
                Line("hidden", 64 if train >= 1000 else 32),
                Line("layers", 1),
                Line("bidirectional", True),
                Line("dropout", 0.5),
                Line("pooling", ["mean", "max"]),
                Line("difference", True, "the change from step to step is a second input"),
                Line("bag_dropout", 0.5),
                Line("bag_scale", 3.0),
            ],
            "train": train_lines(epochs, batch_for(train, 64), f"{train:,} series of {round(mean)} steps"),
            "gate": labels.gate(["majority", "nearest_neighbour"]),
        },
        warnings(plan, found),
    )


def _read(params: Params, name: str, wanted: Request, root: Path) -> tuple[Plan, _Series, Survey, dict[str, str]]:
    """Look and read, once more where words for missing values begin late; the last is why these are some."""
    block = wanted.block(root)
    plan, series = asking.plan(params, name, block, root), _Series()
    found = survey.read(plan, series.add, f"new {name}")
    keys, whys = later_rows.look(plan, found, wanted.given)
    if keys:
        plan, series = asking.plan(params, name, {**block, **keys}, root), _Series()
        found = survey.read(plan, series.add, f"new {name}")
    found.require_usable()
    return plan, series, found, whys


def _require_one_length(lengths: Mapping[str, tuple[int, int, str]]) -> None:
    """Raise DataError where all series of train are equally long, and all of another part are so in another way.

    A network of series of several lengths takes them, but they are rather of two data sets.
    """
    if "train" not in lengths:
        return
    least, most, first = lengths["train"]
    for low, high, where in lengths.values():
        if least == most and low == high != most:
            raise DataError(
                f"{where}: a series of {low:,} values, as all of its part; expected {most:,} as in {first} and all of "
                "train: are they one data set? --set 'data.split={train: FILE, test: FILE}' takes them so"
            )


def _missing(holes: int, rows: int) -> list[Line]:
    if not holes:
        return []
    return [Line("missing", "interpolate", f"{percent(holes / rows)} of the series have missing values inside")]


def _words(steps: int) -> list[Line]:
    """Windows of symbolic words, each of another length."""
    windows: dict[int, float] = {}
    for share in WORD_WINDOWS:
        if (length := round(steps * share)) >= SHORTEST_WINDOW:
            windows.setdefault(length, share)
    return [
        Line("word_windows", list(windows.values()), "shares of a series whose shape is told by a word"),
        Line("word_length", 5),
        Line("word_letters", 5),
    ]
