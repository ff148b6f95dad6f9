"""A task's block as keys with values and reasons: as YAML with comments, and as the values that YAML then has."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from unroll.core.params import BLOCKS

WIDTH = 120


class Line(NamedTuple):
    """One key of a block, and why it has that value."""

    key: str
    value: Any
    why: str = ""


def lines(**values: Any) -> list[Line]:
    """Keys that need no reason."""
    return [Line(key, value) for key, value in values.items()]


@dataclass(frozen=True)
class Proposal:
    """The five blocks of a task, what was seen of its files, and what of it must not be passed over."""

    seen: Sequence[str]
    blocks: Mapping[str, Sequence[Line]]
    warnings: Sequence[str] = ()

    def values(self) -> dict[str, Any]:
        """What a reader of the YAML gets."""
        return {name: {line.key: line.value for line in block} for name, block in self.blocks.items()}

    def replaced(self, given: Mapping[str, Any]) -> "Proposal":
        """The same with other values of some keys such as ``prepare.lag``; a key that is not there comes last."""
        blocks = {name: list(block) for name, block in self.blocks.items()}
        for dotted, value in given.items():
            name, _, key = dotted.partition(".")
            block = blocks[name]
            place = next((at for at, line in enumerate(block) if line.key == key), len(block))
            block[place : place + 1] = [Line(key, value, "given")]
        return replace(self, blocks=blocks)

    def text(self, name: str, indent: int = 2) -> str:
        """The YAML below ``tasks:``, ``indent`` blanks a level."""
        one, two, three = (" " * indent * level for level in (1, 2, 3))
        remarks = (*self.warnings, *self.seen)
        rows = [f"{one}# {part}" for remark in remarks for part in _wrapped(remark, WIDTH - len(one) - 2)]
        rows.append(f"{one}{flow(name)}:")
        for block in BLOCKS:
            rows.append(f"{two}{block}:")
            for line in self.blocks[block]:
                rows += _rows(line, three)
        return "\n".join(rows) + "\n"


def flow(value: Any) -> str:
    """A value as YAML has it in one line.

    >>> flow({"columns": ["day", "hour"], "missing": ["NA", "", "7", -200]})
    "{columns: [day, hour], missing: [NA, '', '7', -200]}"
    """
    from ruamel.yaml import YAML

    yaml, out = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style, yaml.width = True, 1 << 20
    yaml.representer.sort_base_mapping_type_on_output = False
    yaml.dump({"x": value}, out)  # in a list a mapping of one key would lose its braces
    return out.getvalue().strip()[len("{x: ") : -1]


def _rows(line: Line, indent: str) -> list[str]:
    """The key with its reason behind it, or above it where there is no room."""
    row = f"{indent}{line.key}: {flow(line.value)}"
    if not line.why:
        return [row]
    if len(row) + 3 + len(line.why) <= WIDTH:
        return [f"{row} # {line.why}"]
    return [*(f"{indent}# {part}" for part in _wrapped(line.why, WIDTH - len(indent) - 2)), row]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)
