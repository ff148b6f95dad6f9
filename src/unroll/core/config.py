"""Strict, frozen, typed blocks of parameters; ``core.params`` opens the file that holds them.

Datasets and problems declare their own blocks as subclasses of ``Config``, beside the code that uses them.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

PositiveInt = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Cell = Literal["rnn", "rnn_relu", "rnn_sigmoid", "lstm", "gru"]
Pooling = Literal["last", "mean", "max", "attention"]
Vectors = Literal["learned", "tuned", "frozen"]
C = TypeVar("C", bound="Config")


class DisagreementError(ValueError):
    """Keys of a block that do not go together, though each is allowed by itself.

    Without the keys ``left_out`` the others would agree; ``given`` are keys that they need, with values to begin with.
    ``unroll compare`` uses both where it puts other values into a task's own block.
    """

    def __init__(self, text: str, left_out: Sequence[str] = (), given: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.left_out, self.given = tuple(left_out), dict(given or {})


class Config(BaseModel):
    """A block of parameters: unknown keys are refused, types are exact, instances do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    @classmethod
    def field(cls, key: str) -> FieldInfo | None:
        """The declaration of a key, with its default and examples; None for a key that the block does not have."""
        return cls.model_fields.get(key)

    @classmethod
    def of_older(cls, block: Mapping[str, Any]) -> dict[str, Any]:
        """A block of an older version, with the keys that are new since, set to what was done then; not checked."""
        return dict(block)


class DataConfig(Config):
    """What every dataset's ``data`` block has; a dataset adds its own keys."""

    dataset: str = Field(description="Name of a package in unroll/datasets")
    source: str | None = Field(None, description="sample, lab or a folder; overrides the source of all tasks")
    seed: int = Field(ge=0, description="Seed of the embedded sample")
    max_rejected_share: Share = Field(description="Share of rows that may be set aside before validation fails")


class PrepareConfig(Config):
    """What every problem's ``prepare`` block has; a problem adds its own keys."""

    problem: str = Field(description="Name of a package in unroll/problems")


class TrainConfig(Config):
    """How the training loop trains: the same keys for every problem."""

    seed: int = Field(ge=0)
    threads: PositiveInt = Field(description="CPU threads of torch; part of what makes a run repeatable")
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"] = Field(description="auto: bfloat16 where the device gains")
    epochs: PositiveInt
    batch_size: PositiveInt
    optimizer: Literal["adam", "adamw", "sgd"]
    learning_rate: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1, description="Of sgd; the first beta of adam and adamw")
    weight_decay: float = Field(ge=0)
    schedule: Literal["constant", "cosine", "one_cycle"]
    clip_norm: float | None = Field(gt=0, description="Upper bound of the gradient's L2 norm; null: no clipping")
    patience: PositiveInt | None = Field(description="Epochs without a better validation loss; null: never stop early")


class RecurrentConfig(Config):
    """What the ``model`` block of every recurrent network has; a problem adds its own keys."""

    cell: Cell = Field(description="rnn: Elman's with tanh; rnn_relu and rnn_sigmoid: with another activation")
    hidden: PositiveInt = Field(description="Units of a layer")
    layers: PositiveInt
    dropout: float = Field(ge=0, lt=1, description="Between layers and before the output layer")
    layer_norm: bool = Field(False, description="Whether each step's state is normalised (Ba et al. 2016); slower")
    merge: Literal["concatenate", "sum"] = Field(
        "concatenate", description="How a bidirectional layer joins its two directions"
    )
    recurrent_init: Literal["orthogonal", "uniform"] = Field(
        "orthogonal",
        description="How the matrices from state to state start: orthogonal (Saxe et al. 2014), or drawn evenly from "
        "±1/√hidden, as torch does",
    )
    forget_bias: float | None = Field(
        None, description="Bias with which an LSTM's forget gate starts; null: 1, nearly open (Jozefowicz et al. 2015)"
    )

    def one_way(self) -> dict[str, Any] | None:
        """None where a layer reads in both directions; else what would make one do so, as a key with its value."""
        return None

    @model_validator(mode="after")
    def _has_what_its_keys_are_for(self) -> "RecurrentConfig":
        if self.merge == "sum" and (both := self.one_way()) is not None:
            other = "".join(f", or {key}: {str(value).lower()}" for key, value in both.items())
            text = f"merge: 'sum' adds up two directions, and the network reads in one; expected no such key{other}"
            raise DisagreementError(text, ["merge"], both)
        if self.forget_bias is not None and self.cell != "lstm":
            raise DisagreementError(
                f"forget_bias: {self.forget_bias} with cell {self.cell}, which has no forget gate; expected cell lstm, "
                "or no such key",
                ["forget_bias"],
            )
        return self


class GateConfig(Config):
    """What a model must reach on the test part before it may carry the alias ``champion``.

    Threshold and baselines hold for every model; margin and confidence for one that would replace a champion.
    """

    metric: str = Field(description="A key of metrics.json under test")
    direction: Literal["higher", "lower"] = Field(description="Which direction of the metric is better")
    threshold: float = Field(description="The value that must be reached")
    baselines: tuple[str, ...] = Field(strict=False, description="Baselines that must be beaten")
    margin: float = Field(
        0.0, ge=0, description="How much better than the champion, in the metric's unit, a model must be at least"
    )
    confidence: float = Field(
        0.95, ge=0.5, le=0.99, description="Of the paired bootstrap interval whose lower end must exceed the margin"
    )
