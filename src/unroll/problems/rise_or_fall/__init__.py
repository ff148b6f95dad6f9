"""Does one variable of a series rise within some steps? The value then against the value now: two classes.

Shapes: B batch, T rows, L lag, F inputs, N windows, K statistics.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from unroll.core.config import PositiveInt, RecurrentConfig
from unroll.core.scores import Scores
from unroll.problems.common import classification
from unroll.problems.common.base import Asked, Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split
from unroll.problems.common.inputs import Inputs
from unroll.problems.windows import arrays, calendar
from unroll.problems.windows import inputs as window_inputs
from unroll.problems.windows import prepare as _series_layout
from unroll.problems.windows.prepare import SeriesPrepare

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

CLASSES = ["fall", "rise"]
"""No change counts as a fall: it is no rise."""
CERTAIN = 1e-6
"""A probability nearer to 0 or 1 is taken as this near: one wrong certainty must not be worth infinitely much."""
FEW = 512
BINS = 10


class RiseOrFallPrepare(SeriesPrepare):
    """The ``prepare`` block of a rise-or-fall task."""

    horizon: PositiveInt = Field(description="Steps from the window's last row to the value that is compared with it")


class RiseOrFallModel(RecurrentConfig):
    """The ``model`` block of a rise-or-fall task."""

    linear: int = Field(0, ge=0, description="Last rows of the window that go linearly to the output, too")

    def one_way(self) -> dict[str, Any]:
        """Windows are read forward alone."""
        return {}


class RiseOrFall(Problem[RiseOrFallPrepare, RiseOrFallModel]):
    """Many to one, one sigmoid unit: the probability that the target rises within the horizon."""

    Prepare = RiseOrFallPrepare
    Model = RiseOrFallModel
    takes = "series"
    headline = "accuracy"
    metric_names = ("accuracy", "macro_f1", "log_loss", "brier")
    baseline_names = ("majority", "last_move", "logistic_regression")
    unit = "windows"
    categories = ("site",)
    series_parts = window_inputs.Windows()

    def columns(self, config: RiseOrFallPrepare) -> Sequence[str] | None:
        """Time, site and the variables chosen."""
        return _series_layout.columns(config)

    def coded(self, config: RiseOrFallPrepare) -> Sequence[str]:
        """Sites and categories."""
        return ("site", *config.categories)

    def prepare(
        self, table: "pd.DataFrame", config: RiseOrFallPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """The arrays of ``_series_layout.prepare``."""
        return _series_layout.prepare(table, config, (0, config.horizon), folder, fitted)

    def asked(self, prepared: Prepared, split: Split, metric: str) -> Asked:  # noqa: ARG002
        """Whether the target rises."""
        rises_N = _rises(prepared, arrays.last_rows(prepared, split))
        return arrays.asked(prepared, split, prepared.meta["horizon"], rises_N)

    def check(self, prepared: Prepared, config: RiseOrFallPrepare) -> Check:  # noqa: ARG002
        """Each range of windows, measured again on the times and bounds."""
        return arrays.check(prepared)

    def model(self, config: RiseOrFallModel, meta: Meta) -> "nn.Module":
        """A recurrent network with one sigmoid unit."""
        from unroll.problems.rise_or_fall.network import DirectionNetwork

        return DirectionNetwork(arrays.width(meta), len(meta["columns"]), config, min(config.linear, meta["lag"]))

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Windows in random order."""
        order = rng.permutation(prepared.meta["examples"]["train"])
        for low in range(0, len(order), batch_size):
            yield _batch(prepared, "train", order[low : low + batch_size])

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Windows in the order of time."""
        count = prepared.meta["examples"][split]
        for low in range(0, count, batch_size):
            yield _batch(prepared, split, np.arange(low, min(low + batch_size, count)))

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Binary cross-entropy."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        odds_B = model(batch["x_BLF"]).float()
        return Loss(binary_cross_entropy_with_logits(odds_B, batch["y_B"], reduction="sum"), len(odds_B))

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Probability of a rise in each window; above one half it is the guess."""
        chance_N = _chances(model, (batch["x_BLF"] for batch in self.batches(prepared, split, batch_size)))
        return _scores(prepared, split, chance_N, (chance_N > 0.5).astype(np.int64))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """The larger class, the last move that goes on, and logistic regression on the target's lags and calendar."""
        from unroll.problems.rise_or_fall.baselines import LagRegression, LastMove, majority

        meta, train_N, last_N = prepared.meta, *(arrays.last_rows(prepared, name) for name in ("train", split))
        values_T = np.asarray(prepared.arrays["values"][:, meta["target_column"]])
        circle_TC = calendar.expand(prepared.arrays["calendar"], meta["calendar"])
        rises_N = _rises(prepared, train_N)
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

    def breakdown(self, scores: Scores, meta: Meta) -> dict[str, dict[str, dict[str, float]]]:  # noqa: ARG002
        """Precision, recall and F1 by class."""
        return {"by_class": classification.by_class(scores.sums()[:4], CLASSES)}

    def figures(
        self,
        model: "nn.Module",  # noqa: ARG002
        prepared: Prepared,  # noqa: ARG002
        scores: Scores,
        baselines: Mapping[str, Scores],  # noqa: ARG002
    ) -> Iterable[Figure]:
        """Confusion matrix, F1 by class, how often it rose where a rise was given that probability, probabilities."""
        import pandas as pd

        cells = scores.sums()[:4]
        yield classification.confusion_figure(cells, CLASSES)
        yield classification.class_figure(cells, CLASSES)
        rows = scores.table()
        bin_N = np.minimum((rows["probability"] * BINS).astype(int), BINS - 1)
        found = rows.assign(rise=rows["truth"] == "rise").groupby(bin_N)[["probability", "rise"]].mean()
        mean = found["probability"]
        frame = pd.DataFrame({"probability": mean, "ideal": mean, "rose": found["rise"]})
        title = "How often it rose, by the probability given"
        yield Figure("reliability", "lines", title, frame, "probability", "probability of a rise", "share of rises")
        chances = rows[["probability"]]
        yield Figure("probabilities", "histogram", "Probabilities given", chances, "probability", "", "windows")

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Rise or fall and the probability of a rise, for each whole window of the frame: ``lag`` rows give one."""
        return self.predict_all(model, meta, [frame])[0]

    def predict_all(self, model: "nn.Module", meta: Meta, frames: "Sequence[pd.DataFrame]") -> "list[pd.DataFrame]":
        """The windows of all frames in one pass."""
        import torch

        from unroll.problems.windows.recent import windows_of_all

        x_NLF, last_N, ends = windows_of_all(frames, meta)
        chance_N = _chances(model, (torch.from_numpy(x_NLF[low : low + FEW]) for low in range(0, len(x_NLF), FEW)))
        wheres = (slice(low, high) for low, high in pairwise([0, *ends]))
        return [_table(meta, last_N[where], chance_N[where]) for where in wheres]

    def inputs(self, meta: Meta, cell_characters: int) -> Inputs:
        """Rows of a series."""
        return window_inputs.inputs(meta, cell_characters, "rise")

    def made_up(self, meta: Meta) -> list[dict[str, Any]]:
        """One window of each site."""
        return window_inputs.made_up(meta)

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The rows of the first test window, as the source has them."""
        return arrays.example(prepared)


