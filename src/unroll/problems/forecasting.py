"""Forecast one variable of a series, ``horizon`` steps ahead, from a window of the past.

Shapes: B batch, T rows, L lag, F inputs, N windows, K statistics.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from unroll import store
from unroll.config import PositiveInt, PrepareConfig, RecurrentConfig
from unroll.errors import DataError
from unroll.expectation import Expectation, Severity
from unroll.features import calendar, scaling, series, windows
from unroll.features.calendar import Feature
from unroll.problems.base import Batch, Check, Figure, Loss, Meta, Prepared, Problem, Split
from unroll.scores import Scores

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHOWN = 168
"""Forecasts in the picture of a stretch: a week of hours."""
FEW_WINDOWS, TOO_FEW_WINDOWS = 0.9, 0.5
"""Share of a whole series' windows below which missing rows are told, and below which they stop the pipeline."""


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("each name may stand there once")
    return names


def _day(value: object) -> str:
    """An ISO date, quoted or not: YAML reads 2015-07-01 as a date."""
    try:
        return np.datetime_as_string(np.datetime64(str(value), "D"))
    except ValueError:
        raise ValueError("expected a date such as 2015-07-01") from None


Names = Literal["all"] | Annotated[tuple[str, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)]
Day = Annotated[str, BeforeValidator(_day)]


class ForecastingPrepare(PrepareConfig):
    """The ``prepare`` block of a forecasting task."""

    target: str = Field(description="Column to forecast")
    target_site: str | None = Field(description="Site whose target is forecast; null where the table has no sites")
    sites: Names = Field(description="Sites whose variables are inputs")
    variables: Names = Field(description="Variables that are inputs; the target must be among them")
    calendar: tuple[Feature, ...] = Field(strict=False, description="Calendar inputs")
    lag: PositiveInt = Field(description="Rows of a window")
    horizon: PositiveInt = Field(description="Steps from the window's last row to the value asked for")
    stride: PositiveInt = Field(description="Rows between the starts of two windows")
    season: PositiveInt = Field(description="Steps of the seasonal naive forecast")
    validation_from: Day = Field(description="UTC date of the first row of validation", examples=["2015-07-01"])
    test_from: Day = Field(description="UTC date of the first row of test")

    @model_validator(mode="after")
    def _in_order(self) -> "ForecastingPrepare":
        if self.validation_from >= self.test_from:
            raise ValueError(f"validation_from {self.validation_from} must be before test_from {self.test_from}")
        return self


class ForecastingModel(RecurrentConfig):
    """The ``model`` block of a forecasting task."""


