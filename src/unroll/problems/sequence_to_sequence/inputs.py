"""What a sequence-to-sequence model takes: a source, and whether the answer is drawn."""

from typing import Any

from unroll.problems.common.base import Meta
from unroll.problems.common.capabilities import Addition
from unroll.problems.common.inputs import Column, Inputs, few
from unroll.problems.sequence_to_sequence import pairs, requests

ABOUT = {"temperature": "Above 0 the answer is drawn; 0: the most probable one", "seed": "Of the drawing"}


def inputs(meta: Meta, cell_characters: int) -> Inputs:
    """The source, one of a few words where each is one symbol, and ``requests.SAMPLING`` beside it."""
    whole = pairs.whole_sources(meta)
    words = few(meta["sources"]) if whole else ()
    longest = cell_characters if whole else meta["longest_source"]
    columns = [Column("source", "text", "What is to be answered", words=words, longest=longest)]
    for name, (low, high) in requests.SAMPLING.items():
        is_whole = name == "seed"
        columns.append(Column(name, "number", ABOUT[name], False, whole=is_whole, low=low, high=high, default=0))
    about = {"reading": meta["reading"], "longest_source": meta["longest_source"], "words": list(words)}
    about |= {} if whole else {"characters": meta["source_characters"]}
    return Inputs.of(columns, about, "pair", line="source")


def made_up(meta: Meta) -> list[dict[str, Any]]:
    """A known source, or a known character."""
    return [{"source": (meta["sources"] or meta["source_characters"])[0]}]


class Sums(Addition):
    """Sums such as 12+345, written forward or backward as in train."""

    def source(self, a: str, b: str, meta: Meta) -> str | None:
        """``a+b``, in the direction that train has it."""
        source = f"{a}+{b}"
        return {"forward": source, "backward": source[::-1]}.get(meta["reading"])

    def longest(self, meta: Meta) -> int:
        """As many characters as the longest source of train."""
        return int(meta["longest_source"])
