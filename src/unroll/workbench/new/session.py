"""One run of ``unroll new``: its task's blocks so far become a look at the files, and a pass over all their rows."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.core.errors import DataError, MissingColumnError
from unroll.core.params import Params
from unroll.datasets.files import FilesConfig, Plan, first_look
from unroll.display import progress
from unroll.workbench.new.request import Request
from unroll.workbench.new.survey import Survey

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Session:
    """What is asked for, of which project, and the new task's name."""

    request: Request
    params: Params
    name: str
    root: Path

    def block(self) -> dict[str, Any]:
        """The keys of the ``data`` block that are settled before any file is read."""
        return self.request.block(self.root)

    def plan(self, block: Mapping[str, Any]) -> Plan:
        """A first look at the files of a block.

        A table whose columns all hold words may need to be told that it has a header; columns of a table without one
        may be named by their numbers, from 1. Raises ConfigError that names a faulty key, DataError for files that are
        missing or lack a column.
        """
        config = self._config(block)
        try:
            return Plan.of(config, self.root)
        except MissingColumnError:
            if "header" in block:
                raise
        try:  # where no column has the name by its place either, this is the error that is shown
            return Plan.of(self._config({**block, **self._named_by_place(block, config)}), self.root)
        except DataError:
            with contextlib.suppress(DataError):
                return Plan.of(self._config({**block, "header": True}), self.root)
            raise

    def read(self, plan: Plan, add: "Callable[[pd.DataFrame], None]") -> Survey:
        """Read the files of ``plan`` to their end; ``add`` sees each part of the canonical table.

        Raises DataError where they cannot be read; how many rows cannot be used is for the caller to judge.
        """
        survey = Survey()
        try:
            with progress.Rows(f"new {self.name}") as shown:
                for table, rejected, facts in plan.parts(survey.watch):
                    survey.rows += len(table)
                    survey.refuse(rejected)
                    survey.facts.update(facts)
                    shown.add(len(table) + len(rejected))
                    if len(table):
                        add(table)
        except DataError as error:
            raise DataError(f"{error}; --set data.KEY=VALUE changes how the files are read") from None
        return survey

    def read_usable(self, add: "Callable[[pd.DataFrame], None]") -> tuple[Plan, Survey]:
        """Look at the files of the request and read them; raises DataError where half of the rows cannot be used."""
        plan = self.plan(self.block())
        survey = self.read(plan, add)
        survey.require_usable()
        return plan, survey

    def _named_by_place(self, block: Mapping[str, Any], config: FilesConfig) -> dict[str, str]:
        """The keys that name a column by its place, with the name that it has in a table without a header."""
        keys = ("label", "text", "source", "target", "time", "site")
        columns = first_look.take(first_look.locate(config, self.root), config).columns
        named = {key: place_name(value) for key in keys if isinstance(value := block.get(key), str)}
        return {key: column for key, column in named.items() if column in columns}

    def _config(self, block: Mapping[str, Any]) -> FilesConfig:
        params = self.params.replaced({f"tasks.{self.name}": {"data": dict(block)}})
        return params.block(self.name, "data", FilesConfig)


def place_name(column: str) -> str:
    """The name of a column given by its number, in a table whose columns no row names.

    >>> place_name("3"), place_name("label")
    ('column_3', 'label')
    """
    return f"column_{int(column)}" if column.isdecimal() else column
