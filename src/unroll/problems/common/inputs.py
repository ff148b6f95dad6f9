"""What a model takes, column by column: requests are checked against it, and the page and OpenAPI describe it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

MOST_LISTED = 64
"""Allowed words of a column that its schema lists; where there are more, only the model checks them."""
LARGEST = 1e15
"""Bound of numbers without a tighter one: nothing measured is larger, and results computed from it fit into 32 bits."""


@dataclass(frozen=True)
class Column:
    """One column of the raw input."""

    name: str
    kind: Literal["number", "text"]
    about: str
    required: bool = True
    nullable: bool = False
    whole: bool = False
    low: float = -LARGEST
    high: float = LARGEST
    words: Sequence[str] = ()
    """All allowed values, where they are few."""
    longest: int | None = None
    """In characters."""
    default: float | None = None

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        name = {"number": "integer" if self.whole else "number", "text": "string"}[self.kind]
        schema: dict[str, Any] = {"type": [name, "null"] if self.nullable else name, "description": self.about}
        schema |= {"enum": [*self.words, *([None] if self.nullable else [])]} if self.words else {}
        schema |= {"maxLength": self.longest} if self.longest else {}
        if abs(self.low) < LARGEST:
            schema |= {"minimum": self.low, "maximum": self.high}
        return schema | ({"default": self.default} if self.default is not None else {})


@dataclass(frozen=True)
class Inputs:
    """All columns of a model, and what else the page needs in order to ask for them."""

    columns: Mapping[str, Column]
    about: Mapping[str, Any]
    form: str = ""
    """Name of the page's form for them; without one the page makes fields from the columns."""
    line: str = ""
    """The column that a line of a plain text file fills; empty where no single text is an input."""
    steps: str = ""
    """The column that says how many steps the answer takes, such as tokens to draw; empty where it takes one pass."""

    @classmethod
    def of(
        cls, columns: Iterable[Column], about: Mapping[str, Any], form: str = "", line: str = "", steps: str = ""
    ) -> "Inputs":
        """The columns by their names."""
        return cls({column.name: column for column in columns}, about, form, line, steps)

    def row_schema(self) -> dict[str, Any]:
        """One record as JSON Schema."""
        return {
            "type": "object",
            "properties": {name: column.schema() for name, column in self.columns.items()},
            "required": [name for name, column in self.columns.items() if column.required],
            "additionalProperties": False,
        }


def few(words: Sequence[str]) -> Sequence[str]:
    """The words, or none where there are more than MOST_LISTED."""
    return tuple(words) if len(words) <= MOST_LISTED else ()
