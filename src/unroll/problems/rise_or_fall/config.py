"""The ``prepare`` and ``model`` blocks of a rise-or-fall task."""

from typing import Any

from pydantic import Field

from unroll.core.config import PositiveInt, RecurrentConfig
from unroll.problems.windows.config import SeriesPrepare


class RiseOrFallPrepare(SeriesPrepare):
    """The ``prepare`` block of a rise-or-fall task."""

    horizon: PositiveInt = Field(description="Steps from the window's last row to the value that is compared with it")


class RiseOrFallModel(RecurrentConfig):
    """The ``model`` block of a rise-or-fall task."""

    linear: int = Field(0, ge=0, description="Last rows of the window that go linearly to the output, too")

    def one_way(self) -> dict[str, Any]:
        """Windows are read forward alone."""
        return {}
