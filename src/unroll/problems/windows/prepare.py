"""From a table to the arrays of a series: which rows, filled in how, scaled, parted in time, and windows in each part.

A window is ``lag`` rows; what is asked for lies up to ``reach`` rows after its last. Shapes: T rows, F inputs, C
calendar codes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.core.errors import DataError
from unroll.features import scaling
from unroll.problems.common.base import Meta, Split
from unroll.problems.windows import calendar, categories, filling, series_table, starts
from unroll.problems.windows.config import SeriesPrepare

if TYPE_CHECKING:
    import pandas as pd


def columns(config: SeriesPrepare) -> Sequence[str] | None:
    """Time, site and the variables chosen."""
    if isinstance(config.variables, str):
        return None
    return ["time", *(["site"] if config.target_site else []), *config.variables, *config.categories]


def prepare(
    table: "pd.DataFrame", config: SeriesPrepare, horizons: Sequence[int], folder: Path, fitted: Meta | None = None
) -> dict[str, Any]:
    """Arrays: ``values`` (T, F) scaled, ``calendar`` (T, C) codes, ``seconds`` (T,), a ``*_ranges`` a split.

    ``horizons`` are the rows, from a window's last one on, of which the target is forecast; a window needs all rows up
    to the last of them, which the meta has as ``horizon``. Where missing values are filled in, ``missing`` (T, F) tells
    which; where there are categories, ``categories`` their codes. With the meta of a trained model, ``fitted``, its
    sites, variables, scaler and words are taken.
    """
    reach, bridge = max(horizons), config.bridged_rows
    sites, variables = (fitted["sites"], fitted["variables"]) if fitted else (config.sites, config.variables)
    laid = series_table.lay_out(
        table, sites, variables, config.target, folder / "values.npy", config.categories, bridge
    )
    target = _target_column(laid, config)
    step_s = series_table.step_s(laid.seconds_T)
    joined_T = series_table.follows(laid.seconds_T, step_s)
    bounds = _bounds(laid.seconds_T, config)
    values = np.lib.format.open_memmap(folder / "values.npy", mode="r+")
    scaler = fitted["scaler"] if fitted else scaling.fit(values, slice(*bounds["train"]))
    if not fitted:
        _require_change(values[slice(*bounds["train"]), target], laid.columns[target])
    good_T = np.ones(len(values), dtype=bool)
    for low in range(0, len(values), scaling.CHUNK):
        chunk = slice(low, low + scaling.CHUNK)
        values[chunk] = scaling.apply(values[chunk], scaler)
        good_T[chunk] = np.isfinite(values[chunk]).all(axis=1)
    more: dict[str, Any] = {}
    legal_T = None
    if config.missing != "drop":
        breaks_T = filling.breaks(joined_T, [low for low, _ in bounds.values()])
        missing_TF = filling.fill(values, breaks_T, config.missing, bridge)
        store.write_array(folder / "missing.npy", missing_TF)
        legal_T = _legal(missing_TF, target, config, horizons)
        filled_T = np.isfinite(values).all(axis=1)
        more = {"missing": config.missing, "bridge": bridge, "rows_filled": int((filled_T & ~good_T).sum())}
        good_T = filled_T
    values.flush()
    if config.categories:
        path, known = folder / "categories.npy", [each["words"] for each in fitted["categories"]] if fitted else None
        more["categories"] = _categories(laid, config, slice(*bounds["train"]), path, known)
    ranges = starts.runs(good_T, joined_T)
    counts = {}
    for split, (low, high) in bounds.items():
        windows = starts.split_windows(ranges, low, high, config.lag, reach, config.stride)
        if legal_T is not None:
            windows = starts.only(windows, legal_T)
        if not len(windows):
            raise DataError(
                f"split {split}: {high - low} rows hold no whole window of {config.lag} + {reach} rows "
                "without a gap; expected at least one"
            )
        store.write_array(folder / f"{split}_ranges.npy", windows.ranges_R2)
        counts[split] = len(windows)
    store.write_array(folder / "seconds.npy", laid.seconds_T)
    store.write_array(folder / "calendar.npy", calendar.codes(laid.seconds_T, config.calendar))
    return {
        "sites": laid.sites,
        "variables": laid.variables,
        "columns": laid.columns,
        "target": config.target,
        "target_site": config.target_site,
        "target_column": target,
        "calendar": list(config.calendar),
        "lag": config.lag,
        "horizon": reach,
        "stride": config.stride,
        "step_s": step_s,
        "scaler": scaler,
        "bounds": {split: list(rows) for split, rows in bounds.items()},
        "examples": counts,
        "rows_with_missing_values": int((~good_T).sum()),
        "gaps": int((~joined_T).sum()),
        **more,
    }


def _legal(missing_TF: np.ndarray, target: int, config: SeriesPrepare, horizons: Sequence[int]) -> np.ndarray:
    """Whether a window may start at a row (T,), as far as filled values go: what is asked for was measured.

    An interpolated value tells of the next one: the last row of a window may have none, or the window would know what
    came after it.
    """
    rows = len(missing_TF)
    legal_T = np.ones(rows, dtype=bool)
    measured_T = ~missing_TF[:, target]
    needed = [(measured_T, config.lag - 1 + ahead) for ahead in horizons]
    if config.missing == "interpolate":
        needed.append((~np.asarray(missing_TF.any(axis=1)), config.lag - 1))
    for good_T, ahead in needed:
        legal_T[: rows - ahead] &= good_T[ahead:]
        legal_T[rows - ahead :] &= ahead == 0
    return legal_T


def _categories(
    laid: series_table.Series, config: SeriesPrepare, train: slice, path: Path, known: Sequence[Sequence[str]] | None
) -> list[dict[str, Any]]:
    """The words of each category that train has, or those ``known``; others get code 0."""
    codes = np.lib.format.open_memmap(path, mode="r+")
    count, numbers = len(config.categories), []
    for number, (name, words) in enumerate(zip(config.categories, laid.words, strict=True)):
        codes_TS = codes[:, number::count]
        if known is None:
            kept = categories.keep_known(codes_TS, train, words)
        else:
            kept = categories.renumber(codes_TS, words, known[number])
        numbers.append({"name": name, "words": kept})
    codes.flush()
    return numbers


def _target_column(laid: series_table.Series, config: SeriesPrepare) -> int:
    name = f"{config.target_site}/{config.target}" if config.target_site else config.target
    if name not in laid.columns:
        raise DataError(f"target {name!r} is not among the inputs; expected one of {', '.join(laid.columns)}")
    return laid.columns.index(name)


def _require_change(target_T: np.ndarray, name: str) -> None:
    """Raise DataError for a target with one value in all of train: nothing can be learned of it."""
    there_T = target_T[np.isfinite(target_T)]
    if len(there_T) and there_T.min() == there_T.max():
        raise DataError(
            f"prepare.target: column {name!r} is {there_T[0]:g} in all {len(there_T):,} rows of train; expected values "
            "that change"
        )


def _bounds(seconds_T: np.ndarray, config: SeriesPrepare) -> dict[Split, tuple[int, int]]:
    """Row ranges of the splits, in the order of time."""
    rows = len(seconds_T)
    if config.validation_from is None or config.test_from is None:
        test = rows - round(rows * (config.test_share or 0.0))
        cuts = [test - round(rows * (config.validation_share or 0.0)), test]
        if not 0 < cuts[0] < cuts[1] < rows:
            raise DataError(
                f"{rows} rows; prepare.validation_share {config.validation_share} and test_share {config.test_share} "
                "leave a split without rows"
            )
    else:
        moments = [np.datetime64(day, "s").astype(np.int64) for day in (config.validation_from, config.test_from)]
        cuts = [int(np.searchsorted(seconds_T, moment)) for moment in moments]
        if not 0 < cuts[0] < cuts[1] < rows:
            first, last = np.datetime64(int(seconds_T[0]), "s"), np.datetime64(int(seconds_T[-1]), "s")
            raise DataError(
                f"prepare.validation_from {config.validation_from} and test_from {config.test_from} leave a split "
                f"without rows; expected {first} < validation_from < test_from <= {last}"
            )
    return {"train": (0, cuts[0]), "validation": (cuts[0], cuts[1]), "test": (cuts[1], rows)}
