"""What problems over windows of a series share: checks, batches' inputs, an example (``prepare`` lays them out).

Shapes: B batch, T rows, L lag, F inputs, A rows ahead, N windows, R ranges, C calendar codes.
"""

from typing import TYPE_CHECKING

import numpy as np

from unroll.core.expectation import Expectation
from unroll.problems.common.base import SPLITS, Meta, Prepared, Split
from unroll.problems.common.preparation import Check, Questions, within
from unroll.problems.windows import calendar, categories, starts

if TYPE_CHECKING:
    import pandas as pd

FEW_WINDOWS, TOO_FEW_WINDOWS = 0.9, 0.5
"""Share of a whole series' windows below which missing rows are told, and below which they stop the pipeline."""
CHUNK = 1 << 16


def check(prepared: Prepared) -> Check:
    """Each range of windows, measured again on the times and bounds."""
    import pandas as pd

    meta, seconds = prepared.meta, prepared.arrays["seconds"]
    step_s, reach = meta["step_s"], meta["lag"] + meta["horizon"] - 1
    facts = []
    for split in SPLITS:
        low, high = meta["bounds"][split]
        ranges = prepared.arrays[f"{split}_ranges"]
        first, last = ranges[:, 0], ranges[:, 1] - 1 + reach
        whole = max(1, -(-(high - low - reach) // meta["stride"]))  # windows of a split whose rows are all there
        facts.append(
            pd.DataFrame(
                {
                    "split": split,
                    "first_row": first,
                    "last_row": last,
                    "rows_outside_split": np.maximum(low - first, 0) + np.maximum(last - (high - 1), 0),
                    "window_share": meta["examples"][split] / whole,
                    "rows_missing": (seconds[last] - seconds[first]) // step_s - (last - first),
                }
            )
        )
    return Check(pd.concat(facts, ignore_index=True), _expectations())


def _expectations() -> list[Expectation]:
    few = "missing rows or values leave few of the split's windows"
    return [
        within("rows_outside_split", "a window crosses a split", 0, 0),
        within("rows_missing", "a window crosses a gap in time", 0, 0),
        within("window_share", few, low=FEW_WINDOWS, severity="warning"),
        within("window_share", few, low=TOO_FEW_WINDOWS),
        Expectation(
            "expect_column_distinct_values_to_equal_set",
            {"column": "split", "value_set": list(SPLITS)},
            reason="each split has windows",
        ),
    ]


def last_rows(prepared: Prepared, split: Split, index_B: np.ndarray | None = None) -> np.ndarray:
    """Row of the last input of each window, or of those numbered ``index_B``."""
    windows = starts.Windows(prepared.arrays[f"{split}_ranges"], prepared.meta["stride"])
    return windows.starts(np.arange(len(windows)) if index_B is None else index_B) + int(prepared.meta["lag"]) - 1


def runs(prepared: Prepared, split: Split) -> np.ndarray:
    """The rows that a split's windows cover, as ranges [start, stop) without a gap (R, 2)."""
    reach = prepared.meta["lag"] + prepared.meta["horizon"] - 1
    return np.asarray(prepared.arrays[f"{split}_ranges"]) + np.array([0, reach])


def inputs(prepared: Prepared, last_B: np.ndarray) -> np.ndarray:
    """Windows (B, L, F) float32 that end at the rows ``last_B``.

    Scaled values, then the calendar as circles; then categories, a column a word, and marks of missing values, where
    the task has them.
    """
    meta, arrays = prepared.meta, prepared.arrays
    rows_BL = last_B[:, None] + np.arange(1 - meta["lag"], 1)
    parts = [arrays["values"][rows_BL], calendar.expand(arrays["calendar"][rows_BL], meta["calendar"])]
    if "categories" in meta:
        parts.append(categories.expand(arrays["categories"][rows_BL], words(meta)))
    if meta.get("missing") == "mask":
        parts.append(arrays["missing"][rows_BL].astype(np.float32))
    return np.concatenate(parts, axis=2)


def ahead(codes_BAC: np.ndarray, meta: Meta) -> np.ndarray:
    """What is known of the rows ahead (B, A, F), in the order of ``inputs`` after the values: their calendar alone.

    Of categories nothing is known, and no value is marked as missing.
    """
    circles = calendar.expand(codes_BAC, meta["calendar"])
    unknown = width(meta) - len(meta["columns"]) - circles.shape[-1]
    return np.pad(circles, [(0, 0)] * (circles.ndim - 1) + [(0, unknown)]) if unknown else circles


def words(meta: Meta) -> list[list[str]]:
    """The words that each column of category codes may have: categories, site by site."""
    return [category["words"] for category in meta.get("categories", ())] * len(meta["sites"])


def width(meta: Meta) -> int:
    """F: the inputs of a row."""
    marks = len(meta["columns"]) if meta.get("missing") == "mask" else 0
    return len(meta["columns"]) + calendar.width(meta["calendar"]) + categories.width(words(meta)) + marks


def unscale(scaled: np.ndarray, meta: Meta) -> np.ndarray:
    """Values of the target in its own unit."""
    column = meta["target_column"]
    unscaled: np.ndarray = scaled.astype(np.float64) * meta["scaler"]["deviation"][column]
    return unscaled + meta["scaler"]["mean"][column]


def target(prepared: Prepared) -> np.ndarray:
    """The target (T,) in its own unit."""
    return unscale(prepared.arrays["values"][:, prepared.meta["target_column"]], prepared.meta)


def questions(prepared: Prepared, split: Split, horizon: int, truth_N: np.ndarray) -> Questions:
    """Windows by the time of their last row."""
    meta = prepared.meta
    about = {**{key: meta[key] for key in ("target", "target_site", "step_s")}, "horizon": horizon}
    seconds_N = np.asarray(prepared.arrays["seconds"])[last_rows(prepared, split)]
    return Questions(about, seconds_N.astype(np.int64), truth_N)


def block(meta: Meta) -> int:
    """A week of windows is resampled together: errors within an episode are alike.

    Where test has no two weeks, as of minutes or of rows that are numbered, as many as have a row in common.
    """
    week = max(1, 7 * 86_400 // int(meta["step_s"]) // int(meta["stride"]))
    if 2 * week <= meta["examples"]["test"]:
        return week
    return min(week, -(-(int(meta["lag"]) + int(meta["horizon"])) // int(meta["stride"])))


def example(prepared: Prepared) -> "pd.DataFrame":
    """The rows of the first test window, as the source has them."""
    import pandas as pd

    meta = prepared.meta
    start = int(prepared.arrays["test_ranges"][0, 0])
    rows = slice(start, start + meta["lag"])
    deviation, mean = (np.float32(meta["scaler"][key]) for key in ("deviation", "mean"))
    raw = prepared.arrays["values"][rows] * deviation + mean
    if "missing" in prepared.arrays:
        raw = np.where(prepared.arrays["missing"][rows], np.float32("nan"), raw)
    time = pd.to_datetime(prepared.arrays["seconds"][rows], unit="s", utc=True)
    count = len(meta["variables"])
    parts = []
    for number, site in enumerate(meta["sites"]):
        part = pd.DataFrame(raw[:, number * count : (number + 1) * count], columns=meta["variables"])
        part.insert(0, "time", time)
        if site:
            part.insert(1, "site", site)
        for place, category in enumerate(meta.get("categories", ())):
            codes = prepared.arrays["categories"][rows, number * len(meta["categories"]) + place]
            spelt = np.array([None, *category["words"]], dtype=object)[codes]
            part[category["name"]] = pd.array(spelt, dtype="str")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
