"""Evaluate: what a trained model does on the untouched test part, beside simple baselines on the very same rows.

Every number has a bootstrap interval; all of them draw the same rows, so that differences can be judged in pairs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.core import scores as paired
from unroll.core import store
from unroll.core.errors import DataError
from unroll.core.layout import Layout
from unroll.core.scores import SEED, Scores
from unroll.model.trained import Trained
from unroll.problems.common.base import Prepared
from unroll.stages.common.task import Task
from unroll.stages.evaluate import model_card

DIGITS, NOISE = 6, 1e-12
"""Significant digits of a metric, and what is smaller than it can tell from 0."""


@dataclass(frozen=True)
class Evaluation:
    """The model's and the baselines' scores on the test part, and the metrics made of them."""

    scores: Scores
    baselines: Mapping[str, Scores]
    metrics: dict[str, Any]


def evaluate(task: Task) -> None:
    """Write ``metrics.json``, ``figures/`` and ``model_card.md`` of one task into its reports."""
    import torch

    layout = task.layout
    trained, prepared = Trained.load(layout.model), Prepared.load(layout.prepared)
    _require_same_data(trained, prepared, layout)
    torch.set_num_threads(trained.config["train"]["threads"])  # part of what makes sums repeatable to the last bit
    with torch.inference_mode():
        evaluation = judge(trained, prepared)
        scoring = trained.problem.scoring
        figures = list(scoring.figures(trained.model, prepared, evaluation.scores, evaluation.baselines))
    store.write_json(layout.reports / "metrics.json", evaluation.metrics)
    model_card.write(layout, trained, model_card.Origin.read(task), evaluation.metrics, figures)


def judge(trained: Trained, prepared: Prepared) -> Evaluation:
    """Score model and baselines on the test part.

    The metrics are plain JSON: ``test`` and, by name, ``baselines`` hold each metric with ``_low`` and ``_high``;
    ``advantage`` holds, by baseline, how much better the model is in the headline metric (above 0: better), with the
    interval of that difference; ``groups`` the metrics by group. A number that is undefined is null.
    """
    scoring, meta = trained.problem.scoring, trained.meta
    scores = scoring.score(trained.model, prepared, "test", trained.config["train"]["batch_size"])
    baselines = scoring.baselines(prepared, "test")
    for name, baseline in baselines.items():
        _require_same_rows(name, baseline, scores)

    def summary(of: Scores) -> dict[str, float]:
        return of.summary(lambda sums: scoring.metrics(sums, meta), SEED)

    metrics = {
        "task": trained.config["task"],
        "problem": trained.config["problem"],
        "headline": scoring.headline,
        "examples": len(scores.statistics_NK),
        "test": summary(scores),
        "baselines": {name: summary(baseline) for name, baseline in baselines.items()},
        "advantage": {name: advantage(trained, scores, baseline) for name, baseline in baselines.items()},
        "groups": scoring.breakdown(scores, meta),
    }
    return Evaluation(scores, baselines, _plain(metrics))


def advantage(trained: Trained, scores: Scores, baseline: Scores) -> dict[str, float]:
    """How much better the model is than a baseline in the headline metric, with the interval of the paired draws."""
    scoring = trained.problem.scoring
    name = scoring.headline

    def headline(sums: np.ndarray) -> np.ndarray:
        return scoring.metrics(sums, trained.meta)[name]

    sign = 1 if scoring.higher_is_better else -1
    value, low, high = paired.advantage(scores, baseline, (headline, headline), sign)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _require_same_rows(name: str, baseline: Scores, scores: Scores) -> None:
    """A baseline scored on other rows is a fault of the problem, not of the person who runs it."""
    seen = (len(baseline.statistics_NK), baseline.block)
    expected = (len(scores.statistics_NK), scores.block)
    if seen != expected:
        raise ValueError(f"baseline {name}: (examples, block) is {seen}; expected the model's, {expected}")


def _require_same_data(trained: Trained, prepared: Prepared, layout: Layout) -> None:
    if trained.meta != prepared.meta:
        raise DataError(
            f"{layout.model / 'config.json'}: meta is not that of {layout.prepared / 'meta.json'}; expected a model "
            "trained on these prepared data (run: unroll repro)"
        )


def _plain(value: Any) -> Any:
    """The same as JSON takes it: numbers of Python with six digits, null for what is undefined."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, float | np.floating):
        real = float(value)
        if not math.isfinite(real):
            return None
        return float(f"{real:.{DIGITS}g}") if abs(real) > NOISE else 0.0
    return int(value) if isinstance(value, np.integer) else value