def _table(meta: Meta, last_N: np.ndarray, chance_N: np.ndarray) -> "pd.DataFrame":
    """A row for each window."""
    import pandas as pd

    answer = {"time": pd.to_datetime(last_N + meta["horizon"] * meta["step_s"], unit="s", utc=True)}
    if meta["target_site"]:
        answer["site"] = meta["target_site"]
    label_N = np.array(CLASSES, dtype=object)[(chance_N > 0.5).astype(np.int64)]
    return pd.DataFrame({**answer, "label": label_N, "probability_rise": chance_N}).astype({"label": "str"})


def _rises(prepared: Prepared, last_N: np.ndarray) -> np.ndarray:
    """Whether the target is higher at the horizon than in the window's last row: 1 or 0."""
    values, column = prepared.arrays["values"], prepared.meta["target_column"]
    rises_N: np.ndarray = values[last_N + prepared.meta["horizon"], column] > values[last_N, column]
    return rises_N.astype(np.int64)


def _batch(prepared: Prepared, split: Split, index_B: np.ndarray) -> Batch:
    import torch

    last_B = arrays.last_rows(prepared, split, index_B)
    return {
        "x_BLF": torch.from_numpy(arrays.inputs(prepared, last_B)),
        "y_B": torch.from_numpy(_rises(prepared, last_B).astype(np.float32)),
    }


def _chances(model: "nn.Module", parts: "Iterable[Any]") -> np.ndarray:
    """Probabilities of a rise (N,) in float64."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        found = [model(x_BLF.to(device)).double().sigmoid().cpu().numpy() for x_BLF in parts]
    return np.concatenate(found)


def _scores(prepared: Prepared, split: Split, chance_N: np.ndarray, guess_N: np.ndarray) -> Scores:
    """Cells of the confusion matrix, negative log-probability of the truth, squared error of the probability."""
    import pandas as pd

    meta, last_N = prepared.meta, arrays.last_rows(prepared, split)
    truth_N = _rises(prepared, last_N)
    given_N = np.clip(np.where(truth_N == 1, chance_N, 1 - chance_N), CERTAIN, 1 - CERTAIN)
    cells_N4 = classification.statistics(truth_N, guess_N, 2)
    statistics_NK = np.concatenate([cells_N4, -np.log(given_N)[:, None], ((chance_N - truth_N) ** 2)[:, None]], axis=1)
    names = np.array(CLASSES)
    time = pd.to_datetime(prepared.arrays["seconds"][last_N + meta["horizon"]], unit="s", utc=True)
    rows = {"time": time, "truth": names[truth_N], "guess": names[guess_N], "probability": chance_N}
    return Scores(statistics_NK, arrays.block(meta), pd.DataFrame(rows))


PROBLEM = RiseOrFall()