class Forecasting(Problem[ForecastingPrepare, ForecastingModel]):
    """Many to one: the network forecasts the change from the window's last value, in scaled units."""

    Prepare = ForecastingPrepare
    Model = ForecastingModel
    takes = "series"
    headline = "r2"
    metric_names = ("r2", "rmse", "mae", "skill")
    baseline_names = ("persistence", "seasonal_naive", "autoregression")
    unit = "windows"
    categories = ("site",)

    def columns(self, config: ForecastingPrepare) -> Sequence[str] | None:
        """Time, site and the variables chosen."""
        if isinstance(config.variables, str):
            return None
        return ["time", *(["site"] if config.target_site else []), *config.variables]

    def prepare(self, table: "pd.DataFrame", config: ForecastingPrepare, folder: Path) -> dict[str, Any]:
        """Arrays: ``values`` (T, F) scaled, ``calendar`` (T, C) codes, ``seconds`` (T,), a ``*_ranges`` a split."""
        laid = series.lay_out(table, config.sites, config.variables, config.target, folder / "values.npy")
        target = _target_column(laid, config)
        step_s = series.step_s(laid.seconds_T)
        joined_T = series.follows(laid.seconds_T, step_s)
        bounds = _bounds(laid.seconds_T, config)
        values = np.lib.format.open_memmap(folder / "values.npy", mode="r+")
        scaler = scaling.fit(values, slice(*bounds["train"]))
        good_T = np.ones(len(values), dtype=bool)
        for low in range(0, len(values), scaling.CHUNK):
            chunk = slice(low, low + scaling.CHUNK)
            values[chunk] = scaling.apply(values[chunk], scaler)
            good_T[chunk] = np.isfinite(values[chunk]).all(axis=1)
        values.flush()
        ranges = windows.runs(good_T, joined_T)
        counts = {}
        for split, (low, high) in bounds.items():
            found = windows.split_windows(ranges, low, high, config.lag, config.horizon, config.stride)
            if not len(found):
                raise DataError(
                    f"split {split}: {high - low} rows hold no whole window of {config.lag} + {config.horizon} rows "
                    "without a gap; expected at least one"
                )
            store.write_array(folder / f"{split}_ranges.npy", found.ranges_R2)
            counts[split] = len(found)
        store.write_array(folder / "seconds.npy", laid.seconds_T)
        store.write_array(folder / "calendar.npy", calendar.codes(laid.seconds_T, config.calendar))
        return {
            "sites": laid.sites,
            "variables": laid.variables,
            "columns": laid.columns,
            "target": config.target,
            "target_site": config.target_site,
            "target_column": target,
            "calendar": list(config.calendar),
            "lag": config.lag,
            "horizon": config.horizon,
            "stride": config.stride,
            "season": config.season,
            "step_s": step_s,
            "scaler": scaler,
            "bounds": {split: list(rows) for split, rows in bounds.items()},
            "examples": counts,
            "rows_with_missing_values": int((~good_T).sum()),
            "gaps": int((~joined_T).sum()),
        }

    def check(self, prepared: Prepared, config: ForecastingPrepare) -> Check:
        """Each range of windows, measured again on the times and bounds."""
        import pandas as pd

        seconds, step_s = prepared.arrays["seconds"], prepared.meta["step_s"]
        facts = []
        for split in SPLITS:
            low, high = prepared.meta["bounds"][split]
            ranges = prepared.arrays[f"{split}_ranges"]
            first, last = ranges[:, 0], ranges[:, 1] - 1 + config.lag + config.horizon - 1
            facts.append(
                pd.DataFrame(
                    {
                        "split": split,
                        "first_row": first,
                        "last_row": last,
                        "rows_outside_split": np.maximum(low - first, 0) + np.maximum(last - (high - 1), 0),
                        "window_share": prepared.meta["examples"][split] / _whole(high - low, config),
                        "rows_missing": (seconds[last] - seconds[first]) // step_s - (last - first),
                    }
                )
            )
        zero = {"min_value": 0, "max_value": 0}
        limits: tuple[tuple[float, Severity], ...] = ((FEW_WINDOWS, "warning"), (TOO_FEW_WINDOWS, "critical"))
        between = "expect_column_values_to_be_between"
        return Check(
            pd.concat(facts, ignore_index=True),
            [
                Expectation(between, {"column": "rows_outside_split", **zero}, reason="a window crosses a split"),
                Expectation(between, {"column": "rows_missing", **zero}, reason="a window crosses a gap in time"),
                *(
                    Expectation(
                        between,
                        {"column": "window_share", "min_value": least},
                        severity=severity,
                        reason="missing rows or values leave few of the split's windows",
                    )
                    for least, severity in limits
                ),
                Expectation(
                    "expect_column_distinct_values_to_equal_set",
                    {"column": "split", "value_set": list(SPLITS)},
                    reason="each split has windows",
                ),
            ],
        )

    def model(self, config: ForecastingModel, meta: Meta) -> "nn.Module":
        """A recurrent network that forecasts the change of the target."""
        from unroll.nn.forecaster import Forecaster

        inputs = len(meta["columns"]) + calendar.width(meta["calendar"])
        return Forecaster(inputs, meta["target_column"], config)

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
        """Squared error in scaled units."""
        error_B = model(batch["x_BLF"]).float() - batch["y_B"]
        return Loss(error_B.square().sum(), len(error_B))

    def score(self, model: "nn.Module", prepared: Prepared, split: Split, batch_size: int) -> Scores:
        """Forecasts in the target's own unit."""
        forecast = [_forecast(model, batch["x_BLF"]) for batch in self.batches(prepared, split, batch_size)]
        return _scores(prepared, split, _unscale(np.concatenate(forecast), prepared.meta))

    def baselines(self, prepared: Prepared, split: Split) -> Mapping[str, Scores]:
        """Persistence, seasonal naive, and AR(lag) on the target alone."""
        from unroll.baselines.series import Autoregression, persistence, seasonal_naive

        meta, seconds = prepared.meta, prepared.arrays["seconds"]
        target_T = _unscale(prepared.arrays["values"][:, meta["target_column"]], meta)
        last_N = _last_rows(prepared, split)
        regression = Autoregression(target_T, _last_rows(prepared, "train"), meta["lag"], meta["horizon"])
        season = seasonal_naive(target_T, seconds, last_N, meta["horizon"], meta["season"], meta["step_s"])
        return {
            "persistence": _scores(prepared, split, persistence(target_T, last_N)),
            "seasonal_naive": _scores(prepared, split, season),
            "autoregression": _scores(prepared, split, regression.forecast(target_T, last_N)),
        }

    def metrics(self, sums: np.ndarray, meta: Meta) -> dict[str, np.ndarray]:  # noqa: ARG002
        """R², RMSE and MAE in the target's unit; skill = 1 − MSE / MSE of persistence (Murphy 1988).

        R² of a constant truth, and skill where persistence makes no error, are NaN: there is nothing to explain.
        """
        count, square, absolute, y, y2, persistent = np.moveaxis(sums, -1, 0)
        variance = y2 - y**2 / count
        return {
            "r2": _explained(square, np.where(variance > 1e-12 * y2, variance, 0)),  # less is rounding
            "rmse": np.sqrt(square / count),
            "mae": absolute / count,
            "skill": _explained(square, persistent),
        }

    def figures(
        self,
        model: "nn.Module",  # noqa: ARG002
        prepared: Prepared,
        scores: Scores,
        baselines: Mapping[str, Scores],
    ) -> Iterable[Figure]:
        """A stretch of forecast against truth, all forecasts against all truths, and residuals."""
        rows = scores.table().assign(persistence=baselines["persistence"].table()["guess"])
        unit = prepared.meta["target"]
        rows = rows.rename(columns={"guess": "forecast"})
        low = max(0, min(int(rows["truth"].argmax()) - SHOWN // 2, len(rows) - SHOWN))
        stretch = rows.iloc[low : low + SHOWN][["time", "truth", "forecast", "persistence"]]
        yield Figure("forecast", "lines", "Around the highest value of the test part", stretch, "time", "time", unit)
        residuals = (rows["forecast"] - rows["truth"]).to_frame("residual")
        label = f"forecast − truth, {unit}"
        yield Figure("residuals", "histogram", "Forecast minus truth", residuals, "residual", label, "windows")
        thin = rows.iloc[:: max(1, len(rows) // 2000)][["truth", "forecast"]]
        labels = f"truth, {unit}", f"forecast, {unit}"
        yield Figure("scatter", "scatter", "Forecast against truth", thin, "truth", *labels)

    def predict(self, model: "nn.Module", meta: Meta, frame: "pd.DataFrame") -> "pd.DataFrame":
        """A forecast for each whole window of the frame, which has the table's columns: ``lag`` rows give one."""
        import pandas as pd
        import torch

        from unroll.features.recent import recent_windows

        x_NLF, last_N = recent_windows(frame, meta)
        change_N = [_forecast(model, torch.from_numpy(x_NLF[low : low + 512])) for low in range(0, len(x_NLF), 512)]
        answer = {"time": pd.to_datetime(last_N + meta["horizon"] * meta["step_s"], unit="s", utc=True)}
        if meta["target_site"]:
            answer["site"] = meta["target_site"]
        return pd.DataFrame({**answer, meta["target"]: _unscale(np.concatenate(change_N), meta)})

    def example(self, prepared: Prepared) -> "pd.DataFrame":
        """The rows of the first test window, as the source has them."""
        import pandas as pd

        meta = prepared.meta
        start = int(prepared.arrays["test_ranges"][0, 0])
        rows = slice(start, start + meta["lag"])
        raw = prepared.arrays["values"][rows] * np.float32(meta["scaler"]["deviation"]) + np.float32(
            meta["scaler"]["mean"]
        )
        time = pd.to_datetime(prepared.arrays["seconds"][rows], unit="s", utc=True)
        width = len(meta["variables"])
        parts = []
        for number, site in enumerate(meta["sites"]):
            part = pd.DataFrame(raw[:, number * width : (number + 1) * width], columns=meta["variables"])
            part.insert(0, "time", time)
            if site:
                part.insert(1, "site", site)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)


def _whole(rows: int, config: ForecastingPrepare) -> int:
    """The windows of a split whose rows are all there."""
    return max(1, -(-(rows - config.lag - config.horizon + 1) // config.stride))


def _target_column(laid: series.Series, config: ForecastingPrepare) -> int:
    name = f"{config.target_site}/{config.target}" if config.target_site else config.target
    if name not in laid.columns:
        raise DataError(f"target {name!r} is not among the inputs; expected one of {', '.join(laid.columns)}")
    return laid.columns.index(name)


def _bounds(seconds_T: np.ndarray, config: ForecastingPrepare) -> dict[Split, tuple[int, int]]:
    """Row ranges of the splits, in the order of time."""
    cuts = []
    for day in (config.validation_from, config.test_from):
        moment = np.datetime64(day, "s").astype(np.int64)
        cuts.append(int(np.searchsorted(seconds_T, moment)))
    rows = len(seconds_T)
    if not 0 < cuts[0] < cuts[1] < rows:
        first, last = np.datetime64(int(seconds_T[0]), "s"), np.datetime64(int(seconds_T[-1]), "s")
        raise DataError(
            f"prepare.validation_from {config.validation_from} and test_from {config.test_from} leave a split without "
            f"rows; expected {first} < validation_from < test_from <= {last}"
        )
    return {"train": (0, cuts[0]), "validation": (cuts[0], cuts[1]), "test": (cuts[1], rows)}


def _last_rows(prepared: Prepared, split: Split) -> np.ndarray:
    """Row of the last input of each window."""
    found = windows.Windows(prepared.arrays[f"{split}_ranges"], prepared.meta["stride"])
    return found.starts(np.arange(len(found))) + prepared.meta["lag"] - 1


def _batch(prepared: Prepared, split: Split, index: np.ndarray) -> Batch:
    import torch

    meta, values = prepared.meta, prepared.arrays["values"]
    found = windows.Windows(prepared.arrays[f"{split}_ranges"], meta["stride"])
    rows_BL = found.starts(index)[:, None] + np.arange(meta["lag"])
    circle = calendar.expand(prepared.arrays["calendar"][rows_BL], meta["calendar"])
    y_B = values[rows_BL[:, -1] + meta["horizon"], meta["target_column"]]
    return {
        "x_BLF": torch.from_numpy(np.concatenate([values[rows_BL], circle], axis=2)),
        "y_B": torch.from_numpy(np.array(y_B)),
    }


def _forecast(model: "nn.Module", x_BLF: "Tensor") -> np.ndarray:
    import torch

    model.eval()
    with torch.inference_mode():
        forecast: np.ndarray = model(x_BLF.to(next(model.parameters()).device)).float().cpu().numpy()
    return forecast


def _unscale(scaled: np.ndarray, meta: Meta) -> np.ndarray:
    column = meta["target_column"]
    unscaled: np.ndarray = scaled.astype(np.float64) * meta["scaler"]["deviation"][column]
    return unscaled + meta["scaler"]["mean"][column]


def _explained(left: np.ndarray, whole: np.ndarray) -> np.ndarray:
    share: np.ndarray = np.divide(left, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return 1 - share


def _scores(prepared: Prepared, split: Split, guess_N: np.ndarray) -> Scores:
    import pandas as pd

    meta = prepared.meta
    target_T = _unscale(prepared.arrays["values"][:, meta["target_column"]], meta)
    last_N = _last_rows(prepared, split)
    truth_N = target_T[last_N + meta["horizon"]]
    error_N, persistent_N = guess_N - truth_N, target_T[last_N] - truth_N
    y_N = truth_N - meta["scaler"]["mean"][meta["target_column"]]  # a variance from sums keeps its digits near zero
    statistics_NK = np.stack([np.ones_like(y_N), error_N**2, np.abs(error_N), y_N, y_N**2, persistent_N**2], axis=1)
    time = pd.to_datetime(prepared.arrays["seconds"][last_N + meta["horizon"]], unit="s", utc=True)
    # A week of hours is resampled together: errors within an episode of pollution are alike.
    block = max(1, 7 * 86_400 // meta["step_s"] // meta["stride"])
    return Scores(statistics_NK, block, pd.DataFrame({"time": time, "truth": truth_N, "guess": guess_N}))


PROBLEM = Forecasting()
