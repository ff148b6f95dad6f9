"""Which model forecasts: a recurrent network, one step at a time or all horizons at once, or a classical model.

Shapes: L lag, F inputs, H horizons, R runs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, ModelWrapValidatorHandler, model_validator
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue

from unroll.config import Config, DisagreementError, PositiveInt, RecurrentConfig, Share
from unroll.errors import TrainingError
from unroll.features import calendar, conformal
from unroll.problems import _series
from unroll.problems.base import Meta, Prepared

if TYPE_CHECKING:
    from torch import nn

    from unroll.baselines.classical import Affine
    from unroll.nn.affine import AffineForecaster, AffineMap
    from unroll.nn.forecaster import Head
    from unroll.nn.outlook import ForecastModel, LinearForecast, Shape

Lags = Annotated[int, Field(ge=0)]
Pair = Annotated[tuple[Lags, Lags], Field(strict=False)]
Rows = Annotated[int, Field(ge=0)]
Level = Annotated[float, Field(gt=0, lt=1)]


class ForecastingModel(RecurrentConfig):
    """The ``model`` block of a forecasting task; another ``kind`` than recurrent has the keys of ``ClassicalModel``."""

    kind: Literal["recurrent"] = Field("recurrent", description="recurrent, or a classical model: ar, var, arma, …")
    multi_step: Literal["direct", "autoregressive"] = Field(
        "direct", description="Whether all horizons are answered at once, or one step after the other in sampled paths"
    )
    head: Literal["value", "quantiles", "gaussian", "student_t"] = Field(
        "value", description="What is learned beside the value: nothing, quantiles, or a distribution's deviation"
    )
    quantiles: tuple[Level, ...] = Field(
        (), strict=False, description="Levels of the head quantiles, ascending, with the median inside"
    )
    members: PositiveInt = Field(1, description="Networks that start from other weights and are averaged")
    linear: tuple[Rows, ...] = Field(
        (), strict=False, description="Last rows of the window that go linearly to the output, too; members take turns"
    )
    expert: Share = Field(
        0.0, description="Share in the forecast of a vector autoregression fitted by least squares, its order by AIC"
    )
    weighted: bool = Field(
        False,
        description="Whether rows count the less for linear parts and the expert, the larger the error expected there",
    )
    robust: float | None = Field(
        None, gt=0, description="Spreads beyond which an error counts linearly, not squared (Huber 1964); null: squared"
    )
    trajectories: PositiveInt | None = Field(None, description="Paths that are sampled, where autoregressive")

    @model_validator(mode="wrap")
    @classmethod
    def _by_kind(cls, values: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        kind = values.get("kind", "recurrent") if isinstance(values, dict) else "recurrent"
        if not isinstance(kind, str) or kind == "recurrent" or kind not in _KINDS:
            if kind != "recurrent":
                raise ValueError(f"kind: {kind!r} is not allowed; expected recurrent, {', '.join(_KINDS)}")
            found = handler(values)
            found.require_agreement()
            return found
        config = _KINDS[kind]
        if others := [key for key in values if key not in config.model_fields]:
            known = ", ".join(config.model_fields)
            raise DisagreementError(f"{others[0]}: not a key of kind {kind}; expected some of {known}", others)
        return config.model_validate(values)

    @classmethod
    def field(cls, key: str) -> FieldInfo | None:
        """Of a network's key, or one of a classical model's."""
        kinds = (cls, *_KINDS.values())
        return next((kind.model_fields[key] for kind in kinds if key in kind.model_fields), None)

    @classmethod
    def of_older(cls, block: Mapping[str, Any]) -> dict[str, Any]:
        """State-space models had no inputs."""
        return {"inputs": "none", **block} if block.get("kind") == "state_space" else dict(block)

    def one_way(self) -> dict[str, Any]:
        """Windows are read forward alone."""
        return {}

    def require_agreement(self) -> None:
        """Raise ValueError that names a key whose value does not go with the others."""
        one_step = self.multi_step == "autoregressive"
        heads = ("gaussian", "student_t") if one_step else ("value", "quantiles", "gaussian")
        if self.head not in heads:
            other = "direct" if one_step else "autoregressive"
            text = f"head: {self.head!r} with multi_step {self.multi_step}; expected {' or '.join(heads)}"
            raise DisagreementError(text, ["head", "quantiles"], {"head": "gaussian", "multi_step": other})
        if (self.head == "quantiles") != bool(self.quantiles):
            text = f"quantiles: {list(self.quantiles)} with head {self.head}; only head quantiles has levels"
            raise DisagreementError(text, ["quantiles"], {"head": "quantiles", "quantiles": [0.1, 0.5, 0.9]})
        levels = self.quantiles
        if levels and (list(levels) != sorted(set(levels)) or 0.5 not in levels[1:-1]):
            raise ValueError(f"quantiles: {list(levels)}; expected ascending levels with 0.5 between others")
        beside = {
            "linear": bool(self.linear),
            "expert": self.expert > 0,
            "weighted": self.weighted,
            "robust": self.robust is not None,
        }
        if others := [key for key, given in beside.items() if one_step and given]:
            value = list(self.linear) if others[0] == "linear" else getattr(self, others[0])
            text = f"{others[0]}: {value} with multi_step autoregressive; it is for multi_step direct alone"
            raise DisagreementError(text, others, {"multi_step": "direct"})
        if one_step != (self.trajectories is not None):
            text = (
                f"trajectories: {self.trajectories} with multi_step {self.multi_step}; expected a number of paths "
                "where autoregressive, and none where direct"
            )
            raise DisagreementError(text, ["trajectories"], {"trajectories": 100, "multi_step": "autoregressive"})

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> JsonSchemaValue:
        """Any of the kinds, each with its own keys."""
        own = handler(core_schema)
        if cls is not ForecastingModel:
            return own
        return {"anyOf": [own, *(kind.model_json_schema() for kind in dict.fromkeys(_KINDS.values()))]}


class LinearModel(Config):
    """The ``model`` block of an AR, VAR or ARMA."""

    kind: Literal["ar", "var", "arma"]
    order: PositiveInt | Pair | None = Field(
        description="p, or [p, q] of an ARMA; null: chosen by the criterion", examples=[None]
    )
    criterion: Literal["aic", "bic", "validation"] = Field(
        description="What chooses an order that is null", examples=["bic"]
    )
    method: Literal["yule_walker", "maximum_likelihood"] = Field(
        "maximum_likelihood", description="How an AR is estimated"
    )

    @model_validator(mode="after")
    def _agree(self) -> "LinearModel":
        if self.order is not None and isinstance(self.order, tuple) != (self.kind == "arma"):
            raise ValueError(
                f"order: {self.order}; expected {'[p, q]' if self.kind == 'arma' else 'one number'} or null"
            )
        if self.method == "yule_walker" and self.kind != "ar":
            raise ValueError(f"method: yule_walker with kind {self.kind}; it estimates an ar alone")
        return self


class StateSpaceModel(Config):
    """The ``model`` block of a linear-Gaussian state-space model, learned by EM."""

    kind: Literal["state_space"]
    states: PositiveInt = Field(description="Dimensions of the hidden state", examples=[8])
    iterations: PositiveInt = Field(description="Iterations of EM at most", examples=[30])
    tolerance: float = Field(
        ge=0, description="Relative gain of the log-likelihood below which EM stops", examples=[1e-4]
    )
    rows: PositiveInt = Field(description="Rows of train that EM learns from at most, the last ones", examples=[20000])
    inputs: Literal["calendar", "none"] = Field(
        "calendar", description="The inputs u of each row, known in advance: those of prepare.calendar, or none"
    )

    @model_validator(mode="after")
    def _fits_memory(self) -> "StateSpaceModel":
        if self.rows * self.states**2 > MOST_NUMBERS:
            most = int((MOST_NUMBERS / self.rows) ** 0.5)
            raise ValueError(
                f"states: {self.states} with rows {self.rows}; expected rows · states² of at most {MOST_NUMBERS:,}, "
                f"which a pass of EM holds several times: at most {most} states, or fewer rows"
            )
        return self


ClassicalModel = LinearModel | StateSpaceModel
_KINDS: dict[str, type[Config]] = {
    "ar": LinearModel,
    "var": LinearModel,
    "arma": LinearModel,
    "state_space": StateSpaceModel,
}


def build(config: ForecastingModel | ClassicalModel, meta: Meta) -> "nn.Module":
    """The untrained network, or a classical model of zeros to be filled from a file."""
    from unroll.nn.outlook import LinearForecast

    if not isinstance(config, ForecastingModel):
        return LinearForecast.blank(shape(meta), meta["lag"], _known(config, meta))
    if config.multi_step == "autoregressive":
        from unroll.nn.trajectories import Trajectories

        paths = config.trajectories or config.members  # the config's own check refuses none
        return Trajectories(shape(meta), config, config.head == "student_t", config.members, paths)
    from unroll.nn.forecaster import Forecaster

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


def shape(meta: Meta) -> "Shape":
    """What a forecast is of."""
    from unroll.nn.outlook import Shape

    return Shape(
        inputs=_series.width(meta),
        series=len(meta["columns"]),
        target=meta["target_column"],
        horizons=tuple(meta["horizons"]),
        spread_H=tuple(meta["spread"]),
        levels=conformal.LEVELS,
    )


def _head(config: ForecastingModel) -> "Head":
    from unroll.nn import forecaster

    heads: dict[str, Callable[[], Head]] = {
        "value": lambda: forecaster.ValueHead(conformal.LEVELS),
        "gaussian": lambda: forecaster.GaussianHead(conformal.LEVELS),
        "quantiles": lambda: forecaster.QuantileHead(config.quantiles, conformal.LEVELS),
    }
    return heads[config.head]()


def solve(config: ForecastingModel | ClassicalModel, prepared: Prepared) -> "LinearForecast | None":
    """A classical model fitted on train; None for a network."""
    if isinstance(config, ForecastingModel):
        return None
    import torch

    from unroll.nn.affine import AffineForecaster
    from unroll.nn.outlook import LinearForecast

    if isinstance(config, StateSpaceModel):
        affine = AffineForecaster(*_state_space(config, prepared))
    else:
        affine = _affine(_linear(config, prepared))
    if not all(torch.isfinite(buffer).all() for buffer in affine.buffers()):
        raise TrainingError(f"model {config.kind}: the estimate is no number; expected a series that varies")
    return LinearForecast(shape(prepared.meta), affine)


def begin(model: "ForecastModel", prepared: Prepared) -> None:
    """Solve the linear expert of a network that has one: a VAR on train, its order by AIC."""
    if model.expert is None:
        return
    found = _linear(LinearModel(kind="var", order=None, criterion="aic", method="maximum_likelihood"), prepared)
    model.expert.load_state_dict(_affine(_weighted(found, prepared) if model.weighted else found).state_dict())


def _weighted(found: "Affine", prepared: Prepared) -> "Affine":
    """A VAR of the same order by least squares with weights, one for each row in all of its equations."""
    import torch

    from unroll.baselines.series import OneStep
    from unroll.nn.least_squares import Rows, reweighted

    meta, values_TF, (order,) = prepared.meta, prepared.arrays["values"], found.order
    last_N = np.concatenate([np.arange(start + order - 1, stop - 1) for start, stop in _series.runs(prepared, "train")])

    def rows() -> Iterator[Rows]:
        for low in range(0, len(last_N), CHUNK):
            last_C = last_N[low : low + CHUNK]
            one_C1 = np.ones((len(last_C), 1))
            lagged_CS = values_TF[last_C[:, None] - np.arange(order)].reshape(len(last_C), -1)
            yield Rows(
                torch.from_numpy(np.concatenate([lagged_CS, one_C1], axis=1)),
                torch.from_numpy(values_TF[last_C + 1].astype(np.float64))[:, None],
                torch.from_numpy(np.concatenate([values_TF[last_C], one_C1], axis=1)),
            )

    solved_SF = reweighted(rows).solve()[0].numpy()
    series = values_TF.shape[1]
    coefficients_PFF = solved_SF[:-1].reshape(order, series, series).transpose(0, 2, 1)
    model = OneStep(coefficients_PFF, solved_SF[-1], np.eye(series))
    weights_HLF, bias_H, _ = model.ahead(meta["target_column"], meta["lag"], meta["horizons"])
    return replace(found, weights_HLF=weights_HLF, bias_H=bias_H)


def _affine(found: "Affine") -> "AffineForecaster":
    import torch

    from unroll.nn.affine import AffineForecaster

    return AffineForecaster(*map(torch.from_numpy, (found.weights_HLF, found.bias_H, found.deviation_H)))


def _linear(config: LinearModel, prepared: Prepared) -> "Affine":
    from unroll.baselines import classical

    meta = prepared.meta
    return classical.fit(
        config.kind,
        prepared.arrays["values"],
        _series.runs(prepared, "train"),
        meta["target_column"],
        meta["lag"],
        meta["horizons"],
        config.order,
        config.criterion,
        config.method,
        _series.runs(prepared, "validation"),
    )


def _state_space(config: StateSpaceModel, prepared: Prepared) -> "AffineMap":
    """The calendar enters the observations alone (D u, as a regression with errors of a state-space model).

    A point on a circle that went through the state (B u) would come out of it as one on a circle again, later and of
    another size, which D holds as well; but a window would not know what came into the state before its first row.
    """
    import torch

    from unroll.nn import affine, state_space

    meta, stop = prepared.meta, prepared.meta["bounds"]["train"][1]
    runs = _series.runs(prepared, "train").tolist()
    sequences = state_space.segments(
        torch.from_numpy(np.array(prepared.arrays["values"][:stop])), runs, SEGMENT, config.rows
    )
    u_NTU = None
    if _known(config, meta):
        circles_TU = calendar.expand(prepared.arrays["calendar"][:stop], meta["calendar"])
        u_NTU = state_space.segments(torch.from_numpy(circles_TU), runs, SEGMENT, config.rows).nan_to_num()
    model, _ = state_space.em(
        sequences, config.states, config.iterations, config.tolerance, SEED, u_NTU, set(state_space.LEARNED) - {"B"}
    )
    return affine.affine_of(state_space.anywhere(model), meta["lag"], meta["horizons"], meta["target_column"])


def _known(config: ClassicalModel, meta: Meta) -> int:
    """How many inputs the model has that are known in advance."""
    return calendar.width(meta["calendar"]) if isinstance(config, StateSpaceModel) and config.inputs != "none" else 0


MOST_NUMBERS = 25_000_000
"""Of one array of EM's, the covariance of each row's state: 200 MB."""
CHUNK = 1 << 12
"""Rows of a VAR's equations that are in memory at a time."""
SEGMENT, SEED = 500, 1
"""Rows of the pieces that EM filters side by side, and the seed of the little noise that it starts with."""
