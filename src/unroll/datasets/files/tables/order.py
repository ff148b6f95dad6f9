"""The order of time, kept in mind from chunk to chunk: one row a time and site, none before the one before it.

Shapes: K rows that are kept, S sites.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from unroll.core.errors import DataError
from unroll.datasets.files.columns import times

SECOND_US = 1_000_000
_SORT = "`sort: true` puts rows into the order of time"
_TWICE = "`site` names a column that tells several series apart, `resample` makes one row of several"


class BackwardsError(DataError):
    """Rows that are not in the order of time."""


@dataclass
class Order:
    """What was the last row of each site; sites are numbered as they come."""

    sites: list[str] = field(default_factory=list)
    steps_us: Counter[int] = field(default_factory=Counter)
    _last: dict[int, tuple[int, str, int]] = field(default_factory=dict)
    _number: dict[str, int] = field(default_factory=dict)

    def numbers(self, site_K: np.ndarray) -> np.ndarray:
        """The number of each row's site."""
        import pandas as pd

        code_K, names = pd.factorize(site_K)
        known_S = np.array([self._number.setdefault(str(name), len(self._number)) for name in names], dtype=np.int32)
        self.sites = list(self._number)
        return known_S[code_K] if len(names) else np.zeros(0, dtype=np.int32)

    def check(self, us_K: np.ndarray, code_K: np.ndarray, file_K: np.ndarray, row_K: np.ndarray) -> None:
        """Go on with rows of some file; raises DataError for two rows at one time, BackwardsError."""
        if not len(us_K):
            return
        order_K = np.argsort(code_K, kind="stable")
        us_K, code_K, file_K, row_K = us_K[order_K], code_K[order_K], file_K[order_K], row_K[order_K]
        new_K = np.diff(code_K, prepend=-1) != 0
        step_K = np.diff(us_K, prepend=us_K[0])
        for place in np.flatnonzero(new_K).tolist():
            before = self._last.get(int(code_K[place]))
            step_K[place] = us_K[place] - before[0] if before else np.iinfo(np.int64).max
        wrong = np.flatnonzero(step_K < SECOND_US)
        if len(wrong):
            place = int(wrong[np.argmin(order_K[wrong])])
            code = int(code_K[place])
            at = [(int(us_K[row]), str(file_K[row]), int(row_K[row])) for row in (place - 1, place)]
            raise self._fault(code, at[1], self._last[code] if new_K[place] else at[0])
        steps, counts = np.unique(step_K[step_K < np.iinfo(np.int64).max], return_counts=True)
        self.steps_us.update(dict(zip(steps.tolist(), counts.tolist(), strict=True)))
        if len(self.steps_us) > 10_000:  # irregular times: the rare steps do not matter
            self.steps_us = Counter(dict(self.steps_us.most_common(1000)))
        for place in np.flatnonzero(np.append(new_K[1:], True)).tolist():
            self._last[int(code_K[place])] = int(us_K[place]), str(file_K[place]), int(row_K[place])

    def step_s(self) -> int | None:
        """The most frequent difference between neighbouring rows in seconds; None where there is none."""
        if not self.steps_us:
            return None
        return min(self.steps_us, key=lambda step: (-self.steps_us[step], step)) // SECOND_US

    def _fault(self, code: int, now: tuple[int, str, int], before: tuple[int, str, int]) -> DataError:
        (us, file, row), (us_before, file_before, row_before) = now, before
        site = self.sites[code] if code < len(self.sites) else ""
        where, of_site = f"{file} row {row}", f" of site {site!r}" if site else ""
        first = f"{file_before} row {row_before}" if file_before != file else f"row {row_before}"
        if us == us_before:
            hint = _TWICE if not site else "`resample` makes one row of several"
            return DataError(
                f"{where}: a second row{of_site} at {times.show(us)}, after {first}; expected one row a time ({hint})"
            )
        if us > us_before:
            return DataError(
                f"{where}: {times.show(us)} follows {times.show(us_before)} ({first}) in less than a second; expected "
                "steps of a second or more (`resample` makes them)"
            )
        return BackwardsError(
            f"{where}: time runs backwards{of_site}: {times.show(us)} after {times.show(us_before)} ({first}); "
            f"expected later times ({_SORT})"
        )
