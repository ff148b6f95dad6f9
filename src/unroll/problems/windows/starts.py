"""Windows as indices: where they may start, never their contents.

A window covers ``lag`` rows of input and the row ``horizon`` steps after the last of them. Legal starts are kept as a
few ranges (a run of good rows gives one), so ten million rows need no list of ten million windows.
Shapes: T rows, R ranges, N windows.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """The legal starts: ``stop`` is exclusive, every ``stride``-th start counts.

    >>> Windows(np.array([[0, 5], [10, 12]]), stride=2).starts(np.arange(4))
    array([ 0,  2,  4, 10])
    """

    ranges_R2: np.ndarray
    stride: int = 1

    @property
    def counts_R(self) -> np.ndarray:
        """Number of windows in each range."""
        lengths: np.ndarray = np.maximum(self.ranges_R2[:, 1] - self.ranges_R2[:, 0], 0)
        return -(-lengths // self.stride)

    def __len__(self) -> int:
        return int(self.counts_R.sum())

    def starts(self, index: np.ndarray) -> np.ndarray:
        """Row at which each of the windows numbered ``index`` starts."""
        ends_R = np.cumsum(self.counts_R)
        which = np.searchsorted(ends_R, index, side="right")
        within = index - (ends_R[which] - self.counts_R[which])
        starts: np.ndarray = self.ranges_R2[which, 0] + within * self.stride
        return starts


def runs(good_T: np.ndarray, joined_T: np.ndarray) -> np.ndarray:
    """Ranges [start, stop) of consecutive good rows, shape (R, 2).

    ``joined_T[t]`` says that row t follows row t−1 by one regular step (the first entry is not looked at); a gap ends
    a run.
    """
    good = np.asarray(good_T, dtype=bool)
    begins = good.copy()
    begins[1:] &= ~(good[:-1] & joined_T[1:])
    ends = good.copy()
    ends[:-1] &= ~(good[1:] & joined_T[1:])
    return np.stack([np.flatnonzero(begins), np.flatnonzero(ends) + 1], axis=1)


def split_windows(runs_R2: np.ndarray, low: int, high: int, lag: int, horizon: int, stride: int) -> Windows:
    """Windows that lie wholly in rows [low, high) and in one run: none crosses a split or a gap."""
    clipped = np.clip(runs_R2, low, high)
    clipped[:, 1] -= lag + horizon - 1
    return Windows(clipped[clipped[:, 1] > clipped[:, 0]], stride)


def only(windows: Windows, legal_T: np.ndarray) -> Windows:
    """Those of the windows that start at a legal row.

    >>> only(Windows(np.array([[0, 4]])), np.array([True, True, False, True])).ranges_R2.tolist()
    [[0, 2], [3, 4]]
    """
    starts_T = np.zeros(len(legal_T), dtype=bool)
    for low, high in windows.ranges_R2:
        starts_T[low:high] = True
    starts_T &= legal_T
    begins_T = np.diff(starts_T, prepend=False)
    ends = np.flatnonzero(begins_T & ~starts_T)
    firsts = np.flatnonzero(begins_T & starts_T)
    return Windows(np.stack([firsts, np.append(ends, len(legal_T))[: len(firsts)]], axis=1), windows.stride)
