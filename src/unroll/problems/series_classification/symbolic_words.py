"""Bags of symbolic words: the local shapes of a series, whatever its level and wherever they stand.

Each stretch of a series is normalised and becomes a word: its first Fourier values, each as one of a few letters
(Symbolic Fourier Approximation, Schäfer & Högqvist 2012); a series is told by how often it has each (Schäfer 2015).
What devices, people or sensors share is the shape of an event, not its hour or size: such words carry over to others.

Shapes: N series, T steps, W steps of a window, P places of a window, L letters, E edges, G words of all series.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MIN_WINDOW, LEAST_STEPS = 4, 3
"""Shorter stretches have no shape, unless the series itself is shorter: of three steps there is one frequency."""
SAMPLE = 2000
"""Series of train from which the edges between letters are learned: more do not move them."""
DIGITS = 5
FLAT = 1e-2
"""Added to a stretch's deviation, of a series with deviation 1: noise on a flat stretch stays small."""


def window_lengths(steps: int, shares: Sequence[float]) -> list[int]:
    """Steps of each window, given as shares of a series' length; equal ones once, none of a series without a shape.

    >>> window_lengths(96, [1 / 16, 1 / 8, 0.5, 0.001])
    [4, 6, 12, 48]
    """
    if steps < LEAST_STEPS:
        return []
    return sorted({min(max(round(steps * share), MIN_WINDOW), steps) for share in shares})


def fit(
    values_NT: np.ndarray, shares: Sequence[float], length: int, letters: int, lengths_N: np.ndarray | None = None
) -> dict[str, Any]:
    """The windows and, for each, the edges (L, E) between letters: quantiles of train, so that all are alike frequent.

    Words have ``length`` letters, or as many as a short window has Fourier values. Plain numbers, to be kept as JSON.
    ``lengths_N`` are the steps of series that are not all T: what lies beyond is no stretch of theirs.
    """
    every = max(1, len(values_NT) // SAMPLE)
    sample_NT, own_N = values_NT[::every], None if lengths_N is None else lengths_N[::every]
    levels = np.arange(1, letters) / letters
    windows = []
    for window in window_lengths(values_NT.shape[1], shares):
        parts = _fourier(sample_NT, window, length)
        inside = _inside(parts.shape[1], window, own_N)
        kept = parts.reshape(-1, parts.shape[2]) if inside is None else parts[inside]
        if not len(kept):
            continue  # no series is as long as the window
        edges = np.quantile(kept, levels, axis=0)
        windows.append({"steps": window, "edges": edges.T.tolist()})
    return {"letters": letters, "windows": windows}


def buckets(fitted: Mapping[str, Any]) -> int:
    """How many different words there are, all windows together."""
    return sum(_words(fitted, window) for window in fitted["windows"])


def bags(
    values_NT: np.ndarray, fitted: Mapping[str, Any], lengths_N: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The words (G,) of each series, their weights (G,), and where each series' words begin (N,).

    A word's weight is the root of its count; the weights of one window's words have norm 1 in each series. Of series
    that are not all T long (``lengths_N``) only stretches within count.
    """
    none = np.zeros(0, np.int64)
    rows, ids, weights, first = [none], [none], [none], 0
    for window in fitted["windows"]:
        row, word, weight = _bag(words(values_NT, window, fitted["letters"]), window["steps"], lengths_N)
        rows.append(row)
        ids.append(word + first)
        weights.append(weight)
        first += _words(fitted, window)
    row_G = np.concatenate(rows)
    order_G = np.argsort(row_G, kind="stable")
    starts_N = np.searchsorted(row_G[order_G], np.arange(len(values_NT)))
    return np.concatenate(ids)[order_G], np.concatenate(weights)[order_G].astype(np.float32), starts_N


def _bag(words_NP: np.ndarray, window: int, lengths_N: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Series (G,), word (G,) and weight (G,) of each different word of a series, of one window."""
    places_N = np.full(len(words_NP), words_NP.shape[1])
    if (inside_NP := _inside(words_NP.shape[1], window, lengths_N)) is not None:
        words_NP, places_N = np.where(inside_NP, words_NP, -1), inside_NP.sum(axis=1)
    words_NP = np.sort(words_NP, axis=1)
    new_NP = np.ones(words_NP.shape, dtype=bool)
    new_NP[:, 1:] = words_NP[:, 1:] != words_NP[:, :-1]
    places = np.flatnonzero(new_NP)  # a series' first word is always new: no count runs into the next series
    roots = np.sqrt(np.diff(places, append=new_NP.size))
    own = words_NP.ravel()[places] >= 0
    place_G, root_G = places[own], roots[own]
    row_G = place_G // words_NP.shape[1]
    return row_G, words_NP.ravel()[place_G], root_G / np.sqrt(places_N[row_G])  # a series' counts sum to its places


def words(values_NT: np.ndarray, window: Mapping[str, Any], letters: int) -> np.ndarray:
    """The number of the word at each place (N, P)."""
    edges_LE = np.array(window["edges"])
    parts_NPL = _fourier(values_NT, window["steps"], len(edges_LE))
    words_NP = np.zeros(parts_NPL.shape[:2], dtype=np.int64)
    for part, edges_E in enumerate(edges_LE):
        words_NP = words_NP * letters + np.searchsorted(edges_E, parts_NPL[:, :, part])
    return words_NP


def _inside(places: int, window: int, lengths_N: np.ndarray | None) -> np.ndarray | None:
    """Which of the places (N, P) of a window lie within each series; None where all do."""
    return None if lengths_N is None else np.arange(places) + window <= lengths_N[:, None]


def _words(fitted: Mapping[str, Any], window: Mapping[str, Any]) -> int:
    return int(fitted["letters"] ** len(window["edges"]))


def _fourier(values_NT: np.ndarray, window: int, length: int) -> np.ndarray:
    """Real and imaginary parts (N, P, L) of each window's lowest frequencies, less its mean, over its deviation."""
    values_NPW = np.lib.stride_tricks.sliding_window_view(values_NT.astype(np.float64), window, axis=1)
    count = min(length, window - 2 + window % 2)  # the highest frequency of an even window has no imaginary part
    frequency_L = 1 + np.arange(count) // 2
    angle_WL = 2 * np.pi * np.arange(window)[:, None] * frequency_L / window
    basis_WL = np.where(np.arange(count) % 2 == 0, np.cos(angle_WL), -np.sin(angle_WL)) / np.sqrt(window)
    # The basis is orthogonal to a constant: the mean falls out by itself.
    parts_NPL: np.ndarray = values_NPW @ basis_WL
    scaled_NPL = parts_NPL / (values_NPW.std(axis=2, keepdims=True) + FLAT)
    # Flat stretches are frequent, and an edge may lie at their 0: rounding errors must not choose their letter.
    return np.round(scaled_NPL, DIGITS) + 0.0
