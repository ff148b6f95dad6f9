"""Step, season, window and horizons of a series, from the times of its rows. Shapes: T rows."""

from dataclasses import dataclass, replace

import numpy as np

HOUR_S, DAY_S, WEEK_S = 3600, 86_400, 604_800
UNEVEN = ((28, 31, 30, 12), (90, 92, 91, 4), (365, 366, 365, 5))
"""Steps of the calendar that are not equally long: shortest and longest in days, what to call it, steps a season."""
NICE_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800)
REGULAR = 0.6
"""Share of the steps that must be equal in a regular series."""
ROWS_A_LAG = 40
"""Rows of the series for each row of a window, at least."""
MOST_LAG = 96
LEAST_LAG = 24
MOST_ROWS, MOST_SEASON = 1 << 16, 2000
"""Rows, the last ones, in which a season is looked for, and the longest one."""
LEAST_CORRELATION, DEVIATIONS = 0.1, 4.5
"""What the changes of rows a season apart must have in common: so much, and more than chance makes of that many."""
NEARLY = 0.8
"""Of seasons that stand out nearly as much as the best one the shortest counts: the others are its multiples."""


@dataclass(frozen=True)
class Rhythm:
    """What a forecast of such a series starts from; ``why`` says what the window is."""

    season: int
    lag: int
    horizons: tuple[int, ...]
    calendar: tuple[str, ...]
    why: str

    def fitting(self, rows: int) -> "Rhythm":
        """The same for a series so short that windows and horizons must be shorter, to leave some in each part.

        A window that is cut has whole seasons, if it has room for one.

        >>> of(86_400, 9e7).fitting(900).lag, of(3600, 9e6).fitting(400).lag
        (21, 10)
        """
        most = max(rows // ROWS_A_LAG, 2)
        horizons = tuple(h for h in self.horizons if h <= most) or (1,)
        if self.lag <= most:
            return replace(self, horizons=horizons)
        seasons = most // self.season if self.season > 1 else 0
        lag, whole = (seasons * self.season, f" in whole seasons of {self.season}") if seasons else (most, "")
        why = f"at most one in {ROWS_A_LAG} of the {rows:,} rows{whole}, so that enough windows are left to learn from"
        return replace(self, lag=lag, horizons=horizons, why=why)


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


def of_values(values_T: np.ndarray) -> Rhythm:
    """Of rows that are numbered: the season that the values themselves have, and nothing of a calendar."""
    season = season_of(values_T)
    if season == 1:
        return Rhythm(1, 30, (1, 6), (), "rows are numbered and no season stands out: 30 rows")
    seasons = max(-(-LEAST_LAG // season), 1)
    lag = min(seasons * season, MOST_LAG)
    why = f"{seasons} seasons of {season} rows, as the values have them" if lag == seasons * season else f"{lag} rows"
    return Rhythm(season, lag, (1, season) if season <= MOST_LAG else (1, 6), (), why)


def season_of(values_T: np.ndarray) -> int:
    """Rows after which the changes of a series come again, by their autocorrelation; 1 where none stands out.

    Changes, for a series that only wanders goes with itself at any distance, and its changes do not (Box & Jenkins
    1970). Missing values are left out.

    >>> season_of(np.sin(np.arange(400) * 2 * np.pi / 14)), season_of(np.arange(400.0))
    (14, 1)
    """
    change_T = np.diff(values_T[-MOST_ROWS:].astype(np.float64))
    there_T = np.isfinite(change_T)
    most = min(len(change_T) // 3, MOST_SEASON)
    if most < 3 or there_T.sum() < len(change_T) / 2:
        return 1
    change_T = np.where(there_T, change_T - change_T[there_T].mean(), 0.0)
    if (change_T**2).sum() <= 1e-9 * (values_T[np.isfinite(values_T)].astype(np.float64) ** 2).sum():
        return 1  # a straight line, but for how numbers are rounded
    size = 2 * len(change_T)
    spectrum = np.abs(np.fft.rfft(change_T, size)) ** 2
    common_L = np.fft.irfft(spectrum, size)[: most + 2]
    common_L = common_L / common_L[0]
    least = max(LEAST_CORRELATION, DEVIATIONS / float(np.sqrt(there_T.sum())))
    inner_L = common_L[1:-1]
    peaks = 1 + np.flatnonzero((inner_L >= least) & (inner_L > common_L[:-2]) & (inner_L >= common_L[2:]))
    peaks = peaks[peaks > 1]
    if not len(peaks):
        return 1
    good = peaks[common_L[peaks] >= NEARLY * common_L[peaks].max()]
    return _refined(common_L, int(good[0]))


def _refined(common_L: np.ndarray, season: int) -> int:
    """The season by the peaks at its multiples, which tell it more finely than the first one, flat under noise."""
    refined = float(season)
    for times in range(2, 9):
        near = round(refined * times)
        slack = max(round(refined / 10), 1)
        if near + slack >= len(common_L):
            break
        refined = (near - slack + int(np.argmax(common_L[near - slack : near + slack + 1]))) / times
    return round(refined)


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
