"""Simulated days of seven kinds of household device, one value each 15 minutes.

A kind shows in the shape and order of its events, not in the time of day at which they stand: that varies, so that
comparing two days value by value is of limited use. Nothing is taken from the real days. Shapes: N days, T = 96 times.
"""

from collections.abc import Callable

import numpy as np

STEPS = 96
SHARES = (0.08, 0.25, 0.1, 0.17, 0.26, 0.06, 0.08)  # of the classes 1 to 7, about as in the public file
LEAST = 5  # days of each kind, however small the sample
BARE = 0.06  # share of days, of any kind, with one lone event: no one can tell these apart


def simulate(days: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Classes 1 to 7 (N,) and z-normalised days (N, T), at least five of each class."""
    kinds_N = rng.permutation(
        np.concatenate([np.repeat(np.arange(7), LEAST), rng.choice(7, days - 7 * LEAST, p=SHARES)])
    )
    watts_NT = np.stack([_bare(rng) if rng.random() < BARE else _noisy(KINDS[kind](rng), rng) for kind in kinds_N])
    centred_NT = watts_NT - watts_NT.mean(axis=1, keepdims=True)
    return kinds_N + 1, centred_NT / centred_NT.std(axis=1, ddof=1, keepdims=True)


def _bare(rng: np.random.Generator) -> np.ndarray:
    """One event of 15 minutes on a flat line: many of these days come out equal."""
    day_T = np.zeros(STEPS)
    day_T[rng.integers(30, 90)] = 1.0
    return day_T


def _noisy(day_T: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return day_T * rng.lognormal(0, 0.12, STEPS) + 0.02 * np.abs(rng.standard_normal(STEPS))


def _block(day_T: np.ndarray, start: float, steps: float, watts: float) -> None:
    """Add an event that starts and ends between two readings: these show their share of it."""
    edges_T = np.arange(STEPS)
    cover_T = np.minimum(edges_T + 1, start + steps) - np.maximum(edges_T, start)
    day_T += watts * np.clip(cover_T, 0, 1)


def _cold(rng: np.random.Generator) -> np.ndarray:
    """A compressor that goes on and off all day."""
    day_T, start = np.zeros(STEPS), rng.uniform(-4, 2)
    period, on = rng.uniform(4, 9), rng.uniform(0.3, 0.6)
    while start < STEPS:
        _block(day_T, start, period * on, 1.0)
        start += period * rng.lognormal(0, 0.1)
    return day_T


def _kettle(rng: np.random.Generator) -> np.ndarray:
    """Short bursts while someone is at home, each alone."""
    day_T = np.zeros(STEPS)
    for _ in range(rng.integers(3, 9)):
        _block(day_T, rng.uniform(26, 92), rng.uniform(0.2, 0.6), rng.uniform(0.7, 1.0))
    return day_T


def _screen(rng: np.random.Generator) -> np.ndarray:
    """A long steady evening, at times a morning as well."""
    day_T = np.full(STEPS, 0.05)
    _block(day_T, rng.uniform(60, 78), rng.uniform(6, 24), 1.0)
    if rng.random() < 0.5:
        _block(day_T, rng.uniform(28, 50), rng.uniform(3, 14), 1.0)
    return day_T


def _washing(rng: np.random.Generator) -> np.ndarray:
    """Heat first, then a long tail of tumbling that ends in a spin."""
    day_T = np.zeros(STEPS)
    for _ in range(rng.choice([1, 2], p=[0.6, 0.4])):
        start, heat, tail = rng.uniform(26, 76), rng.uniform(0.8, 2.5), rng.uniform(2, 6)
        _block(day_T, start, heat, 1.0)
        _block(day_T, start + heat, tail, rng.uniform(0.08, 0.2))
        _block(day_T, start + heat + tail, 0.7, rng.uniform(0.25, 0.45))
    return day_T


def _dishes(rng: np.random.Generator) -> np.ndarray:
    """Heat twice, with a pause of an hour between; no spin after it."""
    day_T = np.zeros(STEPS)
    for _ in range(rng.choice([1, 2], p=[0.7, 0.3])):
        start, heat, pause = rng.uniform(26, 80), rng.uniform(0.8, 2.2), rng.uniform(2, 5)
        _block(day_T, start, heat, 1.0)
        _block(day_T, start + heat, pause, rng.uniform(0.02, 0.12))
        _block(day_T, start + heat + pause, rng.uniform(0.6, 1.6), rng.uniform(0.8, 1.0))
    return day_T


def _oven(rng: np.random.Generator) -> np.ndarray:
    """Heat up, then a thermostat that switches ever shorter."""
    day_T = np.zeros(STEPS)
    for _ in range(rng.choice([1, 2], p=[0.7, 0.3])):
        start, heat = rng.uniform(40, 80), rng.uniform(0.8, 1.8)
        for _ in range(rng.integers(3, 7)):
            _block(day_T, start, heat, 1.0)
            start += heat + rng.uniform(0.6, 1.4)
            heat = max(0.3, heat * 0.7)
    return day_T


def _computer(rng: np.random.Generator) -> np.ndarray:
    """A long day that wanders, broken by rests."""
    day_T, start = np.full(STEPS, 0.08), rng.uniform(24, 56)
    for _ in range(rng.integers(1, 4)):
        steps = rng.uniform(5, 18)
        _block(day_T, start, steps, rng.uniform(0.7, 1.0))
        start += steps + rng.uniform(1, 6)
    return day_T * np.exp(0.15 * np.cumsum(rng.standard_normal(STEPS)) / 3)


KINDS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    _cold,
    _kettle,
    _screen,
    _washing,
    _dishes,
    _oven,
    _computer,
)
