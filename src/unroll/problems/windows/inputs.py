"""What a model of windows of a series takes: ``lag`` rows of each site."""

from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import TableError
from unroll.problems.common.base import Meta
from unroll.problems.common.capabilities import SeriesParts
from unroll.problems.common.inputs import Column, Inputs, few
from unroll.problems.windows import recent

if TYPE_CHECKING:
    import pandas as pd

ABOUT = ("target", "target_site", "sites", "variables", "lag", "step_s", "horizon", "horizons", "missing")


def inputs(meta: Meta, cell_characters: int, form: str) -> Inputs:
    """A time, the site where there are several, the variables and the categories."""
    columns = [Column("time", "text", "When, ISO 8601; without a zone it is UTC", longest=40)]
    if meta["target_site"]:
        columns.append(Column("site", "text", "Where", words=few(meta["sites"]), longest=cell_characters))
    columns += [Column(name, "number", f"Measured: {name}", nullable=True) for name in meta["variables"]]
    for category in meta.get("categories", ()):
        columns.append(Column(category["name"], "text", "One of a few words", nullable=True, longest=cell_characters))
    return Inputs.of(columns, {key: meta[key] for key in ABOUT if key in meta}, form)


def made_up(meta: Meta) -> list[dict[str, Any]]:
    """One window of each site: the means of train, one step after the other."""
    means, variables = meta["scaler"]["mean"], meta["variables"]
    words = {each["name"]: each["words"][0] if each["words"] else None for each in meta.get("categories", ())}
    rows = []
    for number, site in enumerate(meta["sites"]):
        values = dict(zip(variables, means[number * len(variables) :], strict=False))
        for step in range(meta["lag"]):
            time = np.datetime_as_string(np.datetime64(step * int(meta["step_s"]), "s"), timezone="UTC")
            rows.append({"time": str(time), **({"site": site} if meta["target_site"] else {}), **values, **words})
    return rows


class Windows(SeriesParts):
    """Windows over a series that comes part by part."""

    def seconds(self, frame: "pd.DataFrame") -> np.ndarray:
        """The time of each row, as of a raw input."""
        if "time" not in frame:
            known = ", ".join(map(str, frame.columns))
            raise TableError(f"column 'time' is missing; expected it among {known}", column="time")
        return recent.seconds(frame["time"])

    def rows_kept(self, meta: Meta) -> int:
        """A window, and the rows missing before it that are filled in."""
        return int(meta["lag"]) + int(meta.get("bridge", 0))

    def last_rows(self, answer: "pd.DataFrame", meta: Meta) -> np.ndarray:
        """An answer's time, less the steps that it lies ahead."""
        ahead_A = answer["horizon"].to_numpy() if len(meta.get("horizons", ())) > 1 else meta["horizon"]
        last_A: np.ndarray = recent.seconds(answer["time"]) - ahead_A * int(meta["step_s"])
        return last_A
