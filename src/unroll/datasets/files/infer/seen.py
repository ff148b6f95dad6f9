"""What a first look saw, column by column, and which columns the block has not yet given a part to play."""

from collections.abc import Mapping
from dataclasses import dataclass

from unroll.datasets.files.columns.column import Column
from unroll.datasets.files.columns.parsing import Marks
from unroll.datasets.files.config import FilesConfig
from unroll.datasets.files.first_look import Look


@dataclass(frozen=True)
class Seen:
    """A look at the first rows, and the block that it was taken for."""

    look: Look
    config: FilesConfig
    columns: Mapping[str, Column]
    marks: Marks

    def free(self, *taken: str | None) -> list[Column]:
        """Columns that are filled and have no other part to play."""
        config = self.config
        used = {config.site, config.label, config.text, config.group, config.source, config.target, *taken}
        used |= {config.split.column if config.split else None, *(config.categories or ()), *(config.static or ())}
        return [column for name, column in self.columns.items() if name not in used and not column.is_empty]
