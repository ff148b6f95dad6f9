"""Which model forecasts: a recurrent network, one step at a time or all horizons at once, or a classical model.

Shapes: L lag, F inputs, H horizons, R runs.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from unroll.problems.common.base import Batch, Meta, Prepared, Split
from unroll.problems.common.learning import Learning, Loss
from unroll.problems.forecasting import bands
from unroll.problems.forecasting.config import ClassicalModel, ForecastingModel
from unroll.problems.forecasting.solving import expert, known_inputs, solve
from unroll.problems.windows import arrays

if TYPE_CHECKING:
    from torch import nn

    from unroll.problems.forecasting.network.distribution import ForecastModel, Shape
    from unroll.problems.forecasting.network.forecaster import Head


FEW = 512
"""Windows that are forecast at a time where no batch size is given."""


class ForecastLearning(Learning[ForecastingModel | ClassicalModel]):
    """Many to one, or to several horizons at once: the network forecasts the change from the window's last value."""

    def model(self, config: ForecastingModel | ClassicalModel, meta: Meta) -> "nn.Module":
        """A recurrent network that forecasts the change of the target, or a classical model of zeros."""
        from unroll.problems.forecasting.network.distribution import LinearForecast

        if not isinstance(config, ForecastingModel):
            return LinearForecast.blank(shape(meta), meta["lag"], known_inputs(config, meta))
        if config.multi_step == "autoregressive":
            from unroll.problems.forecasting.network.trajectories import Trajectories

            paths = config.trajectories or config.members  # the config's own check refuses none
            return Trajectories(shape(meta), config, config.head == "student_t", config.members, paths)
        from unroll.problems.forecasting.network.forecaster import Forecaster

        linear = [min(rows, meta["lag"]) for rows in config.linear]
        return Forecaster(
            shape(meta),
            config,
            _head(config),
            config.members,
            linear,
            config.robust,
            meta["lag"],
            config.expert,
            config.weighted,
        )

    def solve(self, config: ForecastingModel | ClassicalModel, prepared: Prepared) -> "nn.Module | None":
        """A classical model; None for a network."""
        if isinstance(config, ForecastingModel):
            return None
        from unroll.problems.forecasting.network.distribution import LinearForecast

        return LinearForecast(shape(prepared.meta), solve(config, prepared))

    def begin(self, model: "nn.Module", prepared: Prepared) -> None:
        """The linear part of a network starts from least squares; its linear expert is solved."""
        network = forecaster(model)
        if network.expert is not None:
            network.expert.load_state_dict(expert(prepared, weighted=network.weighted).state_dict())
        network.begin(lambda: batches(prepared, "train", 4096))

    def finish(self, model: "nn.Module", prepared: Prepared) -> None:
        """Calibrate the bands on validation, each horizon and each tail by itself.

        Errors within a season are taken for alike. Widths that a network learned are not made narrower: that half a
        year was calm does not tell that the next one will be. A short validation part, of fewer than 40 seasons, does
        not tell how far a band of 95 % reaches: it is then no nearer to the band of 80 % than the model has it.
        """
        import torch

        network = forecaster(model)
        truth_NH = np.concatenate([batch["y_BH"].numpy() for batch in batches(prepared, "validation", FEW)])
        _, quantiles_NHQ, _ = forecast(model, batches(prepared, "validation", FEW))
        middle = len(bands.BANDS)
        stretch_H2K = np.ones(network.stretch_H2K.shape)
        for horizon, side in np.ndindex(stretch_H2K.shape[:2]):
            edges = slice(middle + 1, None) if side else slice(middle - 1, None, -1)
            stretch_H2K[horizon, side] = bands.stretches(
                truth_NH[:, horizon],
                quantiles_NHQ[:, horizon, middle],
                quantiles_NHQ[:, horizon, edges],
                alike=max(1, prepared.meta["season"] // prepared.meta["stride"]),
                least=network.least_stretch,
            )
        network.stretch_H2K.copy_(torch.from_numpy(stretch_H2K))

    def train_batches(self, prepared: Prepared, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Windows in random order."""
        order = rng.permutation(prepared.meta["examples"]["train"])
        for low in range(0, len(order), batch_size):
            yield _batch(prepared, "train", order[low : low + batch_size])

    def batches(self, prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
        """Windows in the order of time."""
        return batches(prepared, split, batch_size)

    def loss(self, model: "nn.Module", batch: Batch, state: Any = None) -> Loss:  # noqa: ARG002
        """Squared error of the value, and what the head adds to it, in units of each horizon's spread."""
        return Loss(forecaster(model).loss(batch), len(batch["y_BH"]))


def batches(prepared: Prepared, split: Split, batch_size: int) -> Iterator[Batch]:
    """Windows in the order of time."""
    count = prepared.meta["examples"][split]
    for low in range(0, count, batch_size):
        yield _batch(prepared, split, np.arange(low, min(low + batch_size, count)))


def forecast(model: "nn.Module", batches: Iterable[Batch]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means (N, H), quantiles (N, H, Q) and calibrated bands (N, H, 2, K), scaled."""
    import torch

    network = forecaster(model)
    network.eval()
    device = network.stretch_H2K.device
    parts: list[list[np.ndarray]] = []
    with torch.inference_mode():
        for batch in batches:
            distribution = network.distribution(batch["x_BLF"].to(device), batch["ahead_BAC"].to(device))
            parts.append([each.float().cpu().numpy() for each in (*distribution, network.bands(distribution))])
    mean_NH, quantiles_NHQ, bands_NH2K = (np.concatenate(each) for each in zip(*parts, strict=True))
    return mean_NH, quantiles_NHQ, bands_NH2K


def _batch(prepared: Prepared, split: Split, index_B: np.ndarray) -> Batch:
    """Windows, the row after each, the calendar of the rows ahead, and the values asked for."""
    import torch

    meta, values = prepared.meta, prepared.arrays["values"]
    last_B = arrays.last_rows(prepared, split, index_B)
    ahead_BA = last_B[:, None] + np.arange(1, meta["horizon"] + 1)
    return {
        "x_BLF": torch.from_numpy(arrays.inputs(prepared, last_B)),
        "next_BV": torch.from_numpy(values[last_B + 1]),
        "ahead_BAC": torch.from_numpy(arrays.ahead(prepared.arrays["calendar"][ahead_BA], meta)),
        "y_BH": torch.from_numpy(values[last_B[:, None] + np.array(meta["horizons"]), meta["target_column"]]),
    }


def forecaster(model: "nn.Module") -> "ForecastModel":
    """Every model of this problem is one of these."""
    return cast("ForecastModel", model)


def shape(meta: Meta) -> "Shape":
    """What a forecast is of."""
    from unroll.problems.forecasting.network.distribution import Shape

    return Shape(
        inputs=arrays.width(meta),
        series=len(meta["columns"]),
        target=meta["target_column"],
        horizons=tuple(meta["horizons"]),
        spread_H=tuple(meta["spread"]),
        levels=bands.LEVELS,
    )


def _head(config: ForecastingModel) -> "Head":
    from unroll.problems.forecasting.network import forecaster

    heads: dict[str, Callable[[], Head]] = {
        "value": lambda: forecaster.ValueHead(bands.LEVELS),
        "gaussian": lambda: forecaster.GaussianHead(bands.LEVELS),
        "quantiles": lambda: forecaster.QuantileHead(config.quantiles, bands.LEVELS),
    }
    return heads[config.head]()
