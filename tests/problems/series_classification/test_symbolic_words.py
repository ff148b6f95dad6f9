"""Symbolic words against NumPy's FFT and counts made one by one."""

from collections import Counter

import numpy as np
import pytest

from unroll.problems.series_classification import symbolic_words


def series(rows: int = 30, steps: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, steps)).cumsum(axis=1).astype(np.float32)


def naive_word(stretch: np.ndarray, edges: list[list[float]], letters: int) -> int:
    spectrum = np.fft.fft(stretch.astype(np.float64)) / np.sqrt(len(stretch))
    parts = [part for value in spectrum[1:] for part in (value.real, value.imag)][: len(edges)]
    word = 0
    for part, between in zip(parts, edges, strict=True):
        scaled = round(float(part / (stretch.astype(np.float64).std() + symbolic_words.FLAT)), symbolic_words.DIGITS)
        word = word * letters + sum(scaled > edge for edge in between)
    return word


@pytest.mark.parametrize(("steps", "length"), [(40, 5), (41, 6), (9, 4), (4, 5)])
def test_words_are_those_of_the_fast_fourier_transform(steps: int, length: int) -> None:
    values = series(steps=steps)
    fitted = symbolic_words.fit(values, [0.1, 0.25, 0.5], length, 4)
    for window in fitted["windows"]:
        found = symbolic_words.words(values, window, 4)
        assert found.shape == (len(values), steps - window["steps"] + 1)
        for row, place in [(0, 0), (7, found.shape[1] - 1), (29, found.shape[1] // 2)]:
            stretch = values[row, place : place + window["steps"]]
            assert found[row, place] == naive_word(stretch, window["edges"], 4)


def test_a_bag_counts_each_window_by_itself() -> None:
    values = series()
    fitted = symbolic_words.fit(values, [0.2, 0.5], 3, 3)
    ids, weights, starts = symbolic_words.bags(values, fitted)
    bounds = [*starts.tolist(), len(ids)]
    for row in range(len(values)):
        expected: dict[int, float] = {}
        first = 0
        for window in fitted["windows"]:
            counts = Counter((symbolic_words.words(values[row : row + 1], window, 3)[0] + first).tolist())
            norm = np.sqrt(sum(counts.values()))
            expected |= {word: np.sqrt(count) / norm for word, count in counts.items()}
            first += 3**3
        here = slice(bounds[row], bounds[row + 1])
        assert dict(zip(ids[here].tolist(), weights[here].tolist(), strict=True)) == pytest.approx(expected)
    assert ids.max() < symbolic_words.buckets(fitted) == 2 * 27


def test_a_series_has_the_same_bag_alone_and_among_others() -> None:
    values = series()
    fitted = symbolic_words.fit(values, [0.1, 0.3], 4, 4)
    ids, weights, starts = symbolic_words.bags(values, fitted)
    for row in (0, 13, 29):
        alone = symbolic_words.bags(values[row : row + 1], fitted)
        end = starts[row + 1] if row + 1 < len(starts) else len(ids)
        np.testing.assert_array_equal(alone[0], ids[starts[row] : end])
        np.testing.assert_array_equal(alone[1], weights[starts[row] : end])


def test_words_do_not_know_level_and_size() -> None:
    values = series().astype(np.float64) * 1000
    fitted = symbolic_words.fit(values, [0.25], 4, 4)
    (window,) = fitted["windows"]
    moved = symbolic_words.words(values * 3 - 50, window, 4)
    assert (moved == symbolic_words.words(values, window, 4)).mean() > 0.999


def test_letters_are_alike_frequent_in_train() -> None:
    values = series(rows=200)
    fitted = symbolic_words.fit(values, [0.25], 1, 5)
    counts = np.bincount(symbolic_words.words(values, fitted["windows"][0], 5).ravel(), minlength=5)
    assert counts.min() > 0.9 * counts.mean()


def test_a_constant_series_has_one_word() -> None:
    values = np.concatenate([series(), np.full((1, 40), 3.0, np.float32)])
    fitted = symbolic_words.fit(values, [0.25], 4, 4)
    assert len(np.unique(symbolic_words.words(values[-1:], fitted["windows"][0], 4))) == 1


@pytest.mark.parametrize(
    ("steps", "expected"), [(96, [6, 12, 48]), (5, [4]), (3, [3]), (2, []), (1, []), (720, [45, 90, 360])]
)
def test_windows_are_shares_of_the_length(steps: int, expected: list[int]) -> None:
    assert symbolic_words.window_lengths(steps, [1 / 16, 1 / 8, 1 / 2]) == expected


def test_without_windows_the_bags_are_empty() -> None:
    fitted = symbolic_words.fit(series(), [], 4, 4)
    ids, weights, starts = symbolic_words.bags(series(), fitted)
    assert (len(ids), len(weights), starts.tolist(), symbolic_words.buckets(fitted)) == (0, 0, [0] * 30, 0)
