"""Many fixed convolution kernels and a linear classifier: a strong baseline for labelled series, without a network.

MiniRocket (Dempster, Schmidt & Webb 2021) in NumPy. Shapes: N series, M train series, T steps, F features, Q biases of
one kernel at one dilation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from unroll.problems.series_classification import ridge

LENGTH = 9
KERNELS = tuple(combinations(range(LENGTH), 3))
"""The 84 kernels: three taps have the weight 2, the other six −1, so a kernel's weights add up to 0."""
FEATURES = 3_000
"""Of each series, about: as many as are fitted to 6,400 series of 96 steps in under 30 s on one core."""
SEED = 0
MAX_DILATIONS = 32
"""Of one kernel, at most (the authors' own bound)."""
CHUNK = 1 << 21
"""Values of a convolution that are held at a time."""
PENALTIES = tuple(np.logspace(-3, 3, 10).tolist())
GOLDEN = (np.sqrt(5) + 1) / 2


@dataclass(frozen=True)
class Transform:
    """Dilations and, for each of them, the biases of all kernels (84, Q)."""

    dilations: tuple[int, ...]
    biases: tuple[np.ndarray, ...]

    @property
    def features(self) -> int:
        """How many features each series has."""
        return sum(bias.size for bias in self.biases)


def random_kernels(
    train_MT: np.ndarray, train_labels_M: np.ndarray, values_NT: np.ndarray, seed: int = SEED, features: int = FEATURES
) -> np.ndarray:
    """The class of each series by a ridge classifier on the shares of its steps that kernels answer to.

    The features are standardised, and the ridge's penalty is that of the lowest leave-one-out error on train, as in
    Dempster, Petitjean & Webb (2020, section 3.2). With one class in train, that class.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if len(np.unique(train_labels_M)) == 1:
        return np.full(len(values_NT), train_labels_M[0])
    transform = fit(train_MT, seed, features)
    train_MF, values_NF = apply(transform, train_MT), apply(transform, values_NT)
    mean_F, deviation_F = train_MF.mean(axis=0, dtype=np.float64), train_MF.std(axis=0, dtype=np.float64)
    deviation_F[deviation_F < 1e-6] = 1.0  # a kernel that says the same of all
    for part in (train_MF, values_NF):
        part -= mean_F.astype(np.float32)
        part /= deviation_F.astype(np.float32)
    with threadpool_limits(1):  # sums in one order, whatever the number of processors
        return ridge.fit(train_MF, train_labels_M, PENALTIES).predict(values_NF)


def fit(train_MT: np.ndarray, seed: int, features: int = FEATURES) -> Transform:
    """Dilations from the series' length, biases from the convolutions of train series drawn with ``seed``.

    A bias is a quantile of one train series' convolution; the shares of the quantiles are those of the golden ratio's
    multiples, evenly spread and the same for every data set (Dempster et al. 2021, section 3.1).
    """
    dilations, counts = _dilations(max(train_MT.shape[1], LENGTH), max(features // len(KERNELS), 1))
    rng = np.random.default_rng(seed)
    shares = _shares(len(KERNELS) * sum(counts))
    biases = []
    for dilation, count in zip(dilations, counts, strict=True):
        drawn = rng.integers(len(train_MT), size=len(KERNELS))
        bias = np.empty((len(KERNELS), count), dtype=np.float32)
        # Each kernel has its own series: all kernels of 84 series, and of these the kernel's own.
        for number, answers in enumerate(convolutions(_padded(train_MT[drawn]), dilation)):
            share, shares = shares[:count], shares[count:]
            bias[number] = np.quantile(answers[number], share)
        biases.append(bias)
    return Transform(tuple(dilations), tuple(biases))


def apply(transform: Transform, values_NT: np.ndarray) -> np.ndarray:
    """The share of steps at which each kernel's convolution is above each bias (N, F), float32.

    Every other pair of kernel and dilation is judged without the steps for which the kernel reaches over an end.
    """
    found_NF = np.empty((len(values_NT), transform.features), dtype=np.float32)
    width = max(values_NT.shape[1], LENGTH)
    rows = max(CHUNK // width // 16, 1)
    for low in range(0, len(values_NT), rows):
        chunk, column = _padded(values_NT[low : low + rows]), 0
        for number, (dilation, bias) in enumerate(zip(transform.dilations, transform.biases, strict=True)):
            reach = (LENGTH - 1) // 2 * dilation
            for kernel, answers in enumerate(convolutions(chunk, dilation)):
                inner = answers[:, reach:-reach] if (number + kernel) % 2 else answers
                for one in bias[kernel]:
                    found_NF[low : low + rows, column] = (inner > one).mean(axis=1, dtype=np.float32)
                    column += 1
    return found_NF


def convolutions(values_NT: np.ndarray, dilation: int) -> Iterator[np.ndarray]:
    """Each kernel in turn at every step, with zeros beyond the ends (N, T); the array is overwritten by the next.

    −1 at all nine taps is the same for all kernels; three times the three taps makes the 2 of them.
    """
    count, steps = values_NT.shape
    reach = (LENGTH - 1) // 2 * dilation
    wide = np.zeros((count, steps + 2 * reach), dtype=np.float32)
    wide[:, reach : reach + steps] = values_NT
    taps = [wide[:, place * dilation : place * dilation + steps] for place in range(LENGTH)]
    three = [3 * tap for tap in taps]
    minus_NT = -np.sum(taps, axis=0, dtype=np.float32)
    answers_NT = np.empty_like(minus_NT)
    for a, b, c in KERNELS:
        np.add(minus_NT, three[a], out=answers_NT)
        answers_NT += three[b]
        answers_NT += three[c]
        yield answers_NT


def _dilations(steps: int, each: int) -> tuple[list[int], list[int]]:
    """Dilations 1, 2, … that fit into a series, spread evenly by their logarithm, and how many biases each has.

    As in the authors' reference: ``each`` features a kernel go to at most MAX_DILATIONS dilations; several exponents
    that give the same one add their features up, and what is left goes to the smallest.
    """
    spread = min(each, MAX_DILATIONS)
    largest = np.log2((steps - 1) / (LENGTH - 1))
    dilations, counts = np.unique(np.logspace(0, largest, spread, base=2).astype(np.int64), return_counts=True)
    counts = counts * each // spread
    for left in range(each - int(counts.sum())):
        counts[left % len(counts)] += 1
    return dilations.tolist(), counts.tolist()


def _shares(count: int) -> np.ndarray:
    """Numbers between 0 and 1 that are evenly spread wherever one stops."""
    shares: np.ndarray = np.arange(1, count + 1) * GOLDEN % 1
    return shares


def _padded(values_NT: np.ndarray) -> np.ndarray:
    """As float32; what is shorter than a kernel gets zeros at its end."""
    values = np.asarray(values_NT, dtype=np.float32)
    return np.pad(values, ((0, 0), (0, max(LENGTH - values.shape[1], 0))))
