"""Step, season, window and horizons of a series, from the times of its rows. Shapes: T rows."""

from dataclasses import dataclass

import numpy as np

HOUR_S, DAY_S, WEEK_S = 3600, 86_400, 604_800
UNEVEN = ((28, 31, 30, 12), (90, 92, 91, 4), (365, 366, 365, 5))
"""Steps of the calendar that are not equally long: shortest and longest in days, what to call it, steps a season."""
NICE_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800)
REGULAR = 0.6
"""Share of the steps that must be equal in a regular series."""
MOST_LAG = 96


@dataclass(frozen=True)
class Rhythm:
    """What a forecast of such a series starts from; ``why`` says what the window is."""

    season: int
    lag: int
    horizons: tuple[int, ...]
    calendar: tuple[str, ...]
    why: str

    def fitting(self, rows: int) -> "Rhythm":
        """The same for a series so short that windows and horizons must be shorter, to leave some in each part."""
        most = max(rows // 40, 2)
        lag = min(self.lag, most)
        horizons = tuple(h for h in self.horizons if h <= most) or (1,)
        return Rhythm(
            self.season, lag, horizons, self.calendar, self.why if lag == self.lag else "as long as rows allow"
        )


def of(step_s: int, span_s: float) -> Rhythm:
    """Window, season and horizons of a regular step.

    >>> of(3600, 5e7)
    Rhythm(season=24, lag=24, horizons=(1, 6, 24), calendar=('hour', 'weekday'), why='a day of hours')
    """
    month = ("month",) if span_s > 2 * 365 * DAY_S else ()
    if step_s < DAY_S and DAY_S % step_s == 0:
        day = DAY_S // step_s
        if day <= MOST_LAG:
            lag = day if day >= 12 else 7 * day
            unit = "hours" if step_s == HOUR_S else f"steps of {name(step_s)}"
            middle = () if day < 12 else (day // 4,)
            why = f"a day of {unit}" if lag == day else f"a week of {unit}"
            return Rhythm(day, lag, (1, *middle, day), ("hour", "weekday", *month), why)
        hour = max(HOUR_S // step_s, 1)
        lag = min(max(hour, 30), MOST_LAG)
        calendar = ("hour", "weekday") if span_s > 2 * DAY_S else ()
        return Rhythm(
            day if span_s > 3 * DAY_S else hour, lag, (1, max(hour // 4, 2), max(hour, 3)), calendar, f"{lag} steps"
        )
    if step_s == DAY_S:
        return Rhythm(7, 28, (1, 7), ("weekday", *month), "four weeks of days")
    if step_s == WEEK_S:
        return Rhythm(52, 26, (1, 4), month, "half a year of weeks")
    return Rhythm(1, 30, (1, 6), (), "no usual season in this step: 30 steps")


def calendar_step(seconds_T: np.ndarray) -> tuple[int, int] | None:
    """Days to call a step, and steps a season, where all steps are months, quarters or years; None else."""
    days_T = np.diff(seconds_T) / DAY_S
    if not len(days_T):
        return None
    return next(
        ((step, season) for low, high, step, season in UNEVEN
         if low < high and ((days_T >= low) & (days_T <= high)).mean() > 0.9 and len(np.unique(days_T)) > 1),
        None,
    )  # fmt: skip


def numbered(season: int) -> Rhythm:
    """Of months, quarters or years, whose rows are numbered."""
    return Rhythm(season, 2 * season, (1, season), (), "two seasons")


def regular_share(seconds_T: np.ndarray, step_s: int) -> float:
    """The share of the steps that are the regular one."""
    return float((np.diff(seconds_T) == step_s).mean()) if len(seconds_T) > 1 else 1.0


def nice_step(seconds_T: np.ndarray) -> int:
    """A usual step that is no shorter than nine in ten of the steps, so that few of the new rows are empty."""
    most = float(np.percentile(np.diff(seconds_T), 90)) if len(seconds_T) > 1 else 1.0
    return next((step for step in NICE_S if step >= most), NICE_S[-1])


def name(step_s: int) -> str:
    """A step as a block has it.

    >>> name(900), name(86_400)
    ('15min', '1d')
    """
    unit, size = next((u, s) for u, s in (("d", DAY_S), ("h", HOUR_S), ("min", 60), ("s", 1)) if step_s % s == 0)
    return f"{step_s // size}{unit}"
