"""The bootstrap against scipy's, against blocks drawn by hand, and its coverage on series that remember."""

import warnings

import numpy as np
import pytest
from scipy import stats

from unroll.core.scores import DRAWS, Scores
from unroll.problems.common import classification


def mean(sums: np.ndarray) -> dict[str, np.ndarray]:
    return {"mean": sums[..., 1] / sums[..., 0]}


def of_values(values: np.ndarray, block: int = 1) -> Scores:
    return Scores(np.stack([np.ones(len(values)), values], axis=1), block)


def test_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=300)
    ours = of_values(values).summary(mean, seed=1)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile", rng=np.random.default_rng(2))
    assert ours["mean"] == pytest.approx(values.mean())
    # Two sets of draws differ by the noise of their tails: a twentieth of the interval's width is plenty for 1,000.
    tolerance = 0.05 * (theirs.confidence_interval.high - theirs.confidence_interval.low)
    assert ours["mean_low"] == pytest.approx(theirs.confidence_interval.low, abs=tolerance)
    assert ours["mean_high"] == pytest.approx(theirs.confidence_interval.high, abs=tolerance)


def test_interval_of_a_ratio_is_that_of_scipy() -> None:
    rng = np.random.default_rng(3)
    truth, guess = rng.normal(size=400), rng.normal(size=400)
    guess += truth
    scores = Scores(np.stack([np.ones(400), (guess - truth) ** 2, truth, truth**2], axis=1))

    def r2(sums: np.ndarray) -> dict[str, np.ndarray]:
        count, square, y, y2 = np.moveaxis(sums, -1, 0)
        return {"r2": 1 - square / (y2 - y**2 / count)}

    def r2_of_rows(t: np.ndarray, g: np.ndarray, axis: int = -1) -> np.ndarray:
        return 1 - ((g - t) ** 2).sum(axis) / ((t - t.mean(axis, keepdims=True)) ** 2).sum(axis)

    ours = scores.summary(r2, seed=4)
    theirs = stats.bootstrap(
        (truth, guess), r2_of_rows, paired=True, n_resamples=9999, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    tolerance = 0.05 * (theirs.high - theirs.low)
    assert ours["r2"] == pytest.approx(float(r2_of_rows(truth, guess)))
    assert (ours["r2_low"], ours["r2_high"]) == pytest.approx((theirs.low, theirs.high), abs=tolerance)


def test_draws_are_whole_blocks() -> None:
    values = np.random.default_rng(6).normal(size=22)  # blocks of 5, the last one of 2
    scores = of_values(values, block=5)
    parts = [values[low : low + 5] for low in range(0, 22, 5)]
    rng = np.random.default_rng(9)
    by_hand = []
    for _ in range(DRAWS):
        drawn = np.concatenate([parts[index] for index in rng.integers(0, 5, 5)])
        by_hand.append([len(drawn), drawn.sum()])
    np.testing.assert_allclose(scores.resampled_sums(seed=9), by_hand)


def test_same_seed_draws_the_same_rows_for_two_models() -> None:
    values = np.random.default_rng(7).normal(size=60)
    ours, theirs = of_values(values, 4), of_values(values + 2.5, 4)
    difference = theirs.resampled_sums(1)[:, 1] - ours.resampled_sums(1)[:, 1]
    np.testing.assert_allclose(difference, 2.5 * ours.resampled_sums(1)[:, 0])
    assert not np.array_equal(ours.resampled_sums(1), ours.resampled_sums(2))


def test_blocks_cover_the_mean_of_a_series_that_remembers_and_single_rows_do_not() -> None:
    """AR(1) with coefficient 0.8: the 95 % interval of blocks should hold the true mean 0 about 95 times of 100."""
    rng = np.random.default_rng(8)
    covered = {1: 0, 40: 0}
    repetitions = 80
    for _ in range(repetitions):
        series = np.zeros(2100)
        for step, shock in enumerate(rng.normal(size=2099), start=1):
            series[step] = 0.8 * series[step - 1] + shock
        for block in covered:
            found = of_values(series[100:], block).summary(mean, seed=1)
            covered[block] += found["mean_low"] <= 0 <= found["mean_high"]
    assert covered[40] >= 0.86 * repetitions  # 95 % less the noise of 80 repetitions and of finite blocks
    assert covered[1] <= 0.70 * repetitions  # theory: the interval is a third as wide as it should be, 49 %


def test_sums_keep_their_precision_and_their_sign() -> None:
    small = np.full((200_000, 1), 0.1, dtype=np.float32)
    assert Scores(small).sums()[0] == pytest.approx(200_000 * float(np.float32(0.1)), rel=1e-12)
    cells = Scores(np.array([[1, 0], [0, 1], [0, 1]], dtype=np.uint8))
    assert cells.sums()[0] - cells.sums()[1] == -1


def test_groups_are_scored_alone() -> None:
    values = np.array([1.0, 2.0, 3.0, 10.0])
    scores = Scores(of_values(values).statistics_NK, groups={"digits": np.array([2, 2, 10, 10])})
    found = scores.by_group(mean)["digits"]
    assert {group: (row["count"], row["mean"]) for group, row in found.items()} == {"2": (2, 1.5), "10": (2, 6.5)}
    assert (found["10"]["mean_low"], found["10"]["mean_high"]) == (3, 10)  # both rows the same in half of the draws


def test_the_interval_of_a_group_is_that_of_its_rows_and_keeps_the_blocks() -> None:
    """Of blocks that are alike inside, only the blocks count: the textbook error of their means, not of single rows."""
    rng = np.random.default_rng(10)
    blocks, block = 100, 6
    values = np.repeat(rng.normal(size=blocks), block)
    labels = np.tile(["a", "b", "b"], blocks * block // 3)
    labels[: 10 * block] = "c"  # blocks without a and b are never drawn for them
    found = Scores(of_values(values).statistics_NK, block, groups={"by_letter": labels}).by_group(mean)["by_letter"]
    of_blocks = values[10 * block :: block]
    half = 1.96 * of_blocks.std(ddof=1) / np.sqrt(len(of_blocks))
    for group, share in (("a", 1 / 3), ("b", 2 / 3)):
        row = found[group]
        assert row["count"] == round(share * 90 * block)
        assert row["mean"] == pytest.approx(of_blocks.mean())
        assert (row["mean_high"] - row["mean_low"]) / 2 == pytest.approx(half, rel=0.1)
    single = Scores(of_values(values).statistics_NK, groups={"by_letter": labels}).by_group(mean)["by_letter"]["b"]
    assert single["mean_high"] - single["mean_low"] < 0.65 * (row["mean_high"] - row["mean_low"])


def test_intervals_by_class_are_those_of_rows_drawn_singly() -> None:
    rng = np.random.default_rng(11)
    truth = rng.integers(0, 2, 300)
    guess = np.where(rng.random(300) < 0.8, truth, 0)
    names = ["no", "yes", "never"]
    found = classification.by_class(classification.statistics(truth, guess, 3).sum(axis=0), names)["yes"]

    def f1(t: np.ndarray, g: np.ndarray, axis: int = -1) -> np.ndarray:
        return 2 * (t & g).sum(axis) / (t.sum(axis) + g.sum(axis))

    theirs = stats.bootstrap((truth, guess), f1, paired=True, n_resamples=9999, method="percentile", rng=rng)
    low, high = theirs.confidence_interval
    assert found["f1"] == pytest.approx(float(f1(truth, guess)))
    assert (found["f1_low"], found["f1_high"]) == pytest.approx((low, high), abs=0.06 * (high - low))
    never = classification.by_class(classification.statistics(truth, guess, 3).sum(axis=0), names)["never"]
    assert (never["count"], never["precision"]) == (0, 0)
    assert np.isnan([never["precision_low"], never["f1_high"]]).all()


def test_bars_of_classes_have_whiskers() -> None:
    sums = np.array([8, 2, 3, 7])
    frame = classification.class_figure(sums, ["a", "b"]).frame
    assert list(frame) == ["class", "value", "low", "high", "count"]
    assert ((frame["low"] < frame["value"]) & (frame["value"] < frame["high"])).all()


def test_what_is_undefined_is_nan_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_block = of_values(np.arange(5.0), block=5).summary(mean, seed=0)
        nothing = Scores(np.zeros((4, 2))).summary(mean, seed=0)
    assert one_block["mean"] == 2.0
    assert np.isnan([one_block["mean_low"], one_block["mean_high"]]).all()
    assert np.isnan(list(nothing.values())).all()


def test_draws_without_a_class_do_not_enter_its_interval() -> None:
    def rare(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {"rare": sums[..., 0] / sums[..., 1]}

    statistics = np.zeros((30, 2))
    statistics[3] = 1, 1
    found = Scores(statistics).summary(rare, seed=0)
    assert (found["rare"], found["rare_low"], found["rare_high"]) == (1, 1, 1)
