"""Series of several lengths: where they end, and missing steps between their values."""

import numpy as np

from unroll.problems.series_classification import lengths, symbolic_words

NAN = np.nan


def test_a_series_ends_at_its_last_value() -> None:
    values = np.array([[1, 2, NAN, NAN], [1, NAN, 3, NAN], [NAN] * 4, [1, 2, 3, 4]], dtype=np.float32)
    _, found, whole = lengths.read(values, "drop")
    assert found.tolist() == [2, 3, 0, 4]
    assert whole.tolist() == [True, False, False, True]


def test_missing_steps_lie_on_the_line_between_their_neighbours() -> None:
    values = np.array([[1, NAN, NAN, 4, NAN], [NAN, 2, 3, NAN, 5]], dtype=np.float32)
    filled, found, whole = lengths.read(values, "interpolate")
    np.testing.assert_array_equal(filled, [[1, 2, 3, 4, NAN], [2, 2, 3, 4, 5]])
    assert found.tolist() == [4, 5]
    assert whole.all()


def test_a_short_series_has_the_words_that_it_has_alone() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 30))
    steps = rng.integers(8, 31, 40)
    steps[0] = 30
    padded = np.where(np.arange(30) < steps[:, None], values, 0.0)
    fitted = symbolic_words.fit(padded, [0.2, 0.5], 3, 3, steps)
    words, weights, starts = symbolic_words.bags(padded, fitted, steps)
    ends = [*starts[1:], len(words)]
    for row in range(40):
        fits = {**fitted, "windows": [w for w in fitted["windows"] if w["steps"] <= steps[row]]}
        own_words, own_weights, _ = symbolic_words.bags(values[row : row + 1, : steps[row]], fits)
        np.testing.assert_array_equal(words[starts[row] : ends[row]], own_words)
        np.testing.assert_allclose(weights[starts[row] : ends[row]], own_weights, rtol=1e-6)


def test_edges_are_learned_within_the_series_alone() -> None:
    rng = np.random.default_rng(1)
    values, steps = rng.normal(size=(50, 20)), np.full(50, 12)
    padded = np.where(np.arange(20) < 12, values, 100.0)
    window = [8 / 20]
    edges = symbolic_words.fit(padded, window, 3, 3, steps)["windows"][0]["edges"]
    np.testing.assert_allclose(edges, symbolic_words.fit(values[:, :12], [8 / 12], 3, 3)["windows"][0]["edges"])
