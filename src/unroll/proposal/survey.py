"""All rows of a block's files, read once: how many there are, how many cannot be used, what ``found`` says of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from unroll import progress
from unroll.datasets.files import Plan
from unroll.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SPARE = 1.5
"""How many times the rows set aside now may be set aside later."""
MOST_ASIDE = 0.5


@dataclass
class Survey:
    """What a whole pass came to."""

    rows: int = 0
    aside: int = 0
    first_aside: str = ""
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def aside_share(self) -> float:
        """Share of the rows that cannot be used."""
        return self.aside / max(self.rows + self.aside, 1)

    @property
    def allowance(self) -> float:
        """A share of rows to be set aside that these files keep to, with something to spare."""
        return round(min(self.aside_share * SPARE + 0.005, 1.0), 2)


def take(plan: Plan, add: "Callable[[pd.DataFrame], None]", title: str) -> Survey:
    """Read the files of ``plan`` to their end; ``add`` sees each part of the canonical table.

    Raises DataError where they cannot be read, or where half of the rows cannot be used.
    """
    survey = Survey()
    try:
        with progress.Rows(title) as shown:
            for table, rejected, found in plan.parts():
                survey.rows += len(table)
                survey.aside += len(rejected)
                survey.first_aside = survey.first_aside or (rejected[0].text() if rejected else "")
                survey.found.update(found)
                shown.add(len(table) + len(rejected))
                if len(table):
                    add(table)
    except DataError as error:
        raise DataError(f"{error}; --set data.KEY=VALUE changes how the files are read") from None
    if survey.aside_share > MOST_ASIDE or not survey.rows:
        raise DataError(
            f"{survey.aside:,} of {survey.rows + survey.aside:,} rows cannot be used; the first: "
            f"{survey.first_aside or 'there is none'}"
        )
    return survey
