"""What a task's ``predict`` takes, column by column, by its model's meta: to check requests and to describe them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from unroll.problems.common.base import Meta
from unroll.problems.language_model import verse
from unroll.problems.sequence_to_sequence import pairs, requests

MOST_TOLD = 64
"""Allowed words of a column that are listed in its schema; where there are more, the model checks them alone."""
LARGEST = 1e15
"""Of numbers without other bounds: nothing measured is larger, and what is computed from it stays within 32 bits."""


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
    """All that it may hold, where they are few."""
    longest: int | None = None
    """Characters."""
    default: float | None = None

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        name = {"number": "integer" if self.whole else "number", "text": "string"}[self.kind]
        found: dict[str, Any] = {"type": [name, "null"] if self.nullable else name, "description": self.about}
        found |= {"enum": [*self.words, *([None] if self.nullable else [])]} if self.words else {}
        found |= {"maxLength": self.longest} if self.longest else {}
        if abs(self.low) < LARGEST:
            found |= {"minimum": self.low, "maximum": self.high}
        return found | ({"default": self.default} if self.default is not None else {})


@dataclass(frozen=True)
class Inputs:
    """All columns of a task, and what else a page needs to know to ask for them."""

    columns: Mapping[str, Column]
    about: Mapping[str, Any]

    def row_schema(self) -> dict[str, Any]:
        """One record as JSON Schema."""
        return {
            "type": "object",
            "properties": {name: column.schema() for name, column in self.columns.items()},
            "required": [name for name, column in self.columns.items() if column.required],
            "additionalProperties": False,
        }


def of(problem: str, meta: Meta, cell_characters: int) -> Inputs:
    """The inputs of a model of ``problem``; one of another kind than Unroll's own has none that are known here."""
    columns, about = _READERS[problem](meta, cell_characters)
    return Inputs({column.name: column for column in columns}, about)


def _series(meta: Meta, cell_characters: int) -> tuple[list[Column], dict[str, Any]]:
    """Forecasts, and whether a series rises: ``lag`` rows of each site."""
    found = [Column("time", "text", "When, ISO 8601; without a zone it is UTC", longest=40)]
    if meta["target_site"]:
        found.append(Column("site", "text", "Where", words=_few(meta["sites"]), longest=cell_characters))
    found += [Column(name, "number", f"Measured: {name}", nullable=True, required=True) for name in meta["variables"]]
    for each in meta.get("categories", ()):
        found.append(Column(each["name"], "text", "One of a few words", nullable=True, longest=cell_characters))
    keys = ("target", "target_site", "sites", "variables", "lag", "step_s", "horizon", "horizons", "missing")
    return found, {key: meta[key] for key in keys if key in meta}


def _labelled_series(meta: Meta, cell_characters: int) -> tuple[list[Column], dict[str, Any]]:  # noqa: ARG001
    """One value a step; where train has series of several lengths, one may end early."""
    uneven, gaps = "shortest" in meta, meta.get("missing") == "interpolate"
    found = [
        Column(name, "number", f"Step {step}", required=step == 0 or not uneven, nullable=uneven or gaps)
        for step, name in enumerate(_steps(meta))
    ]
    scale = {key: meta["scaler"][key][0] for key in ("mean", "deviation")}
    return found, {"steps": meta["steps"], "classes": meta["classes"], **scale}


def _steps(meta: Meta) -> list[str]:
    return [f"t{step:03d}" for step in range(meta["steps"])]


def _labelled_text(meta: Meta, cell_characters: int) -> tuple[list[Column], dict[str, Any]]:
    return [Column("text", "text", "A text to classify", longest=cell_characters)], {"classes": meta["classes"]}


def _text(meta: Meta, cell_characters: int) -> tuple[list[Column], dict[str, Any]]:
    """A text to go on from, and how."""
    found = [Column("text", "text", "A text to go on from", longest=cell_characters)]
    for name, (low, high) in verse.LIMITS.items():
        whole, default = isinstance(verse.DEFAULTS[name], int), verse.DEFAULTS[name]
        about = _DRAWING[name]
        found.append(Column(name, "number", about, False, whole=whole, low=low, high=high, default=default))
    return found, {"level": meta["level"], "lower_case": meta.get("lower_case", False)}


_DRAWING = {
    "length": "Tokens to draw: characters, or words of a model of words",
    "temperature": "Low: tame, high: wild; 0: always the most probable token",
    "seed": "The same seed draws the same text",
    "top_k": "Draw among so many of the most probable tokens; 0: all",
    "top_p": "Draw among the fewest tokens with this share of the probability",
    "repetition_penalty": "Above 1: what stood there lately is drawn less",
}


def _pair(meta: Meta, cell_characters: int) -> tuple[list[Column], dict[str, Any]]:
    """A source to answer, and whether the answer is drawn."""
    whole = pairs.whole_sources(meta)
    words = _few(meta["sources"]) if whole else ()
    longest = cell_characters if whole else meta["longest_source"]
    found = [Column("source", "text", "What is to be answered", words=words, longest=longest)]
    abouts = {"temperature": "Above 0 the answer is drawn; 0: the most probable one", "seed": "Of the drawing"}
    for name, (low, high) in requests.SAMPLING.items():
        whole_number = name == "seed"
        found.append(Column(name, "number", abouts[name], False, whole=whole_number, low=low, high=high, default=0))
    about = {"reading": meta["reading"], "longest_source": meta["longest_source"], "words": list(words)}
    return found, about | ({} if whole else {"characters": meta["source_characters"]})


def _few(words: Sequence[str]) -> Sequence[str]:
    return tuple(words) if len(words) <= MOST_TOLD else ()


_READERS: dict[str, Callable[[Meta, int], tuple[list[Column], dict[str, Any]]]] = {
    "forecasting": _series,
    "rise_or_fall": _series,
    "series_classification": _labelled_series,
    "text_classification": _labelled_text,
    "language_model": _text,
    "sequence_to_sequence": _pair,
}


def made_up(problem: str, meta: Meta) -> list[dict[str, Any]]:
    """Records that a model takes, where no example came with it: means, known words, one step after the other."""
    return _MADE_UP[problem](meta)


def _made_series(meta: Meta) -> list[dict[str, Any]]:
    means, variables = meta["scaler"]["mean"], meta["variables"]
    words = {each["name"]: each["words"][0] if each["words"] else None for each in meta.get("categories", ())}
    rows = []
    for number, site in enumerate(meta["sites"]):
        values = dict(zip(variables, means[number * len(variables) :], strict=False))
        for step in range(meta["lag"]):
            time = np.datetime_as_string(np.datetime64(step * int(meta["step_s"]), "s"), timezone="UTC")
            rows.append({"time": str(time), **({"site": site} if meta["target_site"] else {}), **values, **words})
    return rows


_MADE_UP: dict[str, Callable[[Meta], list[dict[str, Any]]]] = {
    "forecasting": _made_series,
    "rise_or_fall": _made_series,
    "series_classification": lambda meta: [
        {f"t{step:03d}": meta["scaler"]["mean"][0] for step in range(meta["steps"])}
    ],
    "text_classification": lambda meta: [{"text": " ".join(meta["vocabulary"][:5]) or "a text"}],
    "language_model": lambda meta: [{"text": next((one for one in meta["symbols"] if one.strip()), " ")}],
    "sequence_to_sequence": lambda meta: [{"source": (meta["sources"] or meta["source_characters"])[0]}],
}
