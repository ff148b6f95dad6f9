"""What a classifier of series takes: one value a step."""

from typing import Any

from unroll.problems.common.base import Meta
from unroll.problems.common.inputs import Column, Inputs


def inputs(meta: Meta) -> Inputs:
    """The steps; where train has series of several lengths, a series may end early."""
    uneven, gaps = "shortest" in meta, meta.get("missing") == "interpolate"
    columns = [
        Column(name, "number", f"Step {step}", required=step == 0 or not uneven, nullable=uneven or gaps)
        for step, name in enumerate(_names(meta))
    ]
    scale = {key: meta["scaler"][key][0] for key in ("mean", "deviation")}
    return Inputs.of(columns, {"steps": meta["steps"], "classes": meta["classes"], **scale}, "curve")


def made_up(meta: Meta) -> list[dict[str, Any]]:
    """A series that stays at the mean of train."""
    return [dict.fromkeys(_names(meta), meta["scaler"]["mean"][0])]


def _names(meta: Meta) -> list[str]:
    return [f"t{step:03d}" for step in range(meta["steps"])]
