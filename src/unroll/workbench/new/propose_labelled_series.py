"""The proposal for labelled series: ``series_classification``. Shapes: N series, T steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files import Plan
from unroll.problems.series_classification import lengths
from unroll.workbench.new import parts
from unroll.workbench.new.blocks import Line, Proposal, lines
from unroll.workbench.new.label_counts import Labels
from unroll.workbench.new.session import Session
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


def propose(session: Session) -> Proposal:
    """Look, read, and write the five blocks; raises DataError or ConfigError in one line."""
    plan, series, survey, why_missing = _read(session)
    labels, length_N = series.labels, np.concatenate(series.lengths)
    if "data.split" not in session.request.given:
        _require_one_length(survey.facts["lengths"])
    keys, whys = labels.data(plan.config, plan.look.file)
    steps, mean = int(length_N.max()), float(length_N.mean())
    train = sum(labels.trained().values())
    size = f"series of {steps} values" if length_N.min() == steps else f"{length_N.min()} to {steps} values"
    epochs = parts.epochs_for(BUDGET, 0.8 * train * mean, 5, 40)
    why = f"{train:,} series of {round(mean)} steps"
    blocks = {
        "data": parts.data_lines(plan, survey, {**whys, **why_missing, "values": [size]}, keys | {"values": "all"}),
        "prepare": [
            Line("problem", "series_classification"),
            *labels.split(plan.config),
            *_missing(series.holes, len(length_N)),
            Line("seed", 1),
            *_words(steps),
        ],
        "model": [
            *lines(cell="lstm", hidden=64 if train >= 1000 else 32, layers=1, bidirectional=True, dropout=0.5),
            Line("pooling", ["mean", "max"]),
            Line("difference", True, "the change from step to step is a second input"),
            *lines(bag_dropout=0.5, bag_scale=3.0),
        ],
        "train": parts.train_lines(epochs, parts.batch_for(train, 64), why),
        "gate": labels.gate(["majority", "nearest_neighbour"]),
    }
    seen = [f"{parts.file_names(plan)}: {labels.size()}, {size}", *labels.warnings()]
    return parts.proposal(plan, survey, seen, blocks)


def _read(session: Session) -> tuple[Plan, _Series, Survey, Mapping[str, list[object]]]:
    """Look and read, once more where words for missing values begin late; the last is the reason for these."""
    block, series = session.block(), _Series()
    plan = session.plan(block)
    survey = session.read(plan, series.add)
    keys, whys = survey.later(plan, session.request.given)
    if keys:
        plan, series = session.plan({**block, **keys}), _Series()
        survey = session.read(plan, series.add)
    survey.require_usable()
    return plan, series, survey, whys


def _require_one_length(lengths: Mapping[str, tuple[int, int, str]]) -> None:
    """Raise DataError where all series of train have one length, and all of another part have another.

    A network of series of several lengths takes them, but they are rather two data sets.
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
    return [Line("missing", "interpolate", f"{parts.percent(holes / rows)} of the series have missing values inside")]


def _words(steps: int) -> list[Line]:
    """Windows of symbolic words, each of another length."""
    windows: dict[int, float] = {}
    for share in WORD_WINDOWS:
        if (length := round(steps * share)) >= SHORTEST_WINDOW:
            windows.setdefault(length, share)
    why = "shares of a series whose shape a word describes"
    return [Line("word_windows", list(windows.values()), why), *lines(word_length=5, word_letters=5)]
