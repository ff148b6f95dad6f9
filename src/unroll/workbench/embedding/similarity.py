"""What vectors say of their names: nearest neighbours, analogies, a plane. Shapes: N vectors, D width, K found.

Near is by cosine. All of it is computed in double precision; of equally near ones the first is nearest.
"""

from collections.abc import Collection
from typing import Literal

import numpy as np

Method = Literal["pca", "tsne"]
PERPLEXITY = 15.0
"""Neighbours that each point of a t-SNE map is kept beside, about."""


def unit(vectors_ND: np.ndarray) -> np.ndarray:
    """The same directions with length 1; a vector of zeros stays as it is."""
    wide_ND = np.asarray(vectors_ND, dtype=np.float64)
    lengths_N = np.linalg.norm(wide_ND, axis=1, keepdims=True)
    units_ND: np.ndarray = np.divide(wide_ND, lengths_N, out=np.zeros_like(wide_ND), where=lengths_N > 0)
    return units_ND


def nearest(
    units_ND: np.ndarray, target_D: np.ndarray, count: int, without: Collection[int]
) -> tuple[np.ndarray, np.ndarray]:
    """The ``count`` rows nearest to ``target_D`` and their cosines, except rows ``without`` and those of zeros."""
    length = float(np.linalg.norm(target_D))
    cosines_N = units_ND @ (np.asarray(target_D, dtype=np.float64) / (length or 1.0))
    allowed_N = np.asarray(units_ND.any(axis=1))
    allowed_N[list(without)] = False
    rows = np.flatnonzero(allowed_N)
    rows_K = rows[np.argsort(-cosines_N[rows], kind="stable")][:count]
    return rows_K, cosines_N[rows_K]


def analogy(units_ND: np.ndarray, a: int, b: int, c: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are to ``c`` what ``b`` is to ``a``, and their cosines; the three themselves are no answer.

    The vector offset method of Mikolov, Yih and Zweig (2013, section 4): the vectors nearest to x_b − x_a + x_c, all of
    length 1.

    >>> analogy(unit(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [9, 0, 1]])), 0, 1, 2, 1)[0].tolist()
    [3]
    """
    return nearest(units_ND, units_ND[b] - units_ND[a] + units_ND[c], count, {a, b, c})


def plane(vectors_ND: np.ndarray, method: Method, seed: int) -> np.ndarray:
    """A place in the plane for each of three or more vectors (N, 2).

    ``pca``: the two directions along which they differ most, each turned so that its largest entry is positive.
    ``tsne``: near ones side by side (van der Maaten & Hinton 2008), by cosine, begun from the former.
    """
    centred_ND = np.asarray(vectors_ND, dtype=np.float64) - vectors_ND.mean(axis=0, dtype=np.float64)
    _, _, axes_ND = np.linalg.svd(centred_ND, full_matrices=False)
    axes_2D = np.zeros((2, centred_ND.shape[1]))
    axes_2D[: min(2, len(axes_ND))] = axes_ND[:2]
    axes_2D *= np.where(axes_2D[np.arange(2), np.abs(axes_2D).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
    places_N2: np.ndarray = centred_ND @ axes_2D.T
    return places_N2 if method == "pca" else _tsne(unit(vectors_ND), places_N2, seed)


def _tsne(units_ND: np.ndarray, start_N2: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    start_N2 = 1e-4 * start_N2 / (start_N2[:, 0].std() or 1.0)  # as small as its authors begin
    perplexity = min(PERPLEXITY, (len(units_ND) - 1) / 3)
    # Between vectors of length 1 the square of the distance is twice what the cosine lacks of 1.
    fitted = TSNE(2, perplexity=perplexity, init=start_N2.astype(np.float32), random_state=seed)
    with threadpool_limits(1):  # sums in one order, whatever the number of processors
        places_N2: np.ndarray = fitted.fit_transform(units_ND)
    return places_N2
