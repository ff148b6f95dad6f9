"""Numbers and names as people read them, in pictures, cards and tables."""

import math
import re

import numpy as np

METRICS = {
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "macro_f1": "macro-F1",
    "f1": "F1",
}
IN_UNITS = ("rmse", "mae", "width")
"""Metrics in the target's own unit."""
UNITS = {"_ug_m3": " (µg/m³)", "_mg_m3": " (mg/m³)", "_kwh": " (kWh)", "_kw": " (kW)", "_s": " (s)", "_h": " (h)"}

_BAND = re.compile(r"(coverage|width)_(\d+)")
_AHEAD = re.compile(rf"({'|'.join([*METRICS, 'skill'])}|{_BAND.pattern.replace('(', '(?:')})_(\d+)")
"""Metrics of a band, and those of a later horizon."""


def number(value: float) -> str:
    """A number with about four digits.

    >>> [number(0.81234), number(12.3456), number(1234.5), number(0.00012)]
    ['0.812', '12.35', '1,234', '1.2e-04']
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    size = abs(value)
    if size < 0.0005:
        return f"{value:.1e}"
    decimals = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    return f"{value:,.{decimals}f}"


def words(name: str) -> str:
    """A name of ours (lower case, underscores) as words; any other name as it is.

    >>> [words("bits_per_character"), words("r2"), words("Late_Flight")]
    ['bits per character', 'R²', 'Late_Flight']
    >>> [words("rmse_24"), words("coverage_80"), words("width_95_6")]
    ['RMSE, 24 steps', 'coverage of 80 %', 'width of 95 %, 6 steps']
    """
    if ahead := _AHEAD.fullmatch(name):
        return f"{words(ahead[1])}, {ahead[2]} steps"
    if band := _BAND.fullmatch(name):
        return f"{band[1]} of {band[2]} %"
    return METRICS.get(name) or (name.replace("_", " ") if name.islower() else name)


def label(text: str) -> str:
    """The label of an axis, in which names of columns show their unit as it is written.

    >>> label("forecast, pm10_ug_m3")
    'forecast, pm10 (µg/m³)'
    """
    return re.sub(rf"(?<=\w)({'|'.join(UNITS)})\b", lambda match: UNITS[match[1]], text)


def measure(metric: str, target: str = "") -> str:
    """A metric as words, with the unit of what it measures where it has one.

    >>> [measure("rmse", "pm10_ug_m3"), measure("r2", "pm10_ug_m3"), measure("mae")]
    ['RMSE (µg/m³)', 'R²', 'MAE']
    """
    if metric.split("_")[0] not in IN_UNITS:
        return words(metric)
    return words(metric) + next((unit for end, unit in UNITS.items() if target.endswith(end)), "")


def cell(value: object) -> str:
    """A value in one line of a table."""
    if isinstance(value, bool | np.bool_):
        return "✓" if value else "✗"
    if isinstance(value, float | np.floating):
        return number(float(value))
    return " ".join(str(value).split())
