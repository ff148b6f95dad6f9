"""The queue before a network: who is answered together, and what is left of the others when one is faulty."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import Any

import pandas as pd
import pytest

from unroll.core.errors import TableError
from unroll.serving.http.batcher import Batcher
from unroll.serving.http.body import Records
from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits


class Doubler:
    """Doubles ``x``, when it may; keeps the sizes of what it was asked at once."""

    def __init__(self) -> None:
        self.may, self.asked, self.calls = threading.Event(), threading.Event(), []
        self.calls: list[list[int]] = []

    def predict_all(self, frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
        self.asked.set()
        assert self.may.wait(20)
        self.calls.append([len(frame) for frame in frames])
        for frame in frames:
            if (frame["x"] < 0).any():
                raise TableError("-1; expected a number from 0", row=1, column="x")
            if (frame["x"] == 13).any():
                raise ZeroDivisionError
        return [frame * 2 for frame in frames]


def records(*values: float, name: str = "x") -> Records:
    return Records({name: list(values)}, len(values))


@pytest.fixture
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def make(told: list[tuple[int, int]], request: pytest.FixtureRequest) -> Callable[..., Batcher]:
    def make(**limits: Any) -> Batcher:
        batcher = Batcher("points", Limits(**limits), 1, lambda many, rows: told.append((many, rows)))
        request.addfinalizer(batcher.close)
        return batcher

    return make


def gathered(batcher: Batcher, model: Any, *asked: Records) -> list[Any]:
    """One request keeps the network busy while the others gather behind it."""
    first = batcher.submit(records(0), model)
    assert model.asked.wait(20)
    waiting = [batcher.submit(each, model) for each in asked]
    model.may.set()
    assert first.result(20)["x"].tolist() == [0]
    return waiting


def test_what_waits_is_answered_at_once_and_each_gets_its_own(
    make: Callable[..., Batcher], told: list[tuple[int, int]]
) -> None:
    model = Doubler()
    waiting = gathered(make(), model, records(1), records(2, 3), records(4))
    assert [each.result(20)["x"].tolist() for each in waiting] == [[2], [4, 6], [8]]
    assert model.calls == [[1], [1, 2, 1]]
    assert told == [(1, 1), (3, 4)]


def test_a_faulty_one_does_not_harm_those_beside_it(make: Callable[..., Batcher]) -> None:
    model = Doubler()
    good, bad, broken, last = gathered(make(), model, records(1), records(-1), records(13), records(4))
    assert (good.result(20)["x"].tolist(), last.result(20)["x"].tolist()) == ([2], [8])
    with pytest.raises(RequestError, match="row 1, column x: -1") as caught:
        bad.result(20)
    assert (caught.value.status, caught.value.field) == (422, "x")
    with pytest.raises(RequestError, match="the model failed") as caught:
        broken.result(20)
    assert caught.value.status == 500


def test_a_batch_has_a_largest_size(make: Callable[..., Batcher]) -> None:
    model = Doubler()
    waiting = gathered(make(batch_rows=3), model, records(1), records(2, 3), records(4), records(5, 6, 7, 8))
    for each in waiting:
        each.result(20)
    assert model.calls == [[1], [1, 2], [1], [4]]  # what is larger by itself goes alone


def test_models_and_columns_are_not_mixed(make: Callable[..., Batcher]) -> None:
    model, other = Doubler(), Doubler()
    other.may.set()
    batcher = make()
    first = batcher.submit(records(0), model)
    assert model.asked.wait(20)
    waiting = [
        batcher.submit(records(1), model),
        batcher.submit(records(2), other),
        batcher.submit(records(3), model),
    ]
    model.may.set()
    assert [each.result(20)["x"].tolist() for each in [first, *waiting]] == [[0], [2], [4], [6]]
    assert (model.calls, other.calls) == ([[1], [1], [1]], [[1]])


def test_too_many_are_refused(make: Callable[..., Batcher]) -> None:
    model, batcher = Doubler(), make(waiting=2)
    first = batcher.submit(records(0), model)
    assert model.asked.wait(20)
    waiting = [batcher.submit(records(1), model), batcher.submit(records(2), model)]
    with pytest.raises(RequestError, match="2 requests wait for this model") as caught:
        batcher.submit(records(3), model)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    model.may.set()
    assert [each.result(20)["x"].tolist() for each in [first, *waiting]] == [[0], [2], [4]]


def test_what_nobody_waits_for_is_not_asked(make: Callable[..., Batcher]) -> None:
    model, batcher = Doubler(), make()
    batcher.submit(records(0), model)
    assert model.asked.wait(20)
    gone, kept = batcher.submit(records(1), model), batcher.submit(records(2), model)
    assert gone.cancel()
    model.may.set()
    assert kept.result(20)["x"].tolist() == [4]
    with pytest.raises(CancelledError):
        gone.result(20)
    assert model.calls == [[1], [1]]


def test_closing_answers_what_waits_and_takes_no_more(make: Callable[..., Batcher]) -> None:
    model, batcher = Doubler(), make()
    first, second = batcher.submit(records(1), model), batcher.submit(records(2), model)
    model.may.set()
    batcher.close()
    assert (first.result(1)["x"].tolist(), second.result(1)["x"].tolist()) == ([2], [4])
    with pytest.raises(RequestError, match="wait for this model"):
        batcher.submit(records(3), model)
