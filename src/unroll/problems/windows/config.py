"""What the ``prepare`` block of every problem over windows has."""

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from unroll.core.config import DisagreementError, PositiveInt, PrepareConfig
from unroll.problems.windows.calendar import Feature


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
SomeShare = Annotated[float, Field(gt=0, lt=1)]


class SeriesPrepare(PrepareConfig):
    """What the ``prepare`` block of every problem over windows has."""

    target: str = Field(description="Column that is asked for")
    target_site: str | None = Field(description="Site whose target is asked for; null where the table has no sites")
    sites: Names = Field(description="Sites whose variables are inputs")
    variables: Names = Field(description="Variables that are inputs; the target must be among them")
    calendar: tuple[Feature, ...] = Field(strict=False, description="Calendar inputs")
    lag: PositiveInt = Field(description="Rows of a window")
    stride: PositiveInt = Field(description="Rows between the starts of two windows")
    validation_from: Day | None = Field(
        None, description="UTC date of the first row of validation", examples=["2015-07-01"]
    )
    test_from: Day | None = Field(None, description="UTC date of the first row of test")
    validation_share: SomeShare | None = Field(None, description="Share of the rows before test, instead of dates")
    test_share: SomeShare | None = Field(None, description="Share of the rows at the end, instead of dates")
    missing: Literal["drop", "interpolate", "mask"] = Field(
        "drop",
        description="Missing values: windows without any; filled in on a line; or the last value, with a mark as input",
    )
    interpolate_steps: PositiveInt | None = Field(None, description="Missing rows in a row that are filled in at most")
    categories: tuple[str, ...] = Field((), strict=False, description="Columns of words that are inputs")

    @model_validator(mode="after")
    def _in_order(self) -> "SeriesPrepare":
        dates, shares = (self.validation_from, self.test_from), (self.validation_share, self.test_share)
        if (None in dates) == (None in shares) or (any(dates) and any(shares)):
            raise ValueError("validation_from and test_from must be given, or else validation_share and test_share")
        if self.validation_from and self.test_from and self.validation_from >= self.test_from:
            raise ValueError(f"validation_from {self.validation_from} must be before test_from {self.test_from}")
        if self.validation_share and self.test_share and self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share + test_share must be below 1, so that train has rows")
        if (self.missing == "interpolate") != (self.interpolate_steps is not None):
            text = "interpolate_steps must be given where missing is interpolate, and only there"
            raise DisagreementError(text, ["interpolate_steps"], {"interpolate_steps": 3, "missing": "interpolate"})
        return self

    @property
    def bridged_rows(self) -> int:
        """Rows in a row that may be missing and are filled in: as many as a window has, where they are masked."""
        return {"drop": 0, "mask": self.lag}.get(self.missing, self.interpolate_steps or 0)
