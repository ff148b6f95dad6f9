"""What a classifier of texts takes."""

from typing import Any

from unroll.problems.common.base import Meta
from unroll.problems.common.inputs import Column, Inputs


def inputs(meta: Meta, cell_characters: int) -> Inputs:
    """A text."""
    column = Column("text", "text", "A text to classify", longest=cell_characters)
    return Inputs.of([column], {"classes": meta["classes"]}, "text", line="text")


def made_up(meta: Meta) -> list[dict[str, Any]]:
    """The most frequent words."""
    return [{"text": " ".join(meta["vocabulary"][:5]) or "a text"}]
