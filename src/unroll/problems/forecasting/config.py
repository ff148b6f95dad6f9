"""The ``prepare`` and ``model`` blocks of a forecasting task: a recurrent network, or a classical model."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ModelWrapValidatorHandler, model_validator
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue

from unroll.core.config import Config, DisagreementError, PositiveInt, RecurrentConfig, Share
from unroll.problems.windows.config import SeriesPrepare

MOST_NUMBERS = 25_000_000
"""Of one array of EM's, the covariance of each row's state: 200 MB."""
Lags = Annotated[int, Field(ge=0)]
Pair = Annotated[tuple[Lags, Lags], Field(strict=False)]
Rows = Annotated[int, Field(ge=0)]
Level = Annotated[float, Field(gt=0, lt=1)]


def _listed(value: object) -> object:
    """One horizon is a list of one."""
    horizons = (value,) if isinstance(value, int) else value
    if isinstance(horizons, list | tuple) and all(isinstance(one, int) for one in horizons):
        if any(later <= earlier for earlier, later in pairwise(horizons)):
            raise ValueError("expected steps in ascending order, each once")
        return tuple(horizons)
    return horizons


Horizons = Annotated[
    tuple[PositiveInt, ...], Field(min_length=1), BeforeValidator(_listed, PositiveInt | list[PositiveInt])
]


class ForecastingPrepare(SeriesPrepare):
    """The ``prepare`` block of a forecasting task."""

    horizon: Horizons = Field(description="Steps from the window's last row to each value asked for: one, or a list")
    season: PositiveInt = Field(description="Steps of the seasonal naive forecast")


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
            block = handler(values)
            block.require_agreement()
            return block
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
