"""How well rises and falls are told, beside baselines. Shapes: N windows, K statistics."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.scores import Scores
from unroll.problems.common import classification
from unroll.problems.common.base import Meta, Prepared, Split
from unroll.problems.common.scoring import Breakdown, Figure, Scoring
from unroll.problems.rise_or_fall.build import batches, chances
from unroll.problems.rise_or_fall.config import RiseOrFallPrepare
from unroll.problems.rise_or_fall.prepare import rises
from unroll.problems.windows import arrays, calendar

if TYPE_CHECKING:
    from torch import nn

CLASSES = ["fall", "rise"]
"""No change counts as a fall: it is no rise."""
CERTAIN = 1e-6
"""A probability nearer to 0 or 1 is taken as this near: one wrong certainty must not be worth infinitely much."""
BINS = 10


class DirectionScoring(Scoring[RiseOrFallPrepare]):
    """The two classes, and how good the probability is."""

    headline = "accuracy"
    metric_names = ("accuracy", "macro_f1", "log_loss", "brier")
    baseline_names = ("majority", "last_move", "logistic_regression")
    unit = "windows"

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Probability of a rise in each window; above one half it is the guess."""
        chance_N = chances(model, (batch["x_BLF"] for batch in batches(prepared, split, batch_size)))
        return _scores(prepared, split, chance_N, (chance_N > 0.5).astype(np.int64))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The larger class, the last move that goes on, and logistic regression on the target's lags and calendar."""
        from unroll.problems.rise_or_fall.baselines import LagRegression, LastMove, majority

        meta, train_N, last_N = prepared.meta, *(arrays.last_rows(prepared, name) for name in ("train", split))
        values_T = np.asarray(prepared.arrays["values"][:, meta["target_column"]])
        circle_TC = calendar.expand(prepared.arrays["calendar"], meta["calendar"])
        rises_N = rises(prepared, train_N)
        regression = LagRegression(values_T, circle_TC, train_N, rises_N, meta["lag"])
        answers = {
            "majority": majority(rises_N, len(last_N)),
            "last_move": LastMove(values_T, train_N, rises_N).guess(values_T, last_N),
            "logistic_regression": regression.guess(values_T, circle_TC, last_N),
        }
        return {name: _scores(prepared, split, *answer) for name, answer in answers.items()}

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Accuracy, macro-F1, mean negative log-probability of what came, and mean squared error of the probability.

        The last one is Brier's score (1950) of one class.
        """
        cells, certain = sums[..., :4], sums[..., 4:]
        count = cells.sum(axis=-1)
        return {
            **classification.metrics(cells, 2),
            "log_loss": certain[..., 0] / count,
            "brier": certain[..., 1] / count,
        }

    def breakdown(self, scores: Scores, meta: Meta) -> Breakdown:  # noqa: ARG002
        """Precision, recall and F1 by class."""
        return {"by_class": classification.by_class(scores.sums()[:4], CLASSES)}

    def figures(
        self,
        model: "nn.Module",  # noqa: ARG002
        prepared: Prepared,  # noqa: ARG002
        scores: Scores,
        baselines: Mapping[str, Scores],  # noqa: ARG002
    ) -> Iterator[Figure]:
        """Confusion matrix, F1 by class, how often it rose where a rise was given that probability, probabilities."""
        import pandas as pd

        cells = scores.sums()[:4]
        yield classification.confusion_figure(cells, CLASSES)
        yield classification.class_figure(cells, CLASSES)
        rows = scores.table()
        bin_N = np.minimum((rows["probability"] * BINS).astype(int), BINS - 1)
        bins = rows.assign(rise=rows["truth"] == "rise").groupby(bin_N)[["probability", "rise"]].mean()
        mean = bins["probability"]
        frame = pd.DataFrame({"probability": mean, "ideal": mean, "rose": bins["rise"]})
        title = "How often it rose, by the probability given"
        yield Figure("reliability", "lines", title, frame, "probability", "probability of a rise", "share of rises")
        chances = rows[["probability"]]
        yield Figure("probabilities", "histogram", "Probabilities given", chances, "probability", "", "windows")


def _scores(prepared: Prepared, split: Split, chance_N: np.ndarray, guess_N: np.ndarray) -> Scores:
    """Cells of the confusion matrix, negative log-probability of the truth, squared error of the probability."""
    import pandas as pd

    meta, last_N = prepared.meta, arrays.last_rows(prepared, split)
    truth_N = rises(prepared, last_N)
    given_N = np.clip(np.where(truth_N == 1, chance_N, 1 - chance_N), CERTAIN, 1 - CERTAIN)
    cells_N4 = classification.statistics(truth_N, guess_N, 2)
    statistics_NK = np.concatenate([cells_N4, -np.log(given_N)[:, None], ((chance_N - truth_N) ** 2)[:, None]], axis=1)
    names = np.array(CLASSES)
    time = pd.to_datetime(prepared.arrays["seconds"][last_N + meta["horizon"]], unit="s", utc=True)
    rows = {"time": time, "truth": names[truth_N], "guess": names[guess_N], "probability": chance_N}
    return Scores(statistics_NK, arrays.block(meta), pd.DataFrame(rows))
