"""Windows against brute force: every start is tried, and kept if nothing in its way is wrong."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.problems.windows import series_table
from unroll.problems.windows import starts as windows
from unroll.problems.windows.starts import Windows


@st.composite
def cases(draw: st.DrawFn) -> dict[str, object]:
    rows = draw(st.integers(1, 60))
    bits = st.lists(st.booleans(), min_size=rows, max_size=rows)
    mostly = st.lists(st.integers(0, 9).map(bool), min_size=rows, max_size=rows)
    low, high = sorted(draw(st.tuples(st.integers(0, rows), st.integers(0, rows))))
    return {
        "good": np.array(draw(mostly | bits)),
        "joined": np.array(draw(mostly | bits)),
        "low": low,
        "high": high,
        "lag": draw(st.integers(1, 8)),
        "horizon": draw(st.integers(0, 6)),
        "stride": draw(st.integers(1, 7)),
    }


def brute_force(good, joined, low, high, lag, horizon, stride) -> list[int]:
    """Starts of the windows of rows s … s+lag−1+horizon; within an unbroken stretch of them every stride-th."""
    starts, since = [], 0
    for s in range(len(good)):
        rows = range(s, s + lag + horizon)
        legal = all(low <= t < high and good[t] for t in rows) and all(joined[t] for t in rows[1:])
        broken = s > 0 and not (good[s] and good[s - 1] and joined[s] and low < s)
        since = 0 if broken else since
        if legal and since % stride == 0:
            starts.append(s)
        since += 1
    return starts


@settings(max_examples=400, deadline=None)
@given(cases())
def test_the_same_starts_as_brute_force(case: dict) -> None:
    good, joined = case.pop("good"), case.pop("joined")
    found = windows.split_windows(windows.runs(good, joined), **case)
    expected = brute_force(good, joined, **case)
    assert len(found) == len(expected)
    assert found.starts(np.arange(len(found))).tolist() == expected


@settings(max_examples=100, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_any_order_of_numbers_gives_the_starts_in_that_order(case: dict, random) -> None:
    found = windows.split_windows(windows.runs(case.pop("good"), case.pop("joined")), **case)
    order = list(range(len(found)))
    random.shuffle(order)
    np.testing.assert_array_equal(
        found.starts(np.array(order, dtype=np.int64)), found.starts(np.arange(len(found)))[order]
    )


@settings(max_examples=100, deadline=None)
@given(cases(), st.lists(st.integers(0, 60), max_size=3))
def test_no_window_of_a_split_crosses_it_or_a_gap(case: dict, cuts: list[int]) -> None:
    good, joined, lag, horizon = case["good"], case["joined"], case["lag"], case["horizon"]
    bounds = sorted({0, len(good), *(cut for cut in cuts if cut < len(good))})
    runs = windows.runs(good, joined)
    touched: set[int] = set()
    for low, high in itertools.pairwise(bounds):
        found = windows.split_windows(runs, low, high, lag, horizon, 1)
        rows = found.starts(np.arange(len(found)))[:, None] + np.arange(lag + horizon)
        assert good[rows].all()
        assert joined[rows[:, 1:]].all()
        assert ((rows >= low) & (rows < high)).all()
        assert touched.isdisjoint(rows.ravel().tolist())
        touched |= set(rows.ravel().tolist())


def test_a_run_needs_no_list_of_its_windows() -> None:
    long = Windows(np.array([[0, 10_000_000]]), stride=3)
    assert len(long) == 3_333_334
    assert long.starts(np.array([0, 3_333_333])).tolist() == [0, 9_999_999]


def test_nothing_good_gives_no_windows() -> None:
    none = windows.split_windows(windows.runs(np.zeros(9, dtype=bool), np.ones(9, dtype=bool)), 0, 9, 2, 1, 1)
    assert len(none) == 0
    assert none.starts(np.arange(0)).tolist() == []


@given(st.lists(st.integers(1, 4), min_size=1, max_size=40))
def test_the_step_is_the_most_frequent_one_and_gaps_are_told(steps: list[int]) -> None:
    seconds = np.cumsum([0, *steps])
    common = max(sorted(set(steps)), key=steps.count)
    assert series_table.step_s(seconds) == common
    assert series_table.follows(seconds, common).tolist() == [True] + [step == common for step in steps]
