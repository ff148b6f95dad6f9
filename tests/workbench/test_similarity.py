"""Neighbours, analogies and planes against sklearn and a search one by one."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from unroll.workbench.embedding import similarity


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(sum(a * b) / (sum(a * a) ** 0.5 * sum(b * b) ** 0.5))


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(150, 12)).astype(np.float32)


def test_neighbours_are_those_of_scikit_learn(vectors: np.ndarray) -> None:
    theirs = NearestNeighbors(n_neighbors=8, metric="cosine", algorithm="brute").fit(vectors.astype(np.float64))
    distances, rows = theirs.kneighbors()  # of each, without itself
    units = similarity.unit(vectors)
    for row in range(150):
        found, cosines = similarity.nearest(units, units[row], 8, {row})
        np.testing.assert_array_equal(found, rows[row])
        np.testing.assert_allclose(cosines, 1 - distances[row], atol=1e-9)


def test_analogies_are_those_of_a_search_one_by_one(vectors: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    wide = vectors.astype(np.float64)
    lengths = [sum(row * row) ** 0.5 for row in wide]
    for _ in range(20):
        a, b, c = rng.choice(150, 3, replace=False).tolist()
        target = wide[b] / lengths[b] - wide[a] / lengths[a] + wide[c] / lengths[c]
        scores = {row: cosine(wide[row], target) for row in range(150) if row not in (a, b, c)}
        best = sorted(scores, key=lambda row: -scores[row])[:5]
        found, cosines = similarity.analogy(similarity.unit(vectors), a, b, c, 5)
        assert found.tolist() == best
        np.testing.assert_allclose(cosines, [scores[row] for row in best], atol=1e-9)


def test_length_does_not_matter_and_zeros_are_nobodys_neighbour(vectors: np.ndarray) -> None:
    scaled = vectors * np.linspace(0.01, 50, 150)[:, None]
    scaled[7] = 0
    units = similarity.unit(scaled)
    assert not units[7].any()
    found, _ = similarity.nearest(units, units[0], 1000, {0})
    plain, _ = similarity.nearest(similarity.unit(vectors), similarity.unit(vectors)[0], 1000, {0, 7})
    np.testing.assert_array_equal(found, plain)
    assert len(found) == 148


def test_of_equals_the_first_is_nearest() -> None:
    units = similarity.unit(np.array([[1, 0], [1, 1], [2, 2], [0, 1], [1, 1]]))
    assert similarity.nearest(units, units[0], 3, {0})[0].tolist() == [1, 2, 4]


def test_the_widest_plane_is_that_of_scikit_learn(vectors: np.ndarray) -> None:
    found = similarity.plane(vectors, "pca", 0)
    theirs = PCA(2, svd_solver="full").fit(vectors.astype(np.float64))
    signs = np.sign(np.take_along_axis(theirs.components_, abs(theirs.components_).argmax(1)[:, None], 1))[:, 0]
    np.testing.assert_allclose(found, theirs.transform(vectors.astype(np.float64)) * signs, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 1), (3, 5), (4, 2)])
def test_few_vectors_and_narrow_ones_have_a_place_each(shape: tuple[int, int]) -> None:
    for method in ("pca", "tsne"):
        places = similarity.plane(np.random.default_rng(0).normal(size=shape), method, 0)  # type: ignore[arg-type]
        assert places.shape == (shape[0], 2)
        assert np.isfinite(places).all()
    assert np.isfinite(similarity.plane(np.ones((5, 4)), "tsne", 0)).all()


def test_near_vectors_stay_near_on_a_map() -> None:
    rng = np.random.default_rng(2)
    heaps = np.repeat(np.arange(4), 15)
    vectors = rng.normal(size=(4, 20))[heaps] + 0.3 * rng.normal(size=(60, 20))
    places = similarity.plane(vectors, "tsne", 1)
    nearest = NearestNeighbors(n_neighbors=5).fit(places).kneighbors(return_distance=False)
    assert (heaps[nearest] == heaps[:, None]).mean() > 0.95
    np.testing.assert_array_equal(similarity.plane(vectors, "tsne", 1), places)
